use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};

/// A telephone number in E.164, without the plus: 7 to 15 digits, the first not 0 (ITU-T E.164 6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Tn(u64);

/// The text or number is no E.164 number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an E.164 telephone number")]
pub struct TnError;

impl Tn {
    /// Takes the digits as a number.
    pub const fn new(number: u64) -> Result<Tn, TnError> {
        if number >= 1_000_000 && number <= 999_999_999_999_999 { Ok(Tn(number)) } else { Err(TnError) }
    }

    /// The digits as a number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// `+12017771234`.
    pub fn plus(self) -> String {
        format!("+{}", self.0)
    }

    /// Area code of a number of the North American Numbering Plan.
    pub fn npa(self) -> Option<u16> {
        let nanp = self.0 / 10_000_000_000 == 1;
        nanp.then_some((self.0 / 10_000_000 % 1000) as u16)
    }

    /// Whether the number is toll free in the North American Numbering Plan (800, 833, 844, 855, 866, 877, 888).
    pub fn is_toll_free(self) -> bool {
        matches!(self.npa(), Some(800 | 833 | 844 | 855 | 866 | 877 | 888))
    }
}

impl FromStr for Tn {
    type Err = TnError;

    /// Digits with or without a leading `+`; nothing else.
    fn from_str(text: &str) -> Result<Tn, TnError> {
        let digits = text.strip_prefix('+').unwrap_or(text);
        let plain = !digits.starts_with('0') && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        if !plain {
            return Err(TnError);
        }
        digits.parse().map_err(|_| TnError).and_then(Tn::new)
    }
}

impl TryFrom<u64> for Tn {
    type Error = TnError;

    fn try_from(number: u64) -> Result<Tn, TnError> {
        Tn::new(number)
    }
}

impl From<Tn> for u64 {
    fn from(tn: Tn) -> u64 {
        tn.0
    }
}

impl fmt::Display for Tn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// From a JSON number or a string, with or without the plus.
impl<'de> Deserialize<'de> for Tn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tn, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Number(n) => n.as_u64().ok_or(TnError).and_then(Tn::new).map_err(de::Error::custom),
            serde_json::Value::String(s) => s.parse().map_err(de::Error::custom),
            _ => Err(de::Error::custom(TnError)),
        }
    }
}

super::column_through!(
    Tn,
    i64,
    sea_orm::sea_query::ColumnType::BigInteger,
    |tn| tn.0 as i64, // at most 15 digits: always fits
    |n| <u64 as TryFrom<i64>>::try_from(n).map_err(|_| TnError).and_then(Tn::new).map_err(|e| format!("{n}: {e}"))
);

/// SeaORM asks it of every key; no database makes telephone numbers.
impl sea_orm::TryFromU64 for Tn {
    fn try_from_u64(n: u64) -> Result<Tn, sea_orm::DbErr> {
        Tn::new(n).map_err(|e| sea_orm::DbErr::Type(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_digits_with_or_without_plus() {
        assert_eq!("+12017771234".parse::<Tn>(), Tn::new(12017771234));
        assert_eq!(
            serde_json::from_str::<Tn>("12017771234").unwrap(),
            serde_json::from_str("\"+12017771234\"").unwrap()
        );
        for bad in ["", "+", "1 201", "0123456789", "123456", "1234567890123456", "++12017771234", "١٢٣٤٥٦٧٨"] {
            assert_eq!(bad.parse::<Tn>(), Err(TnError), "{bad}");
        }
    }

    #[test]
    fn toll_free_is_told_by_area_code() {
        assert!(Tn::new(18445550100).unwrap().is_toll_free());
        assert!(!Tn::new(12015550100).unwrap().is_toll_free());
        assert!(!Tn::new(448005550100).unwrap().is_toll_free());
    }
}
