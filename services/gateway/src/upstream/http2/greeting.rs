//! [`Greeted`]: a connection that tells whether its service speaks HTTP/2, by the first thing that it says.
//!
//! That is SETTINGS, whatever else it has to say (RFC 9113 §3.4). Before it has come nothing is asked: who speaks something else has then done
//! nothing, and what it would say to a request in a language that it does not know need not be made sense of.
//!
//! A service that ends a connection takes nothing more, and may have said much that is not read yet: its last answers, and which requests it did not
//! come to (§6.8). So what can no longer be sent is let go of, and what was said is read to its end, which is also how the connection ends.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot::{self, Receiver, Sender};

use crate::upstream::Stream;

/// A frame's head: its length, kind and flags, and which stream it is of (§4.1).
const FRAME_HEAD_BYTES: usize = 9;
const SETTINGS: u8 = 4;
const ACK: u8 = 1;

/// What a service said that does not speak HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotHttp2 {
    #[error("it answers in HTTP/1.1 where HTTP/2 is asked for")]
    Http1,
    #[error("it does not answer in HTTP/2, which is asked for")]
    Other,
    #[error("it ends the connection where HTTP/2 is asked for")]
    Nothing,
}

/// The connection.
pub(super) struct Greeted {
    stream: Stream,
    /// The first bytes, until they tell.
    said: Vec<u8>,
    told: Option<Sender<Result<(), NotHttp2>>>,
    /// It takes nothing more.
    is_shut: bool,
}

impl Greeted {
    pub(super) fn new(stream: Stream) -> (Self, Receiver<Result<(), NotHttp2>>) {
        let (told, greeting) = oneshot::channel();
        (
            Self { stream, said: Vec::with_capacity(FRAME_HEAD_BYTES), told: Some(told), is_shut: false },
            greeting,
        )
    }

    fn hear(&mut self, came: &[u8]) {
        let missing = FRAME_HEAD_BYTES - self.said.len();
        self.said.extend_from_slice(&came[..missing.min(came.len())]);
        let verdict = if came.is_empty() { Some(Err(NotHttp2::Nothing)) } else { judge(&self.said) };
        if let (Some(verdict), Some(told)) = (verdict, self.told.take_if(|_| verdict.is_some())) {
            let _ = told.send(verdict);
        }
    }
}

/// What the first bytes tell; `None`: nothing yet.
fn judge(said: &[u8]) -> Option<Result<(), NotHttp2>> {
    if said.starts_with(b"HTTP/") {
        return Some(Err(NotHttp2::Http1));
    }
    let [_, _, _, kind, flags, stream @ ..] = <[u8; FRAME_HEAD_BYTES]>::try_from(said).ok()?;
    let is_greeting = kind == SETTINGS && flags & ACK == 0 && stream == [0; 4];
    Some(if is_greeting { Ok(()) } else { Err(NotHttp2::Other) })
}

impl AsyncRead for Greeted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if self.told.is_some() && buf.capacity() > before {
            self.hear(&buf.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl Greeted {
    /// Nothing more is taken: so much is let go of.
    fn shut(&mut self, error: &io::Error, bytes: usize) -> Poll<io::Result<usize>> {
        tracing::debug!(%error, "a service takes nothing more on a connection: it is read to its end");
        self.is_shut = true;
        Poll::Ready(Ok(bytes))
    }
}

impl AsyncWrite for Greeted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_shut {
            return Poll::Ready(Ok(buf.len()));
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        written.map_or_else(|error| self.shut(&error, buf.len()), |bytes| Poll::Ready(Ok(bytes)))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = || bufs.iter().map(|buf| buf.len()).sum();
        if self.is_shut {
            return Poll::Ready(Ok(all()));
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs));
        written.map_or_else(|error| self.shut(&error, all()), |bytes| Poll::Ready(Ok(bytes)))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_shut
            && let Err(error) = ready!(Pin::new(&mut self.stream).poll_flush(cx))
        {
            let _ = self.shut(&error, 0);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    use super::*;

    #[test]
    fn the_first_bytes_tell_and_too_few_do_not() {
        for (said, verdict) in [
            (&b"\0\0\x12\x04\0\0\0\0\0"[..], Some(Ok(()))),
            (b"\0\0\x12\x04\0\0\0\0", None),
            (b"", None),
            (b"HTTP", None),
            (b"HTTP/", Some(Err(NotHttp2::Http1))),
            (b"HTTP/1.1 ", Some(Err(NotHttp2::Http1))),
            (b"\0\0\0\x04\x01\0\0\0\0", Some(Err(NotHttp2::Other))),
            (b"\0\0\x12\x04\0\0\0\0\x01", Some(Err(NotHttp2::Other))),
            (b"\0\0\x12\0\0\0\0\0\0", Some(Err(NotHttp2::Other))),
            (b"SSH-2.0-O", Some(Err(NotHttp2::Other))),
        ] {
            assert_eq!(judge(said), verdict, "{said:?}");
        }
    }

    #[tokio::test]
    async fn what_was_said_before_the_end_is_heard_though_nothing_more_is_taken() {
        let (mut service, stream) = UnixStream::pair().unwrap();
        let (mut greeted, _greeting) = Greeted::new(Stream::Unix(stream));
        service.write_all(b"goodbye").await.unwrap();
        drop(service);
        for _ in 0..3 {
            greeted.write_all(b"more").await.unwrap();
            greeted.flush().await.unwrap();
        }
        let mut heard = Vec::new();
        greeted.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"goodbye");
    }
}
