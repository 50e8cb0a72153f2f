//! [`Vault::rewrap`]: every key wrapped under the present key-encryption key, while everything runs; no sealed body is touched.
//!
//! Rows are taken in order, some at a time, and each is replaced only if it still is what was read: a key that is destroyed meanwhile
//! stays destroyed, one that is made meanwhile is left alone. So it may be broken off anywhere, run again, and run twice at once.
//!
//! At the end the other key-encryption keys are *retired*, which the database refuses while any key is wrapped under them, and after
//! which it takes no key that is. Only this makes it safe to forget them: a process that is late, and still wraps as it did before, is
//! told so instead of making a key that nobody could unwrap.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::keepers::{Found, Raw};
use super::keys::{Live, OtherwiseWrapped, WrappedAnew};
use super::{Vault, retired};
use crate::{Error, MigrateError};

/// Keys in one transaction, and in one request to an engine: it is over in some milliseconds, and so keeps nobody waiting who wants to destroy one of them.
const BATCH: i64 = 200;
/// How often all rows are gone through, while somebody still wraps under another key.
const SWEEPS_MAX: u32 = 100;
/// A batch that met a purge of expired keys in the other direction is tried again.
const ATTEMPTS_MAX: u32 = 6;

/// What came of it: all keys are wrapped under one key-encryption key, and can be wrapped under no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrapped {
    /// The key-encryption key.
    pub kek_id: String,
    /// Keys that were wrapped under another.
    pub anew: u64,
    /// Keys in all, destroyed ones left out.
    pub keys: u64,
}

/// Why not all keys are wrapped under the present key-encryption key.
#[derive(Debug, thiserror::Error)]
pub enum RewrapError {
    /// Some could not be unwrapped. The others were.
    #[error("{}", unopened(.0))]
    Unopened(BTreeMap<String, Unopened>),
    /// Another process goes on wrapping keys under another key-encryption key.
    #[error("another process goes on wrapping keys under another key-encryption key than {kek_id}")]
    StillInUse {
        /// The present one.
        kek_id: String,
    },
    /// The keys store could not be brought up to date.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The database said no.
    #[error(transparent)]
    Db(#[from] Error),
}

/// Keys wrapped under one key-encryption key that could not be unwrapped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unopened {
    /// How many.
    pub keys: u64,
    /// Whether the key-encryption key is there: then the rows were altered.
    pub is_known: bool,
}

fn unopened(by_kek: &BTreeMap<String, Unopened>) -> String {
    let mut text = String::from("not all keys could be wrapped anew:");
    for (kek_id, Unopened { keys, is_known }) in by_kek {
        let why = if *is_known { "do not unwrap" } else { "the secret kek does not hold it" };
        let _ = write!(text, " {keys} under {kek_id} ({why})");
    }
    text
}

#[derive(Default)]
struct Sweep {
    anew: u64,
    unopened: BTreeMap<String, Unopened>,
}

impl Vault {
    /// How many keys are wrapped under each key-encryption key, by what these are called. Reads all rows.
    pub async fn keys_by_kek(&self) -> Result<Vec<(String, u64)>, Error> {
        self.keys.count_by_kek().await
    }

    /// Wraps every key under the present key-encryption key, and retires the others.
    pub(crate) async fn rewrap(&self) -> Result<Rewrapped, RewrapError> {
        let previous = self.keepers.previous();
        let previous: Vec<_> = previous.iter().map(String::as_str).collect();
        let (mut anew, mut kek_id) = (0, String::new());
        for _ in 0..SWEEPS_MAX {
            // An engine's key may have another version by now.
            kek_id = self.present_admitted().await?;
            let sweep = self.sweep(&kek_id).await?;
            anew += sweep.anew;
            if !sweep.unopened.is_empty() {
                return Err(RewrapError::Unopened(sweep.unopened));
            }
            if self.keys.retire_keks_but(&kek_id, &previous, self.clock.now()).await? {
                // What the old one had wrapped stands in SQLite's log no longer.
                self.keys.scrub().await?;
                let keys = self.keys.count_by_kek().await?.into_iter().map(|(_, count)| count).sum();
                return Ok(Rewrapped { kek_id, anew, keys });
            }
        }
        Err(RewrapError::StillInUse { kek_id })
    }

    /// [`Db::gather_keys`](crate::Db::gather_keys).
    pub(crate) async fn gather(&self) -> Result<u64, Error> {
        if !self.keepers.may_differ() {
            return Ok(0);
        }
        let kek_id = self.present_admitted().await?;
        let sweep = self.sweep(&kek_id).await?;
        if sweep.anew > 0 {
            self.keys.scrub().await?;
        }
        for (kek_id, Unopened { keys, .. }) in sweep.unopened {
            tracing::warn!(kek_id, keys, "keys do not unwrap");
        }
        Ok(sweep.anew)
    }

    async fn present_admitted(&self) -> Result<String, Error> {
        let kek_id = self.keepers.present().await?;
        if self.keys.admit_kek(&kek_id, self.clock.now()).await? { Ok(kek_id) } else { Err(retired(&kek_id)) }
    }

    /// Once through all rows.
    async fn sweep(&self, kek_id: &str) -> Result<Sweep, Error> {
        let mut sweep = Sweep::default();
        let mut after = (String::new(), 0);
        loop {
            let place = (after.0.as_str(), after.1);
            let rows = self.keys.otherwise_wrapped(kek_id, place, BATCH).await?;
            let Some(last) = rows.last() else { return Ok(sweep) };
            after = (last.subject.clone(), last.generation);
            let mut opened = Vec::with_capacity(rows.len());
            for (row, key) in self.unwrap_rows(rows).await? {
                match key {
                    Some(key) => opened.push((row, key)),
                    None => self.note(&row, &mut sweep),
                }
            }
            let anew = self.wrap_anew(opened).await?;
            sweep.anew += self.replace(&anew).await?;
            tracing::debug!(keys = sweep.anew, "wrapped anew");
        }
    }

    /// The rows, each with its key if that unwraps.
    async fn unwrap_rows(
        &self,
        rows: Vec<OtherwiseWrapped>,
    ) -> Result<Vec<(OtherwiseWrapped, Option<Raw>)>, Error> {
        let found: Vec<_> = rows
            .iter()
            .map(|row| Found {
                // One that does not fit is no generation of ours, and unwraps under none.
                whose: self.whose(&row.subject, u32::try_from(row.generation).unwrap_or_default()),
                key: Live { wrapped: &row.wrapped, kek_id: &row.kek_id, check: row.key_check.as_deref() },
            })
            .collect();
        let keys = self.keepers.unwrap_all(&found).await?;
        Ok(rows.into_iter().zip(keys).map(|(row, key)| (row, key.ok())).collect())
    }

    async fn wrap_anew(&self, opened: Vec<(OtherwiseWrapped, Raw)>) -> Result<Vec<WrappedAnew>, Error> {
        if opened.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<_> = opened
            .iter()
            .map(|(row, key)| {
                (self.whose(&row.subject, u32::try_from(row.generation).unwrap_or_default()), &**key)
            })
            .collect();
        let wrapped = self.keepers.wrap_all(&keys).await?;
        for wrapped in &wrapped {
            self.admit(&wrapped.kek_id).await?;
        }
        let anew = opened.into_iter().zip(wrapped);
        Ok(anew.map(|((before, _), after)| WrappedAnew { before, after }).collect())
    }

    fn note(&self, row: &OtherwiseWrapped, sweep: &mut Sweep) {
        let unopened = sweep.unopened.entry(row.kek_id.clone()).or_default();
        unopened.keys += 1;
        unopened.is_known = self.keepers.knows(&row.kek_id);
    }

    async fn replace(&self, anew: &[WrappedAnew]) -> Result<u64, Error> {
        let mut attempt = 1;
        loop {
            match self.keys.replace(anew, self.clock.now()).await {
                Err(error) if error.is_retryable() && attempt < ATTEMPTS_MAX => attempt += 1,
                result => return result,
            }
        }
    }
}
