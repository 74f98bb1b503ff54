//! The GSM 7-bit default alphabet with its extension table (3GPP TS 23.038 6.2.1), one septet an octet as SMPP
//! carries it with data_coding 0.

/// Escape to the extension table.
pub const ESCAPE: u8 = 0x1b;

/// 3GPP TS 23.038 6.2.1, by septet. 0x1b is the escape and stands for no character of its own.
const BASIC: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å', //
    'Δ', '_', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', '\u{a0}', 'Æ', 'æ', 'ß', 'É', //
    ' ', '!', '"', '#', '¤', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/', //
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?', //
    '¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', //
    'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§', //
    '¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', //
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à',
];

/// 3GPP TS 23.038 6.2.1.1: septet after the escape, character.
const EXTENSION: [(u8, char); 10] = [
    (0x0a, '\u{c}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2f, '\\'),
    (0x3c, '['),
    (0x3d, '~'),
    (0x3e, ']'),
    (0x40, '|'),
    (0x65, '€'),
];

/// How one character is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Septets {
    One(u8),
    /// The escape, then this septet of the extension table.
    Escaped(u8),
}

impl Septets {
    /// Septets it takes: 1 or 2.
    pub fn len(self) -> usize {
        match self {
            Septets::One(_) => 1,
            Septets::Escaped(_) => 2,
        }
    }

    /// Never: a character takes at least one septet.
    pub fn is_empty(self) -> bool {
        false
    }

    pub fn push_to(self, octets: &mut Vec<u8>) {
        match self {
            Septets::One(septet) => octets.push(septet),
            Septets::Escaped(septet) => octets.extend([ESCAPE, septet]),
        }
    }
}

/// The septets of a character, `None` when the alphabet lacks it.
pub fn septets(character: char) -> Option<Septets> {
    match character {
        // Where ASCII and the alphabet agree; most of what is ever sent.
        'a'..='z' | 'A'..='Z' | '0'..='9' | ' ' | '%'..='?' | '!' | '"' | '#' | '\n' | '\r' => {
            Some(Septets::One(character as u8))
        }
        // Its slot is the escape's.
        '\u{a0}' => None,
        _ => {
            BASIC.iter().position(|&c| c == character).map(|at| Septets::One(at as u8)).or_else(|| {
                EXTENSION.iter().find(|(_, c)| *c == character).map(|(septet, _)| Septets::Escaped(*septet))
            })
        }
    }
}

/// One septet an octet; `None` when a character is not in the alphabet.
pub fn encode(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    for character in text.chars() {
        septets(character)?.push_to(&mut octets);
    }
    Some(octets)
}

/// Reads one septet an octet; the eighth bit is ignored. Never fails: an escape before a septet the extension table
/// does not know shows that septet's basic character, and an escape at the end a space (3GPP TS 23.038 6.2.1.1).
pub fn decode(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    let mut septets = octets.iter().map(|octet| octet & 0x7f);
    while let Some(septet) = septets.next() {
        if septet != ESCAPE {
            text.push(BASIC[usize::from(septet)]);
            continue;
        }
        match septets.next() {
            // Reserved for a second extension table: a space until there is one.
            None | Some(ESCAPE) => text.push(' '),
            Some(next) => match EXTENSION.iter().find(|(at, _)| *at == next) {
                Some((_, character)) => text.push(*character),
                None => text.push(BASIC[usize::from(next)]),
            },
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_of_both_tables_comes_back() {
        for (at, character) in BASIC.iter().enumerate().filter(|(at, _)| *at != usize::from(ESCAPE)) {
            assert_eq!(septets(*character), Some(Septets::One(at as u8)), "{character:?}");
            assert_eq!(decode(&[at as u8]), character.to_string());
        }
        for (at, character) in EXTENSION {
            assert_eq!(septets(character), Some(Septets::Escaped(at)), "{character:?}");
            assert_eq!(decode(&[ESCAPE, at]), character.to_string());
        }
    }

    #[test]
    fn euro_takes_two_septets() {
        assert_eq!(encode("5 €"), Some(vec![b'5', b' ', ESCAPE, 0x65]));
    }

    #[test]
    fn a_character_outside_is_refused() {
        for text in ["ç", "`", "“", "я", "🙂", "\u{a0}"] {
            assert_eq!(encode(text), None, "{text}");
        }
    }

    #[test]
    fn escapes_that_mean_nothing_are_shown_as_the_standard_says() {
        assert_eq!(decode(&[b'a', ESCAPE]), "a ");
        assert_eq!(decode(&[ESCAPE, ESCAPE, b'a']), " a");
        assert_eq!(decode(&[ESCAPE, b'a']), "a");
    }
}
