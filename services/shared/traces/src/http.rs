//! What is said of requests, by OpenTelemetry's semantic conventions for HTTP
//! (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/>), but for what may name a person: no path, no query, no whole address, no
//! client's address. Templates (`http.route`, `url.template`) tell enough.

use std::borrow::Cow;

use settings::Address;

use crate::span::{Kind, Span};

/// A request that is answered.
pub fn serves(span: &mut Span, method: &'static str, route: &str) {
    span.set("http.request.method", method);
    span.set("http.route", route.to_owned());
}

/// A request that is made; `resent`: how often it was made before.
pub fn asks(span: &mut Span, method: &'static str, template: &str, resent: u32) {
    span.set("http.request.method", method);
    span.set("url.template", template.to_owned());
    if resent > 0 {
        span.set("http.request.resend_count", resent);
    }
}

/// Whom it is made to.
pub fn towards(span: &mut Span, address: &Address) {
    match address.authority() {
        None => {
            span.set("network.transport", "unix");
            let path = address.unix_path().map(|path| path.display().to_string());
            span.set("server.address", path.unwrap_or_default());
        }
        Some(authority) => {
            let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
            span.set("server.address", host.to_owned());
            if let Ok(port) = port.parse::<u16>() {
                span.set("server.port", port);
            }
        }
    }
}

/// The answer's status. Whoever answers has failed with 5xx; whoever asks, with 4xx too.
pub fn answered(span: Option<&mut Span>, kind: Kind, status: u16) {
    let Some(span) = span else { return };
    span.set("http.response.status_code", status);
    span.end();
    if status >= if kind == Kind::Client { 400 } else { 500 } {
        span.fail(status.to_string(), Cow::Borrowed(""));
    }
}

/// There is no answer.
pub fn not_answered(span: Option<&mut Span>, is_timeout: bool, is_connect: bool) {
    let (kind, why) = match (is_timeout, is_connect) {
        (true, _) => ("timeout", "no answer in time"),
        (false, true) => ("connect", "cannot be reached"),
        (false, false) => ("broken", "the connection broke off"),
    };
    if let Some(span) = span {
        span.fail(kind, why);
    }
}

/// It was not even sent.
pub fn not_sent(span: Option<&mut Span>, kind: &'static str) {
    if let Some(span) = span {
        span.fail(kind, "was not sent");
    }
}
