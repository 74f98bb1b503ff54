//! Keys for SRTP in a session description (RFC 4568, "SDES").

use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{Attribute, Media};

/// Some leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Lines of keys of a stream that are looked at; a stream with more is used with one of these or not at all.
const MAX_LINES: usize = 16;

/// A crypto-suite (RFC 4568 6.2, RFC 6188 4, RFC 7714 14.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CryptoSuite {
    AesCm128HmacSha1_80,
    AesCm128HmacSha1_32,
    AesCm256HmacSha1_80,
    AesCm256HmacSha1_32,
    AeadAes128Gcm,
    AeadAes256Gcm,
}

impl CryptoSuite {
    const ALL: [Self; 6] = [
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
        Self::AesCm256HmacSha1_80,
        Self::AesCm256HmacSha1_32,
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
    ];

    /// What we offer: the cheapest that is as good first, then what everybody has, then longer keys. A short tag last.
    pub(super) const OFFERED: [Self; 5] = [
        Self::AeadAes128Gcm,
        Self::AesCm128HmacSha1_80,
        Self::AeadAes256Gcm,
        Self::AesCm256HmacSha1_80,
        Self::AesCm128HmacSha1_32,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AesCm256HmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Self::AesCm256HmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(name))
    }

    /// Octets of master key and master salt together.
    pub fn key_length(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 16 + 14,
            Self::AesCm256HmacSha1_80 | Self::AesCm256HmacSha1_32 => 32 + 14,
            Self::AeadAes128Gcm => 16 + 12,
            Self::AeadAes256Gcm => 32 + 12,
        }
    }
}

/// One `a=crypto`: a key and what it is for.
#[derive(Clone, PartialEq, Eq)]
pub struct Crypto {
    /// By which the answer names what it takes.
    pub tag: u32,
    pub suite: CryptoSuite,
    /// Master key and master salt, as long as the suite wants.
    pub key: Vec<u8>,
}

/// Says of what kind the key is, and not the key.
impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crypto({} {})", self.tag, self.suite.name())
    }
}

impl Crypto {
    /// `None` for what we cannot do: another suite, several keys or one with a master key identifier, a session
    /// parameter that changes what is protected (RFC 4568 6.3). What is malformed is passed over with them.
    fn parse(value: &str) -> Option<Self> {
        let mut fields = value.split_ascii_whitespace();
        let (tag, suite, keys) = (fields.next()?, fields.next()?, fields.next()?);
        if tag.len() > 9 || !tag.bytes().all(|digit| digit.is_ascii_digit()) || keys.contains(';') {
            return None;
        }
        let suite = CryptoSuite::named(suite)?;
        let (method, info) = keys.split_once(':')?;
        if !method.eq_ignore_ascii_case("inline") {
            return None;
        }
        let mut parts = info.split('|');
        let key = BASE64.decode(parts.next()?).ok().filter(|key| key.len() == suite.key_length())?;
        // A lifetime at most; the other part there may be is a master key identifier, `1:4`.
        if !parts.next().is_none_or(is_lifetime) || parts.next().is_some() {
            return None;
        }
        // A hint for the size of the replay window, and what may be left aside.
        if !fields.all(|parameter| parameter.starts_with("WSH=") || parameter.starts_with('-')) {
            return None;
        }
        Some(Self { tag: tag.parse().ok()?, suite, key })
    }

    pub(super) fn attribute(&self) -> Attribute {
        let (suite, key) = (self.suite.name(), BASE64.encode(&self.key));
        Attribute::new("crypto", format!("{} {suite} inline:{key}", self.tag))
    }

    /// Those of a stream that can be used, in the order they are preferred.
    pub(super) fn of(media: &Media) -> impl Iterator<Item = Self> {
        let lines = media.attributes.iter().filter(|attribute| attribute.name == "crypto").take(MAX_LINES);
        lines.filter_map(|line| Self::parse(line.value.as_deref()?))
    }
}

/// RFC 4568 6.1: `2^20` or `1048576`.
fn is_lifetime(text: &str) -> bool {
    let digits = text.strip_prefix("2^").unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 30 octets of one letter.
    const KEY: &str = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh";

    #[test]
    fn a_line_is_read_as_the_standard_writes_it() {
        let of = Crypto::parse;
        let key = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
        let read = of(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^20")).unwrap();
        assert_eq!((read.tag, read.suite, read.key.len()), (1, CryptoSuite::AesCm128HmacSha1_80, 30));
        assert!(read.attribute().value.unwrap().ends_with(key));
        assert!(of(&format!("1 AES_CM_128_HMAC_SHA1_32 inline:{key} WSH=64 -X=1")).is_some());
        assert!(
            of(&format!("1 aead_aes_128_gcm INLINE:{}|1048576", &format!("{}YQ", &KEY[..36]))).is_some(),
            "without padding"
        );
    }

    #[test]
    fn a_line_we_cannot_do_is_passed_over() {
        let key = KEY;
        for wrong in [
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^20|1:4"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:4"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key};inline:{key}"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key} UNENCRYPTED_SRTCP"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key} KDR=1"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{}", &key[..36]),
            format!("1 F8_128_HMAC_SHA1_80 inline:{key}"),
            format!("x AES_CM_128_HMAC_SHA1_80 inline:{key}"),
            format!("1234567890 AES_CM_128_HMAC_SHA1_80 inline:{key}"),
            "1 AES_CM_128_HMAC_SHA1_80".to_owned(),
            "1 AES_CM_128_HMAC_SHA1_80 uri:https://example.com/key".to_owned(),
            "1 AES_CM_128_HMAC_SHA1_80 inline:***".to_owned(),
            String::new(),
        ] {
            assert_eq!(Crypto::parse(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn keys_are_not_shown() {
        let crypto = Crypto::parse(&format!("7 AES_CM_128_HMAC_SHA1_80 inline:{KEY}")).unwrap();
        assert_eq!(format!("{crypto:?}"), "Crypto(7 AES_CM_128_HMAC_SHA1_80)");
    }
}
