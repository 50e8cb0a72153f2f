//! Small bodies are read before their service is asked for anything: how long a client takes to send one should keep nobody at the service
//! waiting, nor a place there. And what was read can be sent again.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;

use crate::body::{Broken, ClientBody};
use crate::room::{Claim, Room};

/// What is small.
pub(crate) const SMALL_BYTES_MAX: u64 = 64 * 1024;
/// All that are being read, or were and are still of use, together. Beyond it they are streamed, as large ones are.
pub(crate) const ROOM_BYTES: usize = 16 * 1024 * 1024;

/// Bytes of a body, and their share of the room.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) bytes: Bytes,
    _claim: Claim,
}

/// What a body has become.
pub(crate) enum Loaded {
    All(Gathered),
    /// There is no room for all of it: it begins with what was read.
    Some(ClientBody),
}

/// Reads a small body to its end, if there is room for it.
pub(crate) async fn gather(mut body: ClientBody, room: &Arc<Room>) -> Result<Loaded, Broken> {
    let (mut claim, mut read) = (room.claim(), Read::default());
    while !body.is_end_stream()
        && let Some(frame) = body.frame().await
    {
        // No trailers are sent on behind a known length.
        let Ok(data) = frame?.into_data() else { break };
        let fits = claim.add(data.len());
        read.add(data);
        if !fits {
            body.begin_with(Gathered { bytes: read.into_bytes(), _claim: claim });
            return Ok(Loaded::Some(body));
        }
    }
    Ok(Loaded::All(Gathered { bytes: read.into_bytes(), _claim: claim }))
}

/// Nearly always all of it comes at once, and is left where it lies. Of what comes bit by bit each bit would keep a whole buffer, and is copied.
#[derive(Default)]
struct Read {
    first: Bytes,
    all: Vec<u8>,
}

impl Read {
    fn add(&mut self, data: Bytes) {
        if self.all.is_empty() && self.first.is_empty() {
            self.first = data;
            return;
        }
        self.all.extend_from_slice(&std::mem::take(&mut self.first));
        self.all.extend_from_slice(&data);
    }

    fn into_bytes(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_at_once_is_not_copied_and_what_comes_bit_by_bit_is_put_together() {
        let whole = Bytes::from_static(b"whole");
        let mut read = Read::default();
        read.add(whole.clone());
        assert_eq!(read.into_bytes().as_ptr(), whole.as_ptr());
        let mut read = Read::default();
        for bit in [&b"b"[..], b"", b"it", b"s"] {
            read.add(Bytes::copy_from_slice(bit));
        }
        assert_eq!(read.into_bytes(), "bits");
        assert_eq!(Read::default().into_bytes(), "");
    }
}
