//! Time off: when a provider is away, whatever their hours say.

use chrono::{DateTime, TimeDelta, Utc};
use contracts::field;
use contracts::id::TimeOffId;
use contracts::local_time::LocalTime;
use contracts::problem::{Faults, Problem};
use contracts::schedules::{self as wire, TIME_OFF_DAYS_MAX, TimeOffRequest};
use serde::{Deserialize, Serialize};

const REASON_CHARS_MAX: usize = 200;
/// What ended longer ago is not shown any more.
pub const KEPT: TimeDelta = TimeDelta::days(366);
/// What ended longer ago is over wherever the provider is.
pub const OVER: TimeDelta = TimeDelta::days(2);

/// Time off: what is sealed as the row's body. Its times are at the provider's place, wherever that is by then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeOff {
    /// From when.
    pub from: LocalTime,
    /// Until when.
    pub to: LocalTime,
    /// Why.
    pub reason: Option<String>,
}

impl TimeOff {
    /// Reads a request.
    pub fn parse(request: &TimeOffRequest) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let from = faults.take("from", LocalTime::parse(&request.from));
        let to = faults.take("to", LocalTime::parse(&request.to));
        let reason = request.reason.as_deref().map(|text| field::line(text, REASON_CHARS_MAX)).transpose();
        let reason = faults.take("reason", reason);
        if let Some((from, to)) = from.zip(to) {
            let lasts = to.ends() - from.begins();
            if lasts <= TimeDelta::zero() {
                faults.add("to", "must be after from");
            } else if lasts > TimeDelta::days(TIME_OFF_DAYS_MAX) {
                faults.add("to", format_args!("must be at most {TIME_OFF_DAYS_MAX} days after from"));
            }
        }
        faults.finish(from.zip(to).zip(reason).map(|((from, to), reason)| Self { from, to, reason }))
    }

    /// From when until when, as it would be in UTC: to be sorted by, and to tell what is long over.
    pub fn about(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        (self.from.begins().and_utc(), self.to.ends().and_utc())
    }

    /// As the API shows it, with the reason or without.
    pub fn view(&self, id: &TimeOffId, with_reason: bool) -> wire::TimeOff {
        wire::TimeOff {
            time_off_id: id.clone(),
            from: self.from.to_string(),
            to: self.to.to_string(),
            reason: self.reason.clone().filter(|_| with_reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(from: &str, to: &str) -> Option<String> {
        let request = TimeOffRequest { from: from.to_owned(), to: to.to_owned(), reason: None };
        TimeOff::parse(&request).err().map(|problem| problem.errors[0].field.clone())
    }

    #[test]
    fn it_ends_after_it_begins_and_within_two_years() {
        for (from, to, at_fault) in [
            ("2026-02-01", "2026-02-01", None),
            ("2026-02-01T13:00", "2026-02-01", None),
            ("2026-02-01T13:00", "2026-02-01T13:01", None),
            ("2026-02-01T13:00", "2026-02-01T13:00", Some("to")),
            ("2026-02-02", "2026-02-01", Some("to")),
            ("2026-02-01", "2028-02-01", None),
            ("2026-02-01", "2028-02-02", Some("to")),
            ("soon", "2026-02-01", Some("from")),
            ("2026-02-01", "2026-02-30", Some("to")),
        ] {
            assert_eq!(fault(from, to).as_deref(), at_fault, "{from} {to}");
        }
    }
}
