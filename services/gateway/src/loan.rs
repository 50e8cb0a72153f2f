//! [`Loan`]: the place at its service of an answer that is long in coming to its client, and who else may want it.
//!
//! While bytes of an answer wait for the client to take them, the service is not busy, and its place is for somebody else. It is given back when the
//! client has been waited for so long, all together: one that takes a crumb now and then keeps nobody out either. It is not taken again: the
//! client would be waited for the next moment.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::snapshot::Route;

/// Longer than an answer waits on any good connection, shorter than whoever is refused should be asked to wait.
const WAITED_MAX: Duration = Duration::from_millis(500);

/// Where a place lies while an answer is sent: whoever sends it and whoever has asked for it both find it there.
#[derive(Debug, Default)]
pub(crate) struct Loan(Mutex<Option<Box<Held>>>);

/// A place at a service; given back when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    route: Arc<Route>,
    is_canary: bool,
    wait: Wait,
}

impl Held {
    /// A place that was taken by this route.
    pub(crate) fn new(route: Arc<Route>, is_canary: bool) -> Self {
        Self { route, is_canary, wait: Wait::default() }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.route.admission.leave(self.is_canary);
    }
}

impl Loan {
    /// For the answer that begins, or with nothing where it ends.
    pub(crate) fn put(&self, held: Option<Held>) {
        let held = held.map(Box::new);
        let before = std::mem::replace(&mut *self.held(), held);
        drop(before);
    }

    /// It is the client who is waited for. Answers when to look again whether that is for too long; not, if there is no place to give back.
    pub(crate) fn waits(&self, now: Instant) -> Option<Instant> {
        let mut held = self.held();
        let due = held.as_mut()?.wait.begins(now);
        if due <= now {
            *held = None;
            return None;
        }
        Some(due)
    }

    /// The client has taken something, or it is the service who is waited for.
    pub(crate) fn moves(&self, now: Instant) {
        if let Some(held) = &mut *self.held() {
            held.wait.ends(now);
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<Box<Held>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a client has been waited for.
#[derive(Debug, Default)]
struct Wait {
    before: Duration,
    since: Option<Instant>,
}

impl Wait {
    /// From now on, if not already. Answers when it is too long.
    fn begins(&mut self, now: Instant) -> Instant {
        *self.since.get_or_insert(now) + WAITED_MAX.saturating_sub(self.before)
    }

    fn ends(&mut self, now: Instant) {
        if let Some(since) = self.since.take() {
            self.before += now.saturating_duration_since(since);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_waited_for_half_a_second_all_together() {
        let (mut wait, start) = (Wait::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(wait.begins(at(0)), at(500));
        assert_eq!(wait.begins(at(100)), at(500), "it waits already");
        wait.ends(at(200));
        wait.ends(at(10_000));
        assert_eq!(wait.begins(at(20_000)), at(20_300));
        wait.ends(at(20_400));
        assert_eq!(wait.begins(at(30_000)), at(30_000));
    }
}
