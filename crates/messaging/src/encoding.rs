//! Which alphabet a text is sent in, and smart encoding.

use std::borrow::Cow;

use crate::gsm0338;

/// How the user data of a short message is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// GSM 03.38 default alphabet, one septet an octet.
    Gsm,
    /// UTF-16 in network order; surrogate pairs are used, as every handset does.
    Ucs2,
}

impl Encoding {
    /// As the API and the database name it.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Gsm => "gsm",
            Encoding::Ucs2 => "ucs2",
        }
    }

    /// SMPP 3.4 5.2.19.
    pub fn data_coding(self) -> u8 {
        match self {
            Encoding::Gsm => 0x00,
            Encoding::Ucs2 => 0x08,
        }
    }

    /// GSM where every character fits, else UCS-2.
    pub fn of(text: &str) -> Encoding {
        if text.chars().all(|character| gsm0338::septets(character).is_some()) { Encoding::Gsm } else { Encoding::Ucs2 }
    }
}

/// Smart encoding: typographic characters that keep a text from fitting GSM are replaced by their plain ones. A text
/// that would not fit even then is left alone: it goes as UCS-2 and keeps its typography.
pub fn smart(text: &str) -> Cow<'_, str> {
    if Encoding::of(text) == Encoding::Gsm {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if gsm0338::septets(character).is_some() {
            plain.push(character);
        } else if let Some(substitute) = substitute(character) {
            plain.push_str(substitute);
        } else {
            return Cow::Borrowed(text);
        }
    }
    Cow::Owned(plain)
}

/// What a typographic character is in GSM. Only characters whose substitute reads the same.
fn substitute(character: char) -> Option<&'static str> {
    Some(match character {
        '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}' | '\u{2032}' | '\u{2035}' | '\u{2bc}' | '`' | '´' => "'",
        '\u{2039}' => "<",
        '\u{203a}' => ">",
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{201f}' | '\u{2033}' | '\u{2036}' | '«' | '»' => "\"",
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2043}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' => "-",
        '\u{2026}' => "...",
        '\u{2022}' | '\u{b7}' | '\u{2219}' => "*",
        '\u{2044}' | '\u{2215}' => "/",
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' | '\t' => " ",
        // Zero width space, joiner, non-joiner, byte order mark, soft hyphen, variation selectors: unseen.
        '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' | '\u{ad}' | '\u{fe00}'..='\u{fe0f}' => "",
        '\u{2028}' | '\u{2029}' | '\u{85}' => "\n",
        '\u{2122}' => "TM",
        '©' => "(c)",
        '®' => "(r)",
        '½' => "1/2",
        '¼' => "1/4",
        '¾' => "3/4",
        '\u{2190}' => "<-",
        '\u{2192}' => "->",
        _ => return None,
    })
}

/// Decodes user data by its data_coding (SMPP 3.4 5.2.19; 3GPP TS 23.038 4 for the class groups). `None` for binary
/// and for alphabets not spoken here (JIS, KS C).
pub fn decode(data_coding: u8, octets: &[u8]) -> Option<String> {
    match data_coding {
        // 1111 0xxx and 0001 00xx: message classes over the default alphabet.
        0x00 | 0x10..=0x13 | 0xf0..=0xf3 => Some(gsm0338::decode(octets)),
        0x01 => Some(octets.iter().map(|octet| char::from(octet & 0x7f)).collect()),
        0x03 => Some(octets.iter().copied().map(char::from).collect()),
        0x08 | 0x18..=0x1b => {
            let units = octets.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            Some(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smart_encoding_makes_typography_fit() {
        let text = "“Don’t” – he said… 5\u{a0}€";
        assert_eq!(Encoding::of(text), Encoding::Ucs2);
        let plain = smart(text);
        assert_eq!(plain, "\"Don't\" - he said... 5 €");
        assert_eq!(Encoding::of(&plain), Encoding::Gsm);
    }

    #[test]
    fn smart_encoding_leaves_what_would_not_fit_anyway() {
        assert_eq!(smart("“привет”"), "“привет”");
    }

    #[test]
    fn every_substitute_is_in_the_alphabet() {
        for character in '\0'..='\u{ffff}' {
            if let Some(plain) = substitute(character) {
                assert_eq!(Encoding::of(plain), Encoding::Gsm, "{character:?}");
            }
        }
    }

    #[test]
    fn data_codings_are_read_by_the_book() {
        assert_eq!(decode(0x00, &[0x00]).as_deref(), Some("@"));
        assert_eq!(decode(0x01, b"@").as_deref(), Some("@"));
        assert_eq!(decode(0x03, &[0xe9]).as_deref(), Some("é"));
        assert_eq!(decode(0x08, &[0xd8, 0x3d, 0xde, 0x42]).as_deref(), Some("🙂"));
        assert_eq!(decode(0x08, &[0xd8, 0x3d]).as_deref(), Some("\u{fffd}"));
        assert_eq!(decode(0x04, &[1, 2, 3]), None);
    }
}
