//! Numbers for sale: the fictitious lines `NPA-555-0100..=0199` of real area codes, and toll-free ones.

use std::sync::LazyLock;

use async_trait::async_trait;
use opentact_engine::ports::{ControlError, NumberCarrier, NumberData, NumberFacts, NumberQuery, Offer};

/// `npa|country|state|city|rate center`, `#` begins a comment.
const TABLE: &str = include_str!("npa.txt");
/// Toll-free codes of the North American Numbering Plan.
const TOLL_FREE: [u16; 7] = [800, 833, 844, 855, 866, 877, 888];
/// The exchange that is kept for fiction.
const NXX: u64 = 555;
const FIRST_LINE: u64 = 100;
const LINES: u64 = 100;
const FEATURES: [&str; 2] = ["voice", "sms"];

/// An area code and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Area {
    npa: u16,
    country: &'static str,
    place: Option<Place>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    state: &'static str,
    city: &'static str,
    rate_center: &'static str,
}

/// By area code, ascending.
static AREAS: LazyLock<Vec<Area>> = LazyLock::new(|| {
    let geographic = TABLE.lines().filter_map(parse_area);
    let toll_free = TOLL_FREE.into_iter().map(|npa| Area { npa, country: "US", place: None });
    let mut areas: Vec<Area> = geographic.chain(toll_free).collect();
    areas.sort_by_key(|area| area.npa);
    areas
});

fn parse_area(line: &'static str) -> Option<Area> {
    let mut fields = line.split('|');
    let npa = fields.next()?.parse().ok()?;
    let country = fields.next()?;
    let place = Place { state: fields.next()?, city: fields.next()?, rate_center: fields.next()? };
    Some(Area { npa, country, place: Some(place) })
}

impl Area {
    fn kind(&self) -> &'static str {
        if self.place.is_some() { "long_code" } else { "toll_free" }
    }

    /// E.164 of each of its lines, ascending.
    fn lines(&self) -> impl Iterator<Item = u64> + use<> {
        let base = 10_000_000_000 + u64::from(self.npa) * 10_000_000 + NXX * 10_000;
        (FIRST_LINE..FIRST_LINE + LINES).map(move |line| base + line)
    }

    fn matches(&self, query: &NumberQuery) -> bool {
        let place = |of: fn(&Place) -> &'static str| self.place.as_ref().map(of);
        let same = |wanted: &Option<String>, value: Option<&str>| match wanted {
            None => true,
            Some(wanted) => value.is_some_and(|value| text_matches(wanted, value)),
        };
        same(&query.kind, Some(self.kind()))
            && same(&query.country, Some(self.country))
            && same(&query.state, place(|place| place.state))
            && same(&query.city, place(|place| place.city))
            && same(&query.rate_center, place(|place| place.rate_center))
            && query.npa.as_deref().is_none_or(|npa| npa == self.npa.to_string())
            && query.nxx.as_deref().is_none_or(|nxx| nxx == NXX.to_string())
            && query.features.iter().all(|feature| FEATURES.contains(&feature.as_str()))
    }

    fn offer(&self, tn: u64) -> Offer {
        Offer {
            tn,
            kind: self.kind(),
            country: self.country,
            state: self.place.map(|place| place.state),
            city: self.place.map(|place| place.city),
            rate_center: self.place.map(|place| place.rate_center),
            features: FEATURES.to_vec(),
        }
    }
}

/// The inventory of the simulated network. Which of it is leased is the store's business.
#[derive(Debug, Clone, Copy, Default)]
pub struct DevNumbers;

#[async_trait]
impl NumberCarrier for DevNumbers {
    fn name(&self) -> &'static str {
        "dev"
    }

    async fn search(
        &self,
        query: &NumberQuery,
        taken: &(dyn Fn(u64) -> bool + Send + Sync),
        skip: u64,
        take: u64,
    ) -> Result<(Vec<Offer>, u64), ControlError> {
        let lines = LineFilter::new(query);
        let mut offers = Vec::new();
        let mut total = 0;
        for area in AREAS.iter().filter(|area| area.matches(query)) {
            for tn in area.lines().filter(|tn| lines.matches(*tn) && !taken(*tn)) {
                if total >= skip && total < skip.saturating_add(take) {
                    offers.push(area.offer(tn));
                }
                total += 1;
            }
        }
        Ok((offers, total))
    }

    async fn offer(&self, tn: u64) -> Result<Option<Offer>, ControlError> {
        Ok(area_of(tn).map(|area| area.offer(tn)))
    }

    async fn buy(&self, tn: u64) -> Result<(), ControlError> {
        area_of(tn).map(|_| ()).ok_or(ControlError::NotFound("TN"))
    }

    async fn release(&self, tn: u64) -> Result<(), ControlError> {
        area_of(tn).map(|_| ()).ok_or(ControlError::NotFound("TN"))
    }
}

/// The simulated network keeps data of every number of its area codes, its own or not.
#[async_trait]
impl NumberData for DevNumbers {
    fn name(&self) -> &str {
        "dev"
    }

    async fn facts(&self, tn: u64) -> Result<NumberFacts, ControlError> {
        let Some(place) = area_with_code(tn).and_then(|area| area.place) else { return Ok(NumberFacts::default()) };
        let text = |text: &str| Some(text.to_owned());
        Ok(NumberFacts {
            state: text(place.state),
            rate_center: text(place.rate_center),
            lata: text("000"),
            ocn: text("0DEV"),
            carrier: text("Simulated Telephone"),
            lrn: Some(tn / 10_000 * 10_000),
            cnam: text(&format!("CALLER {}", tn % 10_000)),
        })
    }
}

/// The area a number is for sale in, `None` when it is not one of ours.
fn area_of(tn: u64) -> Option<&'static Area> {
    area_with_code(tn).filter(|area| area.lines().any(|line| line == tn))
}

fn area_with_code(tn: u64) -> Option<&'static Area> {
    let npa = u16::try_from(tn / 10_000_000).ok()?.checked_sub(1_000)?;
    let at = AREAS.binary_search_by_key(&npa, |area| area.npa).ok()?;
    AREAS.get(at)
}

/// The filters on digits.
struct LineFilter {
    line: Option<Vec<u8>>,
    pattern: Option<Vec<u8>>,
}

impl LineFilter {
    fn new(query: &NumberQuery) -> LineFilter {
        let lower = |text: &str| text.to_ascii_lowercase().into_bytes();
        LineFilter { line: query.line.as_deref().map(lower), pattern: query.pattern.as_deref().map(national) }
    }

    fn matches(&self, tn: u64) -> bool {
        let digits = (tn % 10_000_000_000).to_string();
        let digits = digits.as_bytes();
        let line = self.line.as_ref().is_none_or(|line| digits_match(line, &digits[6..]));
        line && self.pattern.as_ref().is_none_or(|pattern| {
            // Seven places without a run are the number inside its area, as toll-free ones are asked for.
            let local = pattern.len() == 7 && !pattern.contains(&b'*');
            digits_match(pattern, if local { &digits[3..] } else { digits })
        })
    }
}

/// A pattern without plus and country code.
fn national(pattern: &str) -> Vec<u8> {
    let pattern = pattern.strip_prefix('+').unwrap_or(pattern).to_ascii_lowercase().into_bytes();
    match pattern.as_slice() {
        [b'1', rest @ ..] if rest.len() == 10 && !rest.contains(&b'*') => rest.to_vec(),
        _ => pattern,
    }
}

/// `*` any run of digits, `%` and `x` one digit. At most as many steps as pattern times digits.
fn digits_match(pattern: &[u8], digits: &[u8]) -> bool {
    wildcard_match(pattern, digits, |place, digit| place == digit || matches!(place, b'%' | b'x'))
}

/// Case does not matter; `*` and `%` any run, as in every search.
fn text_matches(pattern: &str, value: &str) -> bool {
    let pattern = pattern.to_lowercase().replace('%', "*");
    wildcard_match(pattern.as_bytes(), value.to_lowercase().as_bytes(), |place, octet| place == octet)
}

/// Matches with `*` as any run; goes back to the last `*` only, which suffices.
fn wildcard_match(pattern: &[u8], value: &[u8], same: impl Fn(u8, u8) -> bool) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut last_run: Option<(usize, usize)> = None;
    while from < value.len() {
        match pattern.get(at) {
            Some(b'*') => {
                last_run = Some((at, from));
                at += 1;
            }
            Some(&place) if same(place, value[from]) => (at, from) = (at + 1, from + 1),
            _ => match last_run {
                Some((run, start)) => {
                    last_run = Some((run, start + 1));
                    (at, from) = (run + 1, start + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&place| place == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn search(query: NumberQuery) -> (Vec<Offer>, u64) {
        DevNumbers.search(&query, &|_| false, 0, 10).await.unwrap()
    }

    fn query(set: impl FnOnce(&mut NumberQuery)) -> NumberQuery {
        let mut query = NumberQuery::default();
        set(&mut query);
        query
    }

    #[test]
    fn every_line_of_the_table_is_an_area() {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(AREAS.len(), lines + TOLL_FREE.len());
        assert!(lines >= 150, "{lines}");
        for pair in AREAS.windows(2) {
            assert!(pair[0].npa < pair[1].npa, "{} twice", pair[0].npa);
        }
        for place in AREAS.iter().filter_map(|area| area.place) {
            assert_eq!(place.state.len(), 2, "{place:?}");
            assert!((2..=10).contains(&place.rate_center.len()), "{place:?}");
        }
    }

    #[tokio::test]
    async fn everything_is_for_sale_in_ascending_order() {
        let (offers, total) = search(NumberQuery::default()).await;
        assert_eq!(total, AREAS.len() as u64 * LINES);
        assert_eq!(offers[0].tn, 12015550100);
        assert_eq!(offers[0].rate_center, Some("JERSEYCITY"));
        assert!(offers.windows(2).all(|pair| pair[0].tn < pair[1].tn));
    }

    #[tokio::test]
    async fn pages_do_not_overlap_and_know_the_total() {
        let all = query(|query| query.npa = Some("202".into()));
        let (first, total) = DevNumbers.search(&all, &|_| false, 0, 60).await.unwrap();
        let (second, _) = DevNumbers.search(&all, &|_| false, 60, 60).await.unwrap();
        assert_eq!((first.len(), second.len(), total), (60, 40, 100));
        assert_eq!(second[0].tn, first[59].tn + 1);
    }

    #[tokio::test]
    async fn what_is_taken_is_neither_shown_nor_counted() {
        let all = query(|query| query.npa = Some("202".into()));
        let (offers, total) = DevNumbers.search(&all, &|tn| tn == 12025550100, 0, 1).await.unwrap();
        assert_eq!((offers[0].tn, total), (12025550101, 99));
    }

    #[tokio::test]
    async fn places_narrow_in_any_case() {
        let (offers, total) = search(query(|query| query.state = Some("nj".into()))).await;
        assert_eq!(offers[0].state, Some("NJ"));
        assert_eq!(total % LINES, 0);
        let newark = query(|query| {
            query.state = Some("NJ".into());
            query.city = Some("newark".into());
        });
        let (offers, total) = search(newark).await;
        assert_eq!(total, 200, "862 and 973");
        assert_eq!(offers[0].tn, 18625550100);
        let (_, total) = search(query(|query| query.rate_center = Some("NWYR*".into()))).await;
        assert_eq!(total, 500);
        let (offers, _) = search(query(|query| query.country = Some("CA".into()))).await;
        assert_eq!((offers[0].country, offers[0].city), ("CA", Some("Winnipeg")));
        assert_eq!(search(query(|query| query.state = Some("ZZ".into()))).await.1, 0);
    }

    #[tokio::test]
    async fn toll_free_numbers_have_no_place() {
        let (offers, total) = search(query(|query| query.kind = Some("toll_free".into()))).await;
        assert_eq!(total, 700);
        assert_eq!(
            (offers[0].tn, offers[0].state, offers[0].features.clone()),
            (18005550100, None, vec!["voice", "sms"])
        );
    }

    #[tokio::test]
    async fn features_nobody_has_find_nothing() {
        assert_eq!(search(query(|query| query.features = vec!["sms".into(), "fax".into()])).await.1, 0);
        assert_ne!(search(query(|query| query.features = vec!["sms".into()])).await.1, 0);
    }

    #[tokio::test]
    async fn lines_and_patterns_match_digits() {
        let count = async |set: fn(&mut NumberQuery)| search(query(set)).await.1;
        let areas = AREAS.len() as u64;
        assert_eq!(count(|query| query.line = Some("01x7".into())).await, areas * 10);
        assert_eq!(count(|query| query.pattern = Some("202555017%".into())).await, 10);
        assert_eq!(count(|query| query.pattern = Some("+1202555017X".into())).await, 10);
        assert_eq!(count(|query| query.pattern = Some("202*".into())).await, 100);
        assert_eq!(count(|query| query.pattern = Some("*0123".into())).await, areas);
        assert_eq!(count(|query| query.pattern = Some("2*5*0123".into())).await, areas_beginning_with('2'));
        assert_eq!(count(|query| query.pattern = Some("555017x".into())).await, areas * 10);
        assert_eq!(count(|query| query.pattern = Some("555".into())).await, 0);
        assert_eq!(count(|query| query.nxx = Some("556".into())).await, 0);
    }

    fn areas_beginning_with(digit: char) -> u64 {
        AREAS.iter().filter(|area| area.npa.to_string().starts_with(digit)).count() as u64
    }

    #[tokio::test]
    async fn only_numbers_of_the_inventory_can_be_bought() {
        assert!(DevNumbers.buy(12025550100).await.is_ok());
        for tn in [12025550200, 12025550099, 442025550100, 2025550100, 0, u64::MAX] {
            assert_eq!(DevNumbers.buy(tn).await, Err(ControlError::NotFound("TN")), "{tn}");
            assert_eq!(DevNumbers.offer(tn).await, Ok(None), "{tn}");
        }
    }
}
