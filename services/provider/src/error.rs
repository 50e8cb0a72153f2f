//! What can go wrong here, and how each is shown.

use contracts::problem::{Problem, ProblemCode};
use contracts::schedules::TIME_OFF_MAX;
use http_kit::Failure;

use crate::domain::credential::NotPossible;

/// Why a provider could not be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none with this id.
    #[error("no such provider")]
    NotFound,
    /// The id was used before.
    #[error("the provider id is taken")]
    Taken,
    /// Somebody else's time off is not the caller's to say.
    #[error("the caller may not say when this provider is away")]
    NotTheirs,
    /// There is no room for more.
    #[error("the provider has as much time off as there is room for")]
    TooMuchTimeOff,
    /// The provider has as many credentials as may be.
    #[error("too many credentials")]
    Credentials,
    /// The provider has an NPI, or it is another's.
    #[error("the provider has an NPI, or this one is another's")]
    NpiTaken,
    /// What stands there does not allow it.
    #[error(transparent)]
    NotPossible(#[from] NotPossible),
    /// It was changed while the registry was asked.
    #[error("the credential changed meanwhile")]
    Changed,
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
            Self::Taken => Problem::new(ProblemCode::AlreadyExists).fault("providerId", "is taken"),
            Self::NotTheirs => Problem::new(ProblemCode::Forbidden)
                .detail("Staff say when a provider is away; clinicians of themselves."),
            Self::TooMuchTimeOff => Problem::new(ProblemCode::InvalidTransition).detail(format!(
                "There are {TIME_OFF_MAX} entries of time off at most. Give some back first."
            )),
            Self::Credentials => Problem::new(ProblemCode::InvalidTransition)
                .detail("The provider has 50 credentials already: delete one that is of no use any more."),
            Self::NpiTaken => Problem::new(ProblemCode::AlreadyExists)
                .fault("number", "is another provider's NPI, or this one has an NPI already"),
            Self::NotPossible(error) => {
                Problem::new(ProblemCode::InvalidTransition).detail(error.to_string())
            }
            Self::Changed => Problem::new(ProblemCode::ConcurrentChange),
            Self::Invalid(problem) => (**problem).clone(),
            Self::Db(error) => http_kit::problem::of_db(error),
        }
    }
}
