use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Neg, Sub};
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An exact amount with six decimals, held and stored as a whole number of millionths.
///
/// Up to nine million million units either way; sums saturate there, which no account reaches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i64);

/// The text or number is no amount, or too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an amount of money")]
pub struct MoneyError;

const SCALE: i64 = 1_000_000;

impl Money {
    pub const ZERO: Money = Money(0);

    /// From whole units: `Money::units(100)` is 100.
    pub const fn units(units: i64) -> Money {
        Money(units.saturating_mul(SCALE))
    }

    /// From millionths of a unit.
    pub const fn micros(micros: i64) -> Money {
        Money(micros)
    }

    /// Millionths of a unit.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// `self * count`, for so many messages or numbers.
    pub const fn times(self, count: i64) -> Money {
        Money(self.0.saturating_mul(count))
    }

    /// `self * numerator / denominator`, rounded up to the next millionth away from zero:
    /// a price per minute for a number of seconds is `price.share(seconds, 60)`.
    pub fn share(self, numerator: u32, denominator: u32) -> Money {
        let product = i128::from(self.0) * i128::from(numerator);
        let denominator = i128::from(denominator.max(1));
        let rounded = (product.abs() + denominator - 1) / denominator * product.signum();
        Money(i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX }))
    }

    pub fn to_decimal(self) -> Decimal {
        Decimal::new(self.0, 6).normalize()
    }
}

impl TryFrom<Decimal> for Money {
    type Error = MoneyError;

    /// Decimals beyond the sixth are rounded half to even.
    fn try_from(amount: Decimal) -> Result<Money, MoneyError> {
        let rounded = amount.round_dp_with_strategy(6, RoundingStrategy::MidpointNearestEven);
        let micros = rounded.checked_mul(Decimal::from(SCALE)).ok_or(MoneyError)?;
        i64::try_from(micros).map(Money).map_err(|_| MoneyError)
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Money, MoneyError> {
        text.parse::<Decimal>().map_err(|_| MoneyError).and_then(Money::try_from)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_decimal().fmt(f)
    }
}

impl Add for Money {
    type Output = Money;
    fn add(self, other: Money) -> Money {
        Money(self.0.saturating_add(other.0))
    }
}

impl Sub for Money {
    type Output = Money;
    fn sub(self, other: Money) -> Money {
        Money(self.0.saturating_sub(other.0))
    }
}

impl Neg for Money {
    type Output = Money;
    fn neg(self) -> Money {
        Money(self.0.saturating_neg())
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Money>>(amounts: I) -> Money {
        amounts.fold(Money::ZERO, Add::add)
    }
}

/// A JSON number with at most six decimals, exact.
impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        rust_decimal::serde::arbitrary_precision::serialize(&self.to_decimal(), serializer)
    }
}

/// From a JSON number or a string.
impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Number(n) => {
                let text = n.to_string();
                text.parse::<Decimal>()
                    .or_else(|_| Decimal::from_scientific(&text))
                    .map_err(|_| MoneyError)
                    .and_then(Money::try_from)
                    .map_err(de::Error::custom)
            }
            serde_json::Value::String(s) => s.parse().map_err(de::Error::custom),
            _ => Err(de::Error::custom(MoneyError)),
        }
    }
}

super::column_through!(Money, i64, sea_orm::sea_query::ColumnType::BigInteger, |m| m.0, |n| Ok(Money(n)));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_exact_through_json() {
        for text in ["0", "0.1", "100", "-0.000001", "9223372036854.775807", "0.0075"] {
            let amount: Money = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&amount).unwrap(), text);
            assert_eq!(amount.to_string(), text);
            assert_eq!(serde_json::to_value(amount).unwrap().to_string(), text);
        }
        assert_eq!(serde_json::from_str::<Money>("1e2").unwrap(), Money::units(100));
        assert!(serde_json::from_str::<Money>("1e30").is_err());
        assert!(serde_json::from_str::<Money>("true").is_err());
    }

    #[test]
    fn share_rounds_up_away_from_zero() {
        let per_minute: Money = "0.01".parse().unwrap();
        assert_eq!(per_minute.share(6, 60).to_string(), "0.001");
        assert_eq!(Money::micros(1).share(1, 60), Money::micros(1));
        assert_eq!((-Money::micros(1)).share(1, 60), Money::micros(-1));
        assert_eq!(Money::ZERO.share(1, 60), Money::ZERO);
    }
}
