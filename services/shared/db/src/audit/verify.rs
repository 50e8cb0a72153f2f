//! The first entry of each chain that is not as it was written.
//!
//! | done to the chain | found by |
//! |---|---|
//! | an entry edited, or another put in its place | its code |
//! | an entry edited, and all that follow written anew with the key | the codes that a checkpoint signed |
//! | entries taken out, or the end cut off | the numbers, and the head in the keys store |
//! | checkpoints edited or taken away too | their digest, which the head signs |
//! | a whole chain taken away | its head |
//! | a chain taken off the list of those to be signed | its entries |
//! | an instant written in another way, which sorts elsewhere | how it should be written |
//! | entries put in front of the first | their numbers |
//! | links in the look-up put in, or taken out | what each entry names |
//! | everything, heads included | the keys that entries were sealed under |

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::chain::{Followed, Keys, MAC, Row, below_the_first, rows_after};
use super::checkpoint::{AuditSigners, CheckpointRow, FINISHED_AFTER, MAC_KEPT, checkpoints, digest_behind};
use super::{links, recent};
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
    /// There is no entry and no sign of one, but for keys that entries were sealed under: all of it was taken away.
    pub lost: bool,
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
    /// It cannot be found by its patients, or by the users, roles and sessions that it was about.
    #[error("is not found by the patients that it names")]
    Unfindable,
    /// It is found by somebody whom it does not name, or there is no such entry.
    #[error("is found by somebody whom it does not name")]
    Misleading,
    /// It has a number that none is given.
    #[error("was never written here")]
    Foreign,
    /// Its chain was taken off the list of those to be signed.
    #[error("stands in a chain that was taken off the list")]
    Unlisted,
    /// Its chain is called finished, and what is finished was signed for to its end.
    #[error("is signed for by nobody, and its chain is called finished")]
    Unsigned,
    /// What signs for it was altered or taken away.
    #[error("is signed for by a checkpoint that was altered or is missing")]
    Checkpoint,
}

impl std::fmt::Display for AuditFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "chain {}: entry {} {}", self.chain, self.seq, self.flaw)
    }
}

/// How much of the audit is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditReach {
    /// All of it.
    Whole,
    /// Every chain that was written or signed then or later, from its first entry on.
    Since(DateTime<Utc>),
    /// Of each chain of the last two days what was signed for last, and what was written since. Of those before, whether they end as they were
    /// signed for. A chain that does not look right is verified whole, so that its first fault is named.
    Recent,
}

/// Verifies every chain from its first entry to its last. What is written meanwhile is not looked at.
pub async fn audit_verify(db: &Db, signers: &AuditSigners) -> Result<AuditVerified, Error> {
    audit_verify_within(db, signers, AuditReach::Whole).await
}

/// Verifies so much of it.
pub async fn audit_verify_within(
    db: &Db,
    signers: &AuditSigners,
    reach: AuditReach,
) -> Result<AuditVerified, Error> {
    // The heads first: what is signed after that is longer, and not shorter.
    let heads = db.vault().audit_heads().await?;
    let tx = db.read().await?;
    let mut look = Look { db, tx, signers, keys: Keys::default(), verified: AuditVerified::default() };
    let mut chains = known(&mut look.tx, heads).await?;
    let from = match reach {
        AuditReach::Whole => DateTime::UNIX_EPOCH,
        AuditReach::Since(at) => at.max(DateTime::UNIX_EPOCH),
        AuditReach::Recent => look.tx.now() - FINISHED_AFTER,
    };
    let names = match reach {
        AuditReach::Whole => names(&mut look.tx).await?,
        AuditReach::Since(_) | AuditReach::Recent => names_since(&mut look.tx, from).await?,
    };
    for name in &names {
        chains.entry(name.clone()).or_default();
    }
    if chains.is_empty() {
        look.verified.lost = db.vault().sealed_an_audit().await?;
    }
    if reach != AuditReach::Whole {
        let was_signed = |known: &Known| known.head.as_ref().is_some_and(|head| head.at >= from);
        chains.retain(|chain, known| {
            known.is_young = names.contains(chain) || known.is_open() || was_signed(known);
            known.is_young || reach == AuditReach::Recent
        });
    }
    if reach == AuditReach::Recent {
        recent::retain_what_looks_wrong(&mut look, &mut chains).await?;
    } else {
        for (chain, seq) in links::misleading(&mut look.tx, from).await? {
            chains.entry(chain).or_default().misled = Some(seq);
        }
    }
    for (chain, known) in chains {
        let fault = look.chain_fault(&chain, &known).await?;
        look.verified.chains += 1;
        look.verified.faults.extend(fault.map(|(seq, flaw)| AuditFault { chain, seq, flaw }));
    }
    Ok(look.verified)
}

type Fault = (i64, AuditFlaw);

/// What is known of a chain before its entries are looked at.
#[derive(Default)]
pub(super) struct Known {
    pub(super) head: Option<HeadRow>,
    /// Whether it is listed, and if so, as finished.
    finished: Option<bool>,
    /// The first entry that somebody finds whom it does not name.
    misled: Option<i64>,
    /// Whether it has anything of the time that is looked at.
    pub(super) is_young: bool,
}

impl Known {
    /// Whether it may get entries.
    fn is_open(&self) -> bool {
        self.finished == Some(false)
    }

    /// Whether it is listed as one that gets no more entries.
    pub(super) fn is_listed_finished(&self) -> bool {
        self.finished == Some(true)
    }

    /// Whether it is listed as it should be, given that it has entries that are not signed for, or none.
    pub(super) fn is_listed(&self, has_unsigned: bool) -> bool {
        self.finished.is_some_and(|is_finished| !(is_finished && has_unsigned))
    }
}

/// A look at the audit.
pub(super) struct Look<'a> {
    pub(super) db: &'a Db,
    pub(super) tx: Tx,
    pub(super) signers: &'a AuditSigners,
    pub(super) keys: Keys,
    pub(super) verified: AuditVerified,
}

impl Look<'_> {
    /// The first fault of a chain.
    async fn chain_fault(&mut self, chain: &str, known: &Known) -> Result<Option<Fault>, Error> {
        if let Some(seq) = below_the_first(&mut self.tx, chain).await? {
            return Ok(Some((seq, AuditFlaw::Foreign)));
        }
        let head = known.head.as_ref();
        let checkpoints = checkpoints(&mut self.tx, chain).await?;
        let unsigned = unsigned(self.db.service().as_str(), &checkpoints, head, self.signers);
        let mut signed = checkpoints.iter().flat_map(|checkpoint| checkpoint.macs.chunks(MAC_KEPT));
        let mut followed = Followed::from(0, vec![0; MAC]);
        loop {
            let rows = rows_after(&mut self.tx, chain, followed.seq, BATCH).await?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                let expected = followed.seq + 1;
                if let Some(flaw) = self.entry_flaw(&mut followed, row, &mut signed).await? {
                    return Ok(Some((expected, flaw)));
                }
                if known.misled == Some(row.seq) {
                    return Ok(Some((row.seq, AuditFlaw::Misleading)));
                }
                self.verified.entries += 1;
            }
        }
        let last = checkpoints.last().map_or(0, |last| last.head.seq);
        let reaches = head.map_or(0, |head| head.seq).max(last);
        self.verified.signed += reaches.min(followed.seq).unsigned_abs();
        Ok(if followed.seq < reaches {
            Some((followed.seq + 1, AuditFlaw::Missing))
        } else if let Some(seq) = known.misled {
            Some((seq, AuditFlaw::Misleading))
        } else if let Some(seq) = unsigned {
            // It names the stretch that is not signed for, and the entries themselves are more exact.
            Some((seq, AuditFlaw::Checkpoint))
        } else if known.is_listed(followed.seq > reaches) {
            None
        } else if known.is_listed_finished() {
            Some((reaches + 1, AuditFlaw::Unsigned))
        } else {
            Some((1, AuditFlaw::Unlisted))
        })
    }

    /// What is wrong with the next entry, if anything is. Goes on behind it.
    pub(super) async fn entry_flaw(
        &mut self,
        followed: &mut Followed,
        row: &Row,
        signed: &mut impl Iterator<Item = &[u8]>,
    ) -> Result<Option<AuditFlaw>, Error> {
        let expected = followed.seq + 1;
        let is_whole = followed.follow(self.db, &mut self.keys, row).await?;
        Ok(if row.seq != expected {
            Some(AuditFlaw::Missing)
        } else if !is_whole {
            Some(AuditFlaw::Altered)
        } else if signed.next().is_some_and(|signed| !row.mac.starts_with(signed)) {
            Some(AuditFlaw::Rewritten)
        } else if !is_findable(&mut self.tx, row).await? {
            Some(AuditFlaw::Unfindable)
        } else {
            None
        })
    }
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

/// The chains that are listed, and those that have a head: quickly told, however much was written.
async fn known(tx: &mut Tx, heads: Vec<HeadRow>) -> Result<BTreeMap<String, Known>, Error> {
    let mut chains: BTreeMap<String, Known> = BTreeMap::new();
    for head in heads {
        let known = chains.entry(head.chain.clone()).or_default();
        known.head = Some(head);
    }
    let listed: Vec<(String, bool)> =
        on!(tx, |conn| sqlx::query_as(sql!("select chain, finished from audit_chain"))
            .fetch_all(conn)
            .await)?;
    for (chain, finished) in listed {
        chains.entry(chain).or_default().finished = Some(finished);
    }
    Ok(chains)
}

/// The chains that have anything.
async fn names(tx: &mut Tx) -> Result<BTreeSet<String>, Error> {
    let names: Vec<String> = on!(tx, |conn| sqlx::query_scalar(sql!(
        "select chain from audit union select chain from audit_checkpoint"
    ))
    .fetch_all(conn)
    .await)?;
    Ok(names.into_iter().collect())
}

/// The chains that have anything that was written then or later.
async fn names_since(tx: &mut Tx, from: DateTime<Utc>) -> Result<BTreeSet<String>, Error> {
    let names: Vec<String> = on!(tx, |conn| sqlx::query_scalar(sql!(
        "select chain from audit where at >= $1 union select chain from audit_chain where opened_at >= $1"
    ))
    .bind(from)
    .fetch_all(conn)
    .await)?;
    Ok(names.into_iter().collect())
}

/// Whether the entry is found by each of those whom it names.
async fn is_findable(tx: &mut Tx, row: &Row) -> Result<bool, Error> {
    for hash in row.hashes() {
        let found: i64 = on!(tx, |conn| {
            sqlx::query_scalar(sql!(
            "select count(*) from audit_patient where patient = $1 and at = $2 and chain = $3 and seq = $4"
        ))
        .bind(hash)
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
