//! What comes in from outside: the time and randomness.
//!
//! Nothing else in the workspace may ask for either (clippy refuses it), so that every test is deterministic.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

/// Tells the time, cut to microseconds: what PostgreSQL keeps, so that a value read back equals the one written.
#[derive(Clone)]
pub struct Clock(ClockKind);

#[derive(Clone)]
enum ClockKind {
    System,
    Set(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock. For `main` only.
    pub fn system() -> Self {
        Self(ClockKind::System)
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    pub fn set_to(instant: DateTime<Utc>) -> Self {
        Self(ClockKind::Set(Arc::new(AtomicI64::new(instant.timestamp_micros()))))
    }

    /// Now.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
            ClockKind::System => {
                let now = Utc::now();
                now.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(now)
            }
            ClockKind::Set(micros) => {
                DateTime::from_timestamp_micros(micros.load(Ordering::Acquire)).unwrap_or_default()
            }
        }
    }

    /// Moves a set clock; the machine's is left alone.
    pub fn advance(&self, by: TimeDelta) {
        if let ClockKind::Set(micros) = &self.0 {
            micros.fetch_add(by.num_microseconds().unwrap_or(i64::MAX), Ordering::AcqRel);
        }
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

/// Gives random bytes: the operating system's, or a test's own repeatable ones.
#[derive(Clone, Debug)]
pub struct Random(RandomKind);

#[derive(Clone, Debug)]
enum RandomKind {
    System,
    Seeded(Arc<AtomicU64>),
}

impl Random {
    /// The operating system's, cryptographically secure.
    pub fn system() -> Self {
        Self(RandomKind::System)
    }

    /// The same bytes for the same seed. For tests and demo data: anybody can guess them.
    pub fn seeded(seed: u64) -> Self {
        Self(RandomKind::Seeded(Arc::new(AtomicU64::new(seed))))
    }

    /// Fills `bytes`.
    ///
    /// # Panics
    /// If the operating system has no randomness: nothing here could go on safely without.
    pub fn fill(&self, bytes: &mut [u8]) {
        match &self.0 {
            RandomKind::System => {
                #[expect(clippy::expect_used, reason = "no key or id may ever be made without randomness")]
                aws_lc_rs::rand::fill(bytes).expect("the operating system gives randomness");
            }
            RandomKind::Seeded(state) => {
                for chunk in bytes.chunks_mut(8) {
                    // SplitMix64: every seed gives a full-period sequence.
                    let mut z = state
                        .fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::AcqRel)
                        .wrapping_add(0x9E37_79B9_7F4A_7C15);
                    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                    z ^= z >> 31;
                    chunk.copy_from_slice(&z.to_le_bytes()[..chunk.len()]);
                }
            }
        }
    }

    /// `N` bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A number below `bound`, without bias worth speaking of (bound ≤ 2³²).
    pub fn below(&self, bound: u64) -> u64 {
        u64::from_le_bytes(self.bytes()) % bound.max(1)
    }

    /// 80 random bits after a prefix: `pat_5h2k9q7m3xw8r4tz`. Unguessable, and safe in a URL, a file name and a phone call.
    pub fn id(&self, prefix: &str) -> String {
        let bytes: [u8; 10] = self.bytes();
        format!("{prefix}_{}", data_encoding::BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
    }
}
