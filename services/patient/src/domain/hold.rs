//! A legal hold, and what makes one valid.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use contracts::field;
use contracts::holds::{self as wire, HoldRequest};
use contracts::id::PatientId;
use contracts::problem::{Faults, Problem};
use serde::{Deserialize, Serialize};

use super::until::last_day;

const REASON_CHARS_MAX: usize = 1_000;

/// Why nothing of a patient may be done away with: what is sealed as the row's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// In plain words.
    pub reason: String,
    /// To the end of this day; `None`: until it is lifted.
    pub last_day: Option<NaiveDate>,
    /// Since when it is as it is.
    pub placed_at: DateTime<Utc>,
    /// Who placed it so.
    pub user: String,
}

impl Hold {
    /// Reads what somebody places.
    pub fn parse(
        request: &HoldRequest,
        today: NaiveDate,
        (user, placed_at): (&str, DateTime<Utc>),
    ) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let reason = faults.take("reason", field::prose(&request.reason, REASON_CHARS_MAX));
        let last_day = faults.take("until", last_day(request.until.as_deref(), today));
        let read = faults.finish(reason.zip(last_day));
        read.map(|(reason, last_day)| Self { reason, last_day, placed_at, user: user.to_owned() })
    }

    /// As the API shows it.
    pub fn view(&self, patient: &PatientId) -> wire::Hold {
        wire::Hold {
            patient_id: patient.clone(),
            reason: self.reason.clone(),
            until: self.last_day.map(|day| day.to_string()),
            placed_at: self.placed_at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
            user_id: self.user.clone(),
        }
    }
}
