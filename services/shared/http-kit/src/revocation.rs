//! [`RevocationList`]: tokens that are no longer good although they have not expired.
//!
//! Every part long-polls auth's `/internal/revocations`, so that a logout is known everywhere within two seconds; auth itself reads its
//! own table. What a part does that hears nothing is stated, by [`Standing`], and made up once, when it changes, since every request looks:
//!
//! - Before the list was read once nobody is let in: who was logged out before this process began would be in again.
//! - When nothing was heard for as long as the settings say (`auth.revocationsStaleSeconds`), what people would change is refused. They
//!   still read, for the rest of their tokens' life at most, and what was known stays in force.
//! - The parts' own tokens belong to no session and are never revoked: they go on, with events among others.
//!
//! `healthcare_revocations_age_seconds` tells how old the list is.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use contracts::ambient::Clock;
use contracts::auth::{ListRevocations, Revocation, RevocationFilter};
use contracts::client::Transport;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::telemetry::Metrics;
use crate::token::Caller;

/// Auth holds a question open for 5 seconds, an older version for 20; somewhat longer than that means that it hangs.
const POLL_DEADLINE: Duration = Duration::from_secs(25);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(500);
/// Of a revocation that was over when it was heard of, the clock may be wrong: it is kept for longer than tokens are good for.
const KEPT_IF_OVER: Duration = Duration::from_hours(1);

/// Who was logged out is waited for, before anybody is let in, for so long. Whoever does not hear of it by then begins all the same, and
/// lets nobody in until it does: a part that never gets ready would keep others from starting.
const CATCH_UP_MAX: Duration = Duration::from_secs(10);

/// What was revoked.
#[derive(Debug)]
pub struct RevocationList {
    revoked: RwLock<Revoked>,
    /// Counts changes, so that a cache of verified tokens knows when to look again.
    generation: AtomicU64,
    /// A [`Standing`], made up whenever one of those below changes, or time has passed.
    standing: AtomicU8,
    /// Whether somebody is to say who was logged out.
    is_followed: bool,
    made: Instant,
    /// When it was last said; `None`: never.
    heard: watch::Sender<Option<Instant>>,
    /// After how long it is stale, milliseconds.
    stale_after_ms: AtomicU64,
}

/// How far the list can be gone by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Standing {
    /// All the way.
    Fresh,
    /// Nothing was heard for too long: nobody changes anything.
    Stale,
    /// It was never read: nobody is let in.
    Unread,
}

impl Default for RevocationList {
    fn default() -> Self {
        Self::new(Standing::Fresh, Duration::MAX)
    }
}

#[derive(Debug, Default)]
struct Revoked {
    sessions: HashMap<String, Entry>,
    users: HashMap<String, Entry>,
}

/// Which tokens are not good any more, and until when that is to be remembered: until both clocks say that they have expired. The time of day
/// may jump ahead and back, and who was logged out would be in again.
#[derive(Clone, Copy, Debug)]
struct Entry {
    issued_before_ms: i64,
    expires_at: i64,
    keep_until: Instant,
}

impl RevocationList {
    /// A list that somebody has to bring and to keep up: until it is read nobody is let in, and when it was not heard of for so long nobody
    /// changes anything. The default is a list that nobody brings, which is never old: what is put on it is on it.
    pub fn followed(stale_after: Duration) -> Self {
        Self::new(Standing::Unread, stale_after)
    }

    fn new(standing: Standing, stale_after: Duration) -> Self {
        let list = Self {
            revoked: RwLock::default(),
            generation: AtomicU64::default(),
            standing: AtomicU8::new(standing as u8),
            is_followed: standing == Standing::Unread,
            made: Instant::now(),
            heard: watch::Sender::default(),
            stale_after_ms: AtomicU64::default(),
        };
        list.set_stale_after(stale_after);
        list
    }

    /// Whether nobody may be let in, since it was never said who was logged out.
    pub fn is_unread(&self) -> bool {
        self.standing.load(Ordering::Acquire) == Standing::Unread as u8
    }

    /// Whether nobody may change anything, since it was not said for long who was logged out.
    pub fn is_stale(&self) -> bool {
        self.standing.load(Ordering::Acquire) != Standing::Fresh as u8
    }

    /// From now on it is stale after so long.
    pub fn set_stale_after(&self, stale_after: Duration) {
        let ms = u64::try_from(stale_after.as_millis()).unwrap_or(u64::MAX);
        if self.stale_after_ms.swap(ms, Ordering::AcqRel) != ms {
            // Whoever waits for it to grow old waits for another time now.
            self.heard.send_modify(|heard| self.judge(*heard));
        }
    }

    fn stale_after(&self) -> Duration {
        Duration::from_millis(self.stale_after_ms.load(Ordering::Acquire))
    }

    /// Makes up the standing. Called under the lock of `heard` alone, so that no older judgement comes after a newer one.
    fn judge(&self, heard: Option<Instant>) {
        let standing = match heard {
            _ if !self.is_followed => Standing::Fresh,
            None => Standing::Unread,
            Some(heard) if heard.elapsed() >= self.stale_after() => Standing::Stale,
            Some(_) => Standing::Fresh,
        };
        let before = self.standing.swap(standing as u8, Ordering::AcqRel);
        if standing == Standing::Stale && before != standing as u8 {
            tracing::warn!(
                seconds = self.stale_after().as_secs(),
                "auth has not said for long who was logged out: changes are refused until it does"
            );
        } else if before == Standing::Stale as u8 && standing == Standing::Fresh {
            tracing::info!("auth says again who was logged out: changes are taken again");
        }
    }

    /// Takes note of what whoever knows it says just now, be it nothing new.
    pub fn hear(&self, items: &[Revocation], clock: &Clock) {
        if !items.is_empty() {
            self.apply(items, clock);
        }
        self.heard.send_modify(|heard| {
            *heard = Some(Instant::now());
            self.judge(*heard);
        });
    }

    /// Grows old for as long as the future lives: who hears nothing must notice all the same.
    pub async fn grow_old(&self) {
        let mut seen = self.heard.subscribe();
        loop {
            self.heard.send_if_modified(|heard| {
                self.judge(*heard);
                false
            });
            let heard = *seen.borrow_and_update();
            let due = heard.and_then(|heard| heard.checked_add(self.stale_after()));
            // An error would mean that the list itself is gone.
            let _ = match due.filter(|due| *due > Instant::now()) {
                Some(due) => timeout_at(due, seen.changed()).await.unwrap_or(Ok(())),
                None => seen.changed().await,
            };
        }
    }

    /// Takes note of revocations.
    pub fn apply(&self, items: &[Revocation], clock: &Clock) {
        let (now, instant) = (clock.now().timestamp(), Instant::now());
        let mut revoked = self.revoked.write().unwrap_or_else(PoisonError::into_inner);
        let note = |map: &mut HashMap<String, Entry>, key: &String, item: &Revocation| {
            let left = u64::try_from(item.expires_at.saturating_sub(now)).ok().filter(|left| *left > 0);
            let left = left.map_or(KEPT_IF_OVER, Duration::from_secs);
            let keep_until = instant.checked_add(left).unwrap_or(instant + KEPT_IF_OVER);
            let new = Entry { issued_before_ms: item.issued_before, expires_at: item.expires_at, keep_until };
            let entry = map.entry(key.clone()).or_insert(new);
            entry.issued_before_ms = entry.issued_before_ms.max(new.issued_before_ms);
            entry.expires_at = entry.expires_at.max(new.expires_at);
            entry.keep_until = entry.keep_until.max(new.keep_until);
        };
        for item in items {
            if let Some(session) = &item.session {
                note(&mut revoked.sessions, session, item);
            }
            if let Some(user) = &item.user {
                note(&mut revoked.users, user, item);
            }
        }
        let is_needed = |entry: &Entry| entry.expires_at > now || entry.keep_until > instant;
        revoked.sessions.retain(|_, entry| is_needed(entry));
        revoked.users.retain(|_, entry| is_needed(entry));
        drop(revoked);
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether this caller's token was revoked.
    pub fn is_revoked(&self, caller: &Caller) -> bool {
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        let before =
            |entry: Option<&Entry>| entry.is_some_and(|entry| caller.issued_at_ms < entry.issued_before_ms);
        before(caller.session.as_ref().and_then(|session| revoked.sessions.get(session)))
            || before(revoked.users.get(&caller.user))
    }

    /// Changes whenever something was revoked.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Waits until the list was read once.
    pub async fn caught_up(&self) {
        // An error means that the list itself is gone.
        let _ = self.heard.subscribe().wait_for(Option::is_some).await;
    }

    /// [`RevocationList::caught_up`], for ten seconds at most.
    pub async fn catch_up(&self) {
        if timeout(CATCH_UP_MAX, self.caught_up()).await.is_err() {
            tracing::warn!("auth does not say who was logged out; until it does nobody is let in");
        }
    }

    /// Shows how old the list is. Between two answers of auth it grows to five seconds; beyond that nobody hears of revocations.
    pub fn register(self: &Arc<Self>, metrics: &Metrics, part: &'static str) {
        metrics.register(part, |registry| registry.register_collector(Box::new(Age(Arc::clone(self)))));
    }

    /// Follows auth's list for as long as the future lives.
    pub async fn follow(&self, auth: &Transport, clock: &Clock) {
        tokio::join!(self.grow_old(), self.ask(auth, clock));
    }

    async fn ask(&self, auth: &Transport, clock: &Clock) {
        // The first question names no point, and is answered at once with everything still in force.
        let mut after = None;
        loop {
            let filter = RevocationFilter { after };
            match auth.call_within::<ListRevocations>(POLL_DEADLINE, &[], &filter, &()).await {
                Ok(list) => {
                    self.hear(&list.items, clock);
                    after = Some(list.cursor);
                }
                Err(error) => {
                    tracing::debug!(%error, "revocations cannot be read; what is known stays in force");
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                }
            }
        }
    }

    fn age(&self) -> Duration {
        self.heard.borrow().unwrap_or(self.made).elapsed()
    }
}

/// The list's age, read when the page is asked for.
#[derive(Debug)]
struct Age(Arc<RevocationList>);

impl Collector for Age {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let gauge = ConstGauge::new(self.0.age().as_secs_f64());
        let help = "Since auth last said who was logged out";
        let encoder =
            encoder.encode_descriptor("revocations_age_seconds", help, None, gauge.metric_type())?;
        gauge.encode(encoder)
    }
}

#[cfg(test)]
mod tests;
