//! An answer as it comes over HTTP/1.1: its head, and the frames of its body up to where that ends (RFC 9112 §4, §6, §7).
//!
//! Whatever two readers could read in two ways is not read: it is an error, and the connection is of no use any more.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use httparse::{ParserConfig, Status};
use hyper::body::Frame;

use crate::security::ADDED_MAX;

/// A head's or a trailer section's lines.
const LINES_MAX: usize = 100;
/// A head, bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// A chunk's size with its extensions, or a trailer section, bytes.
const CHUNK_LINES_BYTES_MAX: usize = 16 * 1024;

/// What is no answer, or not the rest of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the answer's head cannot be read: {0}")]
    Head(httparse::Error),
    #[error("the answer's head is too long")]
    TooLong,
    #[error("the answer's end could be seen in two places")]
    End,
    #[error("the answer's chunks cannot be read")]
    Chunks,
}

/// An answer's head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) response: Response<()>,
    pub(super) body: Body,
    /// Whether another request can be made on the connection afterwards.
    pub(super) keeps_alive: bool,
}

/// What is still to come of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes.
    Length(u64),
    Chunked(Chunked),
    /// Whatever comes until the connection ends.
    Rest,
}

/// Where in a chunked body it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunked {
    /// Before a chunk's size.
    Size,
    /// In a chunk, with so many bytes to come.
    Data(u64),
    /// Behind a chunk's data, before its line's end.
    Behind,
    /// Behind the last chunk.
    Trailers,
    End,
}

/// What the next bytes of a body come to.
#[derive(Debug)]
pub(super) enum Next {
    Frame(Frame<Bytes>),
    /// Nothing, without further bytes.
    More,
    End,
}

/// Reads an answer's head off the front of what has come; `None`: not all of it is there.
pub(super) fn head(ahead: &mut Bytes, method: &Method) -> Result<Option<Head>, Malformed> {
    let mut lines = [const { MaybeUninit::uninit() }; LINES_MAX];
    let mut parsed = httparse::Response::new(&mut []);
    let config = ParserConfig::default();
    let length = match config.parse_response_with_uninit_headers(&mut parsed, ahead, &mut lines) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) if ahead.len() > HEAD_BYTES_MAX => return Err(Malformed::TooLong),
        Ok(Status::Partial) => return Ok(None),
        Err(error) => return Err(Malformed::Head(error)),
    };
    if length > HEAD_BYTES_MAX {
        return Err(Malformed::TooLong);
    }
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Malformed::Head(httparse::Error::Status))?;
    let is_1_0 = parsed.version == Some(0);
    // Some more are added on the way to the client: the request's id, how it stands with limits, what browsers are told.
    let mut headers = HeaderMap::with_capacity(parsed.headers.len() + 3 + ADDED_MAX);
    for line in parsed.headers.iter() {
        headers.append(name(line)?, value(ahead, line)?);
    }
    let body = body(&headers, status, method, is_1_0)?;
    // What has no body and announces one may be followed by it.
    let is_odd = body == Body::Length(0) && announces_body(&headers, status);
    let keeps_alive = !is_1_0 && !is_odd && body != Body::Rest && !says_close(&headers);
    let _ = ahead.split_to(length);
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(Some(Head { response, body, keeps_alive }))
}

fn name(line: &httparse::Header<'_>) -> Result<HeaderName, Malformed> {
    HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| Malformed::Head(httparse::Error::HeaderName))
}

/// A part of what has come, and not a copy of it.
fn value(all: &Bytes, line: &httparse::Header<'_>) -> Result<HeaderValue, Malformed> {
    HeaderValue::from_maybe_shared(all.slice_ref(line.value))
        .map_err(|_| Malformed::Head(httparse::Error::HeaderValue))
}

/// Where an answer's body ends (RFC 9112 §6.3). What would be repaired there is refused: no service of ours sends it.
fn body(headers: &HeaderMap, status: StatusCode, method: &Method, is_1_0: bool) -> Result<Body, Malformed> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next().map(|length| number(length.as_bytes()).ok_or(Malformed::End)).transpose()?;
    if lengths.next().is_some() {
        return Err(Malformed::End);
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let coding = codings.next();
    if let Some(coding) = coding {
        // Any other would have to be undone before it is told on.
        let is_just_chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
        if !is_just_chunked || length.is_some() || is_1_0 {
            return Err(Malformed::End);
        }
    }
    let has_none = status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || *method == Method::HEAD;
    Ok(match length {
        _ if has_none => Body::Length(0),
        Some(length) => Body::Length(length),
        None if coding.is_some() => Body::Chunked(Chunked::Size),
        None => Body::Rest,
    })
}

/// Digits and nothing else (RFC 9110 §8.6).
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |sum, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        sum.checked_mul(10)?.checked_add(digit.into())
    })
}

/// Whether an answer without a body says that it has one. That of a HEAD, or a 304, may say how long another would be (RFC 9110 §8.6).
fn announces_body(headers: &HeaderMap, status: StatusCode) -> bool {
    let has_length =
        || headers.get(CONTENT_LENGTH).is_some_and(|length| number(length.as_bytes()) != Some(0));
    headers.contains_key(TRANSFER_ENCODING)
        || ((status.is_informational() || status == StatusCode::NO_CONTENT) && has_length())
}

fn says_close(headers: &HeaderMap) -> bool {
    let options =
        headers.get_all(CONNECTION).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    options.map(<[u8]>::trim_ascii).any(|option| option.eq_ignore_ascii_case(b"close"))
}

impl Body {
    /// Reads on in what has come.
    pub(super) fn next(&mut self, ahead: &mut Bytes) -> Result<Next, Malformed> {
        match self {
            Self::Length(0) => Ok(Next::End),
            Self::Length(_) | Self::Rest if ahead.is_empty() => Ok(Next::More),
            Self::Length(left) => Ok(data(ahead, left)),
            Self::Rest => Ok(Next::Frame(Frame::data(std::mem::take(ahead)))),
            Self::Chunked(chunked) => chunked.next(ahead),
        }
    }

    /// Whether nothing is still to come, as far as that can be said without reading on.
    pub(super) fn is_end(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunked::End))
    }
}

/// As much as has come, and belongs to it.
fn data(ahead: &mut Bytes, left: &mut u64) -> Next {
    let now = usize::try_from(*left).map_or(ahead.len(), |left| left.min(ahead.len()));
    *left -= now as u64;
    Next::Frame(Frame::data(ahead.split_to(now)))
}

impl Chunked {
    fn next(&mut self, ahead: &mut Bytes) -> Result<Next, Malformed> {
        loop {
            match self {
                Self::End => return Ok(Next::End),
                _ if ahead.is_empty() => return Ok(Next::More),
                Self::Size => {
                    // An empty line would count as zero.
                    if !ahead[0].is_ascii_hexdigit() {
                        return Err(Malformed::Chunks);
                    }
                    let Status::Complete((length, size)) =
                        httparse::parse_chunk_size(ahead).map_err(|_| Malformed::Chunks)?
                    else {
                        return unfinished(ahead);
                    };
                    // An extension may be of any bytes, as the parser has it. With a line's end in it, it may be two lines.
                    if ahead[..length - 2].iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
                        return Err(Malformed::Chunks);
                    }
                    let _ = ahead.split_to(length);
                    *self = if size == 0 { Self::Trailers } else { Self::Data(size) };
                }
                Self::Data(left) => {
                    let frame = data(ahead, left);
                    if *left == 0 {
                        *self = Self::Behind;
                        // Often all of it has come at once. Then this was the last frame, and whoever takes it knows.
                        if ahead[..] == *b"\r\n0\r\n\r\n" {
                            ahead.clear();
                            *self = Self::End;
                        }
                    }
                    return Ok(frame);
                }
                Self::Behind => {
                    if !b"\r\n".starts_with(&ahead[..ahead.len().min(2)]) {
                        return Err(Malformed::Chunks);
                    }
                    if ahead.len() < 2 {
                        return Ok(Next::More);
                    }
                    let _ = ahead.split_to(2);
                    *self = Self::Size;
                }
                Self::Trailers => {
                    let Some(trailers) = trailers(ahead)? else { return unfinished(ahead) };
                    *self = Self::End;
                    if !trailers.is_empty() {
                        return Ok(Next::Frame(Frame::trailers(trailers)));
                    }
                }
            }
        }
    }
}

fn unfinished(ahead: &Bytes) -> Result<Next, Malformed> {
    if ahead.len() > CHUNK_LINES_BYTES_MAX { Err(Malformed::Chunks) } else { Ok(Next::More) }
}

fn trailers(ahead: &mut Bytes) -> Result<Option<HeaderMap>, Malformed> {
    let mut lines = [httparse::EMPTY_HEADER; LINES_MAX];
    let parsed = httparse::parse_headers(ahead, &mut lines).map_err(|_| Malformed::Chunks)?;
    let Status::Complete((length, lines)) = parsed else { return Ok(None) };
    let mut trailers = HeaderMap::with_capacity(lines.len());
    for line in lines {
        trailers.append(name(line)?, value(ahead, line)?);
    }
    let _ = ahead.split_to(length);
    Ok(Some(trailers))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<Head>, Malformed> {
        head(&mut Bytes::copy_from_slice(bytes), &Method::GET)
    }

    /// All of a body, which comes in pieces of these sizes, the last of them again and again.
    fn gather(
        mut body: Body,
        bytes: &[u8],
        pieces: &[usize],
    ) -> Result<(Vec<u8>, Option<HeaderMap>, Bytes), Malformed> {
        let (mut came, mut trailers, mut ahead) = (Vec::new(), None, Bytes::new());
        let (mut rest, mut sizes) =
            (bytes, pieces.iter().copied().chain(std::iter::repeat(*pieces.last().unwrap())));
        loop {
            match body.next(&mut ahead)? {
                Next::End => return Ok((came, trailers, [&*ahead, rest].concat().into())),
                Next::Frame(frame) => match frame.into_data() {
                    Ok(data) => came.extend_from_slice(&data),
                    Err(frame) => trailers = frame.into_trailers().ok(),
                },
                Next::More if rest.is_empty() => return Err(Malformed::End),
                Next::More => {
                    let now = sizes.next().unwrap().clamp(1, rest.len());
                    ahead = [&*ahead, &rest[..now]].concat().into();
                    rest = &rest[now..];
                }
            }
        }
    }

    #[test]
    fn a_head_says_where_the_body_ends_and_whether_the_connection_goes_on() {
        for (lines, status, method, expected) in [
            ("content-length: 5", 200, Method::GET, Some((Body::Length(5), true))),
            ("content-length: 18446744073709551615", 200, Method::GET, Some((Body::Length(u64::MAX), true))),
            ("content-length: 18446744073709551616", 200, Method::GET, None),
            ("content-length: ", 200, Method::GET, None),
            ("content-length: -1", 200, Method::GET, None),
            ("content-length: 5", 200, Method::HEAD, Some((Body::Length(0), true))),
            ("content-length: 5", 304, Method::GET, Some((Body::Length(0), true))),
            ("x: y", 204, Method::GET, Some((Body::Length(0), true))),
            ("content-length: 0", 204, Method::GET, Some((Body::Length(0), true))),
            ("content-length: 40", 204, Method::GET, Some((Body::Length(0), false))),
            ("transfer-encoding: chunked", 204, Method::GET, Some((Body::Length(0), false))),
            ("transfer-encoding: chunked", 200, Method::HEAD, Some((Body::Length(0), false))),
            ("x: y", 200, Method::GET, Some((Body::Rest, false))),
            ("Transfer-Encoding: Chunked", 200, Method::GET, Some((Body::Chunked(Chunked::Size), true))),
            ("transfer-encoding: chunked, chunked", 200, Method::GET, None),
            ("content-length: 5\r\nconnection: x, Close ", 200, Method::GET, Some((Body::Length(5), false))),
        ] {
            let text = format!("HTTP/1.1 {status} \r\n{lines}\r\n\r\nrest");
            let mut ahead = Bytes::from(text.clone());
            let head = head(&mut ahead, &method);
            let got = head.ok().flatten().map(|head| (head.body, head.keeps_alive));
            assert_eq!(got, expected, "{text}");
            assert!(expected.is_none() || ahead == "rest", "{text}");
        }
    }

    #[test]
    fn a_head_without_end_is_too_long_at_last() {
        let mut text = b"HTTP/1.1 200 OK\r\n".to_vec();
        text.resize(HEAD_BYTES_MAX, b'x');
        assert!(matches!(read(&text), Ok(None)));
        text.extend_from_slice(b"xx");
        assert_eq!(read(&text).unwrap_err(), Malformed::TooLong);
        let lines = "x: y\r\n".repeat(LINES_MAX + 1);
        let many = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
        assert_eq!(read(many.as_bytes()).unwrap_err(), Malformed::Head(httparse::Error::TooManyHeaders));
    }

    #[test]
    fn chunks_that_cannot_be_told_apart_are_refused() {
        for text in [
            "\r\n",
            "g\r\n",
            "-1\r\n",
            "2\r\nokx\r\n",
            "2\r\nok\rx",
            "11111111111111111\r\n",
            "0\r\nx\r\n\r\n",
            "2\nok",
            "2;\nok\r\nab\r\n0\r\n\r\n",
        ] {
            assert_eq!(
                gather(Body::Chunked(Chunked::Size), text.as_bytes(), &[1]).unwrap_err(),
                Malformed::Chunks,
                "{text:?}"
            );
        }
        let endless = format!("0;{}", "x".repeat(CHUNK_LINES_BYTES_MAX));
        assert_eq!(
            gather(Body::Chunked(Chunked::Size), endless.as_bytes(), &[1024]).unwrap_err(),
            Malformed::Chunks
        );
    }

    proptest! {
        /// However the network cuts it, a body is what was sent, and what follows is left alone.
        #[test]
        fn a_chunked_body_is_read_in_any_pieces(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
            extension in "(;[a-z]{1,4}(=[a-z]{1,4})?)?",
            trailer in prop::option::of("[a-z]{1,8}"),
            behind in "[a-z]{0,9}",
            pieces in prop::collection::vec(1_usize..60, 1..8),
        ) {
            let mut text = Vec::new();
            for chunk in &chunks {
                text.extend_from_slice(format!("{:X}{extension}\r\n", chunk.len()).as_bytes());
                text.extend_from_slice(chunk);
                text.extend_from_slice(b"\r\n");
            }
            text.extend_from_slice(b"0\r\n");
            if let Some(trailer) = &trailer {
                text.extend_from_slice(format!("x-sum: {trailer}\r\n").as_bytes());
            }
            text.extend_from_slice(b"\r\n");
            text.extend_from_slice(behind.as_bytes());
            let (body, trailers, rest) = gather(Body::Chunked(Chunked::Size), &text, &pieces).unwrap();
            prop_assert_eq!(body, chunks.concat());
            prop_assert_eq!(rest, behind);
            let came = trailers.map(|trailers| trailers["x-sum"].to_str().unwrap().to_owned());
            prop_assert_eq!(came, trailer);
        }

        /// What is read off the front is what stands there, and the rest is not touched.
        #[test]
        fn a_body_of_a_length_ends_there(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..200, pieces in prop::collection::vec(1_usize..60, 1..8)) {
            let at = at.min(bytes.len());
            let (body, _, rest) = gather(Body::Length(at as u64), &bytes, &pieces).unwrap();
            prop_assert_eq!(&body[..], &bytes[..at]);
            prop_assert_eq!(&rest[..], &bytes[at..]);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), lines in "[ -~\r\n]{0,80}") {
            let _ = read(&bytes);
            let _ = read(format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n").as_bytes());
            let _ = gather(Body::Chunked(Chunked::Size), &bytes, &[3]);
            let _ = gather(Body::Chunked(Chunked::Size), lines.as_bytes(), &[3]);
        }
    }
}
