//! [`RawHead`]: requests' heads as they came, for what hyper's parser does not tell.
//!
//! hyper reads some heads as RFC 9112 allows and forgets how they were written: it takes a bare LF for the end of a line (§2.2), drops a
//! fragment, and takes a Content-Length out that stands beside a Transfer-Encoding (§6.3). What stands before the gateway may read the same
//! bytes otherwise, and so two readers would see two requests. An ordinary head costs one look for the two bytes that could mean such a thing.

use http::{HeaderName, Method};

use crate::target::{HEADERS_BYTES_MAX, URI_BYTES_MAX};

/// What was read since a connection last had nothing to do, from the first byte of a head on.
#[derive(Default)]
pub(crate) struct RawHead {
    bytes: Vec<u8>,
    /// How many requests there had been on the connection before.
    before: u32,
}

impl std::fmt::Debug for RawHead {
    /// Heads have tokens in them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RawHead({} bytes)", self.bytes.len())
    }
}

/// Whether nothing in these bytes is worth a second look. A line that ended between two reads is: that is rare.
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    let mut marks = memchr::memchr2_iter(b'\n', b'#', bytes);
    marks.all(|at| bytes[at] == b'\n' && at > 0 && bytes[at - 1] == b'\r')
}

impl RawHead {
    /// The first bytes of a head come, after so many requests.
    pub(crate) fn begin(&mut self, before: u32) {
        self.bytes.clear();
        self.before = before;
    }

    /// Bytes come. Those past what a head may have are no head's.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        if self.bytes.len() < HEADERS_BYTES_MAX + URI_BYTES_MAX {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Gives back what it holds.
    pub(crate) fn forget(&mut self) {
        self.bytes = Vec::new();
    }

    /// Whether a head has a line of this name.
    pub(crate) fn has(&self, request: u32, method: &Method, name: &HeaderName) -> bool {
        self.of(request, method).is_some_and(|head| field(head, name.as_str()).is_some())
    }

    /// Whether a head has a bare LF, or its target a fragment.
    pub(crate) fn is_odd(&self, request: u32, method: &Method) -> bool {
        self.of(request, method).is_some_and(|head| {
            let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
            line.contains(&b'#') || head.split_inclusive(|byte| *byte == b'\n').any(is_bare)
        })
    }

    /// The head of the request of this number on the connection, if it was noted: of pipelined ones, that is as far as each before it tells its
    /// length. What follows a body in chunks, or came while a body was read, is not seen.
    fn of(&self, request: u32, method: &Method) -> Option<&[u8]> {
        let mut rest = &*self.bytes;
        for _ in self.before + 1..request {
            let (head, after) = split(rest)?;
            if field(head, "transfer-encoding").is_some() {
                return None;
            }
            let length = field(head, "content-length").map_or(Some(0), |value| value.parse().ok())?;
            rest = after.get(length..)?;
        }
        let (head, _) = split(rest)?;
        // Sure to be the right one, or not told at all.
        let line = head.strip_prefix(method.as_str().as_bytes())?;
        line.starts_with(b" ").then_some(head)
    }
}

/// The first head, its empty line included, and what follows it. Before it there may be empty lines.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let bytes = &bytes[start..];
    let mut end = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        end += line.len();
        if line.ends_with(b"\n") && line.trim_ascii_end().is_empty() {
            return Some(bytes.split_at(end));
        }
    }
    None
}

/// The value of the first line of this name.
fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let (start, rest) = line.split_at_checked(name.len())?;
        let value = rest.strip_prefix(b":")?;
        start.eq_ignore_ascii_case(name.as_bytes()).then(|| std::str::from_utf8(value).unwrap_or("").trim())
    })
}

fn is_bare(line: &[u8]) -> bool {
    line.ends_with(b"\n") && !line.ends_with(b"\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &str = "GET /a HTTP/1.1\r\nhost: a\r\n\r\n";

    fn noted(before: u32, pieces: &[&str]) -> RawHead {
        let mut head = RawHead::default();
        head.begin(before);
        for piece in pieces {
            head.add(piece.as_bytes());
        }
        head
    }

    #[test]
    fn only_what_could_be_odd_gets_a_second_look() {
        assert!(is_plain(GET.as_bytes()));
        assert!(!is_plain(b"GET /a HTTP/1.1\nhost: a\r\n\r\n"));
        assert!(!is_plain(b"\nhost: a\r\n"), "the CR may have come before, or not");
        assert!(!is_plain(b"GET /a#b HTTP/1.1\r\n"));
    }

    #[test]
    fn a_bare_lf_and_a_fragment_are_odd_in_a_head_and_nothing_in_a_body() {
        let is_odd = |text: &str| noted(0, &[text]).is_odd(1, &Method::GET);
        assert!(!is_odd(GET));
        assert!(is_odd("GET /a HTTP/1.1\nhost: a\r\n\r\n"));
        assert!(is_odd("GET /a HTTP/1.1\r\nhost: a\n\r\n"));
        assert!(is_odd("GET /a HTTP/1.1\r\nhost: a\r\n\n"));
        assert!(is_odd("GET /a#b HTTP/1.1\r\nhost: a\r\n\r\n"));
        assert!(!is_odd("GET /a HTTP/1.1\r\nhost: a\r\nx: #\r\ncontent-length: 5\r\n\r\n#\n{\n}"));
        assert!(
            !is_odd("\r\nGET /a HTTP/1.1\r\nhost: a\r\n\r\n"),
            "empty lines before a head are passed over"
        );
        assert!(!noted(0, &["GET /a HTTP/1.1\r", "\nhost: a\r\n\r\n"]).is_odd(1, &Method::GET));
    }

    #[test]
    fn pipelined_heads_are_found_behind_bodies_that_tell_their_length() {
        let post = "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n\n\n\n\n";
        let chunked = "POST /a HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
        let head = noted(7, &[GET, post, chunked, "GET /#x HTTP/1.1\r\n\r\n"]);
        let has = |request, name| head.has(request, &Method::POST, &name);
        assert!(!has(8, http::header::CONTENT_LENGTH), "that one is a GET");
        assert!(has(9, http::header::CONTENT_LENGTH) && !has(9, http::header::TRANSFER_ENCODING));
        assert!(has(10, http::header::TRANSFER_ENCODING));
        assert!(!head.is_odd(9, &Method::POST), "its body is not its head");
        assert!(!head.is_odd(11, &Method::GET), "where a body in chunks ends is not known here");
    }
}
