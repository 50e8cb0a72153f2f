//! The audit: who did what to whose data, written down before it shows, so that what is taken away or altered later is found.
//!
//! ```text
//! entry ─ seal, under the month's key ─> row ─ HMAC over it and the row before, under the audit key ─> chain
//!                                                    └ every minute: signed by the service's identity ─> checkpoint
//!                                                                        └ the latest, in the keys store ─> head
//! ```
//!
//! | file | idea |
//! |---|---|
//! | `entry.rs` | what is written down, and what of it can be looked for |
//! | `chain.rs` | rows in chains, each with a code over itself and the one before |
//! | `insert.rs` | rows and their look-up put into the tables, eight to a statement |
//! | `lane.rs` | the ends of this process's chains, each for one transaction at a time |
//! | `group.rs` | what changes nothing is written down too: many entries, one commit |
//! | `checkpoint.rs` | chains signed as far as they reach |
//! | `verify.rs` | the first entry of each chain that is not as it was written |
//! | `recent.rs` | the same of what was signed for last and what was written since, and no more |
//! | `links.rs` | links in the look-up that lead to what does not name whom they are of |
//! | `find.rs`, `damage.rs` | entries looked for; whether each is as it was written |
//! | `kept.rs` | how many entries name a patient, and until when they can be read |
//!
//! A change has its entry in its own transaction: [`Tx::commit`](crate::Tx::commit) writes it from the
//! [`Trail`] of the work under way, and fails if it cannot. So no handler can leave it out.

mod chain;
mod checkpoint;
mod damage;
mod entry;
mod find;
mod group;
mod insert;
mod kept;
mod lane;
mod links;
mod recent;
mod verify;

use std::sync::{Arc, PoisonError, RwLock};

use chrono::TimeDelta;
use contracts::trail::{self, Trail};

use crate::db::Pools;
use crate::vault::AuditKey;
use crate::{Db, Error, Tx};

pub use checkpoint::{AuditSigner, AuditSigners, audit_checkpoint, audit_sign_anew};
pub use damage::AuditDamage;
pub use entry::{AuditEntry, AuditOutcome};
pub use find::{AuditFilter, AuditPlace, FoundEntry, audit_find};
pub use kept::audit_kept;
pub use verify::{AuditFault, AuditFlaw, AuditReach, AuditVerified, audit_verify, audit_verify_within};

/// Entries can be read for so long after their month: six years (45 CFR 164.316(b)(2)(i)).
const KEEP_DAYS: u32 = 6 * 366;
/// A generation of the key is followed by another after so long.
const GENERATION_LIFE: TimeDelta = TimeDelta::days(90);

/// What one process holds of the audit of one service.
pub(crate) struct Audit {
    lanes: lane::Lanes,
    group: group::Group,
    key: RwLock<Option<AuditKey>>,
}

impl Audit {
    pub(crate) fn new(pools: &Pools) -> Self {
        let lanes = match pools {
            // One chain would make every commit of the process wait for the one before.
            Pools::Postgres { .. } => 4,
            Pools::Sqlite { .. } => 1,
        };
        Self { lanes: lane::Lanes::new(lanes), group: group::Group::default(), key: RwLock::default() }
    }

    /// The key that entries are written under.
    async fn key(&self, db: &Db) -> Result<AuditKey, Error> {
        if let Some(key) = &*self.key.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(key.clone());
        }
        let key = db.vault().newest_audit_key().await?;
        self.use_key(key.clone());
        Ok(key)
    }

    /// Has the next entries written under a key. The one before is in use until then: whoever keeps the key-encryption key may be away.
    fn use_key(&self, key: AuditKey) {
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }

    /// Where this process's chains are known to end.
    async fn ends(&self) -> Vec<lane::End> {
        self.lanes.ends().await
    }
}

/// Commits a transaction with the entry of the work that it belongs to.
pub(crate) async fn commit(tx: Tx, db: Db, trail: &Trail) -> Result<(), Error> {
    let told = trail.told();
    let named = told.named();
    let entry = AuditEntry::of(trail.operation(), told, AuditOutcome::Done, None);
    let prepared = entry::prepare(&db, &entry).await.map_err(unavailable)?;
    chain::commit(&db, tx, &[&prepared]).await?;
    trail.is_written_with(named);
    Ok(())
}

/// Writes down what has changed nothing: a read, a refusal, a failure. It is there for good when this returns.
pub async fn audit_write(
    db: &Db,
    trail: &Trail,
    outcome: AuditOutcome,
    code: Option<&str>,
) -> Result<(), Error> {
    let told = trail.told();
    let named = told.named();
    let entry = AuditEntry::of(trail.operation(), told, outcome, code);
    let prepared = entry::prepare(db, &entry).await.map_err(unavailable)?;
    group::write(db, prepared).await?;
    trail.is_written_with(named);
    Ok(())
}

/// Has the next entries written under a new generation of the audit key. This process does so at once, others within a minute.
pub async fn audit_rotate_key(db: &Db) -> Result<u32, Error> {
    let generation = db.vault().next_audit_key().await?;
    let trail = trail::current().unwrap_or_else(|| {
        let trail = Trail::of("rotate_audit_key");
        trail.tell(|told| told.who = format!("service:{}", db.service()));
        trail
    });
    trail.tell(|told| told.reason = Some(format!("generation {generation}")));
    // Under the key before: so it is known from there on that there is another.
    audit_write(db, &trail, AuditOutcome::Done, None).await?;
    db.audit().use_key(db.vault().newest_audit_key().await?);
    Ok(generation)
}

/// Looks for a newer generation of the key, and makes one if the present one is old. Run it about once a minute.
pub async fn audit_refresh_key(db: &Db) -> Result<(), Error> {
    let newest = db.vault().newest_audit_key().await?;
    if db.clock().now() - newest.created_at >= GENERATION_LIFE {
        return audit_rotate_key(db).await.map(drop);
    }
    db.audit().use_key(newest);
    Ok(())
}

/// Whatever the reason, nobody may go on without.
fn unavailable(error: Error) -> Error {
    if error.is_retryable() { error } else { Error::Audit(Arc::new(error)) }
}
