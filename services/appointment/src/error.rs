//! What can go wrong here, and how each is shown.

use contracts::appointments::{Busy, Slot};
use contracts::client::ClientError;
use contracts::credentials::NotBookable;
use contracts::problem::{Problem, ProblemCode};
use contracts::series::OccurrenceRefused;
use http_kit::Failure;

use crate::domain::referral::NotPossible;
use crate::domain::status::InvalidTransition;
use crate::domain::week::BadSchedule;

/// Why an appointment could not be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none with this id, or none that the caller may know of.
    #[error("no such appointment")]
    NotFound,
    /// The id was used before.
    #[error("the appointment id is taken")]
    Taken,
    /// The caller may see the appointment, but not do this to it.
    #[error("not permitted: {0}")]
    Forbidden(&'static str),
    /// Provider or patient have another appointment at that time.
    #[error("the time is taken")]
    Overlap(Box<Taken>),
    /// Past, or outside the provider's hours, and the caller may not book there.
    #[error("the time is outside the provider's hours")]
    OutsideHours(Vec<Slot>),
    /// The provider takes no new bookings; and whether the caller is told why.
    #[error("the provider takes no new bookings")]
    NotBookable(NotBookable, bool),
    /// Some times of a series cannot be had.
    #[error("some times of the series are taken")]
    SeriesOverlap(Vec<OccurrenceRefused>),
    /// The status does not allow it.
    #[error(transparent)]
    Transition(#[from] InvalidTransition),
    /// The referral's status does not allow it, or it is somebody else's to do.
    #[error(transparent)]
    Referral(#[from] NotPossible),
    /// The request is at fault.
    #[error("the request is not valid: {}", .0.code)]
    Invalid(Box<Problem>),
    /// It was changed between being read and being written: decide anew on what stands now.
    #[error("the appointment changed meanwhile")]
    Changed,
    /// A peer does not answer.
    #[error(transparent)]
    Peer(#[from] ClientError),
    /// A peer answered what cannot be.
    #[error(transparent)]
    Schedule(#[from] BadSchedule),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

/// What is in the way of a time that was asked for, and what is free instead. Of what the database refused nothing is known yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// What is in the way.
    pub conflict: Option<Busy>,
    /// What is free instead.
    pub slots: Vec<Slot>,
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
            Self::Taken => Problem::new(ProblemCode::AlreadyExists).fault("appointmentId", "is taken"),
            Self::Forbidden(why) => Problem::new(ProblemCode::Forbidden).detail(*why),
            Self::Overlap(taken) => Problem {
                conflict: taken.conflict.clone().map(Box::new),
                ..with_slots(ProblemCode::AppointmentOverlap, &taken.slots)
            },
            Self::SeriesOverlap(occurrences) => {
                Problem { occurrences: occurrences.clone(), ..Problem::new(ProblemCode::AppointmentOverlap) }
            }
            Self::OutsideHours(slots) => with_slots(ProblemCode::OutsideHours, slots),
            Self::NotBookable(why, is_told) => {
                let why = if *is_told { told(*why) } else { "Please choose another, or ask the clinic." };
                Problem::new(ProblemCode::ProviderNotBookable)
                    .detail(format!("The provider takes no new bookings. {why}"))
            }
            Self::Transition(error) => Problem::new(ProblemCode::InvalidTransition).detail(error.to_string()),
            Self::Referral(error) => Problem::new(ProblemCode::InvalidTransition).detail(error.to_string()),
            Self::Invalid(problem) => (**problem).clone(),
            Self::Changed => Problem::new(ProblemCode::ConcurrentChange),
            Self::Peer(error) => http_kit::problem::of_client(error),
            Self::Schedule(error) => Problem::new(ProblemCode::Unavailable).detail(error.to_string()),
            Self::Db(error) => http_kit::problem::of_db(error),
        }
    }
}

fn told(why: NotBookable) -> &'static str {
    match why {
        NotBookable::CredentialRevoked => "A credential of theirs was revoked.",
        NotBookable::CredentialExpired => "A credential of theirs has expired and is to be renewed.",
        NotBookable::Excluded => "They stand on the list of exclusions from federal programmes.",
    }
}

fn with_slots(code: ProblemCode, slots: &[Slot]) -> Problem {
    Problem { slots: slots.to_vec(), ..Problem::new(code) }
}
