//! [`Amount`]: money as an integer number of minor units, which never passes through a float.
//!
//! On the wire an amount is a JSON number with at most two decimals (`100`, `100.5`, `100.50`), written back with two. The number's
//! own text is read (`RawValue`), for as an `f64` 0.29 × 100 is 28.999….

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Money in hundredths of the stack's currency. Bounded to ±10¹³ so that no sum of a bill's lines can overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i64);

/// Why a text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAmount {
    /// Not a plain decimal number.
    #[error("must be a decimal number such as 100.00")]
    Form,
    /// Fractions of a cent.
    #[error("must have at most two decimals")]
    FractionalCent,
    /// Beyond any bill.
    #[error("must be at most 100000000000.00")]
    TooLarge,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest.
    pub const MAX: Self = Self(10_000_000_000_000);

    /// From hundredths. `None` beyond ±[`Amount::MAX`].
    pub const fn from_minor(minor: i64) -> Option<Self> {
        if minor.unsigned_abs() > Self::MAX.0.unsigned_abs() { None } else { Some(Self(minor)) }
    }

    /// In hundredths.
    pub const fn minor(self) -> i64 {
        self.0
    }

    /// Below zero.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// The sum of two, `None` beyond [`Amount::MAX`].
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(Self::from_minor)
    }

    /// The sum of many, `None` beyond [`Amount::MAX`].
    pub fn sum(amounts: impl IntoIterator<Item = Self>) -> Option<Self> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let minor = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", minor / 100, minor % 100)
    }
}

impl FromStr for Amount {
    type Err = BadAmount;

    fn from_str(text: &str) -> Result<Self, BadAmount> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "00"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) {
            return Err(BadAmount::Form);
        }
        if fraction.len() > 2 {
            return Err(BadAmount::FractionalCent);
        }
        if whole.len() > 12 {
            return Err(BadAmount::TooLarge);
        }
        let whole: i64 = whole.parse().map_err(|_| BadAmount::TooLarge)?;
        let cents: i64 = fraction.parse().map_err(|_| BadAmount::Form)?;
        let cents = if fraction.len() == 1 { cents * 10 } else { cents };
        let minor = whole * 100 + cents;
        Self::from_minor(if negative { -minor } else { minor }).ok_or(BadAmount::TooLarge)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = RawValue::from_string(self.to_string()).map_err(serde::ser::Error::custom)?;
        text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        text.get().parse().map_err(D::Error::custom)
    }
}

impl schemars::JsonSchema for Amount {
    fn schema_name() -> crate::id::Name {
        "Amount".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "number",
            "multipleOf": 0.01,
            "description": "Money in the stack's currency, at most two decimals.",
            "examples": [100.00]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_amount_reads_back_as_it_was_written(minor in -Amount::MAX.0..=Amount::MAX.0) {
            let amount = Amount::from_minor(minor).unwrap();
            let json = serde_json::to_string(&amount).unwrap();
            prop_assert_eq!(serde_json::from_str::<Amount>(&json).unwrap(), amount);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<Amount>();
        }
    }

    #[test]
    fn amounts_are_read_from_the_numbers_own_text() {
        let minor = |json: &str| serde_json::from_str::<Amount>(json).map(Amount::minor).ok();
        assert_eq!(minor("0.29"), Some(29));
        assert_eq!(minor("100"), Some(10_000));
        assert_eq!(minor("100.5"), Some(10_050));
        assert_eq!(minor("-3.05"), Some(-305));
        for bad in ["0.005", "1e2", "\"1.00\"", "null", "true", "100000000000000", "1.", "[1]"] {
            assert_eq!(minor(bad), None, "{bad}");
        }
    }

    #[test]
    fn two_decimals_are_always_written() {
        assert_eq!(serde_json::to_string(&Amount(10_000)).unwrap(), "100.00");
        assert_eq!(serde_json::to_string(&Amount(-5)).unwrap(), "-0.05");
    }
}
