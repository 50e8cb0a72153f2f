//! An appointment: what makes a booking valid, and what a change makes of it.

use chrono::{NaiveDate, NaiveTime};
use chrono_tz::Tz;
use contracts::appointments::{self as wire, AppointmentRequest, AppointmentStatus, CancelledBy};
use contracts::field::{self, BadField, time_text};
use contracts::id::{AppointmentId, PatientId, ProviderId, SeriesId, SlotHoldId};
use contracts::problem::{Faults, Problem};
use http_kit::View;
use serde::{Deserialize, Serialize};

pub use super::cancellation::Cancellation;
use super::cancellation::cancellation;
use super::conflict::{Cause, Conflict};
use super::local;
use super::span::Span;
use super::status::{self, InvalidTransition};
use super::visit::Buffers;
use super::week::Schedule;

/// Minutes, if a booking does not say.
pub const MINUTES_DEFAULT: u32 = 30;
/// Minutes that an appointment may take.
pub const MINUTES: std::ops::RangeInclusive<u32> = 5..=480;
const REASON_CHARS_MAX: usize = 1000;
const VISIT_TYPE_CHARS_MAX: usize = 100;

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
    /// Which kind of visit.
    #[serde(default)]
    pub visit_type: Option<String>,
    /// At which of the provider's locations.
    #[serde(default)]
    pub location: Option<String>,
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
    /// What stays free around it.
    #[serde(default)]
    pub buffers: Buffers,
    /// Why it does not fit what the provider says, where staff have it take place all the same.
    #[serde(default)]
    pub kept: Vec<Cause>,
    /// Of one that was called off: by whom, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancellation: Option<Cancellation>,
    /// The series that it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<SeriesId>,
}

impl Plan {
    /// The time it takes, at a place; a fault if clocks are set forward over its beginning.
    pub fn span(&self, zone: Tz) -> Result<Span, BadField> {
        local::instant(zone, self.date, self.time).map(|starts_at| Span::of_minutes(starts_at, self.minutes))
    }
}

impl Plan {
    /// What it becomes with the provider: at a place, so long as the kind of visit says if it does not itself, and what stays free around it. What they
    /// do not have goes to `faults`.
    pub fn with(
        &self,
        schedule: &Schedule,
        says_minutes: bool,
        faults: &mut Faults,
    ) -> Option<(Self, Tz, Buffers)> {
        let zone = schedule.zone_at(self.location.as_deref());
        let zone = faults.take("locationId", zone.ok_or(NO_LOCATION));
        let visit = faults.take("visitType", schedule.visit_of(self.visit_type.as_deref()))?;
        let minutes = visit.filter(|_| !says_minutes).map_or(self.minutes, |visit| visit.minutes);
        let buffers = visit.map_or(Buffers::NONE, |visit| visit.buffers);
        Some((Self { minutes, ..self.clone() }, zone?, buffers))
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
    /// Whether it says how long.
    pub says_minutes: bool,
    /// The slot that is held for it.
    pub hold: Option<SlotHoldId>,
}

impl Booking {
    /// Reads a request.
    pub fn parse(request: &AppointmentRequest) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let id = request.appointment_id.as_deref().map(AppointmentId::parse).transpose();
        let id = faults.take("appointmentId", id);
        let patient = faults.take("patientId", PatientId::parse(&request.patient_id));
        let minutes = request.duration_minutes.unwrap_or(MINUTES_DEFAULT);
        let plan = plan(
            (&request.provider_id, &request.appointment_date, &request.time_slot, minutes),
            (request.visit_type.as_deref(), request.location_id.as_deref()),
            &mut faults,
        );
        let says_minutes = request.duration_minutes.is_some();
        let status = request.status.unwrap_or(AppointmentStatus::Scheduled);
        if !matches!(status, AppointmentStatus::Scheduled | AppointmentStatus::Confirmed) {
            faults.add("status", "must be Scheduled or Confirmed, or be left out");
        }
        let reason = faults.take("reason", reason(request.reason.as_deref()));
        let hold = faults.take("holdId", request.hold_id.as_deref().map(SlotHoldId::parse).transpose());
        let all = id.zip(patient).zip(plan).zip(reason).zip(hold);
        faults.finish(all.map(|((((id, patient), plan), reason), hold)| Self {
            id,
            patient,
            plan,
            status,
            reason,
            says_minutes,
            hold,
        }))
    }

    /// The appointment that it becomes with the provider: where and how long, if that is theirs to say. What they do not have goes to `faults`.
    pub fn with(&self, schedule: &Schedule, faults: &mut Faults) -> Option<Appointment> {
        let (plan, zone, buffers) = self.plan.with(schedule, self.says_minutes, faults)?;
        Some(Appointment { plan, buffers, ..self.at(zone) })
    }

    /// The appointment that it becomes at a place.
    pub fn at(&self, zone: Tz) -> Appointment {
        Appointment {
            patient: self.patient.clone(),
            plan: self.plan.clone(),
            zone,
            status: self.status,
            reason: self.reason.clone(),
            conflict: None,
            buffers: Buffers::NONE,
            kept: Vec::new(),
            cancellation: None,
            series: None,
        }
    }
}

/// What a change asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    plan: Plan,
    status: AppointmentStatus,
    reason: Option<String>,
    cancellation: Option<Cancellation>,
}

impl Change {
    /// Reads what a change makes of the present appointment as it is shown. What cannot be changed may be there, but only as it is.
    /// `by`: who changes it, and so calls it off, if nothing else is said. `status_is_given`: whether the change names a status; moved without one, an appointment is `Rescheduled`.
    pub fn parse(
        current: &wire::Appointment,
        changed: &wire::Appointment,
        status_is_given: bool,
        by: CancelledBy,
    ) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        for (field, equal) in [
            ("appointmentId", changed.appointment_id == current.appointment_id),
            ("patientId", changed.patient_id == current.patient_id),
            ("timeZone", changed.time_zone == current.time_zone),
            ("conflict", changed.conflict == current.conflict),
            ("seriesId", changed.series_id == current.series_id),
        ] {
            if !equal {
                faults.add(field, "cannot be changed");
            }
        }
        // Another provider has other locations: the same one is not meant.
        let is_same =
            changed.provider_id == current.provider_id || changed.location_id != current.location_id;
        let location = changed.location_id.as_deref().filter(|_| is_same);
        let plan = plan(
            (&changed.provider_id, &changed.appointment_date, &changed.time_slot, changed.duration_minutes),
            (changed.visit_type.as_deref(), location),
            &mut faults,
        );
        let reason = faults.take("reason", reason(changed.reason.as_deref()));
        let place_and_time = |appointment: &wire::Appointment| {
            let wire::Appointment { provider_id, appointment_date, time_slot, location_id, .. } = appointment;
            (provider_id.clone(), appointment_date.clone(), time_slot.clone(), location_id.clone())
        };
        let is_moved = place_and_time(changed) != place_and_time(current);
        let status =
            if is_moved && !status_is_given { AppointmentStatus::Rescheduled } else { changed.status };
        let cancellation = cancellation(current, changed, status, by, &mut faults);
        let all = plan.zip(reason);
        faults.finish(all.map(|(plan, reason)| Self { plan, status, reason, cancellation }))
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
        let (minutes, visit_type) = (change.plan.minutes, change.plan.visit_type.clone());
        change.plan != Plan { minutes, visit_type, ..self.plan.clone() }
    }

    /// The appointment after a change; `None` if it changes nothing. If it is replanned, it still has to be [`Appointment::replanned`].
    pub fn changed(&self, change: &Change) -> Result<Option<Self>, InvalidTransition> {
        let changed = Self {
            plan: change.plan.clone(),
            status: change.status,
            reason: change.reason.clone(),
            cancellation: change.cancellation.clone(),
            // With another provider, or when it will not take place any more, there is nothing left to resolve.
            conflict: self.conflict.filter(|conflict| {
                let stays = match conflict {
                    Conflict::ProviderRemoved => change.plan.provider == self.plan.provider,
                    // At another time it is judged anew.
                    _ => change.plan == self.plan,
                };
                stays && status::is_open(change.status)
            }),
            ..self.clone()
        };
        if changed == *self {
            return Ok(None);
        }
        status::follow(self.status, change.status).map(|_| Some(changed))
    }

    /// The appointment at its provider's place, with their buffers, after a change of `before`. What they do not have and the change names is a fault;
    /// what it does not name has no buffers with them.
    pub fn replanned(self, before: &Self, is_moved: bool, schedule: &Schedule) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let zone = schedule.zone_at(self.plan.location.as_deref());
        let zone = if is_moved {
            faults.take("locationId", zone.ok_or(NO_LOCATION))
        } else {
            // What date and time meant when it was planned, they mean for good.
            Some(self.zone)
        };
        if self.plan.visit_type != before.plan.visit_type {
            faults.take("visitType", schedule.visit_of(self.plan.visit_type.as_deref()));
        }
        let buffers = schedule.buffers_of(self.plan.visit_type.as_deref());
        faults.finish(zone.map(|zone| Self { zone, buffers, ..self }))
    }

    /// The appointment confirmed; `None` if it is already.
    pub fn confirmed(&self) -> Result<Option<Self>, InvalidTransition> {
        if self.status == AppointmentStatus::Confirmed {
            return Ok(None);
        }
        let status = status::follow(self.status, AppointmentStatus::Confirmed)?;
        Ok(Some(Self { status, ..self.clone() }))
    }

    /// The appointment cancelled; `None` if it is already.
    pub fn cancelled(&self, why: Cancellation) -> Result<Option<Self>, InvalidTransition> {
        if self.status == AppointmentStatus::Cancelled {
            return Ok(None);
        }
        let status = status::follow(self.status, AppointmentStatus::Cancelled)?;
        Ok(Some(Self { status, conflict: None, cancellation: Some(why), ..self.clone() }))
    }

    /// The appointment once its provider's profile is gone; `None` if that is no matter any more.
    pub fn without_provider(&self) -> Option<Self> {
        let conflict = Some(Conflict::ProviderRemoved);
        let matters = status::is_open(self.status) && self.conflict != conflict;
        matters.then(|| Self { conflict, ..self.clone() })
    }

    /// The appointment moved by its provider to another time, at their place: what a change by PUT would make of it. `None` if there is no such time, in
    /// whole minutes and not longer than an appointment may be.
    pub fn moved(&self, to: Span, zone: Tz) -> Result<Option<Self>, InvalidTransition> {
        let status = status::follow(self.status, AppointmentStatus::Rescheduled)?;
        let seconds = (to.ends_at - to.starts_at).num_seconds();
        let minutes =
            u32::try_from(seconds / 60).ok().filter(|minutes| MINUTES.contains(minutes) && seconds % 60 == 0);
        let plan = minutes.zip(local::name(zone, to.starts_at)).map(|(minutes, (date, time))| Plan {
            date,
            time,
            minutes,
            ..self.plan.clone()
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
            visit_type: self.plan.visit_type.clone(),
            location_id: self.plan.location.clone(),
            conflict: self.conflict.map(|conflict| conflict.name().to_owned()),
            cancellation_reason: self
                .cancellation
                .as_ref()
                .and_then(|why| why.reason.clone())
                .filter(|_| view.is_whole()),
            cancelled_by: self.cancellation.as_ref().map(|why| why.by),
            series_id: self.series.as_ref().map(ToString::to_string),
        }
    }
}

/// Reads when, where, for what and with whom.
pub(super) fn plan(
    (provider, date, time, minutes): (&str, &str, &str, u32),
    (visit_type, location): (Option<&str>, Option<&str>),
    faults: &mut Faults,
) -> Option<Plan> {
    let provider = faults.take("providerId", ProviderId::parse(provider));
    let date = faults.take("appointmentDate", field::date(date));
    let time = faults.take("timeSlot", field::time(time));
    let minutes = faults.take("durationMinutes", duration(minutes));
    let visit_type = faults.take("visitType", self::visit_type(visit_type));
    let location = location.map(|text| contracts::id::check(text).map(|()| text.to_owned())).transpose();
    let location = faults.take("locationId", location);
    Some(Plan {
        provider: provider?,
        date: date?,
        time: time?,
        minutes: minutes?,
        visit_type: visit_type?,
        location: location?,
    })
}

pub(super) const NO_VISIT_TYPE: &str = "must be one of the provider's visit types";
pub(super) const NO_LOCATION: &str = "must be one of the provider's locations";

/// Checks a length.
pub fn duration(minutes: u32) -> Result<u32, BadField> {
    let (least, most) = MINUTES.into_inner();
    if MINUTES.contains(&minutes) {
        return Ok(minutes);
    }
    Err(BadField::new(format!("must be between {least} and {most}")))
}

/// Checks the name of a kind of visit.
pub fn visit_type(text: Option<&str>) -> Result<Option<String>, BadField> {
    text.map(|text| field::line(text, VISIT_TYPE_CHARS_MAX)).transpose()
}

/// Checks a reason.
pub fn reason(text: Option<&str>) -> Result<Option<String>, BadField> {
    text.map(|text| field::prose(text, REASON_CHARS_MAX)).transpose()
}

/// A time zone by its name.
pub(super) mod zone_name {
    use chrono_tz::Tz;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
    pub(crate) fn serialize<S: Serializer>(zone: &Tz, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(zone.name())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[path = "appointment_tests.rs"]
pub(super) mod tests;
