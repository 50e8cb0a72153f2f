//! What a request asks for: its path, normalised once, so that gateway and service cannot read it differently.
//!
//! Whatever could be read in two ways (encoded slashes, dot segments, empty segments, NUL) is refused rather than repaired.

use std::borrow::Cow;
use std::fmt::Write as _;

use contracts::problem::ProblemCode;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Uri, Version, request};

use crate::link::Link;
use crate::refusal::Refusal;

/// Path and query, bytes.
pub(crate) const URI_BYTES_MAX: usize = 8 * 1024;
/// A request's head, bytes.
pub(crate) const HEADERS_BYTES_MAX: usize = 64 * 1024;

/// Refuses heads that two readers could read differently (RFC 9112 §2.2, §3.2, §6.3).
pub(crate) fn check(head: &request::Parts, link: &Link) -> Result<(), Refusal> {
    let length = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if length > URI_BYTES_MAX {
        return Err(Refusal { close: true, ..Refusal::bare(ProblemCode::UriTooLong) });
    }
    if link.is_odd(&head.method) {
        return Err(Refusal::malformed("A line must end with CR and LF, and the address have no fragment."));
    }
    // Of HTTP/1 hyper has seen to that.
    if head.version == Version::HTTP_2 && !is_length_clear(&head.headers) {
        return Err(Refusal::malformed("There must be one Content-Length at most, and it a number."));
    }
    // hyper has taken the Content-Length out, reads the chunks and closes the connection afterwards, which is safe; but a client
    // that sends both is broken or hostile (RFC 9112 §6.1), and is told so.
    if head.headers.contains_key(TRANSFER_ENCODING)
        && (link.head_has(&head.method, &CONTENT_LENGTH) || !is_just_chunked(&head.headers))
    {
        return Err(Refusal::malformed(
            "Transfer-Encoding must be `chunked`, and not beside Content-Length.",
        ));
    }
    Ok(())
}

/// Whether there is one Content-Length at most, and it a number (RFC 9110 §8.6).
fn is_length_clear(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next();
    let is_number =
        |length: &HeaderValue| !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit);
    lengths.next().is_none() && length.is_none_or(is_number)
}

/// Whether the one coding is `chunked`: any other would have to be undone, or told on.
fn is_just_chunked(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let only = codings.next().map(HeaderValue::as_bytes);
    codings.next().is_none() && only.is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"))
}

/// The path as routes are matched and services called with. Allocates only where something was encoded without need.
pub(crate) fn normalise(path: &str) -> Result<Cow<'_, str>, Refusal> {
    let plain = decode_unreserved(path)?;
    if !plain.starts_with('/') {
        return Err(Refusal::malformed("The path must begin with a slash."));
    }
    // Only a slash with another or a dot behind it can begin such a segment: most paths have none, and are looked at once. A slash at the end
    // leaves one empty segment; the router will not find it.
    let begins_oddly = |pair: &[u8]| pair[0] == b'/' && matches!(pair[1], b'/' | b'.');
    if plain.as_bytes().windows(2).any(begins_oddly) {
        let mut segments = plain[1..].split('/').peekable();
        while let Some(segment) = segments.next() {
            let is_last = segments.peek().is_none();
            if segment == "." || segment == ".." || (segment.is_empty() && !is_last) {
                return Err(Refusal::malformed("The path must not have empty or dot segments."));
            }
        }
    }
    Ok(plain)
}

/// Decodes what RFC 3986 §2.3 calls unreserved, since `%61` and `a` are the same; refuses what changes the path's structure.
fn decode_unreserved(path: &str) -> Result<Cow<'_, str>, Refusal> {
    let is_odd = |byte: u8| matches!(byte, b'%' | b'\\' | 0..=b' ' | 0x7f..);
    if !path.bytes().any(is_odd) {
        return Ok(Cow::Borrowed(path));
    }
    let bad = || Refusal::malformed("The path has characters or percent-encodings that are not allowed.");
    let mut out = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            if is_odd(byte) {
                return Err(bad());
            }
            out.push(char::from(byte));
            continue;
        }
        let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(bad()) };
        match u8::try_from(high * 16 + low).map_err(|_| bad())? {
            0..b' ' | 0x7f | b'/' | b'\\' => return Err(bad()),
            plain @ (b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~') => {
                out.push(char::from(plain));
            }
            other => {
                let _ = write!(out, "%{other:02X}");
            }
        }
    }
    Ok(Cow::Owned(out))
}

/// The target sent on: always in origin form, with the normalised path and the query as it came.
pub(crate) fn onward(uri: &Uri, path: &str) -> Result<Uri, Refusal> {
    // Where nothing stands between the authority and the query, the path is a slash that was not written.
    let is_whole = |target: &&PathAndQuery| target.path() == path && target.as_str().starts_with('/');
    let as_it_came = uri.path_and_query().filter(is_whole).cloned();
    let target = as_it_came.map_or_else(
        || {
            let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
            PathAndQuery::try_from(format!("{path}{query}"))
                .map_err(|_| Refusal::malformed("The address cannot be read."))
        },
        Ok,
    )?;
    Ok(Uri::from(target))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_paths_are_left_alone_without_a_copy() {
        for path in ["/", "/api/patients/12345", "/api/patients/", "/a-b_c~d.e/..f", "/a;b=c/@:"] {
            assert!(matches!(normalise(path), Ok(Cow::Borrowed(same)) if same == path), "{path}");
        }
    }

    #[test]
    fn a_path_that_was_not_written_is_a_slash() {
        for (uri, expected) in
            [("http://h?q=1", "/?q=1"), ("http://h?/../x", "/?/../x"), ("http://h", "/"), ("/x?", "/x?")]
        {
            let uri: Uri = uri.parse().unwrap();
            let target = onward(&uri, &normalise(uri.path()).unwrap()).unwrap();
            assert_eq!(target.path_and_query().unwrap().as_str(), expected, "{uri}");
        }
    }

    #[test]
    fn needless_encodings_are_undone_and_needed_ones_kept() {
        assert_eq!(normalise("/api/%70atients/%e2%82%ac%20x").unwrap(), "/api/patients/%E2%82%AC%20x");
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for path in [
            "",
            "*",
            "api",
            "//api",
            "/api//x",
            "/./x",
            "/api/..",
            "/api/../x",
            "/api/%2e%2E/x",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/a%0d%0a",
            "/a%7f",
            "/a%",
            "/a%4",
            "/a%zz",
            "/a b",
            "/ä",
            "/a%+1",
        ] {
            assert!(normalise(path).is_err(), "{path}");
        }
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(path in "/[ -~]{0,40}") {
            // Other paths never come out of hyper's parser.
            prop_assume!(path.parse::<Uri>().is_ok_and(|uri| uri.path() == path));
            if let Ok(once) = normalise(&path) {
                prop_assert_eq!(normalise(&once).unwrap(), once.clone());
                prop_assert!(onward(&Uri::from_static("/x?q=1"), &once).is_ok());
            }
        }

        #[test]
        fn no_path_panics(path in "\\PC{0,60}") {
            let _ = normalise(&path);
        }
    }
}
