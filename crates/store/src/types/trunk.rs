//! What a trunk does with the calls that come and go over it.

use serde::{Deserialize, Serialize};

use super::text_enum;
use crate::kinds::Direction;

text_enum! {
    /// A party of a call.
    pub enum Party { Caller = "caller", Called = "called" }
}

text_enum! {
    /// How keys are sent over a trunk.
    pub enum Dtmf {
        /// As events (RFC 4733) where the other side takes them, else as tones in the audio.
        Auto = "auto",
        /// As tones in the audio.
        Inband = "inband",
        /// By SIP INFO with `application/dtmf-relay`.
        Info = "info",
    }
}

/// Kept as one column: it is only ever read whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrunkRouting {
    /// For each direction and party the first that fits is applied.
    pub number_rules: Vec<NumberRule>,
    /// Headers of the caller's INVITE that the callee gets, when one of the two is the trunk. `X-*` is all that begin so.
    pub pass_headers: Vec<String>,
    /// SIP codes after which the next trunk is tried; `None`: 408 and 500 to 599.
    pub failover_codes: Option<Vec<u16>>,
    /// Seconds without a 101..199 after which the next trunk is tried; `None`: 32 (RFC 3261 timer B).
    pub progress_timeout: Option<u16>,
    /// Seconds without an answer after which the next trunk is tried; `None`: as long as the call may ring.
    pub ring_timeout: Option<u16>,
    /// How keys are sent; `None`: [`Dtmf::Auto`].
    pub dtmf: Option<Dtmf>,
}

/// Makes one way of writing numbers another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberRule {
    pub direction: Direction,
    pub party: Party,
    /// What the number begins with; `+` counts.
    #[serde(default)]
    pub prefix: String,
    /// Digits it has at least and at most.
    #[serde(default)]
    pub min_digits: Option<u8>,
    #[serde(default)]
    pub max_digits: Option<u8>,
    /// Characters taken off its beginning.
    #[serde(default)]
    pub strip: u8,
    /// What is put before the rest.
    #[serde(default)]
    pub prepend: String,
}

impl NumberRule {
    fn apply(&self, number: &str) -> Option<String> {
        let digits = number.bytes().filter(u8::is_ascii_digit).count();
        let fits = number.starts_with(&self.prefix)
            && self.min_digits.is_none_or(|least| digits >= usize::from(least))
            && self.max_digits.is_none_or(|most| digits <= usize::from(most));
        if !fits {
            return None;
        }
        let rest: String = number.chars().skip(self.strip.into()).collect();
        Some(format!("{}{rest}", self.prepend))
    }
}

impl TrunkRouting {
    /// The number as the other side of the rules writes it; as it is where none fits.
    pub fn rewrite(&self, direction: Direction, party: Party, number: &str) -> String {
        let mut theirs = self.number_rules.iter().filter(|rule| rule.direction == direction && rule.party == party);
        theirs.find_map(|rule| rule.apply(number)).unwrap_or_else(|| number.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(prefix: &str, strip: u8, prepend: &str) -> NumberRule {
        NumberRule {
            direction: Direction::Out,
            party: Party::Called,
            prefix: prefix.to_owned(),
            min_digits: None,
            max_digits: None,
            strip,
            prepend: prepend.to_owned(),
        }
    }

    #[test]
    fn the_first_rule_that_fits_is_applied() {
        let routing = TrunkRouting {
            number_rules: vec![
                NumberRule { max_digits: Some(4), ..rule("", 0, "+1201555") },
                rule("+1", 2, "9"),
                rule("+", 1, "9011"),
                NumberRule { direction: Direction::In, ..rule("", 0, "never") },
                NumberRule { party: Party::Caller, ..rule("", 0, "never") },
            ],
            ..TrunkRouting::default()
        };
        for (from, to) in [
            ("0123", "+12015550123"),
            ("+12015550123", "92015550123"),
            ("+442071838750", "9011442071838750"),
            ("12015550123", "12015550123"),
        ] {
            assert_eq!(routing.rewrite(Direction::Out, Party::Called, from), to);
        }
        assert_eq!(rule("", 99, "1").apply("äö"), Some("1".to_owned()), "no more than there is");
    }

    #[test]
    fn what_an_older_version_wrote_is_read() {
        assert_eq!(serde_json::from_str::<TrunkRouting>("{}").unwrap(), TrunkRouting::default());
    }
}
