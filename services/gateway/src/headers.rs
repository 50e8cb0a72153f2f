//! What is passed on and what is not: hop-by-hop headers end here, and what we say of the client replaces what it said of itself.

use http::header::{
    CACHE_CONTROL, CONNECTION, EXPECT, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    STRICT_TRANSPORT_SECURITY, TE, TRANSFER_ENCODING, UPGRADE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::client::{Client, FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO};

/// `X-Request-Id`.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// `traceparent` (W3C Trace Context).
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const FORWARDED: HeaderName = http::header::FORWARDED;
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Longer ones are taken for noise.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// Takes out what is meant for this connection alone (RFC 9110 §7.6.1), those named in `Connection` included.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let lines: Vec<HeaderValue> = headers.get_all(CONNECTION).iter().cloned().collect();
        for name in lines.iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')) {
            headers.remove(name.trim());
        }
        headers.remove(CONNECTION);
    }
    for name in [
        KEEP_ALIVE,
        PROXY_CONNECTION,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
    ] {
        headers.remove(name);
    }
}

/// Makes a client's headers those of a request to a service.
pub(crate) fn towards_service(
    headers: &mut HeaderMap,
    client: &Client,
    is_peer_trusted: bool,
    traceparent: &HeaderValue,
) {
    strip_hop_by_hop(headers);
    // The gateway itself says 100-continue, when it begins to read.
    headers.remove(EXPECT);
    headers.remove(REAL_IP);
    let host = headers.remove(HOST);
    if !is_peer_trusted || !headers.contains_key(FORWARDED_HOST) {
        headers.remove(FORWARDED_HOST);
        if let Some(host) = host {
            headers.insert(FORWARDED_HOST, host);
        }
    }
    headers.insert(FORWARDED_FOR, client.address.clone());
    headers.insert(FORWARDED_PROTO, client.proto.clone());
    headers.insert(FORWARDED, client.forwarded.clone());
    headers.insert(TRACEPARENT, traceparent.clone());
}

/// Makes a service's headers those of an answer to a client.
pub(crate) fn towards_client(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
    // Answers hold health data: nobody keeps them who was not told to.
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// What every answer carries, the gateway's own included.
pub(crate) fn secure(headers: &mut HeaderMap, is_tls: bool) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_tls {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}

/// The client's own request id, if it is well-formed.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(REQUEST_ID).filter(|id| {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.as_bytes().iter().all(is_plain)
    })
}
