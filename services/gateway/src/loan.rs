//! [`Loan`]: the place at its service of a request whose client may be waited for, and who else may want it.
//!
//! While a body is streamed that its client is slow to send, or an answer that it is slow to take, the service is not busy, and the place is for
//! somebody else. It is given back when the client has been waited for so long, all together: one that gives or takes a crumb now and then keeps
//! nobody out either. When all of a body has come the service would go on with it: a place is taken again, and the last of the body waits until there is
//! one, since many who were waited for may come back at once. For the rest of an answer none is taken: the client would be waited for the next moment.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::snapshot::Route;

/// Longer than a client is waited for on any good connection, shorter than whoever is refused should be asked to wait.
const WAITED_MAX: Duration = Duration::from_millis(500);

/// Where a place lies meanwhile: whoever reads the body, sends the answer or has asked for the place finds it there.
#[derive(Debug, Default)]
pub(crate) struct Loan(Mutex<Option<Box<Held>>>);

/// A place at a service; given back when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    route: Arc<Route>,
    is_canary: bool,
    wait: Wait,
    /// It was given back already.
    is_out: bool,
}

impl Held {
    /// A place that was taken by this route.
    pub(crate) fn new(route: Arc<Route>, is_canary: bool) -> Self {
        Self { route, is_canary, wait: Wait::default(), is_out: false }
    }

    fn give_back(&mut self) {
        if !std::mem::replace(&mut self.is_out, true) {
            self.route.admission.leave(self.is_canary);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl Loan {
    /// For the request that begins, or with nothing where it ends.
    pub(crate) fn put(&self, held: Option<Box<Held>>) {
        *self.held() = held;
    }

    /// For who has it next.
    pub(crate) fn take(&self) -> Option<Box<Held>> {
        let mut held = self.held().take()?;
        held.wait = Wait::default();
        Some(held)
    }

    /// It is the client who is waited for. Answers when to look again whether that is for too long; not, if there is no place to give back.
    pub(crate) fn waits(&self, now: Instant) -> Option<Instant> {
        let mut held = self.held();
        let held = held.as_mut().filter(|held| !held.is_out)?;
        let due = held.wait.begins(now);
        if due <= now {
            held.give_back();
            return None;
        }
        Some(due)
    }

    /// The client has given or taken something, or it is the service that is waited for.
    pub(crate) fn moves(&self, now: Instant) {
        if let Some(held) = &mut *self.held() {
            held.wait.ends(now);
        }
    }

    /// All of the body has come, and the service would go on with it. Answers whether there is room for that.
    pub(crate) fn resume(&self) -> bool {
        let mut held = self.held();
        let Some(held) = &mut *held else { return true };
        held.wait = Wait::default();
        if held.is_out {
            held.is_out = !held.route.admission.enter_again(held.is_canary);
        }
        !held.is_out
    }

    fn held(&self) -> MutexGuard<'_, Option<Box<Held>>> {
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
