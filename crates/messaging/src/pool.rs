//! Which of a pool's numbers a message is sent from.

/// A number of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// E.164.
    pub number: u64,
    pub toll_free: bool,
    /// Its messages arrived, of late.
    pub healthy: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How much of the traffic goes by long codes, relative to `tollfree_weight`. 0: none.
    pub long_code_weight: u32,
    pub tollfree_weight: u32,
    /// Leave out numbers that are not healthy, as long as there are others.
    pub skip_unhealthy: bool,
    /// Prefer numbers of the recipient's area code (North American Numbering Plan).
    pub geo_match: bool,
}

/// Whose turn it is: one for each pool, kept from message to message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Turn {
    /// Of long codes and toll-free numbers: how far each is behind its share.
    credit: [i64; 2],
    /// The number each kind used last.
    last: [u64; 2],
}

/// Long codes and toll-free numbers share by weight, numbers of a kind take turns. `sticky` is the number that the recipient
/// heard from last: it is kept as long as it may be used. `None` when no number may.
pub fn choose(candidates: &[Candidate], rules: Rules, to: u64, sticky: Option<u64>, turn: &mut Turn) -> Option<u64> {
    let weights = [i64::from(rules.long_code_weight), i64::from(rules.tollfree_weight)];
    let kind = |candidate: &Candidate| usize::from(candidate.toll_free);
    let weight = |candidate: &Candidate| weights.get(kind(candidate)).copied().unwrap_or_default();
    let mut usable: Vec<&Candidate> = candidates.iter().filter(|candidate| weight(candidate) > 0).collect();
    if rules.skip_unhealthy {
        prefer(&mut usable, |candidate| candidate.healthy);
    }
    if let Some(number) = sticky.filter(|sticky| usable.iter().any(|candidate| candidate.number == *sticky)) {
        return Some(number);
    }
    if let (true, Some(area)) = (rules.geo_match, area_code(to)) {
        prefer(&mut usable, |candidate| !candidate.toll_free && area_code(candidate.number) == Some(area));
    }
    // Smooth weighted round robin: who is furthest behind its share is next.
    let mut shares = [0; 2];
    for candidate in &usable {
        shares[kind(candidate)] = weight(candidate);
    }
    let total: i64 = shares.iter().sum();
    let credit = |side: usize| turn.credit[side] + shares[side];
    let side = (0..2).filter(|side| shares[*side] > 0).max_by_key(|side| (credit(*side), usize::MAX - side))?;
    for (credit, share) in turn.credit.iter_mut().zip(shares) {
        *credit = if share > 0 { *credit + share } else { 0 };
    }
    turn.credit[side] -= total;
    let mut numbers: Vec<u64> = usable.iter().filter(|one| kind(one) == side).map(|one| one.number).collect();
    numbers.sort_unstable();
    let next = numbers.iter().find(|number| **number > turn.last[side]).or(numbers.first()).copied()?;
    turn.last[side] = next;
    Some(next)
}

/// Only those that meet the condition, where there are some.
fn prefer(candidates: &mut Vec<&Candidate>, good: impl Fn(&Candidate) -> bool) {
    if candidates.iter().any(|candidate| good(candidate)) {
        candidates.retain(|candidate| good(candidate));
    }
}

fn area_code(number: u64) -> Option<u64> {
    (number / 10_000_000_000 == 1).then_some(number / 10_000_000 % 1_000)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const NEW_JERSEY: u64 = 12_015_550_100;
    const SEATTLE: u64 = 12_065_550_100;
    const SEATTLE_TOO: u64 = 12_065_550_101;
    const TOLL_FREE: u64 = 18_445_550_100;
    const RULES: Rules = Rules { long_code_weight: 1, tollfree_weight: 1, skip_unhealthy: false, geo_match: false };

    fn pool() -> Vec<Candidate> {
        let one = |number| Candidate { number, toll_free: number == TOLL_FREE, healthy: true };
        [SEATTLE_TOO, NEW_JERSEY, TOLL_FREE, SEATTLE].map(one).to_vec()
    }

    fn spread(pool: &[Candidate], rules: Rules, count: usize) -> BTreeMap<u64, usize> {
        let (mut turn, mut uses) = (Turn::default(), BTreeMap::new());
        for _ in 0..count {
            let number = choose(pool, rules, 12_125_550_199, None, &mut turn).unwrap();
            *uses.entry(number).or_default() += 1;
        }
        uses
    }

    #[test]
    fn kinds_share_by_weight_and_numbers_take_turns() {
        let rules = Rules { long_code_weight: 3, ..RULES };
        assert_eq!(
            spread(&pool(), rules, 12),
            BTreeMap::from([(NEW_JERSEY, 3), (SEATTLE, 3), (SEATTLE_TOO, 3), (TOLL_FREE, 3)])
        );
        assert_eq!(spread(&pool(), Rules { tollfree_weight: 0, ..RULES }, 4).get(&TOLL_FREE), None);
        let nobody = Rules { long_code_weight: 0, tollfree_weight: 0, ..RULES };
        assert_eq!(choose(&pool(), nobody, SEATTLE, None, &mut Turn::default()), None);
        assert_eq!(choose(&[], RULES, SEATTLE, None, &mut Turn::default()), None);
    }

    #[test]
    fn a_weight_of_a_kind_that_has_no_number_does_not_count() {
        let pool: Vec<_> = pool().into_iter().filter(|one| one.toll_free).collect();
        assert_eq!(spread(&pool, Rules { long_code_weight: 9, ..RULES }, 5), BTreeMap::from([(TOLL_FREE, 5)]));
    }

    #[test]
    fn unhealthy_numbers_are_left_out_while_there_are_others() {
        let mut pool = pool();
        pool[1].healthy = false;
        assert!(spread(&pool, RULES, 20).contains_key(&NEW_JERSEY));
        let rules = Rules { skip_unhealthy: true, ..RULES };
        assert!(!spread(&pool, rules, 20).contains_key(&NEW_JERSEY));
        assert_ne!(choose(&pool, rules, SEATTLE, Some(NEW_JERSEY), &mut Turn::default()), Some(NEW_JERSEY));
        pool.iter_mut().for_each(|one| one.healthy = false);
        assert_eq!(spread(&pool, rules, 20).len(), 4);
    }

    #[test]
    fn a_recipient_keeps_its_number() {
        let mut turn = Turn::default();
        for _ in 0..5 {
            assert_eq!(choose(&pool(), RULES, NEW_JERSEY, Some(SEATTLE), &mut turn), Some(SEATTLE));
        }
        assert!(choose(&pool(), RULES, NEW_JERSEY, Some(12_025_550_100), &mut turn).is_some(), "not in the pool");
    }

    #[test]
    fn the_recipients_area_code_is_preferred() {
        let rules = Rules { geo_match: true, ..RULES };
        let mut turn = Turn::default();
        let chosen: Vec<_> = (0..4).map(|_| choose(&pool(), rules, 12_065_550_199, None, &mut turn).unwrap()).collect();
        assert_eq!(chosen, [SEATTLE, SEATTLE_TOO, SEATTLE, SEATTLE_TOO]);
        assert!(choose(&pool(), rules, 442_079_460_000, None, &mut turn).is_some());
    }
}
