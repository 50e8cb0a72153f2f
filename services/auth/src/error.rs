//! What can go wrong here, and how each is shown.

use contracts::client::ClientError;
use contracts::field::BadField;
use contracts::problem::{Problem, ProblemCode};
use http_kit::Failure;
use http_kit::audit::Unreadable;

use crate::password::Busy;
use crate::store::role::ROLES_MAX;

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such user.
    #[error("no such user")]
    NotFound,
    /// There is no such session, or it is somebody else's.
    #[error("no such session")]
    NoSession,
    /// The name was used before.
    #[error("the user name is taken")]
    Taken,
    /// Unknown user, wrong password, disabled or locked account: nobody is told which.
    #[error("user name or password is wrong")]
    InvalidCredentials,
    /// The password was right, and a code of the second factor is needed too.
    #[error("a code is needed")]
    SecondFactorRequired,
    /// No secret was offered, or too long ago.
    #[error("no second factor was offered")]
    NothingOffered,
    /// There is none.
    #[error("there is no second factor")]
    NoSecondFactor,
    /// A role of the user asks for it.
    #[error("a role asks for a second factor")]
    SecondFactorAsked,
    /// Nobody resets their own.
    #[error("one's own second factor is not reset")]
    OwnSecondFactor,
    /// The address has failed too often, whatever the accounts.
    #[error("too many failed attempts from one address")]
    TooManyAttempts {
        /// Until it may try again, seconds.
        seconds: u32,
    },
    /// The refresh token, or the token to log out, is none of ours or no longer good.
    #[error("the token is not valid")]
    BadToken,
    /// The token cannot be checked just now.
    #[error("the token cannot be checked just now")]
    NoKeys,
    /// Nobody would be left to run the system.
    #[error("the last active administrator must stay one")]
    LastAdmin,
    /// The role's name was used before.
    #[error("the role's name is taken")]
    RoleTaken,
    /// More roles than a clinic may make.
    #[error("there are as many roles as there may be")]
    TooManyRoles,
    /// Every stack has it as it is.
    #[error("a built-in role cannot be changed")]
    BuiltInRole,
    /// A field is not of its form.
    #[error("{0} {1}")]
    BadField(&'static str, BadField),
    /// More logins than can be checked.
    #[error("too many passwords are being checked")]
    Busy,
    /// The request is at fault.
    #[error("the request is not valid: {}", .0.code)]
    Invalid(Box<Problem>),
    /// Another service.
    #[error(transparent)]
    Peer(#[from] ClientError),
    /// Whoever calls was logged out, or may not any more, since their token was looked at.
    #[error("the session has ended meanwhile")]
    SessionOver,
    /// The audit.
    #[error(transparent)]
    Audit(#[from] Unreadable),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Invalid(Box::new(problem))
    }
}

impl From<Busy> for Error {
    fn from(Busy: Busy) -> Self {
        Self::Busy
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
            Self::NotFound | Self::NoSession => Problem::new(ProblemCode::NotFound),
            Self::Taken => Problem::new(ProblemCode::AlreadyExists).fault("username", "is taken"),
            Self::InvalidCredentials => Problem::new(ProblemCode::InvalidCredentials),
            Self::SecondFactorRequired => Problem::new(ProblemCode::SecondFactorRequired),
            Self::NothingOffered => Problem::new(ProblemCode::InvalidTransition)
                .detail("No second factor was offered, or too long ago: POST /api/auth/me/second-factor."),
            Self::NoSecondFactor => {
                Problem::new(ProblemCode::InvalidTransition).detail("There is no second factor.")
            }
            Self::SecondFactorAsked => Problem::new(ProblemCode::InvalidTransition)
                .detail("A role asks for a second factor: enrol another in the place of this one."),
            Self::OwnSecondFactor => Problem::new(ProblemCode::InvalidTransition)
                .detail("Nobody resets their own: replace it with a code, or ask another administrator."),
            Self::TooManyAttempts { seconds } => {
                Problem { retry_after: Some(*seconds), ..Problem::new(ProblemCode::RateLimited) }
                    .detail("Too many failed logins from this address.")
            }
            Self::BadToken => Problem::new(ProblemCode::Unauthenticated).detail("the token is not valid"),
            Self::NoKeys | Self::Busy => Problem::new(ProblemCode::Unavailable),
            Self::SessionOver => {
                Problem::new(ProblemCode::Unauthenticated).detail("the session has ended meanwhile")
            }
            Self::LastAdmin => Problem::new(ProblemCode::InvalidTransition)
                .detail("The last active administrator cannot be disabled or deleted, nor lose the role."),
            Self::RoleTaken => Problem::new(ProblemCode::AlreadyExists).fault("role", "is taken"),
            Self::TooManyRoles => Problem::new(ProblemCode::InvalidFields)
                .fault("role", format!("is one more than the {ROLES_MAX} that a clinic may make")),
            Self::BuiltInRole => Problem::new(ProblemCode::InvalidTransition)
                .detail("Every stack has this role as it is: make one of your own."),
            Self::BadField(field, why) => {
                Problem::new(ProblemCode::InvalidFields).fault(*field, why.to_string())
            }
            Self::Invalid(problem) => (**problem).clone(),
            Self::Audit(error) => error.problem(),
            Self::Peer(error) => http_kit::problem::of_client(error),
            Self::Db(error) => http_kit::problem::of_db(error),
        }
    }
}
