//! A request that met a kept connection just as its service closed it, or said goodbye on it: it is sent once more, on a new one.
//!
//! That comes out of no budget, as in nginx and in Go's client: a connection that nobody used for a while says nothing of how busy its service
//! is, and of what was sent on a closed one nothing is done as a rule. It is bounded all the same. What may have been done is sent again only if
//! twice is as good as once; once a request, whichever of its attempts met it (three times what was not touched); and a connection is kept only after a whole answer, so that a
//! service that gives none is asked no more often for it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::Errand;
use super::attempt::{Sent, is_stale, is_unprocessed};

/// What its services say that they have not touched is sent no more often than this: they may be saying goodbye one after the other.
const UNTOUCHED_MAX: u32 = 3;

/// How often a request was sent once more.
#[derive(Debug, Default)]
pub(super) struct Resent {
    /// Nobody knows what came of it.
    is_in_doubt: AtomicBool,
    untouched: AtomicU32,
}

impl Errand<'_> {
    /// Whether it was sent once more, and nobody knows what came of it before.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.resent.is_in_doubt.load(Ordering::Relaxed)
    }

    /// Takes leave to send once more what came to this.
    pub(super) fn may_resend(&self, sent: &Sent) -> bool {
        // What the service says it has not touched may be sent again whatever it asks for.
        if is_unprocessed(sent) {
            return self.has_body() && self.resent.untouched.fetch_add(1, Ordering::Relaxed) < UNTOUCHED_MAX;
        }
        is_stale(sent) && self.can_repeat() && !self.resent.is_in_doubt.swap(true, Ordering::Relaxed)
    }
}
