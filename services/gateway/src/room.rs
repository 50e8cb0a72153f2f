//! [`Room`]: bytes that many keep for a while, bounded together. Who finds no room does without.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much there is, and how much of it is taken.
#[derive(Debug)]
pub(crate) struct Room {
    taken: AtomicUsize,
    bytes_max: usize,
}

/// What one has taken of it; given back when dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    room: Arc<Room>,
    bytes: usize,
}

impl Room {
    pub(crate) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { taken: AtomicUsize::new(0), bytes_max })
    }

    /// Nothing yet.
    pub(crate) fn claim(self: &Arc<Self>) -> Claim {
        Claim { room: Arc::clone(self), bytes: 0 }
    }
}

impl Claim {
    /// Takes so much more, or nothing if there is no room for it.
    pub(crate) fn add(&mut self, bytes: usize) -> bool {
        let before = self.room.taken.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.room.bytes_max;
        if fits {
            self.bytes += bytes;
        } else {
            self.room.taken.fetch_sub(bytes, Ordering::Relaxed);
        }
        fits
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_has_taken_others_have_when_it_is_gone() {
        let room = Room::new(10);
        let (mut first, mut second) = (room.claim(), room.claim());
        assert!(first.add(6) && !second.add(5), "it was not there, and none of it is taken");
        assert!(second.add(4) && !first.add(1));
        drop(first);
        assert!(second.add(6) && !second.add(1));
        drop(second);
        assert!(room.claim().add(10));
    }
}
