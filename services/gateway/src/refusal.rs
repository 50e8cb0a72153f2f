//! [`Refusal`]: a request that ends at the gateway, as a problem document; and [`Cause`], why its service did not answer it.

use bytes::Bytes;
use contracts::problem::{Problem, ProblemCode};
use futures_util::FutureExt;
use http::header::{ALLOW, CONNECTION};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;

/// Why a request goes no further.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) problem: Box<Problem>,
    /// The methods that the path has, with 405.
    pub(crate) allow: Option<HeaderValue>,
    /// The connection cannot be used after this answer.
    pub(crate) close: bool,
    /// Why the service did not answer, where the code does not tell.
    pub(crate) cause: Option<Cause>,
}

/// Why a service's own good answer was not to be had, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It has as much to do as it may, or the route has.
    Shed,
    /// All that could be asked are being given a rest.
    BreakerOpen,
    /// There was no connection.
    Unreached,
    /// It closed before its answer was there, or spoke another language.
    Broken,
    /// The time was over.
    Deadline,
    /// It answered 502.
    BadGateway,
    /// It answered 503.
    Unavailable,
    /// It answered 504.
    GatewayTimeout,
}

impl Cause {
    /// An answer that a fallback may stand in for.
    pub(crate) fn of(status: StatusCode) -> Option<Self> {
        match status {
            StatusCode::BAD_GATEWAY => Some(Self::BadGateway),
            StatusCode::SERVICE_UNAVAILABLE => Some(Self::Unavailable),
            StatusCode::GATEWAY_TIMEOUT => Some(Self::GatewayTimeout),
            _ => None,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Shed => "shed",
            Self::BreakerOpen => "breaker-open",
            Self::Unreached => "unreached",
            Self::Broken => "broken",
            Self::Deadline => "deadline",
            Self::BadGateway => "502",
            Self::Unavailable => "503",
            Self::GatewayTimeout => "504",
        }
    }
}

impl Refusal {
    /// Why the service did not answer, if that is why it is refused.
    pub(crate) fn failure(&self) -> Option<Cause> {
        let is_late = self.problem.code == ProblemCode::DeadlineExceeded;
        self.cause.or(is_late.then_some(Cause::Deadline))
    }

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
    pub(crate) fn unavailable(
        cause: Cause,
        detail: impl Into<String>,
        retry_after: std::time::Duration,
    ) -> Self {
        let mut problem = Problem::new(ProblemCode::Unavailable).detail(detail);
        problem.retry_after = Some(whole_seconds(retry_after).max(1));
        Self { cause: Some(cause), ..problem.into() }
    }

    /// As the client gets it.
    pub(crate) fn response(self, trace_id: &str) -> Response<Bytes> {
        let Self { problem, allow, close, .. } = self;
        let problem = Problem { trace_id: Some(trace_id.to_owned()), ..*problem };
        let (mut head, body) = http_kit::problem::response(&problem).into_parts();
        if let Some(allow) = allow {
            head.headers.insert(ALLOW, allow);
        }
        if close {
            head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        // A `Full` body is one frame that is there already.
        let bytes = body
            .collect()
            .now_or_never()
            .and_then(Result::ok)
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default();
        Response::from_parts(head, bytes)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem: Box::new(problem), allow: None, close: false, cause: None }
    }
}

/// Rounded up: whoever waits so long does not come too early.
pub(crate) fn whole_seconds(time: std::time::Duration) -> u32 {
    u32::try_from(time.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u32::MAX)
}
