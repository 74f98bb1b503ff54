//! Addresses of short messages.

use std::fmt;

/// A party of a short message, with its type of number and numbering plan (SMPP 3.4 5.2.5, 5.2.6).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Address {
    /// 0 unknown, 1 international, 2 national, 3 network specific, 4 subscriber, 5 alphanumeric, 6 abbreviated.
    pub ton: u8,
    /// 0 unknown, 1 E.164.
    pub npi: u8,
    /// At most 20 ASCII characters.
    pub text: String,
}

impl Address {
    /// International, E.164, without plus.
    pub fn e164(number: u64) -> Address {
        Address { ton: 1, npi: 1, text: number.to_string() }
    }

    /// The number it is, when it is one: digits with or without plus, 3..=15 of them, no leading zero.
    pub fn number(&self) -> Option<u64> {
        let digits = self.text.strip_prefix('+').unwrap_or(&self.text);
        let plausible = (3..=15).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
        if !plausible || digits.starts_with('0') {
            return None;
        }
        digits.parse().ok()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_are_a_number() {
        assert_eq!(Address::e164(12025550100).number(), Some(12025550100));
        let number = |text: &str| Address { ton: 0, npi: 0, text: text.to_owned() }.number();
        assert_eq!(number("+12025550100"), Some(12025550100));
        assert_eq!(number("Opentact"), None);
        assert_eq!(number("0123"), None);
        assert_eq!(number("1234567890123456"), None);
        assert_eq!(number(""), None);
    }
}
