//! [`Hours`]: a stretch of one day, `HH:MM-HH:MM`, as providers state when they can be booked.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::field::{BadField, time};

const MINUTES_PER_DAY: u16 = 24 * 60;

/// From when to when within one day, to the minute, at the place of whoever states it. It may end with the day (`24:00`) but not go
/// beyond; the beginning belongs to it and the end does not, so that two may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Hours {
    start: u16,
    end: u16,
}

impl Hours {
    /// Reads `HH:MM-HH:MM`. There is one way to write each stretch, so what is read is also what is shown.
    pub fn parse(text: &str) -> Result<Self, BadField> {
        let hours = text
            .split_once('-')
            .and_then(|(start, end)| Some(Self { start: minute(start)?, end: end_minute(end)? }))
            .ok_or_else(|| BadField::new("must be hours such as 09:00-12:00"))?;
        if hours.end <= hours.start {
            return Err(BadField::new("must end after it begins"));
        }
        Ok(hours)
    }

    /// Its beginning, minutes since midnight: 0 to 1439.
    pub fn start_minute(self) -> u16 {
        self.start
    }

    /// Its end, minutes since midnight: 1 to 1440.
    pub fn end_minute(self) -> u16 {
        self.end
    }

    /// Whether the two have a minute in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

fn minute(text: &str) -> Option<u16> {
    use chrono::Timelike;
    let time = time(text).ok()?;
    u16::try_from(time.hour() * 60 + time.minute()).ok()
}

fn end_minute(text: &str) -> Option<u16> {
    if text == "24:00" { Some(MINUTES_PER_DAY) } else { minute(text) }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, end } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", start / 60, start % 60, end / 60, end % 60)
    }
}

impl From<Hours> for String {
    fn from(hours: Hours) -> Self {
        hours.to_string()
    }
}

impl TryFrom<String> for Hours {
    type Error = BadField;

    fn try_from(text: String) -> Result<Self, BadField> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hours(start: u16, end: u16) -> Result<Hours, BadField> {
        Hours::parse(&format!("{:02}:{:02}-{:02}:{:02}", start / 60, start % 60, end / 60, end % 60))
    }

    proptest! {
        #[test]
        fn hours_read_back_as_they_were_written(start in 0u16..1440, length in 1u16..=1440) {
            let end = (start + length).min(1440);
            let hours = hours(start, end).unwrap();
            prop_assert_eq!((hours.start_minute(), hours.end_minute()), (start, end));
            prop_assert_eq!(Hours::parse(&hours.to_string()), Ok(hours));
        }

        #[test]
        fn hours_that_do_not_end_after_they_begin_are_refused(start in 0u16..1440, end in 0u16..1440) {
            prop_assert_eq!(hours(start, end).is_ok(), end > start);
        }

        #[test]
        fn they_overlap_exactly_when_a_minute_is_in_both(a in 0u16..60, b in 1u16..30, c in 0u16..60, d in 1u16..30) {
            let (one, other) = (hours(a, a + b).unwrap(), hours(c, c + d).unwrap());
            let shared = (a..a + b).any(|minute| (c..c + d).contains(&minute));
            prop_assert_eq!((one.overlaps(other), other.overlaps(one)), (shared, shared));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,20}|[0-9:-]{0,12}") {
            if let Ok(hours) = Hours::parse(&text) {
                prop_assert_eq!(hours.to_string(), text);
            }
        }
    }

    #[test]
    fn what_is_no_such_thing_is_refused() {
        for text in [
            "",
            "-",
            "09:00",
            "09:00-",
            "9:00-12:00",
            "09:00-24:01",
            "24:00-24:00",
            "09:00 - 12:00",
            "09:00-12:00-13:00",
            "09:00–12:00",
        ] {
            assert!(Hours::parse(text).is_err(), "{text}");
        }
    }
}
