//! What breaking the glass asks for, and what a review says of it: pure rules, no SQL, no HTTP, no clock.

use chrono::{DateTime, SecondsFormat, Utc};
use contracts::break_glass::{
    self as wire, BreakGlassFilter, BreakGlassRequest, BrokenGlass, Finding, NOTE_CHARS_MAX,
    REASON_CHARS_MAX, REASON_CHARS_MIN, ReviewRequest, ReviewStatus,
};
use contracts::field::{self, BadField};
use contracts::id::{GrantId, PatientId};
use contracts::problem::{Faults, Problem, ProblemCode};
use http_kit::page::{Newest, Window};
use serde::{Deserialize, Serialize};

/// A request to see somebody's records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breaking {
    /// Whose.
    pub patient: PatientId,
    /// Why.
    pub reason: String,
}

impl Breaking {
    /// Reads a request.
    pub fn parse(request: &BreakGlassRequest) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let patient = faults.take("patientId", PatientId::parse(&request.patient_id));
        let reason = faults.take("reason", reason(&request.reason));
        faults.finish(patient.zip(reason).map(|(patient, reason)| Self { patient, reason }))
    }
}

/// Words, and not a key held down: whoever reviews it has nothing else to go by.
fn reason(text: &str) -> Result<String, BadField> {
    let text = field::prose(text, REASON_CHARS_MAX)?;
    let mut letters: Vec<char> = text.chars().filter(|letter| letter.is_alphanumeric()).collect();
    let written = letters.len();
    letters.sort_unstable();
    letters.dedup();
    if written >= REASON_CHARS_MIN && letters.len() > 2 {
        return Ok(text);
    }
    Err(BadField::new("must say why, in 10 to 500 characters"))
}

/// What was done, as it is kept: what is sealed as the row's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// Who did it, by name.
    pub username: Option<String>,
    /// Why, as they said.
    pub reason: String,
    /// What came of the review.
    pub review: Option<Review>,
}

/// What somebody found who looked at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Whether it was right.
    pub finding: Finding,
    /// In plain words.
    pub note: Option<String>,
    /// Who says so.
    pub user: String,
    /// By name.
    pub username: Option<String>,
}

/// A review's own words.
pub fn review(request: &ReviewRequest) -> Result<(Finding, Option<String>), Problem> {
    let mut faults = Faults::new();
    let note = request.note.as_deref().map(|note| field::prose(note, NOTE_CHARS_MAX)).transpose();
    let note = faults.take("note", note);
    faults.finish(note.map(|note| (request.finding, note)))
}

/// What was done, with what stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The grant.
    pub id: GrantId,
    /// When.
    pub broken_at: DateTime<Utc>,
    /// Who.
    pub user: String,
    /// Whose records.
    pub patient: PatientId,
    /// Until when.
    pub until: DateTime<Utc>,
    /// When somebody looked at it.
    pub reviewed_at: Option<DateTime<Utc>>,
    /// What was said.
    pub broken: Broken,
}

/// An instant as the API writes it.
pub fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

impl Kept {
    /// As the API shows it.
    pub fn view(&self) -> BrokenGlass {
        let review = self.broken.review.as_ref().zip(self.reviewed_at);
        BrokenGlass {
            grant_id: self.id.clone(),
            patient_id: self.patient.clone(),
            user_id: self.user.clone(),
            username: self.broken.username.clone(),
            reason: self.broken.reason.clone(),
            broken_at: instant(self.broken_at),
            until: instant(self.until),
            status: if self.reviewed_at.is_some() { ReviewStatus::Reviewed } else { ReviewStatus::Open },
            review: review.map(|(review, at)| wire::Review {
                finding: review.finding,
                note: review.note.clone(),
                user_id: review.user.clone(),
                username: review.username.clone(),
                reviewed_at: instant(at),
            }),
        }
    }
}

/// A list of them, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// How far their reviews are.
    pub status: Option<ReviewStatus>,
    /// Whose records.
    pub patient: Option<PatientId>,
    /// The stretch of the list.
    pub window: Window<Newest>,
}

impl Search {
    /// Reads a filter.
    pub fn parse(filter: &BreakGlassFilter) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let patient = filter.patient_id.as_deref().map(PatientId::parse).transpose();
        let patient = faults.take("patientId", patient);
        let window = Window::parse(filter.limit, filter.cursor.as_deref(), &mut faults);
        let search =
            patient.zip(window).map(|(patient, window)| Self { status: filter.status, patient, window });
        faults
            .finish(search)
            .map_err(|problem| Problem { errors: problem.errors, ..Problem::new(ProblemCode::InvalidQuery) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaking(patient: &str, reason: &str) -> Result<Breaking, Problem> {
        Breaking::parse(&BreakGlassRequest { patient_id: patient.to_owned(), reason: reason.to_owned() })
    }

    #[test]
    fn a_reason_says_something() {
        let good = "Unconscious in the emergency room.";
        assert_eq!(breaking("12345", good).unwrap().reason, good);
        let long = "abcdefghij ".repeat(50);
        for reason in
            ["", "          ", "urgent", "..........", "aaaaaaaaaaaaaaa", "x x x x x x x x x x x", &long]
        {
            let problem = breaking("12345", reason).unwrap_err();
            assert_eq!(
                (problem.code, problem.errors[0].field.as_str()),
                (ProblemCode::InvalidFields, "reason")
            );
        }
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let problem = breaking("../x", "").unwrap_err();
        let fields: Vec<_> = problem.errors.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["patientId", "reason"]);
    }
}
