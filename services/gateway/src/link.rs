//! [`Link`]: what a connection and the requests on it know of each other.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, ready};
use std::time::Duration;

use http::{HeaderName, Method};
use http_kit::token::Caller;
use tokio::time::{Instant, Sleep};

use crate::http2;
use crate::loan::Loan;
use crate::raw_head::{self, RawHead};
use crate::tunnel::Tunnel;

/// Nobody uses a connection that was not used between two looks. The first comes soon, since many connections have one request and rest;
/// those that are used are looked at ever more seldom.
const FIRST_LOOK: Duration = Duration::from_millis(50);
const LOOK_MAX: Duration = Duration::from_secs(1);

/// Some of its body is still to be read.
const UNREAD: u64 = 0;
/// It has no body, and nothing of its answer has had to wait for the client.
const BARE: u64 = 1;
/// Its body is read, and so on.
const READ: u64 = 2;
/// Something of its answer had to wait, and nobody knows whether it still does. All bits are set: whatever it was before, it is this now.
const STALLED: u64 = 3;
const PROGRESS_BITS: u32 = 2;

/// What they know of each other.
#[derive(Debug, Default)]
pub(crate) struct Link {
    requests: AtomicU32,
    answering: AtomicBool,
    /// How far the last request is, and in front of that its number: who has read its body to the end may say so late.
    progress: AtomicU64,
    /// Of an answer under way some may not be written.
    unwritten: AtomicBool,
    /// Some of a head came, and not all of it.
    is_begun: AtomicBool,
    /// The service's side, when an answer said that the connection changes its language.
    tunnel: Mutex<Option<Box<Tunnel>>>,
    /// The place of the answer that is being sent, if that is a long one.
    pub(crate) loan: Loan,
    /// For the deadlines of requests, one after another: see [`Link::within`].
    timer: Mutex<Option<Pin<Box<Sleep>>>>,
    /// The last token that was good on this connection, and whose it is. Nearly always the next request brings the same one.
    token: Mutex<Option<Known>>,
    /// For what hyper's parser does not tell. Copied, and hardly ever read.
    head: Mutex<RawHead>,
    /// Whether nothing in there is worth a second look.
    is_plain: AtomicBool,
}

/// A token that was good, and whose it is.
struct Known {
    token: Box<str>,
    caller: Arc<Caller>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("user", &self.caller.user).finish_non_exhaustive()
    }
}

impl Link {
    /// A head was complete: a request is under way. `is_all`: it has no body.
    pub(crate) fn begin(&self, is_all: bool) {
        self.answering.store(true, Ordering::Relaxed);
        self.unwritten.store(true, Ordering::Relaxed);
        self.is_begun.store(false, Ordering::Relaxed);
        let number = self.requests.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        self.progress.store(progress(number, u64::from(is_all)), Ordering::Relaxed);
    }

    /// The body of the request of this number was read to its end.
    pub(crate) fn has_read(&self, number: u32) {
        let (unread, read) = (progress(number, UNREAD), progress(number, READ));
        let _ = self.progress.compare_exchange(unread, read, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Its answer's last byte was handed to hyper.
    pub(crate) fn end(&self) {
        self.answering.store(false, Ordering::Relaxed);
    }

    /// Returns when a request was answered and no other has come for a while. Looks now and then, which costs less than a timer for each request.
    pub(crate) async fn unused(&self) {
        let (mut seen, mut pause) = (0, FIRST_LOOK);
        loop {
            tokio::time::sleep(pause).await;
            pause = LOOK_MAX.min(pause * 2);
            let requests = self.requests();
            // Half a head keeps it awake: what is known of its bytes would be forgotten, and the rest of them not looked at.
            let is_between = !self.is_answering() && self.is_over() && !self.is_begun.load(Ordering::Relaxed);
            if requests == seen && requests > 0 && is_between {
                return;
            }
            seen = requests;
        }
    }

    /// What comes of the future, or `None` at the deadline. One timer serves all requests of the connection: one that fires too early is only then
    /// set anew, so that a request that is answered in time touches no wheel of timers.
    pub(crate) async fn within<F: Future>(
        &self,
        deadline: Instant,
        mut future: Pin<&mut F>,
    ) -> Option<F::Output> {
        let kept = self.timer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut timer = kept.unwrap_or_else(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        let done = std::future::poll_fn(|cx| {
            if let Poll::Ready(done) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(done));
            }
            loop {
                ready!(timer.as_mut().poll(cx));
                if timer.deadline() >= deadline {
                    return Poll::Ready(None);
                }
                timer.as_mut().reset(deadline);
            }
        })
        .await;
        *self.timer.lock().unwrap_or_else(PoisonError::into_inner) = done.is_some().then_some(timer);
        done
    }

    /// Gives back what is only of use while requests come.
    pub(crate) fn forget(&self) {
        *self.timer.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.head().forget();
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whose token it is, if it is the one that was good before.
    pub(crate) fn recall(&self, token: &str) -> Option<Arc<Caller>> {
        let known = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.as_ref()?;
        (*known.token == *token).then(|| Arc::clone(&known.caller))
    }

    /// This one was good.
    pub(crate) fn remember(&self, token: &str, caller: &Arc<Caller>) {
        let mut known = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(Known { token: token.into(), caller: Arc::clone(caller) });
    }

    /// Whether the head of the request that has just begun has a line of this name, as far as that can be seen.
    pub(crate) fn head_has(&self, method: &Method, name: &HeaderName) -> bool {
        self.head().has(self.requests(), method, name)
    }

    /// Whether two readers could read that head differently, although hyper read it without a word.
    pub(crate) fn is_odd(&self, method: &Method) -> bool {
        !self.is_plain.load(Ordering::Relaxed) && self.head().is_odd(self.requests(), method)
    }

    /// Bytes came that belong to a head, or may. `is_first`: the connection had nothing to do before.
    pub(crate) fn note(&self, bytes: &[u8], is_first: bool) {
        let is_plain = raw_head::is_plain(bytes) && (is_first || self.is_plain.load(Ordering::Relaxed));
        self.is_plain.store(is_plain, Ordering::Relaxed);
        let mut head = self.head();
        if is_first {
            head.begin(self.requests());
            self.is_begun.store(true, Ordering::Relaxed);
        }
        head.add(bytes);
    }

    /// Nothing of the last answer waits to be written any more, nor will until the next request; and what comes now is no body.
    pub(crate) fn is_settled(&self) -> bool {
        self.how_far() == BARE
    }

    /// Nothing of the last request is still to be read, and nothing of its answer to be written.
    fn is_over(&self) -> bool {
        matches!(self.how_far(), BARE | READ)
    }

    fn how_far(&self) -> u64 {
        self.progress.load(Ordering::Relaxed) & STALLED
    }

    /// All bytes there were are written.
    pub(crate) fn flushed(&self) {
        if !self.is_answering() {
            self.unwritten.store(false, Ordering::Relaxed);
        }
    }

    /// Whether what is written now may still be some of an answer.
    pub(crate) fn is_unwritten(&self) -> bool {
        self.unwritten.load(Ordering::Relaxed)
    }

    /// When this answer is written, the connection is the tunnel's.
    pub(crate) fn upgrade(&self, tunnel: Tunnel) {
        *self.tunnel.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(tunnel));
    }

    pub(crate) fn tunnel(&self) -> Option<Box<Tunnel>> {
        self.tunnel.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Until the next request nobody knows when all of the answer is written.
    pub(crate) fn unsettle(&self) {
        self.progress.fetch_or(STALLED, Ordering::Relaxed);
    }

    fn head(&self) -> MutexGuard<'_, RawHead> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does this with the place of the answer that is being sent: over HTTP/2 there are several at once, each with its own.
    pub(crate) fn with_loan<R>(&self, mut then: impl FnMut(&Loan) -> R) -> R {
        http2::with_loan(&mut then).unwrap_or_else(|| then(&self.loan))
    }

    /// How many there have been.
    pub(crate) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Whether a request is under way.
    pub(crate) fn is_answering(&self) -> bool {
        self.answering.load(Ordering::Relaxed)
    }
}

fn progress(number: u32, how_far: u64) -> u64 {
    u64::from(number) << PROGRESS_BITS | how_far
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_over_when_its_body_is_read_and_its_answer_had_not_to_wait() {
        let link = Link::default();
        link.begin(true);
        assert!(link.is_settled() && link.is_over());
        link.unsettle();
        assert!(!link.is_settled() && !link.is_over());
        link.begin(false);
        assert!(!link.is_settled() && !link.is_over());
        link.has_read(2);
        assert!(!link.is_settled() && link.is_over(), "what comes after a body was not looked at");
        link.begin(false);
        link.unsettle();
        link.has_read(3);
        assert!(!link.is_over());
    }

    #[test]
    fn a_connection_that_is_shown_does_not_show_its_token_or_its_heads() {
        let link = Link::default();
        link.remember("CANARY.of.a.token", &Arc::new(Caller::nobody()));
        link.head().begin(0);
        link.head().add(b"GET /api/patients?name=CANARY HTTP/1.1\r\n");
        let canary = format!("{:?}", b"CANARY");
        let shown = format!("{link:?} {link:#?}");
        assert!(shown.contains("Known") && shown.contains("RawHead"), "{shown}");
        assert!(!shown.contains("CANARY") && !shown.contains(canary.trim_matches(['[', ']'])), "{shown}");
    }

    #[test]
    fn who_says_late_that_a_body_was_read_does_not_mean_the_next_one() {
        let link = Link::default();
        link.begin(false);
        link.begin(false);
        link.has_read(1);
        assert!(!link.is_over());
    }
}
