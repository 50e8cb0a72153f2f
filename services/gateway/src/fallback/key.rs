//! [`Key`]: what two requests must have in common for one to get what the other was answered: all that the answer may depend on.

use std::sync::Arc;

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, COOKIE, HeaderName, VARY};

use super::Asking;

/// What a client says of the form in which it wants an answer.
const FORMS: [HeaderName; 3] = [ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE];
/// A longer one is a request that nobody makes twice.
const BYTES_MAX: usize = 4 * 1024;

/// Compared as a whole, never by a hash: another's answer must not be found by chance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    bytes: Arc<[u8]>,
    /// Where in it the path lies.
    path: (usize, usize),
    /// Nobody in particular has asked.
    is_anybodys: bool,
}

impl Key {
    /// `None`: its answer depends on more than a key holds.
    pub(super) fn of(route: &str, asking: &Asking<'_>) -> Option<Self> {
        let headers = asking.headers;
        let is_unnamed = asking.caller.is_none() && headers.contains_key(AUTHORIZATION);
        if is_unnamed || headers.contains_key(COOKIE) {
            return None;
        }
        let mut bytes = Vec::with_capacity(256);
        if let Some(caller) = asking.caller {
            // Who they are and all that they may see: with other permissions it is another's answer.
            put(&mut bytes, caller.user.as_bytes());
            put(&mut bytes, caller.permissions.to_scope().as_bytes());
            for role in &caller.roles {
                put(&mut bytes, role.as_str().as_bytes());
            }
            for role in &caller.made {
                put(&mut bytes, role.name.as_str().as_bytes());
                put(&mut bytes, role.permissions.to_scope().as_bytes());
            }
            put(&mut bytes, format!("{:?} {:?}", caller.patient_id, caller.provider_id).as_bytes());
        }
        // What stands before it may be none or many.
        put(&mut bytes, b"");
        for name in FORMS {
            for value in headers.get_all(name) {
                put(&mut bytes, value.as_bytes());
            }
            put(&mut bytes, b"");
        }
        put(&mut bytes, route.as_bytes());
        put(&mut bytes, asking.query.unwrap_or_default().as_bytes());
        let begin = bytes.len();
        bytes.extend_from_slice(asking.path.as_bytes());
        let path = (begin, bytes.len());
        let is_anybodys = asking.caller.is_none();
        (bytes.len() <= BYTES_MAX).then(|| Self { bytes: bytes.into(), path, is_anybodys })
    }

    /// The path that was asked for.
    pub(super) fn path(&self) -> &str {
        let (begin, end) = self.path;
        std::str::from_utf8(&self.bytes[begin..end]).unwrap_or_default()
    }

    pub(super) fn is_anybodys(&self) -> bool {
        self.is_anybodys
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// With its length before it, so that two parts cannot be read as two others.
fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend_from_slice(&part.len().to_le_bytes());
    bytes.extend_from_slice(part);
}

/// Whether all that an answer depends on, by what it says itself, is in the key.
pub(super) fn holds_all_of(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(VARY).iter().map(|line| line.to_str().unwrap_or("*"));
    lines.flat_map(|line| line.split(',')).map(str::trim).all(|name| {
        FORMS.iter().chain([&AUTHORIZATION]).any(|known| known.as_str().eq_ignore_ascii_case(name))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use http::{HeaderValue, Method};

    use super::*;

    fn key(path: &str, query: Option<&str>, headers: &[(HeaderName, &'static str)]) -> Option<Key> {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        let asking = Asking {
            method: &Method::GET,
            path,
            query,
            headers: &headers,
            caller: None,
            since: Instant::now(),
            has_body: false,
        };
        Key::of("route", &asking)
    }

    #[test]
    fn what_is_asked_differently_has_another_key() {
        let keys = [
            key("/a", None, &[]),
            key("/b", None, &[]),
            key("/a", Some("b"), &[]),
            key("/ab", None, &[]),
            key("/a", None, &[(ACCEPT, "text/plain")]),
            key("/a", None, &[(ACCEPT_ENCODING, "text/plain")]),
        ];
        for (number, one) in keys.iter().enumerate() {
            assert!(one.is_some());
            assert!(keys[..number].iter().all(|other| other != one), "{number}");
        }
        assert_eq!(key("/a", None, &[]), keys[0]);
        assert_eq!(keys[0].as_ref().map(Key::path), Some("/a"));
    }

    #[test]
    fn whoever_shows_what_is_not_in_the_key_has_none() {
        assert_eq!(key("/a", None, &[(AUTHORIZATION, "Bearer x")]), None);
        assert_eq!(key("/a", None, &[(COOKIE, "a=b")]), None);
    }

    #[test]
    fn an_answer_that_varies_by_more_is_not_held() {
        let varies = |line: &'static str| {
            holds_all_of(&[(VARY, HeaderValue::from_static(line))].into_iter().collect())
        };
        assert!(varies("Accept, accept-encoding"));
        assert!(!varies("Accept, X-Tenant"));
        assert!(!varies("*"));
        assert!(holds_all_of(&HeaderMap::new()));
    }
}
