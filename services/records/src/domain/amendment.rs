//! A patient's request that a record be amended, and what may come of it: pure rules, no SQL, no HTTP, no clock.

use chrono::{DateTime, Days, Utc};
use contracts::amendments::{
    self as wire, AmendmentFilter, AmendmentRequest, AmendmentStatus, DUE_DAYS, DecisionRequest,
    DisagreementRequest, REASON_CHARS_MAX, TEXT_CHARS_MAX,
};
use contracts::field;
use contracts::id::{AmendmentId, PatientId, RecordId};
use contracts::problem::{Faults, Problem};
use http_kit::page::{Newest, Window};
use serde::{Deserialize, Serialize};

use super::break_glass::instant;

/// What was said of it: what is sealed as the row's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amendment {
    /// What the record should say.
    pub text: String,
    /// Why.
    pub reason: String,
    /// What came of it.
    pub decision: Option<Decision>,
    /// What the patient says to a denial.
    pub disagreement: Option<Disagreement>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether it was right.
    pub is_accepted: bool,
    /// Why.
    pub reason: String,
    /// Who says so.
    pub user: String,
    /// By name.
    pub username: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// What the patient says to a denial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disagreement {
    /// In their words.
    pub text: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// Why a step cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    /// Somebody has decided before.
    #[error("It is decided already.")]
    Decided,
    /// There is no denial to disagree with.
    #[error("It was not denied.")]
    NotDenied,
    /// The patient has said so before.
    #[error("The disagreement is stated already.")]
    Disagreed,
}

impl Amendment {
    /// Reads a request.
    pub fn parse(request: &AmendmentRequest) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let text = faults.take("text", field::prose(&request.text, TEXT_CHARS_MAX));
        let reason = faults.take("reason", field::prose(&request.reason, REASON_CHARS_MAX));
        let asked = text.zip(reason);
        faults.finish(asked.map(|(text, reason)| Self { text, reason, decision: None, disagreement: None }))
    }

    /// How far it is.
    pub fn status(&self) -> AmendmentStatus {
        match &self.decision {
            None => AmendmentStatus::Requested,
            Some(decision) if decision.is_accepted => AmendmentStatus::Accepted,
            Some(_) => AmendmentStatus::Denied,
        }
    }

    /// With what came of it. That is said once.
    pub fn decided(self, decision: Decision) -> Result<Self, Impossible> {
        match self.decision {
            None => Ok(Self { decision: Some(decision), ..self }),
            Some(_) => Err(Impossible::Decided),
        }
    }

    /// With what the patient says to its denial (45 CFR 164.526(d)(2)). That too is said once.
    pub fn disagreed(self, disagreement: Disagreement) -> Result<Self, Impossible> {
        match (self.status(), &self.disagreement) {
            (AmendmentStatus::Denied, None) => Ok(Self { disagreement: Some(disagreement), ..self }),
            (AmendmentStatus::Denied, Some(_)) => Err(Impossible::Disagreed),
            _ => Err(Impossible::NotDenied),
        }
    }
}

/// The reason of a decision.
pub fn reason(request: &DecisionRequest) -> Result<String, Problem> {
    let mut faults = Faults::new();
    let reason = faults.take("reason", field::prose(&request.reason, REASON_CHARS_MAX));
    faults.finish(reason)
}

/// What a patient says to a denial.
pub fn disagreement(request: &DisagreementRequest) -> Result<String, Problem> {
    let mut faults = Faults::new();
    let text = faults.take("text", field::prose(&request.text, TEXT_CHARS_MAX));
    faults.finish(text)
}

/// When a request is to be answered.
pub fn due_by(requested_at: DateTime<Utc>) -> DateTime<Utc> {
    requested_at + Days::new(u64::from(DUE_DAYS))
}

/// What was said, with what stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The id.
    pub id: AmendmentId,
    /// Counts changes, from 1.
    pub version: i64,
    /// Of which record.
    pub record: RecordId,
    /// Whose.
    pub patient: PatientId,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// What was said.
    pub amendment: Amendment,
}

impl Kept {
    /// As the API shows it.
    pub fn view(&self) -> wire::Amendment {
        let Amendment { text, reason, decision, disagreement } = &self.amendment;
        wire::Amendment {
            amendment_id: self.id.clone(),
            record_id: self.record.clone(),
            patient_id: self.patient.clone(),
            text: text.clone(),
            reason: reason.clone(),
            status: self.amendment.status(),
            requested_at: instant(self.requested_at),
            due_by: instant(due_by(self.requested_at)),
            decision: decision.as_ref().map(|decision| wire::Decided {
                reason: decision.reason.clone(),
                user_id: decision.user.clone(),
                username: decision.username.clone(),
                decided_at: instant(decision.at),
            }),
            disagreement: disagreement.as_ref().map(|disagreement| wire::Disagreement {
                text: disagreement.text.clone(),
                stated_at: instant(disagreement.at),
            }),
        }
    }
}

/// A list of them, what is due first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Whether those are meant that wait for an answer; else those that have one.
    pub open: Option<bool>,
    /// Whose.
    pub patient: Option<PatientId>,
    /// The stretch of the list.
    pub window: Window<Newest>,
}

impl Search {
    /// Reads a filter.
    pub fn parse(filter: &AmendmentFilter) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let patient = filter.patient_id.as_deref().map(PatientId::parse).transpose();
        let patient = faults.take("patientId", patient);
        let window = Window::parse(filter.limit, filter.cursor.as_deref(), &mut faults);
        let search = patient.zip(window);
        faults.finish_query(search).map(|(patient, window)| Self { open: filter.open, patient, window })
    }

    /// The same list, but of this patient alone; `None` if it was of another.
    #[must_use]
    pub fn only_of(self, patient: PatientId) -> Option<Self> {
        let fits = self.patient.as_ref().is_none_or(|asked| *asked == patient);
        fits.then_some(Self { patient: Some(patient), ..self })
    }

    /// Everything on the page sorts above this: the end of the page before, or a time before all.
    pub fn above(&self) -> Newest {
        self.window.after.clone().unwrap_or_default()
    }

    /// Whether those are wanted that wait for an answer, and those that have one.
    pub fn wanted(&self) -> (bool, bool) {
        (self.open != Some(false), self.open != Some(true))
    }
}

#[cfg(test)]
mod tests {
    use contracts::problem::ProblemCode;

    use super::*;

    fn asked() -> Amendment {
        let request =
            AmendmentRequest { text: "The left hand.".to_owned(), reason: "It was mistyped.".to_owned() };
        Amendment::parse(&request).unwrap()
    }

    fn decision(is_accepted: bool) -> Decision {
        let reason = "So says the X-ray.".to_owned();
        Decision { is_accepted, reason, user: "usr_1".to_owned(), username: None, at: DateTime::default() }
    }

    fn disagreement() -> Disagreement {
        Disagreement { text: "It shows the left one.".to_owned(), at: DateTime::default() }
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let request = AmendmentRequest { text: " ".to_owned(), reason: "x".repeat(REASON_CHARS_MAX + 1) };
        let problem = Amendment::parse(&request).unwrap_err();
        let fields: Vec<_> = problem.errors.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!((problem.code, fields), (ProblemCode::InvalidFields, vec!["text", "reason"]));
    }

    #[test]
    fn it_is_decided_once_and_a_denial_disagreed_with_once() {
        let status = |amendment: &Amendment| amendment.status();
        assert_eq!(status(&asked()), AmendmentStatus::Requested);
        assert_eq!(asked().disagreed(disagreement()), Err(Impossible::NotDenied));

        let accepted = asked().decided(decision(true)).unwrap();
        assert_eq!(status(&accepted), AmendmentStatus::Accepted);
        assert_eq!(accepted.clone().decided(decision(false)), Err(Impossible::Decided));
        assert_eq!(accepted.disagreed(disagreement()), Err(Impossible::NotDenied));

        let denied = asked().decided(decision(false)).unwrap();
        assert_eq!(status(&denied), AmendmentStatus::Denied);
        let disagreed = denied.disagreed(disagreement()).unwrap();
        assert_eq!(status(&disagreed), AmendmentStatus::Denied);
        assert_eq!(disagreed.disagreed(disagreement()), Err(Impossible::Disagreed));
    }

    #[test]
    fn an_answer_is_due_after_sixty_days_over_the_end_of_a_year_too() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(due_by(at("2026-12-01T09:00:00Z")), at("2027-01-30T09:00:00Z"));
    }

    #[test]
    fn a_patients_own_list_is_never_anothers() {
        let of = |patient: Option<&str>| {
            let patient_id = patient.map(str::to_owned);
            Search::parse(&AmendmentFilter { patient_id, ..AmendmentFilter::default() }).unwrap()
        };
        let own = PatientId::parse("p1").unwrap();
        assert_eq!(of(None).only_of(own.clone()).unwrap().patient, Some(own.clone()));
        assert_eq!(of(Some("p2")).only_of(own), None);
    }
}
