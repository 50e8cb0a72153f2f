//! What somebody must resolve: an appointment that does not fit any more what its provider says.

use serde::{Deserialize, Serialize};

use super::appointment::Appointment;
use super::span::Span;
use super::status;
use super::week::Schedule;

/// What somebody must resolve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Conflict {
    /// The provider's profile is gone.
    ProviderRemoved,
    /// The provider is away.
    TimeOff,
    /// The provider's hours do not cover it any more.
    OutsideHours,
    /// Something in the provider's outside calendar takes the time.
    OutsideEvent,
    /// It was moved in a calendar outside to where it cannot be, and stands as it did.
    OutsideMove,
    /// It was deleted in a calendar outside, and stands as it did.
    OutsideDeletion,
}

impl Conflict {
    /// As the API shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ProviderRemoved => "ProviderRemoved",
            Self::TimeOff => "TimeOff",
            Self::OutsideHours => "OutsideHours",
            Self::OutsideEvent => "OutsideEvent",
            Self::OutsideMove => "OutsideMove",
            Self::OutsideDeletion => "OutsideDeletion",
        }
    }

    /// Whether it still is one when the appointment is at another time with the same provider.
    pub fn outlasts_a_move(self) -> bool {
        self == Self::ProviderRemoved
    }
}

/// Why an appointment does not fit: staff may have it take place all the same, and are not asked again for the same cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// The hours do not cover it.
    OutsideHours,
    /// This time off.
    TimeOff(String),
    /// Something in an outside calendar.
    OutsideEvent,
}

impl Cause {
    /// The conflict that it makes.
    pub fn conflict(&self) -> Conflict {
        match self {
            Self::OutsideHours => Conflict::OutsideHours,
            Self::TimeOff(_) => Conflict::TimeOff,
            Self::OutsideEvent => Conflict::OutsideEvent,
        }
    }
}

/// Why a time at a location, or wherever, does not fit what the provider says. Time off stands first.
pub fn causes(schedule: &Schedule, span: Span, location: Option<&str>) -> Vec<Cause> {
    let mut causes: Vec<_> = schedule.away_in(span).map(|away| Cause::TimeOff(away.id.clone())).collect();
    if !schedule.opens(span, location) {
        causes.push(Cause::OutsideHours);
    }
    causes
}

impl Appointment {
    /// Why it does not fit what the provider says. Time off stands first.
    pub fn causes(&self, schedule: &Schedule, span: Span) -> Vec<Cause> {
        causes(schedule, span, self.plan.location.as_deref())
    }

    /// The appointment looked at anew, after what the provider says has changed; `None` if nothing comes of it. What is over or cancelled is
    /// left alone.
    pub fn reviewed(&self, schedule: &Schedule) -> Option<Self> {
        let span = self.span().ok().filter(|_| status::is_open(self.status))?;
        let causes = self.causes(schedule, span);
        // A cause that is none any more is forgotten: when it comes back, it is news.
        let kept = self.kept.iter().filter(|cause| **cause == Cause::OutsideEvent || causes.contains(cause));
        let kept: Vec<_> = kept.cloned().collect();
        let conflict = match self.conflict {
            // These are not of what the provider says.
            Some(
                Conflict::ProviderRemoved
                | Conflict::OutsideEvent
                | Conflict::OutsideMove
                | Conflict::OutsideDeletion,
            ) => self.conflict,
            None | Some(Conflict::TimeOff | Conflict::OutsideHours) => {
                causes.iter().find(|cause| !kept.contains(cause)).map(Cause::conflict)
            }
        };
        let reviewed = Self { conflict, kept, ..self.clone() };
        (reviewed != *self).then_some(reviewed)
    }

    /// The appointment as it is to take place all the same; `None` if that is not for staff to say: nobody is there to treat the patient.
    pub fn kept_for(&self, causes: Vec<Cause>) -> Option<Self> {
        let mut kept = causes;
        match self.conflict {
            None | Some(Conflict::ProviderRemoved) => return None,
            Some(Conflict::OutsideEvent) => kept.push(Cause::OutsideEvent),
            Some(
                Conflict::TimeOff
                | Conflict::OutsideHours
                | Conflict::OutsideMove
                | Conflict::OutsideDeletion,
            ) => {}
        }
        Some(Self { kept, conflict: None, ..self.clone() })
    }
}

impl Appointment {
    /// The appointment with something that somebody must resolve; `None` if that is no matter any more, if something else is to be resolved first, or if
    /// staff have it take place all the same.
    pub fn conflicted(&self, conflict: Conflict) -> Option<Self> {
        let is_kept = self.kept.iter().any(|cause| cause.conflict() == conflict);
        let matters = status::is_open(self.status) && self.conflict.is_none() && !is_kept;
        matters.then(|| Self { conflict: Some(conflict), ..self.clone() })
    }

    /// The appointment once there is no cause of this conflict any more; `None` if there was none.
    pub fn resolved(&self, conflict: Conflict) -> Option<Self> {
        let kept: Vec<_> = self.kept.iter().filter(|cause| cause.conflict() != conflict).cloned().collect();
        let resolved =
            Self { conflict: self.conflict.filter(|present| *present != conflict), kept, ..self.clone() };
        (resolved != *self).then_some(resolved)
    }
}

#[cfg(test)]
mod tests {
    use super::super::appointment::tests::appointment;
    use super::super::week::tests::*;
    use super::*;
    use contracts::appointments::AppointmentStatus;
    use contracts::providers::Day;

    /// On a Monday at ten, when the documented provider is there.
    fn monday() -> Appointment {
        let mut appointment = appointment();
        appointment.plan.date = chrono::NaiveDate::from_ymd_opt(2026, 1, 19).unwrap();
        appointment
    }

    #[test]
    fn what_breaks_an_appointment_flags_it_and_what_is_taken_back_does_so_no_more() {
        let (fits, schedule) = (monday(), documented());
        assert_eq!(fits.reviewed(&schedule), None);
        let off = fits.reviewed(&away(&schedule, "toff_1", "2026-01-19", "2026-01-19")).unwrap();
        assert_eq!(off.conflict, Some(Conflict::TimeOff));
        assert_eq!(off.reviewed(&schedule), Some(fits.clone()));
        let shorter =
            super::super::week::tests::schedule("Europe/Berlin", &[(Day::Monday, &["09:00-10:15"])]);
        let outside = fits.reviewed(&shorter.unwrap()).unwrap();
        assert_eq!(outside.conflict, Some(Conflict::OutsideHours));
    }

    #[test]
    fn what_was_kept_is_flagged_again_for_another_cause_alone() {
        let schedule = away(&documented(), "toff_1", "2026-01-19", "2026-01-19");
        let flagged = monday().reviewed(&schedule).unwrap();
        let kept = flagged.kept_for(flagged.causes(&schedule, flagged.span().unwrap())).unwrap();
        assert_eq!((kept.conflict, kept.reviewed(&schedule)), (None, None));
        let another = away(&schedule, "toff_2", "2026-01-19T10:00", "2026-01-19T11:00");
        assert_eq!(kept.reviewed(&another).unwrap().conflict, Some(Conflict::TimeOff));
        // Given back and taken anew it is another.
        let forgot = kept.reviewed(&documented()).unwrap();
        assert_eq!(forgot.reviewed(&schedule).unwrap().conflict, Some(Conflict::TimeOff));
    }

    #[test]
    fn what_does_not_take_place_and_what_has_nobody_to_treat_is_left_alone() {
        let away = away(&documented(), "toff_1", "2026-01-19", "2026-01-19");
        for status in [AppointmentStatus::Cancelled, AppointmentStatus::Completed, AppointmentStatus::NoShow]
        {
            assert_eq!(Appointment { status, ..monday() }.reviewed(&away), None);
        }
        let removed = monday().without_provider().unwrap();
        assert_eq!(removed.reviewed(&away), None);
        assert_eq!(removed.kept_for(Vec::new()), None);
        let outside = Appointment { conflict: Some(Conflict::OutsideEvent), ..monday() };
        assert_eq!(outside.reviewed(&documented()), None);
        let kept = outside.kept_for(Vec::new()).unwrap();
        assert_eq!((kept.kept.as_slice(), kept.reviewed(&documented())), (&[Cause::OutsideEvent][..], None));
    }
}
