//! An appointment: what makes a booking valid, and what a change makes of it.

use chrono::{NaiveDate, NaiveTime};
use chrono_tz::Tz;
use contracts::appointments::{self as wire, AppointmentRequest, AppointmentStatus};
use contracts::field::{self, BadField, time_text};
use contracts::id::{AppointmentId, PatientId, ProviderId};
use contracts::problem::{Faults, Problem};
use http_kit::View;
use serde::{Deserialize, Serialize};

use super::local;
use super::span::Span;
use super::status::{self, InvalidTransition};

/// Minutes, if a booking does not say.
pub const MINUTES_DEFAULT: u32 = 30;
/// Minutes that an appointment may take.
pub const MINUTES: std::ops::RangeInclusive<u32> = 5..=480;
const REASON_CHARS_MAX: usize = 1000;

/// When and with whom, in the words of the provider's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// With whom.
    pub provider: ProviderId,
    /// The date at the provider's place.
    pub date: NaiveDate,
    /// The beginning at the provider's place.
    pub time: NaiveTime,
    /// How long.
    pub minutes: u32,
}

/// An appointment's data: what is sealed as the row's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appointment {
    /// Whose.
    pub patient: PatientId,
    /// When and with whom.
    pub plan: Plan,
    /// The provider's place when it was planned: what the date and the time meant then, they mean for good.
    #[serde(with = "zone_name")]
    pub zone: Tz,
    /// Where it stands.
    pub status: AppointmentStatus,
    /// Why, in plain words.
    pub reason: Option<String>,
    /// What somebody must resolve.
    pub conflict: Option<Conflict>,
}

/// What somebody must resolve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Conflict {
    /// The provider's profile is gone.
    ProviderRemoved,
    /// An event in the provider's calendar outside takes the same time.
    OutsideEvent,
    /// It was moved in a calendar outside to where it cannot be, and stands as it did.
    OutsideMove,
    /// It was deleted in a calendar outside, and stands as it did.
    OutsideDeletion,
}

impl Conflict {
    fn name(self) -> String {
        match self {
            Self::ProviderRemoved => "ProviderRemoved".to_owned(),
            Self::OutsideEvent => "OutsideEvent".to_owned(),
            Self::OutsideMove => "OutsideMove".to_owned(),
            Self::OutsideDeletion => "OutsideDeletion".to_owned(),
        }
    }

    /// Whether it still is one when the appointment is at another time with the same provider.
    fn outlasts_a_move(self) -> bool {
        self == Self::ProviderRemoved
    }
}

impl Plan {
    /// The time it takes, at a place; a fault if clocks are set forward over its beginning.
    pub fn span(&self, zone: Tz) -> Result<Span, BadField> {
        local::instant(zone, self.date, self.time).map(|starts_at| Span::of_minutes(starts_at, self.minutes))
    }
}

/// The problem of one field.
pub fn fault(field: &str, message: impl std::fmt::Display) -> Problem {
    let mut faults = Faults::new();
    faults.add(field, message);
    faults.into_problem()
}

/// A booking that is asked for, as far as it can be judged without provider and patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// The id that the client brings, if it brings one.
    pub id: Option<AppointmentId>,
    /// Whose.
    pub patient: PatientId,
    /// When and with whom.
    pub plan: Plan,
    /// Where it stands: `Scheduled` or `Confirmed`.
    pub status: AppointmentStatus,
    /// Why.
    pub reason: Option<String>,
}

impl Booking {
    /// Reads a request.
    pub fn parse(request: &AppointmentRequest) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let id = request.appointment_id.as_deref().map(AppointmentId::parse).transpose();
        let id = faults.take("appointmentId", id);
        let patient = faults.take("patientId", PatientId::parse(&request.patient_id));
        let minutes = request.duration_minutes.unwrap_or(MINUTES_DEFAULT);
        let plan =
            plan(&request.provider_id, &request.appointment_date, &request.time_slot, minutes, &mut faults);
        let status = request.status.unwrap_or(AppointmentStatus::Scheduled);
        if !matches!(status, AppointmentStatus::Scheduled | AppointmentStatus::Confirmed) {
            faults.add("status", "must be Scheduled or Confirmed, or be left out");
        }
        let reason = faults.take("reason", reason(request.reason.as_deref()));
        let all = id.zip(patient).zip(plan).zip(reason);
        faults.finish(all.map(|(((id, patient), plan), reason)| Self { id, patient, plan, status, reason }))
    }

    /// The appointment that it becomes at the provider's place.
    pub fn at(&self, zone: Tz) -> Appointment {
        Appointment {
            patient: self.patient.clone(),
            plan: self.plan.clone(),
            zone,
            status: self.status,
            reason: self.reason.clone(),
            conflict: None,
        }
    }
}

/// What a change asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    plan: Plan,
    status: AppointmentStatus,
    reason: Option<String>,
}

impl Change {
    /// Reads what a change makes of the present appointment as it is shown. What cannot be changed may be there, but only as it is.
    /// `status_is_given`: whether the change names a status; moved without one, an appointment is `Rescheduled`.
    pub fn parse(
        current: &wire::Appointment,
        changed: &wire::Appointment,
        status_is_given: bool,
    ) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        for (field, equal) in [
            ("appointmentId", changed.appointment_id == current.appointment_id),
            ("patientId", changed.patient_id == current.patient_id),
            ("timeZone", changed.time_zone == current.time_zone),
            ("conflict", changed.conflict == current.conflict),
        ] {
            if !equal {
                faults.add(field, "cannot be changed");
            }
        }
        let plan = plan(
            &changed.provider_id,
            &changed.appointment_date,
            &changed.time_slot,
            changed.duration_minutes,
            &mut faults,
        );
        let reason = faults.take("reason", reason(changed.reason.as_deref()));
        let is_moved = (&changed.provider_id, &changed.appointment_date, &changed.time_slot)
            != (&current.provider_id, &current.appointment_date, &current.time_slot);
        let status =
            if is_moved && !status_is_given { AppointmentStatus::Rescheduled } else { changed.status };
        faults.finish(plan.zip(reason).map(|(plan, reason)| Self { plan, status, reason }))
    }

    /// When and with whom it is to be.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Where it is to stand.
    pub fn status(&self) -> AppointmentStatus {
        self.status
    }
}

impl Appointment {
    /// The time it takes.
    pub fn span(&self) -> Result<Span, Problem> {
        self.plan.span(self.zone).map_err(|error| fault("timeSlot", error))
    }

    /// Whether it takes the time of provider and patient.
    pub fn is_active(&self) -> bool {
        status::is_active(self.status)
    }

    /// Whether a change is about when, how long, or with whom.
    pub fn is_replanned_by(&self, change: &Change) -> bool {
        change.plan != self.plan
    }

    /// Whether a change is to another time or provider: then the provider's place decides anew what date and time mean.
    pub fn is_moved_by(&self, change: &Change) -> bool {
        change.plan != Plan { minutes: change.plan.minutes, ..self.plan.clone() }
    }

    /// The appointment after a change; `None` if it changes nothing. If it is moved, it still has to be put [`Appointment::in_zone`].
    pub fn changed(&self, change: &Change) -> Result<Option<Self>, InvalidTransition> {
        let changed = Self {
            plan: change.plan.clone(),
            status: change.status,
            reason: change.reason.clone(),
            // With another provider, or when it will not take place any more, there is nothing left to resolve.
            conflict: self
                .conflict
                .filter(|_| change.plan.provider == self.plan.provider && status::is_open(change.status))
                .filter(|conflict| conflict.outlasts_a_move() || change.plan == self.plan),
            ..self.clone()
        };
        if changed == *self {
            return Ok(None);
        }
        status::follow(self.status, change.status).map(|_| Some(changed))
    }

    /// The appointment at a provider's place.
    #[must_use]
    pub fn in_zone(self, zone: Tz) -> Self {
        Self { zone, ..self }
    }

    /// The appointment cancelled; `None` if it is already.
    pub fn cancelled(&self) -> Result<Option<Self>, InvalidTransition> {
        if self.status == AppointmentStatus::Cancelled {
            return Ok(None);
        }
        let status = status::follow(self.status, AppointmentStatus::Cancelled)?;
        Ok(Some(Self { status, conflict: None, ..self.clone() }))
    }

    /// The appointment once its provider's profile is gone; `None` if that is no matter any more.
    pub fn without_provider(&self) -> Option<Self> {
        let conflict = Some(Conflict::ProviderRemoved);
        let matters = status::is_open(self.status) && self.conflict != conflict;
        matters.then(|| Self { conflict, ..self.clone() })
    }

    /// The appointment with something that somebody must resolve; `None` if that is no matter any more, or something else is to be resolved first.
    pub fn conflicted(&self, conflict: Conflict) -> Option<Self> {
        let matters = status::is_open(self.status) && self.conflict.is_none();
        matters.then(|| Self { conflict: Some(conflict), ..self.clone() })
    }

    /// The appointment without this to be resolved; `None` if it is not.
    pub fn resolved(&self, conflict: Conflict) -> Option<Self> {
        (self.conflict == Some(conflict)).then(|| Self { conflict: None, ..self.clone() })
    }

    /// The appointment moved by its provider to another time, at their place: what a change by PUT would make of it. `None` if there is no such time, in
    /// whole minutes and not longer than an appointment may be.
    pub fn moved(&self, to: Span, zone: Tz) -> Result<Option<Self>, InvalidTransition> {
        let status = status::follow(self.status, AppointmentStatus::Rescheduled)?;
        let seconds = (to.ends_at - to.starts_at).num_seconds();
        let minutes =
            u32::try_from(seconds / 60).ok().filter(|minutes| MINUTES.contains(minutes) && seconds % 60 == 0);
        let plan = minutes.zip(local::name(zone, to.starts_at)).map(|(minutes, (date, time))| Plan {
            provider: self.plan.provider.clone(),
            date,
            time,
            minutes,
        });
        let conflict = self.conflict.filter(|conflict| conflict.outlasts_a_move());
        Ok(plan.map(|plan| Self { plan, zone, status, conflict, ..self.clone() }))
    }

    /// As the API shows it.
    pub fn view(&self, id: &AppointmentId, view: View) -> wire::Appointment {
        wire::Appointment {
            appointment_id: id.to_string(),
            patient_id: self.patient.to_string(),
            provider_id: self.plan.provider.to_string(),
            appointment_date: self.plan.date.to_string(),
            time_slot: time_text(self.plan.time),
            duration_minutes: self.plan.minutes,
            time_zone: self.zone.name().to_owned(),
            status: self.status,
            reason: self.reason.clone().filter(|_| view.is_whole()),
            conflict: self.conflict.map(Conflict::name),
        }
    }
}

fn plan(provider: &str, date: &str, time: &str, minutes: u32, faults: &mut Faults) -> Option<Plan> {
    let provider = faults.take("providerId", ProviderId::parse(provider));
    let date = faults.take("appointmentDate", field::date(date));
    let time = faults.take("timeSlot", field::time(time));
    let minutes = faults.take("durationMinutes", duration(minutes));
    Some(Plan { provider: provider?, date: date?, time: time?, minutes: minutes? })
}

/// Checks a length.
pub fn duration(minutes: u32) -> Result<u32, BadField> {
    let (least, most) = MINUTES.into_inner();
    if MINUTES.contains(&minutes) {
        return Ok(minutes);
    }
    Err(BadField::new(format!("must be between {least} and {most}")))
}

fn reason(text: Option<&str>) -> Result<Option<String>, BadField> {
    text.map(|text| field::prose(text, REASON_CHARS_MAX)).transpose()
}

/// A time zone by its name.
mod zone_name {
    use chrono_tz::Tz;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
    pub(super) fn serialize<S: Serializer>(zone: &Tz, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(zone.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[path = "appointment_tests.rs"]
pub(super) mod tests;
