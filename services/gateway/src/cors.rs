//! [`Cors`]: pages of which other origins may call the API from a browser, and what browsers are told of it (Fetch, "CORS protocol"). Without it in
//! the configuration none may, since browsers hear nothing that says otherwise.
//!
//! An origin may or may not, to the letter: there are no patterns, `*` is no origin, and a browser is never asked to send what it knows of its user by
//! itself (credentials). So a page has what it was given a token for, and no more. This keeps pages from reading, not programs: those are kept out by
//! tokens, here as without it.

use std::collections::BTreeSet;

use contracts::origin::{MAX_AGE_SECONDS_MAX, Origin};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use settings::GatewayConfig;

/// What a page may send, beside what the configuration's limits and routes look at.
const SENT: [&str; 10] = [
    "authorization",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "traceparent",
    contracts::deadline::HEADER,
    "x-request-id",
];
/// What a page may read of an answer's head, beside what every page may.
const READ: HeaderValue = HeaderValue::from_static(
    "age, allow, cache-status, etag, location, ratelimit, ratelimit-policy, retry-after, www-authenticate, x-fallback, \
     x-request-id",
);

/// A configuration's origins, and what they are told, ready.
#[derive(Debug)]
pub(crate) struct Cors {
    origins: Vec<HeaderValue>,
    sent: HeaderValue,
    max_age: HeaderValue,
}

/// Who asks, as far as a browser tells: a page that may, by the place of its origin among those that may; or whoever else. Small, since a request
/// carries it all its way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Page(Option<u16>);

impl Cors {
    /// What a configuration says, if it says anything. That its origins are some was checked.
    pub(crate) fn of(config: &GatewayConfig) -> Option<Box<Self>> {
        let cors = config.cors.as_ref()?;
        let origins = cors.origins.iter().filter_map(|origin| origin.parse::<Origin>().ok());
        let origins = origins.filter_map(|origin| HeaderValue::try_from(origin.as_str()).ok()).collect();
        Some(Box::new(Self { origins, sent: sent(config), max_age: HeaderValue::from(cors.max_age_seconds) }))
    }

    /// Whose page has sent a request.
    pub(crate) fn page(&self, headers: &HeaderMap) -> Page {
        let mut lines = headers.get_all(ORIGIN).iter();
        let only = lines.next().filter(|_| lines.next().is_none());
        let place = only.and_then(|origin| self.origins.iter().position(|known| known == origin));
        Page(place.and_then(|place| u16::try_from(place).ok()))
    }

    /// Adds to the answer to OPTIONS what a browser asks beforehand: by which methods, and with which headers, a page may call a path.
    pub(crate) fn preflight(&self, asked: &HeaderMap, methods: &HeaderValue, answer: &mut HeaderMap) {
        if asked.contains_key(ACCESS_CONTROL_REQUEST_METHOD) && self.page(asked).0.is_some() {
            answer.insert(ACCESS_CONTROL_ALLOW_METHODS, methods.clone());
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, self.sent.clone());
            answer.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        }
    }

    /// Tells the browser. Whoever keeps an answer is told that it depends on who asked, whether or not this one may.
    pub(crate) fn tell(&self, Page(place): Page, answer: &mut HeaderMap) {
        answer.append(VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = place.and_then(|place| self.origins.get(usize::from(place))) {
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, READ);
        }
    }
}

/// What is wrong with a configuration's origins.
pub(crate) fn check(cors: &settings::Cors) -> Vec<String> {
    let faults = cors.origins.iter().enumerate().filter_map(|(index, origin)| {
        let fault = origin.parse::<Origin>().err()?;
        Some(format!("cors.origins[{index}]: {origin} {fault}"))
    });
    let none = cors.origins.is_empty().then(|| "cors.origins: must not be empty".to_owned());
    let too_long = (cors.max_age_seconds > MAX_AGE_SECONDS_MAX)
        .then(|| format!("cors.maxAgeSeconds: must be at most {MAX_AGE_SECONDS_MAX}"));
    faults.chain(none).chain(too_long).collect()
}

/// The names of what a page may send: a header that a route or a limit goes by is of no use to who may not send it.
fn sent(config: &GatewayConfig) -> HeaderValue {
    let limits = config.routes.iter().filter_map(|route| route.rate_limits.as_ref());
    let keys = limits.chain([&config.rate_limits]).filter_map(|limits| limits.per_key.as_ref());
    let keys = keys.map(|key| key.header.as_str());
    let wanted = config.routes.iter().flat_map(|route| &route.headers).map(|header| header.name.as_str());
    // That they are names was checked.
    let named = keys.chain(wanted).filter_map(|name| name.parse::<HeaderName>().ok());
    let known = SENT.map(HeaderName::from_static);
    let names: BTreeSet<String> = known.into_iter().chain(named).map(|name| name.to_string()).collect();
    let line = names.into_iter().collect::<Vec<_>>().join(", ");
    HeaderValue::try_from(line).unwrap_or_else(|_| HeaderValue::from_static("authorization, content-type"))
}
