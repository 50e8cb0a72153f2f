//! [`Quantity`]: an amount of CPU, memory or storage as Kubernetes writes it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::forms;

/// An amount as Kubernetes writes it: `250m` or `2` CPUs, `512Mi` of memory, `10Gi` of storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quantity {
    text: String,
    milli: u128,
}

impl Quantity {
    /// So many thousandths of a CPU.
    pub fn millis(count: u32) -> Self {
        Self { text: format!("{count}m"), milli: u128::from(count) }
    }

    /// So many MiB.
    pub fn mebibytes(count: u32) -> Self {
        Self { text: format!("{count}Mi"), milli: (u128::from(count) * 1_000) << 20 }
    }

    /// So many GiB.
    pub fn gibibytes(count: u32) -> Self {
        Self { text: format!("{count}Gi"), milli: (u128::from(count) * 1_000) << 30 }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// In thousandths of the unit (thousandths of a CPU or of a byte): for comparing amounts.
    pub const fn milli(&self) -> u128 {
        self.milli
    }
}

/// What is wrong with a text that should be a [`Quantity`].
#[derive(Debug, thiserror::Error)]
#[error("must be an amount such as 250m, 2, 512Mi or 10Gi")]
pub struct NotAQuantity;

impl FromStr for Quantity {
    type Err = NotAQuantity;

    fn from_str(text: &str) -> Result<Self, NotAQuantity> {
        let number_len = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, suffix) = text.split_at(number_len);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let well_formed =
            |digits: &str, max| !digits.is_empty() && digits.len() <= max && !digits.contains('.');
        if !well_formed(whole, 12) || !well_formed(fraction, 3) {
            return Err(NotAQuantity);
        }
        let whole: u128 = whole.parse().map_err(|_| NotAQuantity)?;
        let fraction: u128 = format!("{fraction:0<3}").parse().map_err(|_| NotAQuantity)?;
        let thousandths = whole * 1_000 + fraction;
        let milli = match suffix {
            "m" => thousandths / 1_000,
            "" => thousandths,
            "k" => thousandths * 1_000,
            "M" => thousandths * 1_000_000,
            "G" => thousandths * 1_000_000_000,
            "T" => thousandths * 1_000_000_000_000,
            "Ki" => thousandths << 10,
            "Mi" => thousandths << 20,
            "Gi" => thousandths << 30,
            "Ti" => thousandths << 40,
            _ => return Err(NotAQuantity),
        };
        Ok(Self { text: text.to_owned(), milli })
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(QuantityVisitor)
    }
}

/// `cpu: 2` is a number in YAML, `cpu: 250m` a text.
struct QuantityVisitor;

impl Visitor<'_> for QuantityVisitor {
    type Value = Quantity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount such as 250m, 2, 512Mi or 10Gi")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Quantity, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Quantity, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Quantity, E> {
        self.visit_str(&number.to_string())
    }
}

impl JsonSchema for Quantity {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "x-kubernetes-int-or-string": true, "pattern": forms::QUANTITY, "maxLength": 20, "minimum": 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_in_different_units_compare() {
        let milli = |text: &str| text.parse::<Quantity>().expect(text).milli();
        assert_eq!(milli("1"), milli("1000m"));
        assert_eq!(milli("0.5"), milli("500m"));
        assert_eq!(milli("1Gi"), milli("1024Mi"));
        assert!(milli("1G") < milli("1Gi"));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", "-1", "1.", ".5", "1.2.3", "1 Gi", "1gi", "Gi", "1e3", "9999999999999"] {
            assert!(text.parse::<Quantity>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_bare_number_is_an_amount() {
        assert_eq!(serde_json::from_str::<Quantity>("2").expect("a number").as_str(), "2");
    }
}
