//! [`Fallback`]: what a read gets whose service cannot answer: an answer written down beforehand, or the last good one, marked as what it is.
//!
//! "Cannot answer" is: nobody is reached, all are being given a rest, no answer came in time, or it was 502, 503 or 504. A 500 stands: it says that
//! something is wrong with what is there, which an old answer would hide. Writes have no fallback, ever.

pub(crate) mod check;
mod key;
mod larder;
mod writes;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AGE, CACHE_CONTROL, CONTENT_TYPE, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use http_kit::token::Caller;

use crate::exchange::Exchange;
use crate::forward::Answer;
use crate::refusal::{Cause, Refusal};
use key::Key;
pub(crate) use larder::{Larder, Passing};
use writes::Written;

/// Says that an answer is not the service's own, of now.
const FALLBACK: HeaderName = HeaderName::from_static("x-fallback");
/// RFC 9211.
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// What a route does beside forwarding, ready.
#[derive(Debug)]
pub(crate) enum Fallback {
    /// This answer.
    Static(Response<Bytes>),
    /// The last good answer, if it is not older than that.
    Stale { larder: Arc<Larder>, age_max: Duration, route: Arc<str> },
    /// It writes, and what was read there before is not served any more. Its service is told that it has so long.
    Outdates { larder: Arc<Larder>, timeout: Duration },
}

/// What one request may fall back on.
pub(crate) enum Standby<'a> {
    Static(&'a Response<Bytes>),
    Stale(Box<Stale<'a>>),
    Outdates(Box<Written>),
}

/// A read whose last good answer may be there.
pub(crate) struct Stale<'a> {
    larder: &'a Arc<Larder>,
    age_max: Duration,
    key: Key,
    asked: Instant,
    /// HEAD is served from what a GET has left, and leaves nothing.
    is_get: bool,
}

/// What a request asks, as far as it matters here.
pub(crate) struct Asking<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) caller: Option<&'a Caller>,
    pub(crate) since: Instant,
    pub(crate) has_body: bool,
}

/// What the client gets.
pub(crate) enum Settled {
    Service(Answer),
    Own(Response<Bytes>),
}

/// Which kind of fallback it was, for metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Static,
    Stale,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Stale => "stale",
        }
    }
}

impl Fallback {
    /// What a request of this route may fall back on.
    pub(crate) fn standby(&self, asking: &Asking<'_>) -> Option<Standby<'_>> {
        // What is left of a body ends the connection with the refusal that says so; a WebSocket cannot be stood in for.
        let is_plain = !asking.has_body && !asking.headers.contains_key(UPGRADE);
        match self {
            Self::Static(answer) => is_plain.then_some(Standby::Static(answer)),
            Self::Stale { larder, age_max, route } => {
                let route = is_plain.then_some(route)?;
                let key = Key::of(route, asking)?;
                let is_get = *asking.method == Method::GET;
                let stale = Stale { larder, age_max: *age_max, key, asked: asking.since, is_get };
                Some(Standby::Stale(Box::new(stale)))
            }
            Self::Outdates { larder, timeout } => {
                let written = Written::at(Arc::clone(larder), asking.path, (asking.since, *timeout));
                Some(Standby::Outdates(Box::new(written)))
            }
        }
    }
}

/// What the service answered, or what stands in for it.
pub(crate) fn settle(
    standby: Option<Standby<'_>>,
    answer: Result<Answer, Refusal>,
    exchange: &mut Exchange,
) -> Result<Settled, Refusal> {
    match standby {
        None => answer.map(Settled::Service),
        Some(standby) => standby.settle(answer, exchange),
    }
}

impl Standby<'_> {
    /// From here on the service may have the request.
    pub(crate) fn begin(&mut self) {
        if let Self::Outdates(written) = self {
            written.begin();
        }
    }

    fn settle(self, answer: Result<Answer, Refusal>, exchange: &mut Exchange) -> Result<Settled, Refusal> {
        let status = match &answer {
            Ok((response, _)) => response.status(),
            Err(refusal) => StatusCode::from_u16(refusal.problem.status).unwrap_or_default(),
        };
        let is_down = matches!(status.as_u16(), 502..=504);
        let instead = match self {
            Self::Static(ready) => is_down.then(|| (Kind::Static, ready.clone())),
            Self::Stale(stale) if is_down => {
                let came = answer.is_ok().then_some(status);
                stale.serve(came).map(|response| (Kind::Stale, response))
            }
            Self::Stale(stale) => {
                if let Ok((response, _)) = &answer {
                    exchange.copy = stale.note(response.status(), response.headers());
                }
                None
            }
            Self::Outdates(written) => {
                // What came of an attempt before this one is not known, nor is it where somebody between may have spoken for the service.
                let is_first = exchange.retries == 0 && !exchange.is_in_doubt;
                let is_said = answer.is_ok() && !is_down && is_first;
                // Of anything but a clear "no" it cannot be known that nothing was written.
                let is_gone = matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE);
                let is_refused = status.is_client_error() && !is_gone;
                match (is_said, is_refused) {
                    (true, true) => written.forget(),
                    (true, false) => written.answered(),
                    (false, _) => drop(written),
                }
                None
            }
        };
        match instead {
            Some((kind, response)) => {
                exchange.fallback = Some(kind);
                exchange.failure = answer.map_or_else(|refusal| refusal.failure(), |_| Cause::of(status));
                Ok(Settled::Own(response))
            }
            None => answer.map(Settled::Service),
        }
    }
}

impl Stale<'_> {
    /// The last good answer, if there is one that may be served. `came`: what the service answered, if it did.
    fn serve(&self, came: Option<StatusCode>) -> Option<Response<Bytes>> {
        let now = Instant::now();
        let good = self.larder.get(&self.key, now)?;
        let age = now.saturating_duration_since(good.asked);
        if age > self.age_max {
            return None;
        }
        let seconds = age.as_secs();
        let ttl = i64::try_from(seconds).map_or(i64::MIN, |seconds| -seconds);
        let status = match came {
            Some(status) => {
                format!("healthcare-gateway; fwd=stale; fwd-status={}; ttl={ttl}", status.as_u16())
            }
            None => format!("healthcare-gateway; fwd=stale; detail=no-answer; ttl={ttl}"),
        };
        let mut response = Response::new(good.body.clone());
        let headers = response.headers_mut();
        headers.clone_from(&good.headers);
        headers.insert(AGE, HeaderValue::from(seconds));
        headers.insert(FALLBACK, HeaderValue::from_static(Kind::Stale.as_str()));
        if let Ok(status) = HeaderValue::try_from(status) {
            headers.insert(CACHE_STATUS, status);
        }
        // What is old here must not look new elsewhere.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Some(response)
    }

    /// Learns from an answer: a good one is copied as it is streamed.
    fn note(self, status: StatusCode, headers: &HeaderMap) -> Option<Box<Passing>> {
        match status {
            StatusCode::OK if self.is_get => {
                Passing::begin(Arc::clone(self.larder), self.key, headers, (self.asked, self.age_max))
            }
            StatusCode::NOT_MODIFIED => {
                self.larder.confirm(&self.key, headers, (self.asked, self.age_max));
                None
            }
            // The service says that it is not to be seen any more, by this caller,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                self.larder.remove(&self.key);
                None
            }
            // or that it is gone, for anybody: it was erased, perhaps by way of another gateway.
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                self.larder.forget(self.key.path(), Instant::now());
                None
            }
            _ => None,
        }
    }
}

/// An answer that is written down in the configuration. That it can be sent was checked.
fn ready(answer: &settings::StaticAnswer) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(answer.body.clone()));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::try_from(answer.content_type.as_str()) {
        headers.insert(CONTENT_TYPE, value);
    }
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) =
            (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str()))
        {
            headers.insert(name, value);
        }
    }
    headers.insert(FALLBACK, HeaderValue::from_static(Kind::Static.as_str()));
    response
}
