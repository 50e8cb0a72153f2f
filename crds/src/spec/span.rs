//! [`Span`]: a length of time as people write it in Kubernetes YAML.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::forms;

/// A length of time: numbers with the units `ms`, `s`, `m`, `h` or `d`, such as `500ms`, `30s`, `1h30m`, `7d`. The form is that of
/// Gateway API durations (GEP-2257); whole days may be said too, alone. Kept in whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

/// The units, longest first, in milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const DAY: u64 = 86_400_000;

impl Span {
    /// So many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// So many seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1_000)
    }

    /// In milliseconds.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// In seconds, what is over a whole second cut off.
    pub fn secs(self) -> u32 {
        u32::try_from(self.0 / 1_000).unwrap_or(u32::MAX)
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Self::from_millis(span.0)
    }
}

/// What is wrong with a text that should be a [`Span`].
#[derive(Debug, thiserror::Error)]
#[error("must be a duration such as 500ms, 30s, 15m, 1h30m or 7d")]
pub struct NotASpan;

impl FromStr for Span {
    type Err = NotASpan;

    fn from_str(text: &str) -> Result<Self, NotASpan> {
        if let Some(days) = text.strip_suffix('d') {
            let is_number = (1..=5).contains(&days.len()) && days.bytes().all(|byte| byte.is_ascii_digit());
            let days: u64 = days.parse().ok().filter(|_| is_number).ok_or(NotASpan)?;
            return Ok(Self(days * DAY));
        }
        let mut rest = text;
        let mut millis: u64 = 0;
        for _ in 0..4 {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, after) = rest.split_at(digits);
            let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, after) = after.split_at(letters);
            if number.is_empty() || number.len() > 5 {
                return Err(NotASpan);
            }
            let (_, unit_millis) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(NotASpan)?;
            millis += number.parse::<u64>().map_err(|_| NotASpan)? * unit_millis;
            if after.is_empty() {
                return Ok(Self(millis));
            }
            rest = after;
        }
        Err(NotASpan)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        if self.0.is_multiple_of(DAY) {
            return write!(f, "{}d", self.0 / DAY);
        }
        let mut rest = self.0;
        for (unit, millis) in UNITS {
            if rest >= millis {
                write!(f, "{}{unit}", rest / millis)?;
                rest %= millis;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": forms::SPAN, "maxLength": 32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spans_read_as_people_write_them() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("15m", 900_000),
            ("1h30m", 5_400_000),
            ("7d", 604_800_000),
            ("0s", 0),
        ] {
            assert_eq!(text.parse::<Span>().expect(text).millis(), millis);
        }
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in
            ["", "30", "s", "-5s", "1.5h", "30 s", "30S", "1w", "123456s", "1h1d", "1d1h", "d", "٣s", "1s "]
        {
            assert!(text.parse::<Span>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_span_reads_back_as_it_was_written(millis in 0_u64..8_640_000_000) {
            let span = Span::from_millis(millis);
            prop_assert_eq!(span.to_string().parse::<Span>().expect("reads back"), span);
        }

        #[test]
        fn no_text_is_a_panic(text in ".{0,12}") {
            let _ = text.parse::<Span>();
        }
    }
}
