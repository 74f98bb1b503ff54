//! Telephone numbers as people and phones write them, made E.164. The one place that knows the parsing library.

use std::collections::HashMap;
use std::sync::LazyLock;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberType, Region};

/// E.164 digits (country code first, no plus) of what was dialled, or `None` when it is no telephone number.
///
/// `+` or 11 and more digits are read as international, fewer digits as a national number of `region`
/// (ISO 3166 alpha-2, for example `US`). Punctuation is ignored. A number needs a possible length only: fictitious
/// and new ranges are numbers too.
pub fn e164(text: &str, region: &str) -> Option<u64> {
    let text = text.trim();
    let text = text.strip_prefix("tel:").unwrap_or(text);
    // Parameters of RFC 3966 (`;verstat=`, `;npdi`) are said about a number and are none of it.
    let text = text.split(';').next().unwrap_or_default().trim_end();
    let digits = text.chars().filter(char::is_ascii_digit).count();
    if !(3..=18).contains(&digits) || text.chars().any(|c| !(c.is_ascii_digit() || "+-. ()".contains(c))) {
        return None;
    }
    let region = region.parse::<Region>().ok();
    let international = || parse(&format!("+{}", text.trim_start_matches('+')), None);
    let found = if text.starts_with('+') || text.starts_with("00") && digits > 11 {
        parse(&text.replacen("00", "+", usize::from(text.starts_with("00"))), None)
    } else if digits > 10 {
        international().or_else(|| parse(text, region))
    } else {
        parse(text, region)
    }?;
    found.to_string().trim_start_matches('+').parse().ok()
}

/// ISO 3166 alpha-2 of the country a number belongs to; for +1 numbers of unknown area codes `US`.
pub fn country(tn: u64) -> Option<String> {
    let number = parse(&format!("+{tn}"), None)?;
    match number.get_region_code() {
        Some(region) => Some(region.as_region_str().to_string()),
        None => (number.country_code == 1).then(|| "US".to_owned()),
    }
}

/// What the plan of its country says of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// ISO 3166 alpha-2; `None` for numbers of no country, such as +800.
    pub country: Option<String>,
    pub country_code: u16,
    /// Digits without the country code.
    pub national: String,
    /// `fixed_line`, `mobile`, `toll_free` …, `unknown` for a range that is not given out.
    pub kind: &'static str,
    /// Whether the number is of a range that is given out.
    pub is_valid: bool,
}

/// `None` for what no country's numbers look like.
pub fn plan(tn: u64) -> Option<Plan> {
    let number = parse(&format!("+{tn}"), None)?;
    let kind = match number.get_type() {
        PhoneNumberType::FixedLine => "fixed_line",
        PhoneNumberType::Mobile => "mobile",
        PhoneNumberType::FixedLineOrMobile => "fixed_line_or_mobile",
        PhoneNumberType::TollFree => "toll_free",
        PhoneNumberType::PremiumRate => "premium_rate",
        PhoneNumberType::SharedCost => "shared_cost",
        PhoneNumberType::VoIP => "voip",
        PhoneNumberType::PersonalNumber => "personal_number",
        PhoneNumberType::Pager => "pager",
        PhoneNumberType::UAN => "uan",
        PhoneNumberType::VoiceMail => "voicemail",
        PhoneNumberType::Unknown => "unknown",
    };
    Some(Plan {
        country: country(tn),
        country_code: number.country_code.try_into().ok()?,
        national: number.get_national_significant_number(),
        kind,
        is_valid: number.is_valid(),
    })
}

/// The telephone country code of a country (ISO 3166 alpha-2); `None` where it has no telephones of its own.
pub fn calling_code(country: &str) -> Option<u16> {
    let region = country.parse::<Region>().ok()?;
    PHONE_NUMBER_UTIL.get_country_code_for_region(region)?.try_into().ok()
}

/// `state code code…`, `#` begins a comment.
const AREA_CODES: &str = include_str!("area_codes.txt");

/// By area code of the North American Numbering Plan.
static STATES: LazyLock<HashMap<u16, &'static str>> = LazyLock::new(|| {
    let line = |line: &'static str| {
        let (state, codes) = line.split_once(' ').filter(|_| !line.starts_with('#'))?;
        Some(codes.split(' ').filter_map(move |code| Some((code.parse().ok()?, state))))
    };
    AREA_CODES.lines().filter_map(line).flatten().collect()
});

/// The two letters of the state, province or territory that an E.164 number is of; `None` outside of the United States and
/// Canada, for toll-free numbers and where an area code has more than one.
pub fn state(tn: u64) -> Option<&'static str> {
    let (country, area) = (tn / 10_000_000_000, tn / 10_000_000 % 1000);
    STATES.get(&u16::try_from(area).ok()?).copied().filter(|_| country == 1)
}

/// `state county;area exchange exchange…;area …`, `#` begins a comment.
const COUNTIES: &str = include_str!("counties.txt");

/// By area code and exchange. 1 MB, read when the first call or lookup asks.
static EXCHANGES: LazyLock<HashMap<u32, &'static str>> = LazyLock::new(|| {
    let area = |codes: &'static str| {
        let (area, exchanges) = codes.split_once(' ')?;
        let area = area.parse::<u32>().ok()? * 1_000;
        Some(exchanges.split(' ').filter_map(move |exchange| Some(area + exchange.parse::<u32>().ok()?)))
    };
    let line = |line: &'static str| {
        let mut parts = line.split(';').filter(|_| !line.starts_with('#'));
        let (_, county) = parts.next()?.split_once(' ')?;
        Some(parts.filter_map(area).flatten().map(move |exchange| (exchange, county)))
    };
    COUNTIES.lines().filter_map(line).flatten().collect()
});

/// The county, in capitals without "County", of the place that the exchange of a United States number is named for; `None`
/// where that is not known.
pub fn county(tn: u64) -> Option<&'static str> {
    let (country, exchange) = (tn / 10_000_000_000, tn / 10_000 % 1_000_000);
    EXCHANGES.get(&u32::try_from(exchange).ok()?).copied().filter(|_| country == 1)
}

fn parse(text: &str, region: Option<Region>) -> Option<PhoneNumber> {
    PhoneNumber::parse(text, region).ok().filter(|number| number.is_possible_with_reason().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_says_what_it_is() {
        let berlin = plan(4_930_123_456).unwrap();
        assert_eq!((berlin.country.as_deref(), berlin.country_code, berlin.kind), (Some("DE"), 49, "fixed_line"));
        assert_eq!((berlin.national.as_str(), berlin.is_valid), ("30123456", true));
        assert_eq!(plan(18_005_550_100).unwrap().kind, "toll_free");
        assert_eq!(plan(12_015_551_234).unwrap().kind, "fixed_line_or_mobile");
        let fiction = plan(19_995_550_100).unwrap();
        assert_eq!((fiction.kind, fiction.is_valid), ("unknown", false));
        assert_eq!(plan(999), None);
    }

    #[test]
    fn an_exchange_is_in_a_county() {
        for (tn, place) in [
            (12_012_001_234, Some("HUDSON")),
            (19_732_331_234, Some("ESSEX")),
            (13_053_241_234, Some("MIAMI-DADE")),
            // Fiction, Toronto, toll-free, and what is no North American number.
            (12_015_550_100, None),
            (14_163_611_234, None),
            (18_002_001_234, None),
            (492_012_001_234, None),
        ] {
            assert_eq!(county(tn), place, "{tn}");
        }
        assert!(EXCHANGES.len() > 27_000);
        // What has a county is of its state, as far as that is known.
        let lines = COUNTIES.lines().filter(|line| !line.starts_with('#'));
        for (state_of, areas) in lines.map(|line| line.split_once(' ').unwrap()) {
            for area in areas.split(';').skip(1) {
                let tn = 10_000_000_000 + area[..3].parse::<u64>().unwrap() * 10_000_000;
                assert!(state(tn).is_none_or(|state| state == state_of), "{area} is not of {state_of}");
            }
        }
    }

    #[test]
    fn every_way_of_writing_a_number_gives_the_same_digits() {
        for text in
            ["+12015550123", "12015550123", "2015550123", "(201) 555-0123", "+1 201.555.0123", "tel:+12015550123"]
        {
            assert_eq!(e164(text, "US"), Some(12_015_550_123), "{text}");
        }
        assert_eq!(e164("+442071838750", "US"), Some(442_071_838_750));
        assert_eq!(e164("442071838750", "US"), Some(442_071_838_750));
        assert_eq!(e164("020 7183 8750", "GB"), Some(442_071_838_750));
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", "alice", "12", "1201555012a", "+", "99999999999999999999"] {
            assert_eq!(e164(text, "US"), None, "{text}");
        }
    }

    #[test]
    fn a_north_american_number_has_a_state() {
        assert_eq!(state(12_015_550_123), Some("NJ"));
        assert_eq!(state(14_165_550_123), Some("ON"));
        for none in [18_005_550_123, 19_025_550_123, 442_015_550_123, 2_015_550_123] {
            assert_eq!(state(none), None, "{none}");
        }
        assert!(STATES.len() > 390 && STATES.values().all(|state| state.len() == 2));
    }

    #[test]
    fn a_number_has_a_country() {
        assert_eq!(country(442_071_838_750).as_deref(), Some("GB"));
        assert_eq!(country(12_015_550_123).as_deref(), Some("US"));
    }
}
