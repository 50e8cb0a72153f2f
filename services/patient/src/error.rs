//! What can go wrong here, and how each is shown.

use contracts::care_team::TEAM_MAX;
use contracts::problem::{Problem, ProblemCode};
use http_kit::Failure;

/// Why a patient could not be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none with this id, or none that the caller may know of.
    #[error("no such patient")]
    NotFound,
    /// The id was used before.
    #[error("the patient id is taken")]
    Taken,
    /// There is no place left.
    #[error("the care team is full")]
    TeamIsFull,
    /// The request is at fault.
    #[error("the request is not valid: {}", .0.code)]
    Invalid(Box<Problem>),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Invalid(Box::new(problem))
    }
}

impl db::Retry for Error {
    fn is_retryable(&self) -> bool {
        matches!(self, Self::Db(error) if error.is_retryable())
    }
}

impl Failure for Error {
    fn problem(&self) -> Problem {
        match self {
            Self::NotFound => Problem::new(ProblemCode::NotFound),
            Self::Taken => Problem::new(ProblemCode::AlreadyExists).fault("patientId", "is taken"),
            Self::TeamIsFull => Problem::new(ProblemCode::InvalidTransition)
                .detail(format!("A care team has {TEAM_MAX} places at most.")),
            Self::Invalid(problem) => (**problem).clone(),
            Self::Db(error) => http_kit::problem::of_db(error),
        }
    }
}
