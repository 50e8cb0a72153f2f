//! What can go wrong here, and how each is shown.

use contracts::care_team::TEAM_MAX;
use contracts::client::ClientError;
use contracts::consents::CONSENTS_MAX;
use contracts::problem::{Problem, ProblemCode};
use http_kit::retention::Retaining;
use http_kit::{Failure, access};

use crate::archive::ArchiveError;

/// Why a patient could not be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none with this id, or none that the caller may know of.
    #[error("no such patient")]
    NotFound,
    /// The caller sees the patient by an emergency, and does not treat them.
    #[error("the patient is not treated by the caller")]
    NotTreating,
    /// The id was used before.
    #[error("the patient id is taken")]
    Taken,
    /// The caller does not choose it.
    #[error("the patient id is given by the service")]
    IdIsGiven,
    /// There is no place left.
    #[error("the care team is full")]
    TeamIsFull,
    /// As many hold as may.
    #[error("too many consents hold")]
    TooManyConsents,
    /// An export cannot be made.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A service that holds something of the patient does not answer.
    #[error(transparent)]
    Peer(#[from] ClientError),
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

impl From<Retaining> for Error {
    fn from(error: Retaining) -> Self {
        match error {
            Retaining::Unknown => error.problem().into(),
            Retaining::Db(error) => Self::Db(error),
        }
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
            Self::NotTreating => Problem::new(ProblemCode::Forbidden).detail(access::TREATING_NEEDED),
            Self::Taken => Problem::new(ProblemCode::AlreadyExists).fault("patientId", "is taken"),
            Self::IdIsGiven => Problem::new(ProblemCode::Forbidden)
                .detail("Clinicians leave the id to the service.")
                .fault("patientId", "is given by the service"),
            Self::TeamIsFull => Problem::new(ProblemCode::InvalidTransition)
                .detail(format!("A care team has {TEAM_MAX} places at most.")),
            Self::TooManyConsents => Problem::new(ProblemCode::InvalidTransition)
                .detail(format!("Of a patient's consents {CONSENTS_MAX} hold at once, at most.")),
            Self::Archive(ArchiveError::TooLarge) => Problem::new(ProblemCode::ExportTooLarge),
            Self::Archive(ArchiveError::Zip(_)) => Problem::new(ProblemCode::Internal),
            Self::Peer(error) => http_kit::problem::of_client(error),
            Self::Invalid(problem) => (**problem).clone(),
            Self::Db(error) => http_kit::problem::of_db(error),
        }
    }
}
