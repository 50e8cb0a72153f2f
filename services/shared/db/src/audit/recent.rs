//! A look that is short however long the audit is: what was signed for last and what was written since, in each chain of the last two days;
//! and of those before, whether they end as they were signed for.
//!
//! What does not look right here is looked at whole by `verify.rs`, which names its first fault. What was altered further back than the last
//! signed stretch is found there alone, and so are links in the look-up that mislead.

use std::collections::BTreeMap;

use sqlx::FromRow;

use super::chain::{Followed, MAC, below_the_first, rows_after};
use super::checkpoint::{CheckpointRow, MAC_KEPT, checkpoints_last};
use super::verify::{Known, Look};
use crate::{Error, Tx, on, sql};

/// Rows read at a time.
const BATCH: i64 = 1_000;

/// Where a chain's last checkpoint says that it ends, and what stands there.
#[derive(FromRow)]
struct End {
    chain: String,
    seq: i64,
    mac: Vec<u8>,
    digest: Vec<u8>,
    written: Option<Vec<u8>>,
}

/// Leaves only the chains that do not look right.
pub(super) async fn retain_what_looks_wrong(
    look: &mut Look<'_>,
    chains: &mut BTreeMap<String, Known>,
) -> Result<(), Error> {
    let ends: BTreeMap<_, _> =
        ends(&mut look.tx).await?.into_iter().map(|end| (end.chain.clone(), end)).collect();
    let mut wrong = BTreeMap::new();
    for (chain, known) in std::mem::take(chains) {
        let is_right = if known.is_young {
            look.ends_well(&chain, &known).await?
        } else {
            let end = ends.get(&chain);
            known.is_listed_finished() && end.is_some_and(|end| is_as_signed(&known, end))
        };
        if is_right {
            look.verified.chains += 1;
        } else {
            wrong.insert(chain, known);
        }
    }
    *chains = wrong;
    Ok(())
}

/// Whether a chain ends where its head in the keys store says.
fn is_as_signed(known: &Known, end: &End) -> bool {
    let is_head = known
        .head
        .as_ref()
        .is_some_and(|head| (head.seq, &head.mac, &head.digest) == (end.seq, &end.mac, &end.digest));
    is_head && end.written.as_ref() == Some(&end.mac)
}

async fn ends(tx: &mut Tx) -> Result<Vec<End>, Error> {
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
            "select point.chain, point.seq, point.mac, point.digest, audit.mac as written from audit_chain \
         join audit_checkpoint point on point.chain = audit_chain.chain \
         and point.seq = (select max(seq) from audit_checkpoint where chain = audit_chain.chain) \
         left join audit on audit.chain = point.chain and audit.seq = point.seq"
        ))
        .fetch_all(conn)
        .await
    })?)
}

impl Look<'_> {
    /// Whether a chain is as it was written from the last signed stretch on.
    async fn ends_well(&mut self, chain: &str, known: &Known) -> Result<bool, Error> {
        if below_the_first(&mut self.tx, chain).await?.is_some() {
            return Ok(false);
        }
        let last = checkpoints_last(&mut self.tx, chain).await?;
        let (before, last) = match &last[..] {
            [] => (None, None),
            [only] => (None, Some(only)),
            [last, before, ..] => (Some(before), Some(last)),
        };
        if !self.is_signed_well(known, last) {
            return Ok(false);
        }
        let mut followed = before.map_or_else(
            || Followed::from(0, vec![0; MAC]),
            |before| Followed::from(before.head.seq, before.head.mac.clone()),
        );
        let mut signed = last.into_iter().flat_map(|last| last.macs.chunks(MAC_KEPT));
        let mut entries = 0;
        loop {
            let rows = rows_after(&mut self.tx, chain, followed.seq, BATCH).await?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                if self.entry_flaw(&mut followed, row, &mut signed).await?.is_some() {
                    return Ok(false);
                }
                entries += 1;
            }
        }
        let reaches = last.map_or(0, |last| last.head.seq);
        if followed.seq < reaches || !known.is_listed(followed.seq > reaches) {
            return Ok(false);
        }
        let begins = before.map_or(0, |before| before.head.seq);
        self.verified.entries += entries;
        self.verified.signed += (reaches - begins).unsigned_abs();
        Ok(true)
    }

    /// Whether the last checkpoint is the service's own, and the head none that says otherwise.
    fn is_signed_well(&self, known: &Known, last: Option<&CheckpointRow>) -> bool {
        let service = self.db.service().as_str();
        match (known.head.as_ref(), last) {
            (None, None) => true,
            (Some(head), Some(last)) => {
                let is_same = (&head.mac, &head.digest) == (&last.head.mac, &last.head.digest);
                // The head may not have been put down yet.
                let fits = if head.seq == last.head.seq { is_same } else { head.seq < last.head.seq };
                let head_is_good = self.signers.believe(service, head);
                let last_is_good = self.signers.believe(service, &last.head) || (is_same && head_is_good);
                fits && head_is_good && last_is_good
            }
            // Of the first checkpoint of all the head may not have been put down yet.
            (None, Some(last)) => last.from_seq == 1 && self.signers.believe(service, &last.head),
            (Some(_), None) => false,
        }
    }
}
