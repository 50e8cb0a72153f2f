//! A slot that somebody holds for a few minutes.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use contracts::field::{BadField, time_text};
use contracts::id::{PatientId, SlotHoldId};
use contracts::problem::{Faults, Problem};
use contracts::slot_holds::{self as wire, SlotHoldRequest};
use serde::{Deserialize, Serialize};
use settings::AppointmentSettings;

use super::appointment::{MINUTES_DEFAULT, Plan, plan, zone_name};
use super::feed::time;
use super::visit::Buffers;

/// A hold that is asked for, as far as it can be judged without the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// When and with whom.
    pub plan: Plan,
    /// For whom.
    pub patient: Option<PatientId>,
    /// Whether it says how long it is.
    pub says_minutes: bool,
    /// How long it is held.
    pub lasts: TimeDelta,
}

impl Asked {
    /// Reads a request. `settings`: how long a slot is held, and how long it may be.
    pub fn parse(request: &SlotHoldRequest, settings: &AppointmentSettings) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let minutes = request.duration_minutes.unwrap_or(MINUTES_DEFAULT);
        let plan = plan(
            (&request.provider_id, &request.appointment_date, &request.time_slot, minutes),
            (request.visit_type.as_deref(), request.location_id.as_deref()),
            &mut faults,
        );
        let patient = request.patient_id.as_deref().map(PatientId::parse).transpose();
        let patient = faults.take("patientId", patient);
        let lasts = faults.take("holdMinutes", lasts(request.hold_minutes, settings));
        let says_minutes = request.duration_minutes.is_some();
        let all = plan.zip(patient).zip(lasts);
        faults.finish(all.map(|((plan, patient), lasts)| Self { plan, patient, says_minutes, lasts }))
    }
}

fn lasts(minutes: Option<u32>, settings: &AppointmentSettings) -> Result<TimeDelta, BadField> {
    let Some(minutes) = minutes else {
        return Ok(TimeDelta::seconds(i64::from(settings.slot_hold_seconds)));
    };
    let at_most = settings.slot_hold_seconds_max / 60;
    if (1..=at_most).contains(&minutes) {
        return Ok(TimeDelta::minutes(i64::from(minutes)));
    }
    Err(BadField::new(format!("must be between 1 and {at_most}")))
}

/// A hold's data: what is sealed as the row's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// When and with whom.
    pub plan: Plan,
    /// The provider's place.
    #[serde(with = "zone_name")]
    pub zone: Tz,
    /// What stays free around it.
    pub buffers: Buffers,
    /// Who holds it: a user's id, or `waitlist:` and an entry's.
    pub by: String,
}

/// A hold as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The id.
    pub id: SlotHoldId,
    /// For whom.
    pub patient: Option<PatientId>,
    /// Until when.
    pub expires_at: DateTime<Utc>,
    /// The data.
    pub hold: Hold,
}

impl Kept {
    /// As the API shows it.
    pub fn view(&self) -> wire::SlotHold {
        let Plan { provider, date, time: at, minutes, visit_type, location } = &self.hold.plan;
        wire::SlotHold {
            hold_id: self.id.clone(),
            provider_id: provider.to_string(),
            patient_id: self.patient.as_ref().map(ToString::to_string),
            appointment_date: date.to_string(),
            time_slot: time_text(*at),
            duration_minutes: *minutes,
            visit_type: visit_type.clone(),
            location_id: location.clone(),
            expires_at: time(self.expires_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_hold_is_told_at_once_and_its_length_is_bounded() {
        let bad = SlotHoldRequest {
            provider_id: "a/b".to_owned(),
            appointment_date: "soon".to_owned(),
            time_slot: "9".to_owned(),
            duration_minutes: Some(4),
            visit_type: Some(" ".to_owned()),
            location_id: Some("a/b".to_owned()),
            patient_id: Some(String::new()),
            hold_minutes: Some(16),
        };
        let settings = AppointmentSettings::default();
        let problem = Asked::parse(&bad, &settings).unwrap_err();
        let fields: Vec<_> = problem.errors.iter().map(|fault| fault.field.as_str()).collect();
        let all = [
            "providerId",
            "appointmentDate",
            "timeSlot",
            "durationMinutes",
            "visitType",
            "locationId",
            "patientId",
            "holdMinutes",
        ];
        assert_eq!(fields, all);
        let minutes = |minutes| lasts(minutes, &settings).ok().map(|lasts| lasts.num_minutes());
        assert_eq!(
            [None, Some(0), Some(1), Some(15), Some(16)].map(minutes),
            [Some(5), None, Some(1), Some(15), None]
        );
    }
}
