//! [`Subject`]: whose key; [`Place`]: where in the database.

use std::borrow::Cow;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, Utc};

/// What the names of years' keys begin with.
pub(super) const YEARS: &str = "kept:";

/// What the names of holds' keys begin with.
const HOLDS: &str = "hold:";

/// Whose key data is sealed under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A patient, by id. Erasing the patient destroys the key.
    Patient(&'a str),
    /// Nobody: data of the service that belongs to no patient, such as a provider's profile. Lives as long as the
    /// service does.
    Service,
    /// A stretch of time: data that must be gone after a while wherever it was copied to, such as a kept answer.
    Period(Period),
    /// All that is kept of deleted patients to the end of this year. What is over with it goes with the key, in copies too. It is destroyed by whoever
    /// has looked that nothing under it has to stay.
    Year(i64),
    /// What is kept of a deleted patient because a legal hold is on it, since it had this version. It goes when the hold is lifted.
    Hold {
        /// Whose.
        patient: &'a str,
        /// The hold's version: a key that was destroyed never comes back, and another hold may.
        version: i64,
    },
}

/// A stretch of time with a key of its own, wiped some time after it ends. Built from an instant that stands in the row
/// (`created_at`), with the same `purpose`, whenever the body is sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    purpose: &'static str,
    starts: NaiveDate,
    unit: char,
    expires_at: DateTime<Utc>,
}

impl Period {
    /// The UTC day that holds `instant`; its key lives `keep_days` beyond the day's end.
    pub fn day(purpose: &'static str, instant: DateTime<Utc>, keep_days: u32) -> Self {
        let starts = instant.date_naive();
        let ends = starts.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX);
        Self { purpose, starts, unit: 'd', expires_at: later(ends, keep_days) }
    }

    /// The UTC month that holds `instant`; its key lives `keep_days` beyond the month's end.
    pub fn month(purpose: &'static str, instant: DateTime<Utc>, keep_days: u32) -> Self {
        let starts = instant.date_naive().with_day(1).unwrap_or_default();
        let ends = starts.checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX);
        Self { purpose, starts, unit: 'm', expires_at: later(ends, keep_days) }
    }

    /// When the key is wiped.
    pub fn expires_at(&self) -> DateTime<Utc> {
        self.expires_at
    }
}

fn later(date: NaiveDate, days: u32) -> DateTime<Utc> {
    let date = date.checked_add_days(Days::new(u64::from(days))).unwrap_or(date);
    date.and_time(NaiveTime::MIN).and_utc()
}

/// Before a patient's id in the keys store.
const PATIENT: &str = "patient:";

/// The patient whose key has this name, if it is a patient's.
pub(super) fn patient_of(name: &str) -> Option<&str> {
    name.strip_prefix(PATIENT)
}

/// The patient and the version of the hold whose key has this name, if it is a hold's.
pub(super) fn hold_of(name: &str) -> Option<(String, i64)> {
    let (patient, version) = name.strip_prefix(HOLDS)?.rsplit_once(':')?;
    Some((patient.to_owned(), version.parse().ok()?))
}

impl Subject<'_> {
    /// The name in the keys store. The part before the colon keeps the kinds apart, whatever the id.
    pub(crate) fn name(&self) -> Cow<'static, str> {
        match self {
            Self::Patient(id) => Cow::Owned(format!("{PATIENT}{id}")),
            Self::Service => Cow::Borrowed("service"),
            Self::Year(year) => Cow::Owned(format!("{YEARS}{year}")),
            Self::Hold { patient, version } => Cow::Owned(format!("{HOLDS}{patient}:{version}")),
            Self::Period(period) => {
                Cow::Owned(format!("period:{}:{}:{}", period.purpose, period.unit, period.starts))
            }
        }
    }

    pub(crate) fn expires_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Period(period) => Some(period.expires_at),
            Self::Patient(_) | Self::Service | Self::Year(_) | Self::Hold { .. } => None,
        }
    }
}

/// Where a sealed body stands. Bound into it, so that a body moved to another row or column does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The row's id.
    pub row: &'a str,
}
