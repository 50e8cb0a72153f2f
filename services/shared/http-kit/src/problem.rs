//! Problem documents as HTTP answers.

use bytes::Bytes;
use contracts::problem::{Problem, ProblemCode};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;

use crate::token::TokenError;

/// The media type of problem documents (RFC 9457 §6.1).
pub const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Auth, which does not answer just now, is asked again all the time.
const RETRY_AFTER_SECONDS: u32 = 5;

/// The answer that shows a problem.
pub fn response(problem: &Problem) -> Response<Full<Bytes>> {
    let body = serde_json::to_vec(problem).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() =
        StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, MEDIA_TYPE);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = problem.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if problem.code == ProblemCode::Unauthenticated {
        // RFC 6750 §3.
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"healthcare\""));
    }
    response
}

/// What a caller is told of a token that is not accepted.
pub fn of_token(error: &TokenError) -> Problem {
    match error {
        TokenError::Unavailable | TokenError::Unread | TokenError::Stale => {
            Problem { retry_after: Some(RETRY_AFTER_SECONDS), ..Problem::new(ProblemCode::Unavailable) }
        }
        _ => Problem::new(ProblemCode::Unauthenticated),
    }
    .detail(error.to_string())
}

/// How a database's error is shown where a service has nothing more fitting to say.
#[cfg(feature = "service")]
pub fn of_db(error: &db::Error) -> Problem {
    match error {
        // Another process, which has heard of the key that is used now, will do it; or whoever keeps the key will, in a while.
        db::Error::Sealed(db::SealError::RetiredKek { .. } | db::SealError::KeeperRefused { .. })
        | db::Error::KeeperSilent { .. }
        | db::Error::Unavailable(_)
        | db::Error::Retryable(_)
        | db::Error::NotMigrated => Problem::new(ProblemCode::Unavailable),
        db::Error::Audit(_) => Problem::new(ProblemCode::AuditUnavailable),
        db::Error::LostRace => Problem::new(ProblemCode::ConcurrentChange),
        db::Error::Superseded => Problem::new(ProblemCode::IdempotencyInFlight),
        db::Error::KeyDestroyed { .. } => Problem::new(ProblemCode::Gone),
        db::Error::Constraint { .. } | db::Error::Sealed(_) | db::Error::Other(_) => {
            Problem::new(ProblemCode::Internal)
        }
    }
}

/// How a peer's failure is shown: what a peer says of our own request is no business of the caller's.
#[cfg(feature = "service")]
pub fn of_client(_: &contracts::client::ClientError) -> Problem {
    Problem::new(ProblemCode::Unavailable).detail("Another service that is needed does not answer.")
}
