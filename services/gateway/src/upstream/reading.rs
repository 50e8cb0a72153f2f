//! [`Reading`]: what has come of a service's answers, and the buffer that it comes to.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// So much is read at once, at first; more while that much comes.
const READ_BYTES: usize = 4 * 1024;
const READ_BYTES_MAX: usize = 64 * 1024;
/// With less room than this another buffer is taken, or the same one again if nobody has anything of it any more.
const ROOM_BYTES_MIN: usize = 1024;

/// What has come.
#[derive(Debug)]
pub(super) struct Reading {
    /// Not looked at yet. Parts of it are handed on as they are, not copied.
    pub(super) ahead: Bytes,
    /// Empty between two reads.
    room: BytesMut,
    at_once: usize,
    /// Something has come since this was last set back.
    pub(super) has_heard: bool,
}

impl Default for Reading {
    fn default() -> Self {
        Self { ahead: Bytes::new(), room: BytesMut::new(), at_once: READ_BYTES, has_heard: false }
    }
}

impl Reading {
    /// Keeps no more room than most answers need.
    pub(super) fn rest(&mut self) {
        if self.room.capacity() > READ_BYTES {
            self.room = BytesMut::new();
        }
        self.at_once = READ_BYTES;
    }

    /// Reads what comes next behind what is there. Zero bytes: the service has ended the connection.
    pub(super) fn poll_more<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.room.capacity() < ROOM_BYTES_MIN {
            self.room.reserve(self.at_once);
        }
        let room = self.room.capacity();
        let bytes = ready!(pin!(stream.read_buf(&mut self.room)).poll(cx))?;
        self.has_heard |= bytes > 0;
        self.at_once = if bytes == room { READ_BYTES_MAX.min(self.at_once * 2) } else { READ_BYTES };
        let came = self.room.split().freeze();
        self.ahead = if self.ahead.is_empty() { came } else { [&*self.ahead, &came].concat().into() };
        Poll::Ready(Ok(bytes))
    }
}
