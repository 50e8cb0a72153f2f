//! [`RevocationList`]: tokens that are no longer good although they have not expired.
//!
//! Every part long-polls auth's `/internal/revocations`, so that a logout is known everywhere within two seconds. If auth cannot be
//! reached, what is known stays in force and new revocations are not seen until it answers again: a revoked token is then good for
//! the rest of its life at most (ten minutes by default). That is the stated fail mode; `healthcare_revocations_age_seconds` tells.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use contracts::ambient::Clock;
use contracts::auth::{ListRevocations, Revocation, RevocationFilter};
use contracts::client::Transport;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::sync::watch;

use crate::telemetry::Metrics;
use crate::token::Caller;

/// Auth holds a question open for 20 seconds; somewhat longer than that means that it hangs.
const POLL_DEADLINE: Duration = Duration::from_secs(25);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(500);
/// Of a revocation that was over when it was heard of, the clock may be wrong: it is kept for longer than tokens are good for.
const KEPT_IF_OVER: Duration = Duration::from_hours(1);

/// What was revoked.
#[derive(Debug)]
pub struct RevocationList {
    revoked: RwLock<Revoked>,
    /// Counts changes, so that a cache of verified tokens knows when to look again.
    generation: AtomicU64,
    /// Whether auth's list was read once.
    caught_up: watch::Sender<bool>,
    /// When auth last answered; before it did, when the list was made.
    heard: Mutex<Instant>,
}

impl Default for RevocationList {
    fn default() -> Self {
        Self {
            revoked: RwLock::default(),
            generation: AtomicU64::default(),
            caught_up: watch::Sender::default(),
            heard: Mutex::new(Instant::now()),
        }
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

    /// Waits until auth's list was read once: before that, a token revoked before this process started would pass.
    pub async fn caught_up(&self) {
        // An error means that the list itself is gone.
        let _ = self.caught_up.subscribe().wait_for(|caught_up| *caught_up).await;
    }

    /// Shows how old the list is. Between two answers of auth it grows to twenty seconds; beyond that nobody hears of revocations.
    pub fn register(self: &Arc<Self>, metrics: &Metrics, part: &'static str) {
        metrics.register(part, |registry| registry.register_collector(Box::new(Age(Arc::clone(self)))));
    }

    /// Follows auth's list for as long as the future lives.
    pub async fn follow(&self, auth: &Transport, clock: &Clock) {
        // The first question names no point, and is answered at once with everything still in force.
        let mut after = None;
        loop {
            let filter = RevocationFilter { after };
            match auth.call_within::<ListRevocations>(POLL_DEADLINE, &[], &filter, &()).await {
                Ok(list) => {
                    if !list.items.is_empty() {
                        self.apply(&list.items, clock);
                    }
                    after = Some(list.cursor);
                    *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                    self.caught_up.send_replace(true);
                }
                Err(error) => {
                    tracing::debug!(%error, "revocations cannot be read; what is known stays in force");
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                }
            }
        }
    }
}

/// The list's age, read when the page is asked for.
#[derive(Debug)]
struct Age(Arc<RevocationList>);

impl Collector for Age {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let age = self.0.heard.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        let gauge = ConstGauge::new(age.as_secs_f64());
        let help = "Since auth last said who was logged out";
        let encoder =
            encoder.encode_descriptor("revocations_age_seconds", help, None, gauge.metric_type())?;
        gauge.encode(encoder)
    }
}
