//! [`LocalTime`]: a date, or a date and a time, on the calendar and the clock of some place: how time off is stated.

use std::fmt;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use serde::{Deserialize, Serialize};

use crate::field::{BadField, date, time, time_text};

/// A date, `YYYY-MM-DD`, or a date and a time to the minute, `YYYY-MM-DDTHH:MM`. Which instant it is, the place decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct LocalTime {
    date: NaiveDate,
    time: Option<NaiveTime>,
}

impl LocalTime {
    /// Reads one. There is one way to write each, so what is read is also what is shown.
    pub fn parse(text: &str) -> Result<Self, BadField> {
        let bad = || {
            BadField::new("must be a date such as 2026-02-01, or a date and a time such as 2026-02-01T13:00")
        };
        let (day, clock) = text.split_once('T').map_or((text, None), |(day, clock)| (day, Some(clock)));
        Ok(Self {
            date: date(day).map_err(|_| bad())?,
            time: clock.map(time).transpose().map_err(|_| bad())?,
        })
    }

    /// When what begins with it begins: a date at midnight.
    pub fn begins(self) -> NaiveDateTime {
        self.date.and_time(self.time.unwrap_or(NaiveTime::MIN))
    }

    /// When what ends with it ends: a date is its last day.
    pub fn ends(self) -> NaiveDateTime {
        match self.time {
            Some(time) => self.date.and_time(time),
            None => (self.date + TimeDelta::days(1)).and_time(NaiveTime::MIN),
        }
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date)?;
        self.time.map_or(Ok(()), |time| write!(f, "T{}", time_text(time)))
    }
}

impl From<LocalTime> for String {
    fn from(time: LocalTime) -> Self {
        time.to_string()
    }
}

impl TryFrom<String> for LocalTime {
    type Error = BadField;

    fn try_from(text: String) -> Result<Self, BadField> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_read_is_shown_again(text in "20[0-9]{2}-[01][0-9]-[0-3][0-9](T[0-2][0-9]:[0-5][0-9])?|\\PC{0,18}") {
            if let Ok(time) = LocalTime::parse(&text) {
                prop_assert_eq!(time.to_string(), text);
                prop_assert!(time.begins() <= time.ends());
            }
        }
    }

    #[test]
    fn a_date_lasts_a_day_and_a_time_no_time() {
        let (day, time) =
            (LocalTime::parse("2026-02-28").unwrap(), LocalTime::parse("2026-02-28T13:00").unwrap());
        assert_eq!(day.ends() - day.begins(), TimeDelta::days(1));
        assert_eq!(day.ends().date().to_string(), "2026-03-01");
        assert_eq!(time.ends(), time.begins());
        for text in [
            "",
            "2026-02-30",
            "2026-02-01T",
            "2026-02-01T24:00",
            "2026-02-01T13:00:00",
            "2026-02-01 13:00",
            "T13:00",
        ] {
            assert!(LocalTime::parse(text).is_err(), "{text}");
        }
    }
}
