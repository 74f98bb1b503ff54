//! Telephone numbers as PASSporTs write them.

/// Digits a number may have: those of E.164, and room for what national plans put in front.
const MAX_DIGITS: usize = 32;

/// The canonical form of a telephone number (RFC 8224 8.3): no `+`, no visual separators, no parameters. `None` when it
/// is no number.
///
/// A number written nationally stays so: the country it belongs to is for the caller of this function to know.
pub fn canonical(text: &str) -> Option<String> {
    let number = text.split(';').next().unwrap_or_default();
    let number = number.strip_prefix('+').unwrap_or(number);
    let mut digits = String::with_capacity(number.len().min(MAX_DIGITS));
    for c in number.chars() {
        match c {
            '0'..='9' | '*' | '#' => digits.push(c),
            // RFC 3966 5.1.1: visual separators mean nothing.
            '-' | '.' | '(' | ')' | ' ' => {}
            _ => return None,
        }
        if digits.len() > MAX_DIGITS {
            return None;
        }
    }
    (!digits.is_empty()).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_its_digits() {
        for text in ["+12155551212", "1-215-555-1212", "+1 (215) 555.1212", "12155551212;phone-context=+1"] {
            assert_eq!(canonical(text).as_deref(), Some("12155551212"), "{text}");
        }
        assert_eq!(canonical("*67#").as_deref(), Some("*67#"));
        for text in ["", "+", "alice", "1215555x", "++1", "-.-", "sip:1", "1234567890123456789012345678901234"] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }
}
