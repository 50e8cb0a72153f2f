//! [`Sending`]: a request on its way out over HTTP/1.1, as bytes: its head, and its body as that comes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::header::{MAX_FORWARDS, SET_COOKIE, TRAILER};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use hyper::body::Body;
use tokio::io::AsyncWrite;

use super::Ask;
use crate::body::{Broken, Outgoing};
use crate::headers::END_TO_END;
use crate::names::Names;

/// Data up to this size is copied behind what is written already; more is written from where it lies.
const COPIED_BYTES_MAX: usize = 4 * 1024;
/// So much is gathered before it is written.
const GATHERED_BYTES_MAX: usize = 16 * 1024;
/// A connection that waits keeps a buffer of this size.
const KEPT_BYTES_MAX: usize = 4 * 1024;

/// Why a request did not get out.
#[derive(Debug)]
pub(super) enum Fault {
    /// Its body broke off, which is its client's doing.
    Body(Broken),
    /// The connection takes no more.
    Written(io::Error),
}

/// What of a request is still to be written.
#[derive(Debug, Default)]
pub(super) struct Sending {
    buffer: Vec<u8>,
    written: usize,
    /// Comes behind the buffer.
    data: Bytes,
    body: Option<Outgoing>,
    coding: Coding,
    /// The fields that may follow the body, if its head has named them.
    trailer: Vec<HeaderValue>,
    is_flushed: bool,
}

/// How a body's end is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    /// So many bytes are still to come. More or fewer would be read as the next request, or as its beginning.
    Length(u64),
    Chunked,
}

impl Default for Coding {
    fn default() -> Self {
        Self::Length(0)
    }
}

impl Sending {
    /// Begins with a request. The one before must have got out.
    pub(super) fn begin(&mut self, ask: &Ask<'_>, host: &HeaderValue, body: Outgoing) {
        self.is_flushed = false;
        ask.write(&mut self.buffer, host);
        let length = body.size_hint().exact();
        self.coding = length.map_or(Coding::Chunked, Coding::Length);
        match length {
            Some(0) if is_bare(ask.method) => {}
            Some(length) => {
                self.buffer.extend_from_slice(b"content-length: ");
                self.buffer.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
                self.buffer.extend_from_slice(b"\r\n");
            }
            None => {
                self.buffer.extend_from_slice(b"transfer-encoding: chunked\r\n");
                self.trailer = ask.headers.get_all(TRAILER).iter().cloned().collect();
            }
        }
        self.buffer.extend_from_slice(b"\r\n");
        self.body = (length != Some(0)).then_some(body);
    }

    /// Keeps no more room than most requests need.
    pub(super) fn rest(&mut self) {
        self.buffer.shrink_to(KEPT_BYTES_MAX);
    }

    /// Whether all of it is written.
    pub(super) fn is_done(&self) -> bool {
        self.is_flushed
    }

    /// Nobody takes the rest.
    pub(super) fn give_up(&mut self) {
        *self = Self { is_flushed: true, ..Self::default() };
    }

    /// Writes what can be written now; ready when that was all.
    pub(super) fn poll<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Fault>> {
        if self.is_flushed {
            return Poll::Ready(Ok(()));
        }
        loop {
            self.gather(cx).map_err(Fault::Body)?;
            if self.is_empty() {
                break;
            }
            ready!(self.poll_write(stream, cx)).map_err(Fault::Written)?;
        }
        ready!(Pin::new(stream).poll_flush(cx)).map_err(Fault::Written)?;
        if self.body.is_some() {
            return Poll::Pending;
        }
        self.is_flushed = true;
        Poll::Ready(Ok(()))
    }

    fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.data.is_empty()
    }

    /// Takes on what of the body has come.
    fn gather(&mut self, cx: &mut Context<'_>) -> Result<(), Broken> {
        while let Some(body) = &mut self.body
            && self.data.is_empty()
            && self.buffer.len() < GATHERED_BYTES_MAX
        {
            match Pin::new(body).poll_frame(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(frame)) => match frame?.into_data() {
                    Ok(data) => self.take(data)?,
                    Err(frame) => self.end(frame.into_trailers().ok().as_ref())?,
                },
                Poll::Ready(None) => self.end(None)?,
            }
        }
        Ok(())
    }

    fn take(&mut self, data: Bytes) -> Result<(), Broken> {
        if data.is_empty() {
            return Ok(());
        }
        match &mut self.coding {
            Coding::Length(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or(Broken::Unreadable)?;
                // Nothing follows the last byte, and nobody need ask.
                if *left == 0 {
                    self.body = None;
                }
            }
            Coding::Chunked => {
                let size = format!("{:x}\r\n", data.len());
                self.buffer.extend_from_slice(size.as_bytes());
            }
        }
        if data.len() <= COPIED_BYTES_MAX {
            self.buffer.extend_from_slice(&data);
            self.end_chunk();
        } else {
            self.data = data;
        }
        Ok(())
    }

    fn end_chunk(&mut self) {
        if self.coding == Coding::Chunked {
            self.buffer.extend_from_slice(b"\r\n");
        }
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Broken> {
        self.body = None;
        if let Coding::Length(left) = self.coding {
            return if left == 0 { Ok(()) } else { Err(Broken::Unreadable) };
        }
        self.buffer.extend_from_slice(b"0\r\n");
        for (name, value) in trailers.into_iter().flatten() {
            if may_trail(name) && is_named(&self.trailer, name) {
                write_line(&mut self.buffer, name.as_str().as_bytes(), value);
            }
        }
        self.buffer.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = Pin::new(stream);
        let first = &self.buffer[self.written..];
        let mut written = ready!(if self.data.is_empty() {
            stream.poll_write(cx, first)
        } else {
            stream.poll_write_vectored(cx, &[IoSlice::new(first), IoSlice::new(&self.data)])
        })?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let of_buffer = written.min(first.len());
        self.written += of_buffer;
        written -= of_buffer;
        if self.written == self.buffer.len() {
            self.written = 0;
            self.buffer.clear();
        }
        if written > 0 {
            self.data.advance(written);
            if self.data.is_empty() {
                self.data = Bytes::new();
                self.end_chunk();
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Whether a request of this method has no body unless it says so (RFC 9110 §8.6).
fn is_bare(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::DELETE | Method::TRACE)
}

/// A head's or a trailer section's line. Neither a name nor a value can hold a line's end.
pub(super) fn write_line(out: &mut Vec<u8>, name: &[u8], value: &HeaderValue) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Whether a field may come behind a body: not one that says where it goes, who asks, or how it is read (RFC 9110 §6.5.1), nor one that is taken
/// out of heads or is the gateway's own: a service may put both together.
pub(super) fn may_trail(name: &HeaderName) -> bool {
    Names::one(name.as_str()) == Names::default()
        && !END_TO_END.contains(&name.as_str())
        && !matches!(*name, MAX_FORWARDS | SET_COOKIE | TRAILER)
}

/// Whether the head has said that the field would follow.
pub(super) fn is_named(trailer: &[HeaderValue], name: &HeaderName) -> bool {
    let names = trailer.iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    names.map(<[u8]>::trim_ascii).any(|one| one.eq_ignore_ascii_case(name.as_str().as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use http::Uri;
    use tokio::io::AsyncReadExt;

    use super::*;

    fn ask<'a>(method: &'a Method, uri: &'a Uri, headers: &'a HeaderMap) -> Ask<'a> {
        Ask { method, uri, headers, own: None }
    }

    async fn sent(method: Method, headers: &[(&'static str, &'static str)], body: Outgoing) -> String {
        let uri = Uri::from_static("/x?y");
        let map = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let headers = map.collect::<HeaderMap>();
        let mut sending = Sending::default();
        sending.begin(&ask(&method, &uri, &headers), &HeaderValue::from_static("a:1"), body);
        // A pipe that takes a little at a time.
        let (mut near, mut far) = tokio::io::duplex(7);
        let out = async {
            std::future::poll_fn(|cx| sending.poll(&mut near, cx)).await.unwrap();
            assert!(sending.is_done());
            drop(near);
        };
        let mut text = String::new();
        let ((), read) = tokio::join!(out, far.read_to_string(&mut text));
        read.unwrap();
        text
    }

    #[tokio::test]
    async fn a_head_says_how_long_the_body_is_whatever_its_client_wrote() {
        let kept = |text: &'static str| Outgoing::Kept(Some(Bytes::from_static(text.as_bytes())));
        let lines = [("content-length", "007"), ("transfer-encoding", "gzip"), ("host", "evil"), ("x", "y")];
        for (method, headers, body, expected) in [
            (Method::GET, &lines[3..], Outgoing::Empty, "GET /x?y HTTP/1.1\r\nhost: a:1\r\nx: y\r\n\r\n"),
            (Method::DELETE, &[], Outgoing::Empty, "DELETE /x?y HTTP/1.1\r\nhost: a:1\r\n\r\n"),
            (
                Method::POST,
                &[],
                Outgoing::Empty,
                "POST /x?y HTTP/1.1\r\nhost: a:1\r\ncontent-length: 0\r\n\r\n",
            ),
            (
                Method::POST,
                &lines[..],
                kept("body"),
                "POST /x?y HTTP/1.1\r\nhost: a:1\r\nx: y\r\ncontent-length: 4\r\n\r\nbody",
            ),
            (Method::GET, &[], kept("b"), "GET /x?y HTTP/1.1\r\nhost: a:1\r\ncontent-length: 1\r\n\r\nb"),
        ] {
            assert_eq!(sent(method, headers, body).await, expected);
        }
    }

    #[tokio::test]
    async fn a_large_body_is_written_from_where_it_lies_in_whatever_pieces_are_taken() {
        let large = Bytes::from("z".repeat(COPIED_BYTES_MAX + 1));
        let text = sent(Method::PUT, &[], Outgoing::Kept(Some(large.clone()))).await;
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with("content-length: 4097"), "{head}");
        assert_eq!(body.as_bytes(), large);
    }

    #[test]
    fn chunks_end_with_the_fields_that_were_named_and_may_come_there() {
        let mut sending = Sending {
            coding: Coding::Chunked,
            trailer: vec![HeaderValue::from_static(
                "x-sum, Authorization, x-request-id, forwarded, x-original-url, If-Match",
            )],
            ..Sending::default()
        };
        sending.take(Bytes::from_static(b"hello")).unwrap();
        sending.take(Bytes::new()).unwrap();
        let trailers = HeaderMap::from_iter(
            ["x-sum", "x-other", "authorization", "x-request-id", "forwarded", "x-original-url", "if-match"]
                .map(|name| (HeaderName::from_static(name), HeaderValue::from_static("5"))),
        );
        sending.end(Some(&trailers)).unwrap();
        assert_eq!(String::from_utf8(sending.buffer).unwrap(), "5\r\nhello\r\n0\r\nx-sum: 5\r\n\r\n");
    }

    /// What a head has promised and a body does not keep would be read as the next request, or make it a part of this one.
    #[test]
    fn a_body_is_neither_longer_nor_shorter_than_was_said() {
        let with = |left| Sending { coding: Coding::Length(left), ..Sending::default() };
        assert!(with(3).take(Bytes::from_static(b"four")).is_err());
        assert!(with(3).end(None).is_err());
        let mut whole = with(4);
        whole.take(Bytes::from_static(b"four")).unwrap();
        assert!(whole.end(None).is_ok());
    }

    #[tokio::test]
    async fn who_takes_no_more_is_told_from_a_body_that_broke_off() {
        let (mut near, far) = tokio::io::duplex(7);
        drop(far);
        let mut sending = Sending::default();
        let (uri, headers) = (Uri::from_static("/"), HeaderMap::new());
        sending.begin(&ask(&Method::GET, &uri, &headers), &HeaderValue::from_static("a"), Outgoing::Empty);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(sending.poll(&mut near, &mut cx), Poll::Ready(Err(Fault::Written(_)))));
    }
}
