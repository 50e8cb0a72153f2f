//! [`Stream`]: what a service is reached over.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

use crate::patience::Patient;

/// The bytes' way to a service and back.
pub(crate) enum Stream {
    Tcp(Patient),
    Tls(Box<tls::Connected<Patient>>),
    Unix(UnixStream),
}

impl Stream {
    /// For what is sent from now on: whether there may be so much of it that the service is slow to take it. `None`: nobody knows how much.
    /// A machine's own sockets need no patience.
    pub(super) fn be_patient(&mut self, bytes_max: Option<u64>) {
        match self {
            Self::Tcp(stream) => stream.be_patient(bytes_max),
            Self::Tls(stream) => stream.get_mut().0.be_patient(bytes_max),
            Self::Unix(_) => {}
        }
    }
}

impl Stream {
    /// Whether HTTP/2 is to be spoken, where that is wanted: with TLS, as was agreed upon.
    pub(super) fn is_http2(&self) -> bool {
        match self {
            Self::Tls(stream) => tls::is_http2(stream),
            Self::Tcp(_) | Self::Unix(_) => true,
        }
    }
}

/// The same call on whichever it is.
macro_rules! on {
    ($self:expr, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Tcp($stream) => $call,
            Self::Tls($stream) => $call,
            Self::Unix($stream) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        on!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
