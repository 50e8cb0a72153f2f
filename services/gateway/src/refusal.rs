//! [`Refusal`]: a request that ends at the gateway, as a problem document.

use contracts::problem::{Problem, ProblemCode};
use http::HeaderValue;

/// Why a request goes no further.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) problem: Box<Problem>,
    /// The methods that the path has, with 405.
    pub(crate) allow: Option<HeaderValue>,
    /// The connection cannot be used after this answer.
    pub(crate) close: bool,
}

impl Refusal {
    pub(crate) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Problem::new(code).detail(detail).into()
    }

    pub(crate) fn bare(code: ProblemCode) -> Self {
        Problem::new(code).into()
    }

    /// The request cannot be read with certainty, so nor can what follows it on the connection.
    pub(crate) fn malformed(detail: &str) -> Self {
        Self { close: true, ..Self::new(ProblemCode::MalformedRequest, detail) }
    }

    /// 503, worth another try after so many seconds.
    pub(crate) fn unavailable(detail: impl Into<String>, retry_after: std::time::Duration) -> Self {
        let mut problem = Problem::new(ProblemCode::Unavailable).detail(detail);
        problem.retry_after = Some(whole_seconds(retry_after).max(1));
        problem.into()
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem: Box::new(problem), allow: None, close: false }
    }
}

/// Rounded up: whoever waits so long does not come too early.
pub(crate) fn whole_seconds(time: std::time::Duration) -> u32 {
    u32::try_from(time.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u32::MAX)
}
