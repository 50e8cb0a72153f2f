//! Whom an appointment lets its provider see, and for how long.

use chrono::{DateTime, TimeDelta, Utc};
use contracts::event::{APPOINTMENT, CareNotice};
use contracts::id::{AppointmentId, PatientId, ProviderId};

/// Who was seen is treated so long after: results come, and are written down.
const LASTS: TimeDelta = TimeDelta::days(30);

/// An appointment, as far as it says who treats whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeing {
    /// Which.
    pub id: AppointmentId,
    /// Counts its changes.
    pub version: i64,
    /// Whose.
    pub patient: PatientId,
    /// With whom.
    pub provider: ProviderId,
    /// When it ends.
    pub ends_at: DateTime<Utc>,
    /// Whether it takes place, or took place.
    pub is_active: bool,
}

impl Seeing {
    /// What the others are told: from the booking until some time after the visit, the provider treats the patient; if it does not take
    /// place, they do not.
    pub fn notice(self) -> CareNotice {
        CareNotice {
            source: format!("{APPOINTMENT}:{}", self.id),
            version: self.version,
            patient_id: self.patient,
            provider_id: self.provider,
            until: self.is_active.then(|| self.ends_at + LASTS),
        }
    }
}
