//! A request that met a kept connection just as its service closed it, or said goodbye on it: it is sent once more, on a new one.
//!
//! That comes out of no budget, as in nginx and in Go's client: a connection that nobody used for a while says nothing of how busy its service
//! is, and of what was sent on a closed one nothing is done as a rule. It is bounded all the same. What may have been done is sent again only if
//! twice is as good as once; once a request, whichever of its attempts met it; and a connection is kept only after a whole answer, so that a
//! service that gives none is asked no more often for it.

use std::sync::atomic::Ordering;

use super::Errand;
use super::attempt::{Sent, is_stale, is_unprocessed};

impl Errand<'_> {
    /// Takes leave to send once more what came to this.
    pub(super) fn may_resend(&self, sent: &Sent) -> bool {
        // What the service says it has not touched may be sent again whatever it asks for.
        let is_safe = (is_stale(sent) && self.can_repeat()) || (is_unprocessed(sent) && self.has_body());
        is_safe && !self.resent.swap(true, Ordering::Relaxed)
    }
}
