//! [`Words`]: a request as HTTP/2 has it (RFC 9113 §8): whom it is for stands beside its path, and nothing in it is meant for a connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, COOKIE, Entry, HOST, TE, TRAILER, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Request, Uri, Version};
use hyper::body::{Body, Frame, SizeHint};

use crate::body::{Broken, Outgoing};
use crate::client::FORWARDED_HOST;
use crate::headers::{REQUEST_ID, TRACEPARENT};
use crate::pace::TIME_LEFT;
use crate::upstream::sending::{is_named, may_trail};
use crate::upstream::{Ask, ConnectionOption, OwnLines};

/// What is the same in all requests to an endpoint.
#[derive(Debug)]
pub(super) struct Words {
    scheme: Scheme,
    authority: Authority,
}

impl Words {
    pub(super) fn new(is_tls: bool, authority: Authority) -> Self {
        Self { scheme: if is_tls { Scheme::HTTPS } else { Scheme::HTTP }, authority }
    }

    pub(super) fn request(&self, ask: &Ask<'_>, body: Outgoing) -> Request<Carried> {
        let mut headers = ask.headers.clone();
        for name in [CONTENT_LENGTH, TRANSFER_ENCODING, HOST] {
            headers.remove(name);
        }
        if let Some(own) = ask.own {
            tell(own, &mut headers);
        }
        keep_secret(&mut headers);
        let mut request = Request::new(Carried::new(body, &headers));
        request.method_mut().clone_from(ask.method);
        *request.uri_mut() = self.uri(ask.uri);
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = headers;
        request
    }

    fn uri(&self, uri: &Uri) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        let root = || PathAndQuery::from_static("/");
        parts.path_and_query = Some(uri.path_and_query().cloned().unwrap_or_else(root));
        // Nothing is missing that would have to be there.
        Uri::from_parts(parts).unwrap_or_default()
    }
}

/// Many clients' requests share a connection, and what one of them sends is not to show in how well another's can be compressed (RFC 7541 §7.1.3).
fn keep_secret(headers: &mut HeaderMap) {
    for name in [AUTHORIZATION, COOKIE] {
        if let Entry::Occupied(mut lines) = headers.entry(name) {
            lines.iter_mut().for_each(|line| line.set_sensitive(true));
        }
    }
}

fn tell(own: &OwnLines<'_>, headers: &mut HeaderMap) {
    headers.extend(own.client.headers());
    if let Some(host) = &own.forwarded_host {
        headers.insert(FORWARDED_HOST, host.clone());
    }
    headers.insert(REQUEST_ID, own.request_id.clone());
    headers.insert(TRACEPARENT, own.traceparent.clone());
    headers.insert(TIME_LEFT, own.time_left.clone());
    if own.option == ConnectionOption::Trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// A request's body, of whose trailers those go on that may, as in HTTP/1.1.
pub(super) struct Carried {
    body: Outgoing,
    /// The fields that may follow it.
    trailer: Vec<HeaderValue>,
}

impl Carried {
    fn new(body: Outgoing, headers: &HeaderMap) -> Self {
        let trailer = match body {
            Outgoing::Streaming(_) => headers.get_all(TRAILER).iter().cloned().collect(),
            Outgoing::Empty | Outgoing::Kept(_) => Vec::new(),
        };
        Self { body, trailer }
    }

    pub(super) fn into_inner(self) -> Outgoing {
        self.body
    }
}

impl Body for Carried {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        polled.map_ok(|frame| match frame.into_trailers() {
            Ok(trailers) => Frame::trailers(carried(trailers, &self.trailer)),
            Err(frame) => frame,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn carried(trailers: HeaderMap, named: &[HeaderValue]) -> HeaderMap {
    let mut carried = HeaderMap::with_capacity(trailers.len());
    for (name, value) in &trailers {
        if may_trail(name) && is_named(named, name) {
            carried.append(name.clone(), value.clone());
        }
    }
    carried
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    #[test]
    fn whom_it_is_for_stands_in_its_address_and_secrets_are_not_remembered() {
        let words = Words::new(true, Authority::from_static("pod:8082"));
        let lines =
            [("authorization", "Bearer a"), ("cookie", "b"), ("content-length", "7"), ("x-note", "c")];
        let headers: HeaderMap = lines
            .into_iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect::<HeaderMap>();
        let uri = Uri::from_static("/x?y=z");
        let ask = Ask { method: &Method::PUT, uri: &uri, headers: &headers, own: None };
        let request = words.request(&ask, Outgoing::Empty);
        assert_eq!(request.uri(), "https://pod:8082/x?y=z");
        assert_eq!((request.method(), request.version()), (&Method::PUT, Version::HTTP_2));
        let seen: Vec<_> =
            request.headers().iter().map(|(name, value)| (name.as_str(), value.is_sensitive())).collect();
        assert_eq!(seen, [("authorization", true), ("cookie", true), ("x-note", false)]);
    }

    #[test]
    fn of_trailers_those_go_on_that_were_announced_and_may() {
        let trailers = ["x-sum", "x-other", "authorization"]
            .map(|name| (name.parse().unwrap(), HeaderValue::from_static("1")));
        let named = [HeaderValue::from_static("X-Sum, authorization")];
        let carried = carried(HeaderMap::from_iter(trailers), &named);
        assert_eq!(carried.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["x-sum"]);
    }
}
