//! Versions as entity tags, and `If-Match` (RFC 9110 §8.8.3, §13.1.1).

use contracts::problem::{Problem, ProblemCode};
use http::{HeaderMap, HeaderValue, header};

use crate::caller::View;

/// The entity tag of a version: `"v3"`.
pub fn of_version(version: i64) -> String {
    format!("\"v{version}\"")
}

/// The entity tag of what is shown of a version: `"v3-necessary"` if that is not all of it. Two who share a browser must not be shown
/// each other's copy because the version is the same.
pub fn of_view(version: i64, view: View) -> String {
    match view {
        View::Whole => of_version(version),
        View::Necessary => format!("\"v{version}-necessary\""),
    }
}

/// The entity tag of an answer that has no version of its own.
pub fn of_body(body: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body);
    format!("\"{}\"", data_encoding::BASE64URL_NOPAD.encode(&digest.as_ref()[..12]))
}

/// What `If-Match` asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IfMatch(Option<Vec<String>>);

impl IfMatch {
    /// Reads the header, which may stand several times.
    pub fn read(headers: &HeaderMap) -> Self {
        let tags: Vec<_> = headers.get_all(header::IF_MATCH).iter().flat_map(tags).collect();
        Self((headers.contains_key(header::IF_MATCH)).then_some(tags))
    }

    /// Refuses a version that the client did not name. A weak tag never matches (§13.1.1: strong comparison).
    pub fn check(&self, version: i64) -> Result<(), Problem> {
        let Some(tags) = &self.0 else { return Ok(()) };
        let current = of_version(version);
        let necessary = of_view(version, View::Necessary);
        if tags.iter().any(|tag| tag == "*" || *tag == current || *tag == necessary) {
            return Ok(());
        }
        Err(Problem::new(ProblemCode::PreconditionFailed)
            .detail(format!("The present version is {current}.")))
    }
}

/// Whether `If-None-Match` names this tag, so that 304 will do (§13.1.2: weak comparison).
pub fn not_modified(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .flat_map(tags)
        .any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

fn tags(value: &HeaderValue) -> Vec<String> {
    value.to_str().unwrap_or_default().split(',').map(|tag| tag.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn if_match(value: &str) -> IfMatch {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_MATCH, HeaderValue::from_str(value).unwrap());
        IfMatch::read(&headers)
    }

    #[test]
    fn only_the_present_version_matches() {
        assert!(IfMatch::default().check(3).is_ok());
        for good in ["\"v3\"", "*", "\"v1\", \"v3\""] {
            assert!(if_match(good).check(3).is_ok(), "{good}");
        }
        for stale in ["\"v2\"", "W/\"v3\"", "v3", ""] {
            assert!(if_match(stale).check(3).is_err(), "{stale}");
        }
    }
}
