//! What every answer tells browsers, whoever gave it: one set, which is ready before any request comes. An answer is data for whoever asked; shown as a
//! page it would run nothing, load nothing and stand in nobody's frame. A page (the explorer) brings a policy of its own, by which it works.

use std::fmt::Write as _;

use http::header::{
    CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// So many are added to an answer at most: the set, and `Strict-Transport-Security`.
pub(crate) const ADDED_MAX: usize = UNLESS_SAID.len() + 2;

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
/// A year, for names below too (RFC 6797 §6.1).
const HTTPS_ALONE: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");

/// What an answer may say otherwise of itself.
static UNLESS_SAID: [(HeaderName, HeaderValue); 4] = [
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    // Pages elsewhere cannot have it as a picture or a script either, whose bytes a processor's faults would show them.
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=()"),
    ),
];

/// Puts the set on an answer. `is_secret`: it comes over TLS.
pub(crate) fn protect(headers: &mut HeaderMap, is_secret: bool) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    for (name, value) in &UNLESS_SAID {
        headers.entry(name).or_insert_with(|| value.clone());
    }
    if is_secret {
        headers.insert(STRICT_TRANSPORT_SECURITY, HTTPS_ALONE);
    }
}

/// The set as lines of a head, where there is no map to put it in.
pub(crate) fn lines(is_secret: bool) -> String {
    let mut headers = HeaderMap::new();
    protect(&mut headers, is_secret);
    headers.iter().fold(String::new(), |mut lines, (name, value)| {
        let _ = write!(lines, "{name}: {}\r\n", value.to_str().unwrap_or_default());
        lines
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_says_of_itself_stays_but_for_what_must_hold() {
        let mut page = HeaderMap::new();
        page.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'self'"));
        page.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("sniff"));
        protect(&mut page, true);
        assert_eq!(page[CONTENT_SECURITY_POLICY], "default-src 'self'");
        assert_eq!(page[X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(page.len(), ADDED_MAX, "and each of the others");
    }

    #[test]
    fn as_lines_it_is_the_same_set() {
        let mut headers = HeaderMap::new();
        protect(&mut headers, false);
        let lines = lines(false);
        assert_eq!(lines.lines().count(), headers.len());
        assert!(lines.contains("x-content-type-options: nosniff\r\n") && !lines.contains("strict-transport"));
    }
}
