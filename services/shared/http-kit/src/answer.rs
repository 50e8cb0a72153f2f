//! [`Answer`]: what a handler gives back when all went well.

use bytes::Bytes;
use contracts::endpoint::{Endpoint, Representation};
use db::KeptAnswer;
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LOCATION,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::caller::View;
use crate::etag;
use crate::events::Events;

/// What an answer is, if nothing else is said.
const JSON: &str = "application/json";
/// A page for people: it runs and loads nothing, stands in nobody's frame, and its form goes back to where it came from.
pub(crate) const HTML: &str = "text/html; charset=utf-8";
pub(crate) const HTML_POLICY: &str =
    "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// An operation's success.
#[derive(Debug)]
pub struct Answer<E: Endpoint> {
    reply: E::Reply,
    status: u16,
    version: Option<i64>,
    view: View,
    location: Option<String>,
    no_store: bool,
    file: Option<&'static str>,
    events: Option<Events>,
    media_type: &'static str,
}

impl<E: Endpoint> Answer<E> {
    /// With the status that the operation declares.
    pub fn new(reply: E::Reply) -> Self {
        let (status, view) = (E::OPERATION.status, View::Whole);
        let media_type = E::OPERATION.media_type;
        Self {
            reply,
            status,
            version: None,
            view,
            location: None,
            no_store: false,
            file: None,
            events: None,
            media_type,
        }
    }

    /// With the version that the resource now has, which becomes its entity tag.
    #[must_use]
    pub fn version(mut self, version: i64) -> Self {
        self.version = Some(version);
        self
    }

    /// With how much of that version is shown: its entity tag says so too.
    #[must_use]
    pub fn shown(mut self, view: View) -> Self {
        self.view = view;
        self
    }

    /// With where the new resource stands: the operation's own path and its id.
    #[must_use]
    pub fn located(mut self, id: impl std::fmt::Display) -> Self {
        self.location = Some(format!("{}/{id}", E::OPERATION.path));
        self
    }

    /// With where the new resource stands, if that is not below the operation's own path.
    #[must_use]
    pub fn located_at(mut self, path: String) -> Self {
        self.location = Some(path);
        self
    }

    /// 202 instead: accepted, not yet done.
    #[must_use]
    pub fn accepted(mut self) -> Self {
        self.status = StatusCode::ACCEPTED.as_u16();
        self
    }

    /// For no cache at all, not even the client's own: tokens (RFC 6749 §5.1).
    #[must_use]
    pub fn no_store(mut self) -> Self {
        self.no_store = true;
        self
    }

    /// Of another kind than the operation declares, where a caller may ask for one.
    #[must_use]
    pub fn of_type(mut self, media_type: &'static str) -> Self {
        self.media_type = media_type;
        self
    }

    /// As a file to be kept under this name (RFC 6266).
    #[must_use]
    pub fn file(mut self, name: &'static str) -> Self {
        self.file = Some(name);
        self
    }

    /// As a stream of events, which goes on after the handler is done.
    #[must_use]
    pub fn streaming(mut self, events: Events) -> Self {
        self.events = Some(events);
        self
    }

    /// The events that it goes on with, if it is such a stream.
    pub(crate) fn take_events(&mut self) -> Option<Events> {
        self.events.take()
    }

    /// The reply.
    pub fn reply(&self) -> &E::Reply {
        &self.reply
    }

    /// As it goes out.
    pub(crate) fn render(&self) -> KeptAnswer {
        let body = self.reply.to_bytes();
        let of_version = |version| etag::of_view(version, self.view);
        let etag = self.version.map_or_else(|| etag::of_body(&body), of_version);
        let mut headers = vec![(ETAG.to_string(), etag)];
        if self.media_type != JSON {
            headers.push((CONTENT_TYPE.to_string(), self.media_type.to_owned()));
        }
        if self.media_type == HTML {
            headers.push((CONTENT_SECURITY_POLICY.to_string(), HTML_POLICY.to_owned()));
        }
        let named = |name| (CONTENT_DISPOSITION.to_string(), format!("attachment; filename=\"{name}\""));
        headers.extend(self.file.map(named));
        headers.extend(self.no_store.then(|| (CACHE_CONTROL.to_string(), "no-store".to_owned())));
        headers.extend(self.location.clone().map(|location| (LOCATION.to_string(), location)));
        KeptAnswer { status: self.status, headers, body }
    }
}

/// The HTTP answer; 304 if the client has it already.
pub(crate) fn response<B: From<Bytes>>(answer: KeptAnswer, request: Option<&HeaderMap>) -> Response<B> {
    let etag = answer.headers.iter().find(|(name, _)| *name == ETAG.as_str()).map(|(_, value)| value);
    let known = request
        .zip(etag)
        .is_some_and(|(headers, etag)| answer.status == 200 && etag::not_modified(headers, etag));
    let body = if known { Bytes::new() } else { Bytes::from(answer.body) };
    let mut response = Response::new(B::from(body));
    *response.status_mut() = if known {
        StatusCode::NOT_MODIFIED
    } else {
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK)
    };
    let headers = response.headers_mut();
    if !known {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    }
    // Health data stays out of every shared cache; a private one asks each time (RFC 9111 §5.2.2.4).
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    response
}
