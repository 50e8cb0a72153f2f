//! The client's side: what is refused, and what is passed on exactly how.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Scribe, house, sorted};

/// What becomes of a request, and of the second one that stands right behind it.
enum Then {
    /// A problem document of this status, and the end of the connection. The service learns of neither.
    Refused(u16),
    /// A problem document of this status; the second is answered.
    Answered(u16),
    /// The end of the connection, without a word.
    Closed,
    /// The service gets exactly this, and then the second.
    Passed(&'static str),
    /// The service gets exactly this, and the connection ends.
    Last(&'static str),
}
use Then::{Answered, Closed, Last, Passed, Refused};

const SECOND: &str = "GET /second HTTP/1.1\r\nhost: a\r\n\r\n";
const SECOND_SEEN: &str = "GET /second HTTP/1.1\n\n";

#[rustfmt::skip]
const CASES: &[(&str, &[u8], Then)] = &[
    // Content-Length (RFC 9110 §8.6, RFC 9112 §6.3)
    ("length", b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc", Passed("POST /x HTTP/1.1\ncontent-length: 3\n\nabc")),
    ("length zero", b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n", Passed("POST /x HTTP/1.1\ncontent-length: 0\n\n")),
    ("no length is no body", b"POST /x HTTP/1.1\r\nhost: a\r\n\r\n", Passed("POST /x HTTP/1.1\ncontent-length: 0\n\n")),
    ("same length twice", b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc", Passed("POST /x HTTP/1.1\ncontent-length: 3\n\nabc")),
    ("two lengths", b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 0\r\n\r\nabc", Refused(400)),
    ("two lengths, the other way", b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\ncontent-length: 3\r\n\r\nabc", Refused(400)),
    ("lengths in a list", b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3, 3\r\n\r\nabc", Refused(400)),
    ("lengths that differ in a list", b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3, 0\r\n\r\nabc", Refused(400)),
    ("plus sign", b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: +3\r\n\r\nabc", Refused(400)),
    ("minus sign", b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: -3\r\n\r\nabc", Refused(400)),
    ("hexadecimal", b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 0x3\r\n\r\nabc", Refused(400)),
    ("fraction", b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3.0\r\n\r\nabc", Refused(400)),
    ("space within", b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 1 0\r\n\r\nabc", Refused(400)),
    ("underscore within", b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 1_0\r\n\r\nabc", Refused(400)),
    ("empty length", b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length:\r\n\r\nabc", Refused(400)),
    ("beyond 64 bits", b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 18446744073709551619\r\n\r\nabc", Refused(400)),
    ("beyond what is taken", b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 9223372036854775807\r\n\r\nabc", Refused(413)),
    ("zeros before", b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 003\r\n\r\nabc", Passed("POST /x HTTP/1.1\ncontent-length: 3\n\nabc")),
    ("length of a GET", b"GET /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc", Passed("GET /x HTTP/1.1\ncontent-length: 3\n\nabc")),
    ("name with an underscore is another", b"POST /x HTTP/1.1\r\nhost: a\r\ncontent_length: 3\r\n\r\n", Passed("POST /x HTTP/1.1\ncontent-length: 0\ncontent_length: 3\n\n")),

    // Content-Length beside Transfer-Encoding (RFC 9112 §6.1, §6.3)
    ("length, then coding", b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("coding, then length", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n", Refused(400)),
    ("coding beside a length that is none", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: x\r\n\r\n0\r\n\r\n", Refused(400)),
    ("both, in a GET", b"GET /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("both, the length in capitals", b"POST /x HTTP/1.1\r\nhost: a\r\nTRANSFER-ENCODING: chunked\r\nCONTENT-LENGTH: 4\r\n\r\n0\r\n\r\n", Refused(400)),

    // Transfer-Encoding (RFC 9112 §6.1, §7)
    ("chunked", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", Passed("POST /x HTTP/1.1\ntransfer-encoding: chunked\n\nabc")),
    ("chunked in capitals", b"POST /x HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n", Passed("POST /x HTTP/1.1\ntransfer-encoding: chunked\n\nabc")),
    ("chunked between spaces and tabs", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: \t chunked \t\r\n\r\n0\r\n\r\n", Passed("POST /x HTTP/1.1\ntransfer-encoding: chunked\n\n")),
    ("chunked without a space", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding:chunked\r\n\r\n0\r\n\r\n", Passed("POST /x HTTP/1.1\ntransfer-encoding: chunked\n\n")),
    ("chunked GET", b"GET /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", Passed("GET /x HTTP/1.1\ntransfer-encoding: chunked\n\nabc")),
    ("chunked DELETE", b"DELETE /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", Passed("DELETE /x HTTP/1.1\ntransfer-encoding: chunked\n\nabc")),
    ("chunked, then identity", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n", Refused(400)),
    ("identity, then chunked", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: identity, chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("identity alone", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: identity\r\n\r\n", Refused(400)),
    ("gzip, then chunked", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("chunked twice in a list", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("chunked on two lines", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("chunked and another on two lines", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: x\r\n\r\n0\r\n\r\n", Refused(400)),
    ("another and chunked on two lines", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("chunked with a parameter", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked;q=1\r\n\r\n0\r\n\r\n", Refused(400)),
    ("chunked in quotes", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: \"chunked\"\r\n\r\n0\r\n\r\n", Refused(400)),
    ("chunked after a comma", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: ,chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("xchunked", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("chunked after a vertical tab", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("chunked after a form feed", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: \x0cchunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("chunked after a no-break space", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: \xa0chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("chunked on a folded line", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("coding with nothing in it", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding:\r\n\r\n", Refused(400)),
    ("space before the colon", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("tab before the colon", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding\t: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("space before the name", b"POST /x HTTP/1.1\r\nhost: a\r\n transfer-encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("space before the first name", b"POST /x HTTP/1.1\r\n host: a\r\n\r\n", Refused(400)),
    ("NUL in the name", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer\0-encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("coding in HTTP/1.0", b"POST /x HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("coding with an underscore is another field", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer_encoding: chunked\r\n\r\n", Passed("POST /x HTTP/1.1\ncontent-length: 0\ntransfer_encoding: chunked\n\n")),

    // Chunks (RFC 9112 §7.1)
    ("chunk without a size", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\r\n0\r\n\r\n", Refused(400)),
    ("size that is none", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", Refused(400)),
    ("size with 0x", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", Refused(400)),
    ("size with a sign", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n", Refused(400)),
    ("size with a space before", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n 3\r\nabc\r\n0\r\n\r\n", Refused(400)),
    ("size beyond 64 bits", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n", Refused(400)),
    ("chunk longer than its size", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", Refused(400)),
    ("chunk shorter than its size", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nabc\r\n0\r\n\r\n", Refused(400)),
    ("size ended by a bare LF", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", Refused(400)),
    ("size ended by a bare CR", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\rabc\r\n0\r\n\r\n", Refused(400)),
    ("chunk ended by a bare LF", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n", Refused(400)),
    ("last chunk ended by bare LFs", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\n\n", Refused(400)),
    ("extension is passed over", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;a=b;c=\"d\"\r\nabc\r\n0;e\r\n\r\n", Passed("POST /x HTTP/1.1\ntransfer-encoding: chunked\n\nabc")),
    ("extension with a bare LF", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;a\nabc\r\n0\r\n\r\n", Refused(400)),
    ("extension with a bare CR", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;a\rb\r\nabc\r\n0\r\n\r\n", Refused(400)),
    ("zeros as size", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n000\r\n\r\n", Passed("POST /x HTTP/1.1\ntransfer-encoding: chunked\n\nabc")),
    ("trailer nobody announced is not passed on", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-sum: 1\r\n\r\n", Passed("POST /x HTTP/1.1\ntransfer-encoding: chunked\n\n")),
    ("trailer that was announced", b"POST /x HTTP/1.1\r\nhost: a\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-sum: 1\r\n\r\n", Passed("POST /x HTTP/1.1\ntrailer: x-sum\ntransfer-encoding: chunked\n\n<x-sum: 1>")),
    ("length in a trailer", b"POST /x HTTP/1.1\r\nhost: a\r\ntrailer: content-length\r\ntransfer-encoding: chunked\r\n\r\n0\r\ncontent-length: 9\r\n\r\n", Passed("POST /x HTTP/1.1\ntrailer: content-length\ntransfer-encoding: chunked\n\n")),
    ("trailer that is none", b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\nno colon\r\n\r\n", Refused(400)),

    // Lines (RFC 9112 §2.2, §5.1, §5.2)
    ("bare LFs", b"GET /x HTTP/1.1\nhost: a\n\n", Refused(400)),
    ("bare LF after the request line", b"GET /x HTTP/1.1\nhost: a\r\n\r\n", Refused(400)),
    ("bare LF in a value", b"GET /x HTTP/1.1\r\nhost: a\r\nx: y\ncontent-length: 3\r\n\r\nabc", Refused(400)),
    ("bare LF ends the head", b"GET /x HTTP/1.1\r\nhost: a\r\n\n", Refused(400)),
    ("bare CR in a value", b"GET /x HTTP/1.1\r\nhost: a\r\nx: y\rz: 1\r\n\r\n", Refused(400)),
    ("bare CR in the request line", b"GET /x\rHTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("two CRs", b"GET /x HTTP/1.1\r\r\nhost: a\r\n\r\n", Refused(400)),
    ("NUL in a value", b"GET /x HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n", Refused(400)),
    ("DEL in a value", b"GET /x HTTP/1.1\r\nhost: a\r\nx: a\x7fb\r\n\r\n", Refused(400)),
    ("folded by a space", b"GET /x HTTP/1.1\r\nhost: a\r\nx: y\r\n folded\r\n\r\n", Refused(400)),
    ("folded by a tab", b"GET /x HTTP/1.1\r\nhost: a\r\nx: y\r\n\tfolded\r\n\r\n", Refused(400)),
    ("no name", b"GET /x HTTP/1.1\r\nhost: a\r\n: y\r\n\r\n", Refused(400)),
    ("no colon", b"GET /x HTTP/1.1\r\nhost: a\r\nx\r\n\r\n", Refused(400)),
    ("name with a space", b"GET /x HTTP/1.1\r\nhost: a\r\nx y: z\r\n\r\n", Refused(400)),
    ("name with a parenthesis", b"GET /x HTTP/1.1\r\nhost: a\r\n(x): z\r\n\r\n", Refused(400)),
    ("name that is not ASCII", b"GET /x HTTP/1.1\r\nhost: a\r\n\xc3\xa4: z\r\n\r\n", Refused(400)),
    ("value that is not ASCII", b"GET /x HTTP/1.1\r\nhost: a\r\nx: \xc3\xa4\r\n\r\n", Passed("GET /x HTTP/1.1\nx: \u{c3}\u{a4}\n\n")),
    ("empty lines before", b"\r\n\r\nGET /x HTTP/1.1\r\nhost: a\r\n\r\n", Passed("GET /x HTTP/1.1\n\n")),

    // The request line and the version (RFC 9112 §2.3, §3)
    ("two spaces", b"GET  /x HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("a space before", b" GET /x HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("a tab", b"GET\t/x HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("a space in the target", b"GET /x /y HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("a space after the version", b"GET /x HTTP/1.1 \r\nhost: a\r\n\r\n", Refused(400)),
    ("HTTP/0.9", b"GET /x\r\n", Refused(400)),
    ("HTTP/1.2", b"GET /x HTTP/1.2\r\nhost: a\r\n\r\n", Refused(400)),
    ("HTTP/2.0 in text", b"GET /x HTTP/2.0\r\nhost: a\r\n\r\n", Refused(400)),
    ("version in small letters", b"GET /x http/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("no method", b"/x HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("method with a slash", b"GE/T /x HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("method in small letters is another", b"get /x HTTP/1.1\r\nhost: a\r\n\r\n", Answered(405)),
    ("TLS on the plain port", b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\r\n\r\n", Refused(400)),
    ("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", Closed),

    // HTTP/1.0 (RFC 9112 §9.3, RFC 9110 §10.1.1)
    ("HTTP/1.0", b"GET /x HTTP/1.0\r\nhost: a\r\n\r\n", Last("GET /x HTTP/1.1\n\n")),
    ("HTTP/1.0 without a host", b"GET /x HTTP/1.0\r\n\r\n", Last("GET /x HTTP/1.1\n\n")),
    ("HTTP/1.0, kept alive", b"GET /x HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", Passed("GET /x HTTP/1.1\n\n")),
    ("HTTP/1.0 with an expectation", b"POST /x HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\nabc", Last("POST /x HTTP/1.1\ncontent-length: 3\n\nabc")),

    // Host (RFC 9112 §3.2, RFC 9110 §4.2)
    ("no host", b"GET /x HTTP/1.1\r\n\r\n", Refused(400)),
    ("two hosts", b"GET /x HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", Refused(400)),
    ("empty host", b"GET /x HTTP/1.1\r\nhost:\r\n\r\n", Refused(400)),
    ("host with a user", b"GET /x HTTP/1.1\r\nhost: u@a\r\n\r\n", Refused(400)),
    ("host with a path", b"GET /x HTTP/1.1\r\nhost: a/b\r\n\r\n", Refused(400)),
    ("hosts in a list", b"GET /x HTTP/1.1\r\nhost: a, b\r\n\r\n", Refused(400)),
    ("host with a space", b"GET /x HTTP/1.1\r\nhost: a b\r\n\r\n", Refused(400)),
    ("host with a port that is none", b"GET /x HTTP/1.1\r\nhost: a:b\r\n\r\n", Refused(400)),
    ("space before the host's colon", b"GET /x HTTP/1.1\r\nhost : a\r\n\r\n", Refused(400)),

    // Forms of the target (RFC 9112 §3.2)
    ("absolute", b"GET http://a/x?q=1 HTTP/1.1\r\nhost: a\r\n\r\n", Passed("GET /x?q=1 HTTP/1.1\n\n")),
    ("absolute, at another host", b"GET http://b/x HTTP/1.1\r\nhost: a\r\n\r\n", Passed("GET /x HTTP/1.1\n\n")),
    ("absolute, beside a host that is none", b"GET http://b/x HTTP/1.1\r\nhost: a/b\r\n\r\n", Refused(400)),
    ("absolute, beside two hosts", b"GET http://a/x HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", Refused(400)),
    ("absolute, without Host", b"GET http://a/x HTTP/1.1\r\n\r\n", Refused(400)),
    ("absolute, with a user", b"GET http://u@a/x HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("absolute, of another scheme", b"GET ftp://a/x HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("absolute, without a path", b"GET http://a HTTP/1.1\r\nhost: a\r\n\r\n", Answered(307)),
    ("authority", b"GET a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n", Refused(400)),
    ("asterisk", b"GET * HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("asterisk of OPTIONS", b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n", Answered(204)),
    ("CONNECT", b"CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n", Refused(400)),
    ("CONNECT to a path", b"CONNECT /x HTTP/1.1\r\nhost: a\r\n\r\n", Answered(405)),
    ("TRACE", b"TRACE /x HTTP/1.1\r\nhost: a\r\n\r\n", Answered(405)),

    // Paths (RFC 3986 §2, §3.3, §6.2.2)
    ("dot segment", b"GET /p/../x HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("encoded dot segment", b"GET /p/%2e%2e/x HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("half-encoded dot segment", b"GET /p/.%2E/x HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("dot alone", b"GET /./x HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("empty segment", b"GET //x HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("empty segment within", b"GET /p//x HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("encoded slash", b"GET /p%2fx HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("slash encoded twice stays so", b"GET /p/a%252fb HTTP/1.1\r\nhost: a\r\n\r\n", Passed("GET /p/a%252fb HTTP/1.1\n\n")),
    ("backslash", b"GET /p\\x HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("encoded backslash", b"GET /p/%5c..%5cx HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("encoded NUL", b"GET /p/a%00 HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("encoded line's end", b"GET /p/a%0d%0ax:%20y HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("half an encoding", b"GET /p/a%2 HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("fragment", b"GET /x#y HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("fragment after a query", b"GET /x?y#z HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("parameter of a segment is the segment's", b"GET /p/..;a=b HTTP/1.1\r\nhost: a\r\n\r\n", Passed("GET /p/..;a=b HTTP/1.1\n\n")),
    ("needless encoding", b"GET /%78 HTTP/1.1\r\nhost: a\r\n\r\n", Passed("GET /x HTTP/1.1\n\n")),
    ("bytes that are not UTF-8", b"GET /p/\xff HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("letters that are not ASCII", b"GET /p/\xc3\xa4 HTTP/1.1\r\nhost: a\r\n\r\n", Refused(400)),
    ("encoded bytes that are not UTF-8", b"GET /p/%ff HTTP/1.1\r\nhost: a\r\n\r\n", Passed("GET /p/%FF HTTP/1.1\n\n")),
    ("query is the service's", b"GET /x?../%2e%2e//a HTTP/1.1\r\nhost: a\r\n\r\n", Passed("GET /x?../%2e%2e//a HTTP/1.1\n\n")),

    // Connection and Upgrade (RFC 9110 §7.6.1, §7.8; RFC 9113 §3.1)
    ("Connection takes out what it names", b"GET /x HTTP/1.1\r\nhost: a\r\nconnection: x-own\r\nx-own: 1\r\nx: 2\r\n\r\n", Passed("GET /x HTTP/1.1\nx: 2\n\n")),
    ("Connection names Authorization", b"GET /x HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, Authorization\r\nauthorization: Bearer x\r\n\r\n", Refused(400)),
    ("Connection names X-Request-Id", b"GET /x HTTP/1.1\r\nhost: a\r\nconnection: X-Request-Id\r\n\r\n", Refused(400)),
    ("Connection names X-Forwarded-For", b"GET /x HTTP/1.1\r\nhost: a\r\nconnection: close, X-Forwarded-For\r\n\r\n", Refused(400)),
    ("Connection names If-Match", b"PUT /x HTTP/1.1\r\nhost: a\r\nconnection: if-match\r\nif-match: \"1\"\r\ncontent-length: 0\r\n\r\n", Refused(400)),
    ("Connection names Content-Length", b"POST /x HTTP/1.1\r\nhost: a\r\nconnection: content-length\r\ncontent-length: 3\r\n\r\nabc", Refused(400)),
    ("Connection names Host", b"GET /x HTTP/1.1\r\nhost: a\r\nconnection: host\r\n\r\n", Refused(400)),
    ("close", b"GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", Last("GET /x HTTP/1.1\n\n")),
    ("close undone by keep-alive", b"GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\nconnection: keep-alive\r\n\r\n", Last("GET /x HTTP/1.1\n\n")),
    ("upgrade to h2c", b"GET /x HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n", Passed("GET /x HTTP/1.1\n\n")),
    ("upgrade without the option", b"GET /x HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nsec-websocket-key: k\r\n\r\n", Passed("GET /x HTTP/1.1\nsec-websocket-key: k\n\n")),
    ("upgrade of a POST", b"POST /x HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: k\r\ncontent-length: 0\r\n\r\n", Passed("POST /x HTTP/1.1\nsec-websocket-key: k\ncontent-length: 0\n\n")),
    ("TE for a gzip", b"GET /x HTTP/1.1\r\nhost: a\r\nconnection: te\r\nte: gzip\r\n\r\n", Passed("GET /x HTTP/1.1\n\n")),
    ("TE for trailers", b"GET /x HTTP/1.1\r\nhost: a\r\nconnection: te\r\nte: gzip, trailers\r\n\r\n", Passed("GET /x HTTP/1.1\nconnection: te\nte: trailers\n\n")),

    // Expect (RFC 9110 §10.1.1)
    ("another expectation", b"POST /x HTTP/1.1\r\nhost: a\r\nexpect: 200-ok\r\ncontent-length: 3\r\n\r\nabc", Refused(417)),
    ("two expectations", b"POST /x HTTP/1.1\r\nhost: a\r\nexpect: 100-continue, x\r\ncontent-length: 3\r\n\r\nabc", Refused(417)),
    ("expectation of nothing", b"GET /x HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n\r\n", Passed("GET /x HTTP/1.1\n\n")),

    // What strangers say of themselves
    ("forwarded", b"GET /x HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 1.2.3.4\r\nx-forwarded-port: 1\r\nx-forwarded-prefix: /y\r\nx-original-url: /y\r\nx-rewrite-url: /y\r\nx-real-ip: 1.2.3.4\r\nforwarded: for=1.2.3.4\r\ntrue-client-ip: 1.2.3.4\r\n\r\n", Passed("GET /x HTTP/1.1\n\n")),
];

#[tokio::test]
async fn each_is_refused_or_passed_on_exactly_so() {
    let scribe = Scribe::new().await;
    let house = house(&scribe).await;
    let mut wrong = Vec::new();
    for (name, bytes, then) in CASES {
        let answers = talk(house.address, &[bytes, SECOND.as_bytes()].concat()).await;
        let seen = scribe.take();
        let expected = expected(then);
        let got = (statuses(&answers), seen);
        if got != expected {
            wrong.push(format!(
                "{name}: {got:?}, not {expected:?}\n    {:?}",
                String::from_utf8_lossy(&answers)
            ));
        } else if let Refused(_) = then
            && !is_last_word(&answers)
        {
            wrong.push(format!("{name}: {:?}", String::from_utf8_lossy(&answers)));
        }
    }
    assert!(CASES.len() >= 60);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), CASES.len(), wrong.join("\n"));
}

/// The statuses that the client sees, and what the service does.
fn expected(then: &Then) -> (Vec<u16>, Vec<String>) {
    let seen = |texts: &[&str]| texts.iter().map(|text| sorted(text)).collect();
    match then {
        Refused(status) => (vec![*status], Vec::new()),
        Answered(status) => (vec![*status, 200], seen(&[SECOND_SEEN])),
        Closed => (Vec::new(), Vec::new()),
        Passed(first) => (vec![200, 200], seen(&[first, SECOND_SEEN])),
        Last(first) => (vec![200], seen(&[first])),
    }
}

/// All that the gateway says until it ends the connection, or nothing more is to come.
async fn talk(address: std::net::SocketAddr, bytes: &[u8]) -> Vec<u8> {
    const SILENCE: Duration = Duration::from_millis(150);
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answers = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(Ok(read @ 1..)) = timeout(SILENCE, stream.read(&mut buffer)).await {
        answers.extend_from_slice(&buffer[..read]);
    }
    answers
}

fn statuses(answers: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answers);
    // The scribe's bodies end without a line, so a status line may stand behind one.
    text.split("HTTP/1.").skip(1).filter_map(|line| line.get(2..5)?.parse().ok()).collect()
}

/// A problem document that says that the connection ends.
fn is_last_word(answers: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answers);
    text.contains("content-type: application/problem+json\r\n") && text.contains("connection: close\r\n")
}
