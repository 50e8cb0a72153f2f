//! The first entry of each chain that is not as it was written.
//!
//! | done to the chain | found by |
//! |---|---|
//! | an entry edited, or another put in its place | its code |
//! | an entry edited, and all that follow written anew with the key | the codes that a checkpoint signed |
//! | entries taken out, or the end cut off | the numbers, and the head in the keys store |
//! | checkpoints edited or taken away too | their digest, which the head signs |
//! | a whole chain taken away | its head |

use std::collections::BTreeSet;

use super::chain::{Followed, Keys, MAC, Row, rows_after};
use super::checkpoint::{AuditSigners, CheckpointRow, MAC_KEPT, checkpoints, digest_behind};
use crate::vault::HeadRow;
use crate::{Db, Error, Tx, on, sql};

/// Rows read at a time.
const BATCH: i64 = 1_000;

/// What the audit was found to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditVerified {
    /// Entries that are as they were written, each chain counted up to its first fault.
    pub entries: u64,
    /// Chains.
    pub chains: u64,
    /// Entries that are signed for.
    pub signed: u64,
    /// The first fault of each chain that has one.
    pub faults: Vec<AuditFault>,
}

/// The first entry of a chain that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditFault {
    /// The chain.
    pub chain: String,
    /// Which entry.
    pub seq: i64,
    /// What is wrong with it.
    pub flaw: AuditFlaw,
}

/// What is wrong with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditFlaw {
    /// It, or what it was written behind, was altered.
    #[error("is not as it was written")]
    Altered,
    /// It was altered, and written anew with the audit key.
    #[error("was written anew after it was signed for")]
    Rewritten,
    /// It is not there.
    #[error("is missing")]
    Missing,
    /// It cannot be found by its patients.
    #[error("is not found by the patients that it names")]
    Unfindable,
    /// What signs for it was altered or taken away.
    #[error("is signed for by a checkpoint that was altered or is missing")]
    Checkpoint,
}

impl std::fmt::Display for AuditFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "chain {}: entry {} {}", self.chain, self.seq, self.flaw)
    }
}

/// Verifies every chain from its first entry to its last. What is written meanwhile is not looked at.
pub async fn audit_verify(db: &Db, signers: &AuditSigners) -> Result<AuditVerified, Error> {
    // The heads first: what is signed after that is longer, and not shorter.
    let heads = db.vault().audit_heads().await?;
    let mut tx = db.read().await?;
    let mut chains = chains(&mut tx).await?;
    chains.extend(heads.iter().map(|head| head.chain.clone()));
    let (mut verified, mut keys) = (AuditVerified::default(), Keys::default());
    for chain in chains {
        let head = heads.iter().find(|head| head.chain == chain);
        let fault = chain_fault(db, &mut tx, &mut keys, (&chain, head), signers, &mut verified).await?;
        verified.chains += 1;
        verified.faults.extend(fault.map(|(seq, flaw)| AuditFault { chain, seq, flaw }));
    }
    Ok(verified)
}

type Fault = (i64, AuditFlaw);

async fn chain_fault(
    db: &Db,
    tx: &mut Tx,
    keys: &mut Keys,
    (chain, head): (&str, Option<&HeadRow>),
    signers: &AuditSigners,
    verified: &mut AuditVerified,
) -> Result<Option<Fault>, Error> {
    let checkpoints = checkpoints(tx, chain).await?;
    let unsigned = unsigned(db.service().as_str(), &checkpoints, head, signers);
    let mut signed = checkpoints.iter().flat_map(|checkpoint| checkpoint.macs.chunks(MAC_KEPT));
    let mut followed = Followed::from(0, vec![0; MAC]);
    loop {
        let rows = rows_after(tx, chain, followed.seq, BATCH).await?;
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            let expected = followed.seq + 1;
            let is_whole = followed.follow(db, keys, row).await?;
            let flaw = if row.seq != expected {
                AuditFlaw::Missing
            } else if !is_whole {
                AuditFlaw::Altered
            } else if signed.next().is_some_and(|signed| !row.mac.starts_with(signed)) {
                AuditFlaw::Rewritten
            } else if !is_findable(tx, row).await? {
                AuditFlaw::Unfindable
            } else {
                verified.entries += 1;
                continue;
            };
            return Ok(Some((expected, flaw)));
        }
    }
    let reaches = head.map_or(0, |head| head.seq).max(checkpoints.last().map_or(0, |last| last.head.seq));
    verified.signed += reaches.min(followed.seq).unsigned_abs();
    if followed.seq < reaches {
        return Ok(Some((followed.seq + 1, AuditFlaw::Missing)));
    }
    // Last: it names the stretch that is not signed for, and the entries themselves are more exact.
    Ok(unsigned.map(|seq| (seq, AuditFlaw::Checkpoint)))
}

/// The first entry that a checkpoint should sign for and does not: its digest is not that of what it says behind the one before it, or
/// its signature is not believed.
fn unsigned(
    service: &str,
    checkpoints: &[CheckpointRow],
    head: Option<&HeadRow>,
    signers: &AuditSigners,
) -> Option<i64> {
    // By a key that is not known any more, it is good as far as the head says so.
    let is_believed = |row: &HeadRow| signers.believe(service, row);
    let head_is_good = head.is_some_and(is_believed);
    let (mut seq, mut digest) = (0, Vec::new());
    for checkpoint in checkpoints {
        let CheckpointRow { from_seq, macs, head: row } = checkpoint;
        digest = digest_behind(&digest, *from_seq, macs);
        let is_next =
            *from_seq == seq + 1 && usize::try_from(row.seq - seq).ok() == Some(macs.len() / MAC_KEPT);
        let signs = is_believed(row) || (head_is_good && !signers.knows(&row.signer));
        if !is_next || digest != row.digest || !signs {
            return Some(seq + 1);
        }
        if head.is_some_and(|head| head.seq == row.seq && (head.digest != row.digest || head.mac != row.mac))
        {
            return Some(seq + 1);
        }
        seq = row.seq;
    }
    match head {
        Some(_) if !head_is_good => Some(1),
        Some(head) if head.seq > seq => Some(seq + 1),
        Some(_) => None,
        // Signed for once, and what says so elsewhere is gone. After the first checkpoint of all a process may have died before that.
        None => (checkpoints.len() > 1).then_some(1),
    }
}

/// Every chain that anything is known of.
async fn chains(tx: &mut Tx) -> Result<BTreeSet<String>, Error> {
    let chains: Vec<String> = on!(tx, |conn| {
        sqlx::query_scalar(sql!(
        "select chain from audit_chain union select chain from audit union select chain from audit_checkpoint"
    ))
    .fetch_all(conn)
    .await
    })?;
    Ok(chains.into_iter().collect())
}

/// Whether the entry is found by each of its patients.
async fn is_findable(tx: &mut Tx, row: &Row) -> Result<bool, Error> {
    for patient in row.patient_hashes() {
        let found: i64 = on!(tx, |conn| {
            sqlx::query_scalar(sql!(
            "select count(*) from audit_patient where patient = $1 and at = $2 and chain = $3 and seq = $4"
        ))
        .bind(patient)
        .bind(row.at)
        .bind(&row.chain)
        .bind(row.seq)
        .fetch_one(conn)
        .await
        })?;
        if found != 1 {
            return Ok(false);
        }
    }
    Ok(true)
}
