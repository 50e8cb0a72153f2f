//! What can go wrong here, and how each is shown.

use contracts::client::ClientError;
use contracts::problem::{Problem, ProblemCode};
use http_kit::Failure;

/// Why a medical record could not be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none with this id, or none that the caller may know of.
    #[error("no such record")]
    NotFound,
    /// The id was used before.
    #[error("the record id is taken")]
    Taken,
    /// There is no such patient, or none that the caller may know of.
    #[error("no such patient")]
    UnknownPatient,
    /// Whoever broke the glass is not the one who says that it was right.
    #[error("their own emergency")]
    OwnReview,
    /// Somebody has said already what they found.
    #[error("reviewed already")]
    Reviewed,
    /// The request is at fault.
    #[error("the request is not valid: {}", .0.code)]
    Invalid(Box<Problem>),
    /// The patient service does not answer.
    #[error(transparent)]
    Peer(#[from] ClientError),
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
            Self::Taken => Problem::new(ProblemCode::AlreadyExists).fault("recordId", "is taken"),
            Self::UnknownPatient => {
                Problem::new(ProblemCode::InvalidFields).fault("patientId", "must be the id of a patient")
            }
            Self::OwnReview => {
                Problem::new(ProblemCode::Forbidden).detail("Somebody else has to review what you opened.")
            }
            Self::Reviewed => Problem::new(ProblemCode::InvalidTransition).detail("It is reviewed already."),
            Self::Invalid(problem) => (**problem).clone(),
            Self::Peer(error) => http_kit::problem::of_client(error),
            Self::Db(error) => http_kit::problem::of_db(error),
        }
    }
}
