//! A referral, and what may come of it.
//!
//! ```text
//! Requested ──┬─> Accepted ──> Booked ──> Completed
//!             └─> Declined       (from Requested too)
//! Requested, Accepted ──> Withdrawn, by who refers
//! Booked, and the appointment is cancelled or nobody came ──> Accepted again
//! ```
//!
//! `Expired` is not kept: the last day and today's date at the clinic say so of what nothing came of.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use contracts::appointments::AppointmentStatus;
use contracts::event::{ReferralNotice, What};
use contracts::field::{self, BadField};
use contracts::id::{AppointmentId, PatientId, ProviderId, ReferralId};
use contracts::problem::{Faults, Problem};
use contracts::referrals::{
    self as wire, REASON_CHARS_MAX, ReferralRequest, ReferralStatus, SPECIALIZATION_CHARS_MAX, Urgency,
};
use http_kit::View;
use serde::{Deserialize, Serialize};

/// A referral: what is sealed as the row's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referral {
    /// Whose.
    pub patient: PatientId,
    /// Who refers.
    pub from: ProviderId,
    /// To whom, once that is known.
    pub to: Option<ProviderId>,
    /// To which speciality.
    pub specialization: Option<String>,
    /// Why.
    pub reason: String,
    /// How soon.
    pub urgency: Urgency,
    /// The last day, at the clinic.
    pub expires_on: Option<NaiveDate>,
    /// Where it stands; never `Expired`.
    pub status: ReferralStatus,
    /// The appointment that was booked from it.
    pub appointment: Option<AppointmentId>,
}

/// Something that was done: what is sealed as the history row's body. The time stands beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// A user's id, or `service:` and a name.
    pub by: String,
    /// Where it stood from then on.
    pub status: ReferralStatus,
    /// Why it was declined or withdrawn.
    pub reason: Option<String>,
}

/// What is done with a referral.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The patient is taken, by this provider.
    Accept(ProviderId),
    /// They are not.
    Decline,
    /// It is taken back.
    Withdraw,
    /// An appointment is booked, with this provider.
    Book(AppointmentId, ProviderId),
}

/// Not possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPossible {
    /// Where it stands does not allow it.
    #[error("A referral that is {0:?} is not answered or booked any more.")]
    Stands(ReferralStatus),
    /// It is to somebody else.
    #[error("The referral is to another provider.")]
    Other,
}

impl Referral {
    /// Reads a request.
    pub fn parse(request: &ReferralRequest, today: NaiveDate) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let patient = faults.take("patientId", PatientId::parse(&request.patient_id));
        let from = faults.take("fromProviderId", ProviderId::parse(&request.from_provider_id));
        let to = request.to_provider_id.as_deref().map(ProviderId::parse).transpose();
        let to = faults.take("toProviderId", to);
        let line = |text: &str| field::line(text, SPECIALIZATION_CHARS_MAX);
        let specialization =
            faults.take("specialization", request.specialization.as_deref().map(line).transpose());
        if request.to_provider_id.is_some() == request.specialization.is_some() {
            faults.add("toProviderId", "must be there, or specialization, and not both");
        }
        if to.as_ref().is_some_and(|to| to.is_some() && *to == from) {
            faults.add("toProviderId", "must be another provider than who refers");
        }
        let reason = faults.take("reason", prose(&request.reason));
        let expires_on = request.expires_on.as_deref().map(field::date).transpose();
        let expires_on = faults.take("expiresOn", expires_on);
        if expires_on.flatten().is_some_and(|last| last < today) {
            faults.add("expiresOn", "must not be past");
        }
        let all = patient.zip(from).zip(to).zip(specialization).zip(reason).zip(expires_on);
        faults.finish(all.map(|(((((patient, from), to), specialization), reason), expires_on)| Self {
            patient,
            from,
            to,
            specialization,
            reason,
            urgency: request.urgency.unwrap_or_default(),
            expires_on,
            status: ReferralStatus::Requested,
            appointment: None,
        }))
    }

    /// Where it stands on a day.
    pub fn status(&self, today: NaiveDate) -> ReferralStatus {
        let is_waiting = matches!(self.status, ReferralStatus::Requested | ReferralStatus::Accepted);
        let is_over = self.expires_on.is_some_and(|last| last < today);
        if is_waiting && is_over { ReferralStatus::Expired } else { self.status }
    }

    /// The referral after something was done with it.
    pub fn after(&self, step: Step, today: NaiveDate) -> Result<Self, NotPossible> {
        let stands = self.status(today);
        let may = match &step {
            Step::Accept(_) => stands == ReferralStatus::Requested,
            Step::Decline | Step::Withdraw | Step::Book(..) => {
                matches!(stands, ReferralStatus::Requested | ReferralStatus::Accepted)
            }
        };
        if !may {
            return Err(NotPossible::Stands(stands));
        }
        let (status, to, appointment) = match step {
            Step::Accept(to) => (ReferralStatus::Accepted, Some(to), None),
            Step::Decline => (ReferralStatus::Declined, self.to.clone(), None),
            Step::Withdraw => (ReferralStatus::Withdrawn, self.to.clone(), None),
            Step::Book(appointment, to) => (ReferralStatus::Booked, Some(to), Some(appointment)),
        };
        if self.to.is_some() && to != self.to {
            return Err(NotPossible::Other);
        }
        Ok(Self { to, status, appointment, ..self.clone() })
    }

    /// The referral after its appointment has come to stand there; `None` if that is no matter.
    pub fn follow(&self, appointment: AppointmentStatus) -> Option<Self> {
        if self.status != ReferralStatus::Booked {
            return None;
        }
        match appointment {
            AppointmentStatus::Completed => Some(Self { status: ReferralStatus::Completed, ..self.clone() }),
            AppointmentStatus::Cancelled | AppointmentStatus::NoShow => {
                Some(Self { status: ReferralStatus::Accepted, appointment: None, ..self.clone() })
            }
            _ => None,
        }
    }

    /// Whether it is from this provider or to them.
    pub fn is_of(&self, provider: &ProviderId) -> bool {
        self.from == *provider || self.to.as_ref() == Some(provider)
    }

    /// What is told of it: to whom it goes while it is new and when it is taken back, and to who refers otherwise.
    pub fn told(&self, id: &ReferralId) -> Option<What> {
        let provider = match self.status {
            ReferralStatus::Requested | ReferralStatus::Withdrawn => self.to.as_ref()?,
            _ => &self.from,
        };
        Some(What::ReferralChanged(ReferralNotice {
            referral_id: id.clone(),
            patient_id: self.patient.clone(),
            provider_id: provider.clone(),
            status: self.status,
        }))
    }

    /// As the API shows it.
    pub fn view(
        &self,
        (id, created_at): (&ReferralId, DateTime<Utc>),
        view: View,
        today: NaiveDate,
    ) -> wire::Referral {
        wire::Referral {
            referral_id: id.to_string(),
            patient_id: self.patient.to_string(),
            from_provider_id: self.from.to_string(),
            to_provider_id: self.to.as_ref().map(ToString::to_string),
            specialization: self.specialization.clone(),
            reason: view.is_whole().then(|| self.reason.clone()),
            urgency: self.urgency,
            expires_on: self.expires_on.map(|day| day.to_string()),
            status: self.status(today),
            appointment_id: self.appointment.as_ref().map(ToString::to_string),
            created_at: instant(created_at),
            history: Vec::new(),
        }
    }
}

impl Entry {
    /// As the API shows it.
    pub fn view(&self, at: DateTime<Utc>, view: View) -> wire::ReferralChange {
        wire::ReferralChange {
            at: instant(at),
            by: self.by.clone(),
            status: self.status,
            reason: self.reason.clone().filter(|_| view.is_whole()),
        }
    }
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Why somebody is referred, or not taken.
pub fn prose(text: &str) -> Result<String, BadField> {
    field::prose(text, REASON_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        field::date(text).unwrap()
    }

    fn read(text: &str) -> Result<Referral, Problem> {
        Referral::parse(&serde_json::from_str(text).unwrap(), day("2026-01-15"))
    }

    fn referral() -> Referral {
        read(r#"{"patientId": "12345", "fromProviderId": "prov001", "toProviderId": "prov002", "reason": "Murmur.", "expiresOn": "2026-03-01"}"#)
            .unwrap()
    }

    fn provider(id: &str) -> ProviderId {
        ProviderId::parse(id).unwrap()
    }

    fn book() -> Step {
        Step::Book(AppointmentId::parse("apt1").unwrap(), provider("prov002"))
    }

    #[test]
    fn it_goes_to_somebody_else_or_to_a_speciality() {
        let with = |to: &str| {
            let text =
                format!(r#"{{"patientId": "12345", "fromProviderId": "prov001", "reason": "Murmur."{to}}}"#);
            read(&text).map_err(|problem| problem.errors[0].field.clone())
        };
        assert!(with(r#", "specialization": "Cardiology""#).is_ok());
        for to in [
            "",
            r#", "toProviderId": "prov001""#,
            r#", "toProviderId": "prov002", "specialization": "Cardiology""#,
        ] {
            assert_eq!(with(to).unwrap_err(), "toProviderId", "{to}");
        }
    }

    #[test]
    fn which_may_follow_which() {
        use ReferralStatus::{Accepted, Booked, Completed, Declined, Requested, Withdrawn};
        let today = day("2026-03-01");
        let mut table = Vec::new();
        for status in [Requested, Accepted, Declined, Booked, Completed, Withdrawn] {
            let it = Referral { status, ..referral() };
            let steps = [Step::Accept(provider("prov002")), Step::Decline, book(), Step::Withdraw];
            let to: Vec<_> =
                steps.into_iter().filter_map(|step| it.after(step, today).ok()).map(|it| it.status).collect();
            table.push(format!("{status:?} -> {to:?}"));
        }
        assert_eq!(
            table,
            [
                "Requested -> [Accepted, Declined, Booked, Withdrawn]",
                "Accepted -> [Declined, Booked, Withdrawn]",
                "Declined -> []",
                "Booked -> []",
                "Completed -> []",
                "Withdrawn -> []",
            ]
        );
    }

    #[test]
    fn after_its_last_day_nothing_comes_of_it() {
        let late = day("2026-03-02");
        assert_eq!(referral().status(late), ReferralStatus::Expired);
        assert_eq!(referral().after(Step::Decline, late), Err(NotPossible::Stands(ReferralStatus::Expired)));
        let booked = referral().after(book(), day("2026-03-01")).unwrap();
        assert_eq!(booked.status(late), ReferralStatus::Booked);
    }

    #[test]
    fn it_follows_its_appointment() {
        let booked = referral().after(book(), day("2026-03-01")).unwrap();
        let completed = booked.follow(AppointmentStatus::Completed).unwrap();
        assert_eq!(
            (completed.status, completed.appointment),
            (ReferralStatus::Completed, booked.appointment.clone())
        );
        let again = booked.follow(AppointmentStatus::Cancelled).unwrap();
        assert_eq!((again.status, again.appointment), (ReferralStatus::Accepted, None));
        assert_eq!(booked.follow(AppointmentStatus::CheckedIn), None);
    }

    #[test]
    fn that_it_is_taken_back_is_told_to_whom_it_was() {
        let id = ReferralId::parse("ref_1").unwrap();
        let told =
            |status: ReferralStatus, to: Option<ProviderId>| match (Referral { to, status, ..referral() })
                .told(&id)
            {
                Some(What::ReferralChanged(notice)) => Some(notice.provider_id),
                _ => None,
            };
        let to = Some(provider("prov002"));
        assert_eq!(told(ReferralStatus::Withdrawn, to.clone()), to);
        assert_eq!(told(ReferralStatus::Declined, to), Some(provider("prov001")));
        assert_eq!(told(ReferralStatus::Withdrawn, None), None);
    }

    #[test]
    fn nobody_else_takes_the_patient() {
        let step = Step::Accept(provider("prov003"));
        assert_eq!(referral().after(step.clone(), day("2026-03-01")), Err(NotPossible::Other));
        let open = Referral { to: None, ..referral() };
        assert_eq!(open.after(step, day("2026-03-01")).unwrap().to, Some(provider("prov003")));
    }
}
