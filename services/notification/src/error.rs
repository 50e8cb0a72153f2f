//! What can go wrong here, and how each is shown.

use contracts::client::ClientError;
use contracts::problem::{Problem, ProblemCode};
use http_kit::Failure;

/// Why a notification could not be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none with this id, or none that the caller may know of.
    #[error("no such notification")]
    NotFound,
    /// The patient was erased, or the caller may not know of them.
    #[error("no such patient")]
    UnknownPatient,
    /// The address is written to no more.
    #[error("the address is suppressed")]
    Suppressed,
    /// The request is at fault.
    #[error("the request is not valid: {}", .0.code)]
    Invalid(Box<Problem>),
    /// Whom it is to does not wish such.
    #[error("they do not wish it")]
    OptedOut,
    /// A text cannot be written.
    #[error("a template cannot be rendered: {0}")]
    Template(String),
    /// Another service does not answer.
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
            Self::Suppressed => Problem::new(ProblemCode::Suppressed),
            Self::UnknownPatient => {
                Problem::new(ProblemCode::InvalidFields).fault("patientId", "must be the id of a patient")
            }
            Self::OptedOut => Problem::new(ProblemCode::OptedOut),
            Self::Template(_) => Problem::new(ProblemCode::Internal),
            Self::Invalid(problem) => (**problem).clone(),
            Self::Peer(error) => http_kit::problem::of_client(error),
            Self::Db(error) => http_kit::problem::of_db(error),
        }
    }
}
