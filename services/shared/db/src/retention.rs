//! How long something is kept of a patient who was deleted: pure, told the time.
//!
//! Years count from the end of the calendar year in which something was last written (as § 147 (4) AO has it), so that all of a year goes together,
//! with one key. A year is over when it is over everywhere on Earth: a day later than in UTC.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};

/// How something is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// With no end: nobody has said how many years.
    Always,
    /// To the end of this year.
    Until(i64),
    /// As long as its patient is under the hold that had this version when it came under the hold's key.
    Held(i64),
}

/// What becomes of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is kept so.
    Kept(Kept),
    /// It goes.
    Gone,
}

/// What an operator says of a kind of data: so many whole years, or none said.
pub type Years = Option<u32>;

/// The year that it is: the one before, in the first day of a year.
pub fn retention_year(now: DateTime<Utc>) -> i64 {
    i64::from((now - TimeDelta::days(1)).year())
}

/// The instant from which a year is over.
pub fn year_is_over_at(year: i64) -> DateTime<Utc> {
    let next = i32::try_from(year + 1).ok().and_then(|year| NaiveDate::from_ymd_opt(year, 1, 2));
    next.unwrap_or(NaiveDate::MAX).and_time(chrono::NaiveTime::MIN).and_utc()
}

/// What becomes of something when its patient is deleted. No years, and it goes at once.
pub fn fate_at_erasure(from_year: i64, years: Years, hold: Option<i64>, this_year: i64) -> Fate {
    match years {
        None => Fate::Kept(Kept::Always),
        Some(years) if years > 0 && from_year + i64::from(years) >= this_year => {
            Fate::Kept(Kept::Until(from_year + i64::from(years)))
        }
        Some(_) => hold.map_or(Fate::Gone, |version| Fate::Kept(Kept::Held(version))),
    }
}

/// What becomes of something that is kept.
///
/// Longer years hold for what is kept already, shorter ones do not: a number that was mistyped must not take away within the hour what the law
/// keeps. What was kept with no end goes by the first number that is said.
pub fn fate(kept: Kept, from_year: i64, years: Years, hold: Option<i64>, this_year: i64) -> Fate {
    let wanted = match (kept, years) {
        (Kept::Held(_), None | Some(0)) => None,
        (_, None) => return Fate::Kept(Kept::Always),
        (Kept::Until(until), Some(years)) => Some(until.max(from_year + i64::from(years))),
        (Kept::Always | Kept::Held(_), Some(years)) => Some(from_year + i64::from(years)),
    };
    match (wanted.filter(|until| *until >= this_year), kept, hold) {
        (Some(until), ..) => Fate::Kept(Kept::Until(until)),
        (None, Kept::Held(_), Some(_)) => Fate::Kept(kept),
        (None, _, Some(version)) => Fate::Kept(Kept::Held(version)),
        (None, _, None) => Fate::Gone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_year_is_over_when_it_is_over_everywhere() {
        assert_eq!(retention_year(at("2027-01-01T23:59:59Z")), 2026);
        assert_eq!(retention_year(at("2027-01-02T00:00:00Z")), 2027);
        assert_eq!(year_is_over_at(2026), at("2027-01-02T00:00:00Z"));
    }

    #[test]
    fn what_has_no_years_goes_at_once_and_what_has_stays_to_the_end_of_the_last() {
        assert_eq!(fate_at_erasure(2026, Some(0), None, 2026), Fate::Gone);
        assert_eq!(fate_at_erasure(2026, Some(0), Some(3), 2026), Fate::Kept(Kept::Held(3)));
        assert_eq!(fate_at_erasure(2016, Some(10), Some(3), 2026), Fate::Kept(Kept::Until(2026)));
        assert_eq!(fate_at_erasure(2015, Some(10), None, 2026), Fate::Gone);
        assert_eq!(fate_at_erasure(2015, None, None, 2026), Fate::Kept(Kept::Always));
    }

    #[test]
    fn a_hold_keeps_what_is_over_and_its_end_lets_it_go() {
        let until = Kept::Until(2026);
        assert_eq!(fate(until, 2016, Some(10), None, 2026), Fate::Kept(until));
        assert_eq!(fate(until, 2016, Some(10), None, 2027), Fate::Gone);
        assert_eq!(fate(until, 2016, Some(10), Some(2), 2027), Fate::Kept(Kept::Held(2)));
        assert_eq!(fate(Kept::Held(2), 2016, Some(10), Some(5), 2027), Fate::Kept(Kept::Held(2)));
        assert_eq!(fate(Kept::Held(2), 2016, Some(10), None, 2027), Fate::Gone);
        assert_eq!(fate(Kept::Held(2), 2026, Some(0), None, 2026), Fate::Gone);
    }

    #[test]
    fn what_was_kept_with_no_end_goes_by_the_first_number_that_is_said() {
        assert_eq!(fate(Kept::Always, 2020, None, None, 2026), Fate::Kept(Kept::Always));
        assert_eq!(fate(Kept::Always, 2020, Some(10), None, 2026), Fate::Kept(Kept::Until(2030)));
        assert_eq!(fate(Kept::Until(2030), 2020, None, None, 2026), Fate::Kept(Kept::Always));
    }

    proptest! {
        #[test]
        fn a_change_of_the_years_takes_nothing_away_before_it_was_to_go(
            from in 2000_i64..2050, first in 1_u32..=100, then in 0_u32..=100, ahead in 0_i64..100
        ) {
            let Fate::Kept(kept @ Kept::Until(until)) = fate_at_erasure(from, Some(first), None, from) else {
                return Err(TestCaseError::fail("it has years"));
            };
            let later = fate(kept, from, Some(then), None, from + ahead);
            prop_assert_eq!(later == Fate::Gone, from + ahead > until.max(from + i64::from(then)));
        }

        #[test]
        fn nothing_of_whom_a_hold_is_on_ever_goes(
            from in 2000_i64..2050, years in proptest::option::of(0_u32..=100), until in proptest::option::of(2000_i64..2150), year in 2000_i64..2200
        ) {
            let kept = until.map_or(Kept::Held(1), Kept::Until);
            prop_assert_ne!(fate(kept, from, years, Some(2), year), Fate::Gone);
            prop_assert_ne!(fate_at_erasure(from, years, Some(2), year), Fate::Gone);
        }
    }
}
