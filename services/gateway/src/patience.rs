//! [`Patient`]: a TCP connection to a service, and how long what was sent on it may be on its way.
//!
//! A machine that has lost its power says nothing, and is noticed by what it does not acknowledge (RFC 5482). But a service that reads slowly
//! does not acknowledge what it has no room for either: to the kernel a window that stays shut is as bad as a dead machine. So while as much is
//! sent as a window may not take, a body or what passes through a tunnel, whoever sends it is patient to its own deadline instead.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, ToSocketAddrs};

/// What was sent must have arrived at the other machine by then, or the connection counts as dead. A node that lost its power says nothing;
/// without this, requests on connections to it would wait until their own deadlines.
#[cfg(target_os = "linux")]
const ARRIVED_MAX: Duration = Duration::from_secs(3);
/// On a connection on which nothing comes the other machine is asked so often whether it is there: it may have taken the request, and lost its
/// power before it answered.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Where [`ARRIVED_MAX`] does not say how long it may be silent.
const QUESTIONS_MAX: u32 = 3;
/// Any window takes so much at once.
const WINDOW_BYTES: u64 = 16 * 1024;

/// The connection.
pub(crate) struct Patient {
    stream: TcpStream,
    is_asked: bool,
    waits: bool,
}

impl Patient {
    pub(crate) async fn connect(to: impl ToSocketAddrs) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let alive =
            TcpKeepalive::new().with_time(ASK_EVERY).with_interval(ASK_EVERY).with_retries(QUESTIONS_MAX);
        SockRef::from(&stream).set_tcp_keepalive(&alive)?;
        let mut this = Self { stream, is_asked: false, waits: true };
        this.become_patient(false)?;
        Ok(this)
    }

    /// For what is sent from now on: whether there may be so much of it that the service is slow to take it. `None`: nobody knows how much.
    pub(crate) fn be_patient(&mut self, bytes_max: Option<u64>) {
        self.is_asked = bytes_max.is_none_or(|bytes| bytes > WINDOW_BYTES);
    }

    /// As was asked; before anything is sent, and only when that is another thing than before.
    fn settle(&mut self) -> io::Result<()> {
        if self.is_asked == self.waits { Ok(()) } else { self.become_patient(self.is_asked) }
    }

    fn become_patient(&mut self, waits: bool) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        SockRef::from(&self.stream).set_tcp_user_timeout((!waits).then_some(ARRIVED_MAX))?;
        self.waits = waits;
        Ok(())
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.settle()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.settle()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn who_is_patient_for_one_request_is_not_for_the_next() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut patient = Patient::connect(&listener.local_addr().unwrap().to_string()).await.unwrap();
        let limit = |patient: &Patient| SockRef::from(&patient.stream).tcp_user_timeout().unwrap();
        assert_eq!(limit(&patient), Some(ARRIVED_MAX));
        for (bytes, expected) in [
            (Some(0), Some(ARRIVED_MAX)),
            (Some(1 << 20), None),
            (Some(100), Some(ARRIVED_MAX)),
            (None, None),
            (Some(0), Some(ARRIVED_MAX)),
        ] {
            patient.be_patient(bytes);
            patient.write_all(b"x").await.unwrap();
            assert_eq!(limit(&patient).filter(|limit| !limit.is_zero()), expected, "{bytes:?}");
        }
    }
}
