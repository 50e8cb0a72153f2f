//! What is remembered of each change: who, what, and each member from what to what.

use contracts::appointments::{self as wire, AppointmentStatus, CancelledBy, FieldChange};
use contracts::id::AppointmentId;
use http_kit::View;
use serde::{Deserialize, Serialize};

use super::appointment::Appointment;
use super::conflict::Conflict;
use super::status;

/// The member that is not shown to everybody.
pub const REASON: &str = "reason";
/// Another one: why it was called off.
pub const CANCELLATION_REASON: &str = "cancellationReason";

/// What is to be resolved.
const CONFLICT: &str = "conflict";
/// No member of an appointment: a calendar outside that is gone, and by that what was to be resolved for what was done in it.
const CALENDAR: &str = "calendar";

/// A change: what is sealed as the history row's body. Version and time stand beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// A user's id, or `service:` and a name.
    pub by: String,
    /// What was done.
    pub action: Action,
    /// Which members, from what to what.
    pub changes: Vec<FieldChange>,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Booked.
    Created,
    /// Changed in another way than these.
    Updated,
    /// Moved to another time or provider.
    Rescheduled,
    /// Cancelled.
    Cancelled,
    /// The provider's profile was removed.
    ProviderRemoved,
    /// Something is to be resolved.
    ConflictRaised,
}

impl Action {
    /// As the API shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "Created",
            Self::Updated => "Updated",
            Self::Rescheduled => "Rescheduled",
            Self::Cancelled => "Cancelled",
            Self::ProviderRemoved => "ProviderRemoved",
            Self::ConflictRaised => "ConflictRaised",
        }
    }

    fn of(before: Option<&Appointment>, after: &Appointment) -> Self {
        let Some(before) = before else { return Self::Created };
        let when_and_who = |appointment: &Appointment| {
            let plan = &appointment.plan;
            (plan.provider.clone(), plan.date, plan.time, plan.location.clone())
        };
        if after.status == AppointmentStatus::Cancelled && before.status != AppointmentStatus::Cancelled {
            Self::Cancelled
        } else if after.conflict == Some(Conflict::ProviderRemoved) && before.conflict != after.conflict {
            Self::ProviderRemoved
        } else if after.conflict.is_some() && before.conflict.is_none() {
            Self::ConflictRaised
        } else if when_and_who(before) != when_and_who(after) {
            Self::Rescheduled
        } else {
            Self::Updated
        }
    }
}

impl Entry {
    /// Of a booking (`before` is none) or a change.
    pub fn of(by: &str, id: &AppointmentId, before: Option<&Appointment>, after: &Appointment) -> Self {
        let old = before.map(|before| members(&before.view(id, View::Whole)));
        let new = members(&after.view(id, View::Whole));
        let changes = new.into_iter().enumerate().filter_map(|(at, (field, to))| {
            let from = old.as_ref().and_then(|old| old[at].1.clone());
            (from != to).then(|| FieldChange { field: field.to_owned(), from, to })
        });
        Self { by: by.to_owned(), action: Action::of(before, after), changes: changes.collect() }
    }
}

impl Entry {
    /// Of a change that comes of a calendar that the settings have no more: with its name, as something that was there and is gone.
    #[must_use]
    pub fn calendar_gone(mut self, name: &str) -> Self {
        self.changes.push(FieldChange { field: CALENDAR.to_owned(), from: Some(name.to_owned()), to: None });
        self
    }

    /// Whether it is of when this came to be something to resolve.
    pub fn raises(&self, conflict: Conflict) -> bool {
        let is_it =
            |change: &FieldChange| change.field == CONFLICT && change.to.as_deref() == Some(conflict.name());
        self.changes.iter().any(is_it)
    }
}

/// A change as somebody is shown it: that there was one is shown to all who see the appointment.
pub fn shown(mut change: wire::AppointmentChange, view: View) -> wire::AppointmentChange {
    if !view.is_whole() {
        change.changes.retain(|change| ![REASON, CANCELLATION_REASON].contains(&change.field.as_str()));
    }
    change
}

fn by_name(by: CancelledBy) -> &'static str {
    match by {
        CancelledBy::Patient => "patient",
        CancelledBy::Provider => "provider",
        CancelledBy::Clinic => "clinic",
    }
}

fn members(view: &wire::Appointment) -> [(&'static str, Option<String>); 14] {
    [
        ("patientId", Some(view.patient_id.clone())),
        ("providerId", Some(view.provider_id.clone())),
        ("appointmentDate", Some(view.appointment_date.clone())),
        ("timeSlot", Some(view.time_slot.clone())),
        ("durationMinutes", Some(view.duration_minutes.to_string())),
        ("timeZone", Some(view.time_zone.clone())),
        ("status", Some(status::name(view.status).to_owned())),
        (REASON, view.reason.clone()),
        ("visitType", view.visit_type.clone()),
        ("locationId", view.location_id.clone()),
        (CONFLICT, view.conflict.clone()),
        ("seriesId", view.series_id.clone()),
        (CANCELLATION_REASON, view.cancellation_reason.clone()),
        ("cancelledBy", view.cancelled_by.map(|by| by_name(by).to_owned())),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::appointment::Cancellation;
    use super::super::appointment::tests::{appointment, id};
    use super::*;

    #[test]
    fn a_booking_goes_from_nothing_to_what_was_booked() {
        let entry = Entry::of("usr_1", &id(), None, &appointment());
        assert_eq!(entry.action, Action::Created);
        assert!(entry.changes.iter().all(|change| change.from.is_none() && change.to.is_some()));
        assert_eq!(entry.changes.len(), 7);
    }

    #[test]
    fn only_what_changed_is_told() {
        let before = appointment();
        let cancelled = before.cancelled(Cancellation::by(CancelledBy::Clinic)).unwrap().unwrap();
        let entry = Entry::of("usr_1", &id(), Some(&before), &cancelled);
        let change = |field: &str, from: Option<&str>, to: &str| FieldChange {
            field: field.to_owned(),
            from: from.map(str::to_owned),
            to: Some(to.to_owned()),
        };
        let changes =
            vec![change("status", Some("Scheduled"), "Cancelled"), change("cancelledBy", None, "clinic")];
        assert_eq!((entry.action, entry.changes), (Action::Cancelled, changes));
        let conflicted = before.without_provider().unwrap();
        assert_eq!(Entry::of("s", &id(), Some(&before), &conflicted).action, Action::ProviderRemoved);
    }
}
