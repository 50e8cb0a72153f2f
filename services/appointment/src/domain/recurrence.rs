//! A rule of recurrence (RFC 5545 §3.3.10), and the times that it gives.
//!
//! It comes from the network. What it may say is narrowed here before the crate that knows the rules is asked: its length, its parts, and that it
//! ends. The rule is followed on the clock on the wall, where no hour is left out or comes twice; what each time means at a place is decided there.

use chrono::{Months, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use chrono_tz::Tz;
use contracts::field::BadField;
use contracts::series::{OCCURRENCES_MAX, RRULE_CHARS_MAX};
use rrule::{RRule, Unvalidated};

/// A series ends so long after it begins, at the latest.
const LASTS_MAX: Months = Months::new(24);
const INTERVAL_MAX: u16 = 104;
/// Those that make sense of appointments. What is within a day (`BYHOUR`, …) is said by the time slot.
const PARTS: [&str; 9] =
    ["FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS", "WKST"];
const FREQUENCIES: [&str; 4] = ["DAILY", "WEEKLY", "MONTHLY", "YEARLY"];

/// A rule that ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recurrence {
    text: String,
    parts: Vec<(String, String)>,
}

impl Recurrence {
    /// Reads a rule, with or without `RRULE:` before it.
    pub fn parse(text: &str) -> Result<Self, BadField> {
        if text.chars().nth(usize::from(RRULE_CHARS_MAX)).is_some() {
            return Err(BadField::new(format!("must have at most {RRULE_CHARS_MAX} characters")));
        }
        let text = text.trim().to_ascii_uppercase();
        let text = text.strip_prefix("RRULE:").unwrap_or(&text).to_owned();
        let mut parts: Vec<(String, String)> = Vec::new();
        for part in text.split(';') {
            let (name, value) =
                part.split_once('=').ok_or_else(|| form("must be NAME=VALUE;NAME=VALUE;…"))?;
            if !PARTS.contains(&name) {
                return Err(form(&format!("may have {} and nothing else", PARTS.join(", "))));
            }
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b',' | b'+' | b'-');
            if value.is_empty() || !value.bytes().all(is_plain) {
                return Err(form("must have letters, digits, commas and signs as values"));
            }
            if parts.iter().any(|(known, _)| known == name) {
                return Err(form("must not have the same part twice"));
            }
            parts.push((name.to_owned(), value.to_owned()));
        }
        let rule = Self { text, parts };
        rule.check()?;
        Ok(rule)
    }

    fn part(&self, name: &str) -> Option<&str> {
        self.parts.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn check(&self) -> Result<(), BadField> {
        if !self.part("FREQ").is_some_and(|freq| FREQUENCIES.contains(&freq)) {
            return Err(form(&format!("must have FREQ, one of {}", FREQUENCIES.join(", "))));
        }
        if self.part("COUNT").is_some() == self.part("UNTIL").is_some() {
            return Err(form("must say where it ends, by COUNT or by UNTIL, and not by both"));
        }
        let within = |value: Option<&str>, max: u16| {
            value.is_none_or(|value| value.parse::<u16>().is_ok_and(|value| (1..=max).contains(&value)))
        };
        if !within(self.part("COUNT"), OCCURRENCES_MAX) {
            return Err(form(&format!("must have a COUNT from 1 to {OCCURRENCES_MAX}")));
        }
        if !within(self.part("INTERVAL"), INTERVAL_MAX) {
            return Err(form(&format!("must have an INTERVAL from 1 to {INTERVAL_MAX}")));
        }
        Ok(())
    }

    /// The rule as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The times that it gives from `start` on, on the clock on the wall at a place, in order. The first is the first that the rule allows.
    pub fn times(&self, start: NaiveDateTime, zone: Tz) -> Result<Vec<NaiveDateTime>, BadField> {
        let latest = start.checked_add_months(LASTS_MAX).ok_or_else(|| form("must end within two years"))?;
        let until = self.part("UNTIL").map(|until| until_at(until, zone)).transpose()?;
        if until.is_some_and(|until| until > latest) {
            return Err(form("must end within two years"));
        }
        if until.is_some_and(|until| until < start) {
            return Err(form("must not end before it begins"));
        }
        let set = self.for_crate(until).parse::<RRule<Unvalidated>>();
        let set = set.and_then(|rule| rule.build(rrule::Tz::UTC.from_utc_datetime(&start)));
        let found =
            set.map_err(|_| form("must be a rule of RFC 5545, such as FREQ=WEEKLY;BYDAY=MO;COUNT=10"))?;
        let times: Vec<_> =
            found.all(OCCURRENCES_MAX + 1).dates.into_iter().map(|time| time.naive_utc()).collect();
        match times.last() {
            None => Err(form("must give at least one time")),
            Some(last) if *last > latest => Err(form("must end within two years")),
            Some(_) if times.len() > usize::from(OCCURRENCES_MAX) => {
                Err(form(&format!("must give at most {OCCURRENCES_MAX} times")))
            }
            Some(_) => Ok(times),
        }
    }

    /// As the crate reads it: the wall's clock passes for UTC.
    fn for_crate(&self, until: Option<NaiveDateTime>) -> String {
        let part = |(name, value): &(String, String)| match (name.as_str(), until) {
            ("UNTIL", Some(until)) => format!("UNTIL={}Z", until.format("%Y%m%dT%H%M%S")),
            _ => format!("{name}={value}"),
        };
        self.parts.iter().map(part).collect::<Vec<_>>().join(";")
    }
}

/// Where a rule ends, on the clock on the wall: a day, all of it; a time there; or an instant, with a `Z`.
fn until_at(text: &str, zone: Tz) -> Result<NaiveDateTime, BadField> {
    let bad = || form("must have an UNTIL such as 20261231, 20261231T120000 or 20261231T110000Z");
    if let Some(utc) = text.strip_suffix('Z') {
        let utc = NaiveDateTime::parse_from_str(utc, "%Y%m%dT%H%M%S").map_err(|_| bad())?;
        return Ok(utc.and_utc().with_timezone(&zone).naive_local());
    }
    if let Ok(local) = NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%S") {
        return Ok(local);
    }
    let day = NaiveDate::parse_from_str(text, "%Y%m%d").map_err(|_| bad())?;
    Ok(day.and_time(NaiveTime::from_hms_opt(23, 59, 59).unwrap_or_default()))
}

fn form(message: &str) -> BadField {
    BadField::new(message)
}

#[cfg(test)]
mod tests {
    use super::super::local::tests::{dates, times, zones};
    use super::*;
    use proptest::prelude::*;

    fn given(rule: &str, start: &str) -> Result<Vec<String>, String> {
        let start = NaiveDateTime::parse_from_str(start, "%Y-%m-%d %H:%M").unwrap();
        let rule = Recurrence::parse(rule).map_err(|error| error.to_string())?;
        let times = rule.times(start, Tz::Europe__Berlin).map_err(|error| error.to_string())?;
        Ok(times.iter().map(|time| time.format("%m-%d %H:%M").to_string()).collect())
    }

    /// What a rule is made of, right or wrong.
    fn rules() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            prop::sample::select(
                &["FREQ=DAILY", "FREQ=WEEKLY", "FREQ=MONTHLY", "FREQ=YEARLY", "WKST=SU"][..]
            )
            .prop_map(str::to_owned),
            (0u32..120).prop_map(|count| format!("COUNT={count}")),
            (0u32..60).prop_map(|every| format!("INTERVAL={every}")),
            dates().prop_map(|date| format!("UNTIL={}", date.format("%Y%m%d"))),
            (-6i32..6, prop::sample::select(&["MO", "TU", "SU", "XX"][..])).prop_map(|(nth, day)| format!(
                "BYDAY={}{day}",
                if nth == 0 { String::new() } else { nth.to_string() }
            )),
            (-40i32..40).prop_map(|day| format!("BYMONTHDAY={day}")),
            (0u32..14).prop_map(|month| format!("BYMONTH={month}")),
            (-400i32..400).prop_map(|at| format!("BYSETPOS={at}")),
            "[A-Z]{1,6}=[0-9A-Z,+-]{0,8}",
        ];
        prop::collection::vec(part, 1..5).prop_map(|parts| parts.join(";"))
    }

    proptest! {
        #[test]
        fn whatever_is_written_gives_a_few_times_in_order_or_says_what_is_wrong(
            rule in prop_oneof![rules(), "\\PC{0,220}"], date in dates(), time in times(), zone in zones(),
        ) {
            let start = date.and_time(time);
            let times = Recurrence::parse(&rule).and_then(|rule| rule.times(start, zone));
            if let Ok(times) = times {
                prop_assert!((1..=usize::from(OCCURRENCES_MAX)).contains(&times.len()), "{rule}");
                prop_assert!(times.windows(2).all(|pair| pair[0].date() < pair[1].date()), "{rule}");
                prop_assert!(times.iter().all(|at| at.time() == time && *at >= start), "{rule}");
                prop_assert!(times[times.len() - 1] <= start + LASTS_MAX, "{rule}");
            }
        }
    }

    #[test]
    fn a_rule_is_followed_on_the_clock_on_the_wall() {
        let weekly = given("RRULE:freq=weekly;byday=mo;count=3", "2026-03-20 02:30").unwrap();
        assert_eq!(weekly, ["03-23 02:30", "03-30 02:30", "04-06 02:30"]);
        let last = given("FREQ=MONTHLY;BYDAY=-1FR;UNTIL=20260630", "2026-04-01 09:00").unwrap();
        assert_eq!(last, ["04-24 09:00", "05-29 09:00", "06-26 09:00"]);
        // The last is at eleven in Berlin, nine in UTC.
        for (until, count) in
            [("20260403T090000Z", 3), ("20260403T085959Z", 2), ("20260403T110000", 3), ("20260402", 2)]
        {
            let rule = format!("FREQ=DAILY;UNTIL={until}");
            assert_eq!(given(&rule, "2026-04-01 11:00").unwrap().len(), count, "{until}");
        }
    }

    #[test]
    fn a_rule_that_does_not_end_or_ends_late_is_refused() {
        for (rule, why) in [
            ("FREQ=DAILY", "COUNT or by UNTIL"),
            ("FREQ=DAILY;COUNT=2;UNTIL=20270101", "COUNT or by UNTIL"),
            ("FREQ=DAILY;COUNT=105", "COUNT from 1"),
            ("FREQ=DAILY;COUNT=0", "COUNT from 1"),
            ("FREQ=DAILY;UNTIL=20270101", "at most 104"),
            ("FREQ=YEARLY;COUNT=4", "two years"),
            ("FREQ=WEEKLY;UNTIL=20290101", "two years"),
            ("FREQ=WEEKLY;UNTIL=20250101", "before it begins"),
            ("FREQ=HOURLY;COUNT=2", "FREQ, one of"),
            ("FREQ=DAILY;BYHOUR=9;COUNT=2", "nothing else"),
            ("FREQ=DAILY;COUNT=2;COUNT=3", "twice"),
            ("FREQ=DAILY;UNTIL=soon", "UNTIL such as"),
            ("FREQ=WEEKLY;BYDAY=XX;COUNT=2", "RFC 5545"),
            ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;COUNT=1", "at least one"),
            ("COUNT=2", "FREQ, one of"),
            ("", "NAME=VALUE"),
            ("FREQ=DAILY;COUNT=2;X", "NAME=VALUE"),
        ] {
            let refused = given(rule, "2026-01-19 09:00").unwrap_err();
            assert!(refused.contains(why), "{rule}: {refused}");
        }
        assert!(given(&"A".repeat(201), "2026-01-19 09:00").unwrap_err().contains("200"));
    }

    #[test]
    fn a_rule_that_never_comes_true_is_soon_found_out() {
        let begun = std::time::Instant::now();
        for rule in [
            "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=9",
            "FREQ=YEARLY;INTERVAL=100;BYMONTH=2;BYMONTHDAY=31;COUNT=9",
        ] {
            assert!(given(rule, "2026-01-19 09:00").is_err());
        }
        assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    }
}
