//! What is passed on and what is not: hop-by-hop headers end here, and what we say of the client replaces what it said of itself.

use http::header::{
    CACHE_CONTROL, CONNECTION, EXPECT, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SEC_WEBSOCKET_KEY, TE,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

use contracts::problem::ProblemCode;

use crate::client::{FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO};
use crate::http2;
use crate::names::Names;
use crate::pace::TIME_LEFT;
use crate::refusal::Refusal;
use crate::upstream::ConnectionOption;

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

/// What a request's headers said that is not passed on as it is.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// To be told when its body is wanted (RFC 9110 §10.1.1).
    pub(crate) to_continue: bool,
    pub(crate) option: ConnectionOption,
    /// Which host it is for, unless a trusted proxy has said that in a line that is.
    pub(crate) host: Option<HeaderValue>,
    /// How long its client waits.
    pub(crate) time: Option<HeaderValue>,
}

/// What stood in lines that are meant for one connection alone.
struct Stripped {
    te: Option<HeaderValue>,
    upgrade: Option<HeaderValue>,
    /// `Connection` had the option `upgrade`.
    is_upgrade: bool,
}

/// Takes out what is meant for this connection alone (RFC 9110 §7.6.1), those named in `Connection` included. One that names what is meant for
/// all recipients, which a sender must not, comes back: an `If-Match` that vanished on the way would make a write unconditional.
fn strip_hop_by_hop(headers: &mut HeaderMap, there: Names) -> Result<Stripped, &'static str> {
    let mut is_upgrade = false;
    if there.have(Names::CONNECTION) {
        // Nearly always that is all it says, and it names nothing.
        let is_plain = |line: &HeaderValue| line == "keep-alive" || line == "close";
        let lines: Vec<HeaderValue> =
            headers.get_all(CONNECTION).iter().filter(|line| !is_plain(line)).cloned().collect();
        for name in lines.iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')) {
            let name = name.trim();
            if let Some(known) = END_TO_END.iter().find(|known| known.eq_ignore_ascii_case(name)) {
                return Err(known);
            }
            is_upgrade |= name.eq_ignore_ascii_case("upgrade");
            if !name.eq_ignore_ascii_case("te") && !name.eq_ignore_ascii_case("upgrade") {
                headers.remove(name);
            }
        }
        headers.remove(CONNECTION);
    }
    if there.have(Names::HOP_BY_HOP) {
        for name in [KEEP_ALIVE, PROXY_CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TRANSFER_ENCODING]
        {
            headers.remove(name);
        }
    }
    let mut taken = |names, name| if there.have(names) { headers.remove(name) } else { None };
    Ok(Stripped { te: taken(Names::TE, TE), upgrade: taken(Names::UPGRADE, UPGRADE), is_upgrade })
}

/// Fields that a request is not the same without.
pub(crate) const END_TO_END: [&str; 24] = [
    "accept",
    "accept-encoding",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "idempotency-key",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
    "traceparent",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
];

/// Makes a client's headers those that go on to a service, and tells what else they said.
pub(crate) fn towards_service(
    headers: &mut HeaderMap,
    (method, version): (&Method, Version),
    is_peer_trusted: bool,
) -> Result<Asked, Refusal> {
    let there = Names::of(headers);
    let stripped = strip_hop_by_hop(headers, there)
        .map_err(|name| Refusal::malformed(&format!("Connection must not name {name}, which is for all.")))?;
    let expected = if there.have(Names::EXPECT) { headers.remove(EXPECT) } else { None };
    let to_continue = match expected {
        // HTTP/1.0 knows no interim answer, and hyper's HTTP/2 sends none: the expectation is passed over.
        Some(expected) if version == Version::HTTP_11 => {
            if !expected.as_bytes().eq_ignore_ascii_case(b"100-continue") {
                return Err(Refusal::bare(ProblemCode::ExpectationFailed));
            }
            true
        }
        _ => false,
    };
    let websocket = stripped.is_upgrade
        && *method == Method::GET
        && version == Version::HTTP_11
        && stripped.upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && headers.contains_key(SEC_WEBSOCKET_KEY);
    let option = if websocket {
        ConnectionOption::WebSocket
    } else if stripped.te.is_some_and(|te| has_trailers(&te)) {
        // Trailers are taken by the client, and so by us.
        ConnectionOption::Trailers
    } else {
        ConnectionOption::None
    };
    if version == Version::HTTP_2 {
        http2::join_cookies(headers);
    }
    if there.have(Names::REAL_IP) {
        headers.remove(REAL_IP);
    }
    if there.have(Names::CLAIM) {
        forget_claims(headers, is_peer_trusted);
    }
    let time = if there.have(Names::OWN) { forget_own(headers) } else { None };
    // Each endpoint's own takes its place.
    let host = headers.remove(HOST);
    let host = host.filter(|_| !(there.have(Names::FORWARDED_HOST) && headers.contains_key(FORWARDED_HOST)));
    Ok(Asked { to_continue, option, host, time })
}

/// Takes out the lines that the gateway writes itself. The time that the client claims to have comes back.
fn forget_own(headers: &mut HeaderMap) -> Option<HeaderValue> {
    for name in [FORWARDED, TRACEPARENT, REQUEST_ID] {
        headers.remove(name);
    }
    headers.remove(TIME_LEFT)
}

fn has_trailers(te: &HeaderValue) -> bool {
    let codings = te.to_str().unwrap_or_default().split(',');
    codings.map(str::trim).any(|coding| coding.eq_ignore_ascii_case("trailers"))
}

/// Takes out what is said of where a request comes from and what it asked for: of a stranger's all, in whatever words proxies have for that; of a
/// trusted proxy's what the gateway says itself.
fn forget_claims(headers: &mut HeaderMap, is_trusted: bool) {
    if is_trusted {
        headers.remove(FORWARDED_FOR);
        headers.remove(FORWARDED_PROTO);
        return;
    }
    remove(headers, Names::CLAIM);
}

/// Makes a service's headers those of an answer to a client. `is_guarded`: nobody gets it without a token.
pub(crate) fn towards_client(headers: &mut HeaderMap, is_guarded: bool) {
    let there = Names::of(headers);
    // A service that strips what is for all has lost that, no more: it is one of ours.
    let _ = strip_hop_by_hop(headers, there);
    if there.have(Names::NOT_TOLD) {
        remove(headers, Names::NOT_TOLD);
    }
    // Answers hold health data: nobody keeps them, a browser on a ward's machine neither. Where anybody is answered, a service may say otherwise.
    if is_guarded || !there.have(Names::CACHE_CONTROL) || !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// Takes out all that are of a kind.
fn remove(headers: &mut HeaderMap, kind: Names) {
    let is_one = |name: &HeaderName| Names::one(name.as_str()).have(kind);
    while let Some(name) = headers.keys().find(|name| is_one(name)).cloned() {
        headers.remove(name);
    }
}

/// Says that the connection is a WebSocket from here on.
pub(crate) fn upgraded(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// The client's own request id, if it is well-formed.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(REQUEST_ID).filter(|id| {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.as_bytes().iter().all(is_plain)
    })
}
