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
    /// Session → (issued before, ms; may be forgotten after, s).
    sessions: HashMap<String, (i64, i64)>,
    users: HashMap<String, (i64, i64)>,
}

impl RevocationList {
    /// Takes note of revocations.
    pub fn apply(&self, items: &[Revocation], clock: &Clock) {
        let now = clock.now().timestamp();
        let mut revoked = self.revoked.write().unwrap_or_else(PoisonError::into_inner);
        let note = |map: &mut HashMap<String, (i64, i64)>, key: &String, item: &Revocation| {
            let entry = map.entry(key.clone()).or_insert((item.issued_before, item.expires_at));
            *entry = (entry.0.max(item.issued_before), entry.1.max(item.expires_at));
        };
        for item in items {
            if let Some(session) = &item.session {
                note(&mut revoked.sessions, session, item);
            }
            if let Some(user) = &item.user {
                note(&mut revoked.users, user, item);
            }
        }
        revoked.sessions.retain(|_, (_, expires_at)| *expires_at > now);
        revoked.users.retain(|_, (_, expires_at)| *expires_at > now);
        drop(revoked);
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether this caller's token was revoked.
    pub fn is_revoked(&self, caller: &Caller) -> bool {
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        let before =
            |entry: Option<&(i64, i64)>| entry.is_some_and(|(before, _)| caller.issued_at_ms < *before);
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
