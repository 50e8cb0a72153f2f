//! Chains signed as far as they reach.
//!
//! Who has the audit key can alter an entry and write all that follow anew; who has the database can cut a chain off. Neither can sign.
//! A checkpoint says with the service's own key how far a chain reached, and what the codes of its entries were; it stands beside the
//! chain, and its head in the keys store and in the log. What was written after the last checkpoint, a minute at most, has only its codes.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use chrono::{DateTime, TimeDelta, Utc};
use contracts::auth::JwkSet;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use sqlx::FromRow;

use super::chain::{Followed, Keys, MAC, Row, below_the_first, rows_after};
use super::lane::End;
use crate::vault::HeadRow;
use crate::{Db, Error, Tx, on, sql};

/// Entries in one checkpoint at most.
const ENTRIES: i64 = 1_000;
/// The bytes of each code that a checkpoint keeps.
pub(super) const MAC_KEPT: usize = 16;
/// Longer than a chain gets entries: one that has none by then is finished.
pub(super) const FINISHED_AFTER: TimeDelta = TimeDelta::days(2);

/// Signs checkpoints: a service's own identity.
pub struct AuditSigner {
    key: Ed25519KeyPair,
    name: String,
    /// Whose checkpoints it goes on from: its own, and those of the service's other keys.
    believed: AuditSigners,
}

impl AuditSigner {
    /// From a private key, PKCS #8. `None` if it is no Ed25519 key.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Option<Self> {
        let key = Ed25519KeyPair::from_pkcs8(pkcs8).ok()?;
        let public = key.public_key().as_ref().to_vec();
        let name = name_of(&public);
        Some(Self { key, believed: AuditSigners(vec![(name.clone(), public)]), name })
    }

    /// Goes on from what these have signed, too.
    #[must_use]
    pub fn beside(mut self, signers: &AuditSigners) -> Self {
        self.believed.0.extend(signers.0.iter().cloned());
        self
    }
}

impl AuditSigner {
    /// Whether a checkpoint is one to go on from: signed by the service, or what the head is, which is. What somebody put beside the chain
    /// would otherwise become the head.
    fn goes_on_from(&self, service: &str, last: &HeadRow, head: Option<&HeadRow>) -> bool {
        let is_head = |head: &HeadRow| {
            (head.seq, &head.mac, &head.digest) == (last.seq, &last.mac, &last.digest)
                && self.believed.believe(service, head)
        };
        self.believed.believe(service, last) || head.is_some_and(is_head)
    }
}

/// The public keys by which checkpoints are believed.
pub struct AuditSigners(Vec<(String, Vec<u8>)>);

impl AuditSigners {
    /// Those of `service` in a key set: under its name, or its name with something after a dot.
    pub fn of(service: &str, keys: &JwkSet) -> Self {
        let is_its = |kid: &str| kid.split_once('.').map_or(kid, |(name, _)| name) == service;
        let public = keys.keys.iter().filter(|key| is_its(&key.kid)).filter_map(|key| {
            let public = BASE64URL_NOPAD.decode(key.x.as_deref()?.as_bytes()).ok()?;
            Some((name_of(&public), public))
        });
        Self(public.collect())
    }

    /// Whether a key of this name is among them.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// Whether a head is signed by one of them.
    pub(super) fn believe(&self, service: &str, head: &HeadRow) -> bool {
        let Some((_, public)) = self.0.iter().find(|(name, _)| *name == head.signer) else { return false };
        UnparsedPublicKey::new(&ED25519, public).verify(&signed_text(service, head), &head.signature).is_ok()
    }
}

/// A key's short name, made of the key itself.
fn name_of(public: &[u8]) -> String {
    HEXLOWER.encode(&digest(&SHA256, public).as_ref()[..8])
}

fn signed_text(service: &str, head: &HeadRow) -> Vec<u8> {
    let mut text = Vec::new();
    for part in [
        b"audit checkpoint 1".as_slice(),
        service.as_bytes(),
        head.chain.as_bytes(),
        &head.seq.to_be_bytes(),
        &head.at.timestamp_micros().to_be_bytes(),
        &head.mac,
        &head.digest,
    ] {
        text.extend_from_slice(&(part.len() as u64).to_be_bytes());
        text.extend_from_slice(part);
    }
    text
}

/// A checkpoint's row. Its digest goes over it and all before it, so that the head's signature is for all of them.
#[derive(FromRow)]
pub(super) struct CheckpointRow {
    pub(super) from_seq: i64,
    pub(super) macs: Vec<u8>,
    #[sqlx(flatten)]
    pub(super) head: HeadRow,
}

/// The digest of a checkpoint behind one that has `before`.
pub(super) fn digest_behind(before: &[u8], from_seq: i64, macs: &[u8]) -> Vec<u8> {
    digest(&SHA256, &[before, &from_seq.to_be_bytes(), macs].concat()).as_ref().to_vec()
}

/// Signs what was written since the last checkpoint, in every chain that is not finished. Run it about once a minute, on any number of
/// processes, and once more at the end. Returns how many chains are not as they should be. What is not as it was written is not signed any
/// further; a chain that is not listed is.
pub async fn audit_checkpoint(db: &Db, signer: &AuditSigner) -> Result<u64, Error> {
    let mut flawed = 0;
    for chain in chains_to_sign(db).await? {
        flawed += u64::from(!sign_chain(db, signer, &chain).await?);
    }
    Ok(flawed)
}

/// A chain that may have got entries.
struct Open {
    chain: String,
    opened_at: DateTime<Utc>,
    is_listed: bool,
    /// It has so many at least.
    reaches: i64,
}

/// Whatever is listed as not finished; and what this process writes, listed or not: who takes a chain off the list has nobody sign for it.
async fn chains_to_sign(db: &Db) -> Result<Vec<Open>, Error> {
    let ends = db.audit().ends().await;
    let listed = unfinished(db).await?.into_iter();
    let mut chains: Vec<_> =
        listed.map(|(chain, opened_at)| Open { chain, opened_at, is_listed: true, reaches: 0 }).collect();
    let now = db.clock().now();
    for End { chain, opened_at, seq, .. } in ends {
        match chains.iter_mut().find(|open| open.chain == chain) {
            Some(open) => open.reaches = seq,
            None if now - opened_at < FINISHED_AFTER => {
                chains.push(Open { chain, opened_at, is_listed: false, reaches: seq });
            }
            None => {}
        }
    }
    Ok(chains)
}

/// Signs a chain as far as it reaches; tells whether it is as it should be.
async fn sign_chain(db: &Db, signer: &AuditSigner, open: &Open) -> Result<bool, Error> {
    let chain = &open.chain;
    loop {
        match sign_next(db, signer, open).await? {
            Signed::Some => {}
            Signed::UpToDate if open.is_listed => {
                finish(db, chain, open.opened_at).await?;
                return Ok(true);
            }
            Signed::UpToDate => {
                tracing::error!(
                    chain,
                    "a chain of the audit that is written was taken off the list of those to be signed"
                );
                return Ok(false);
            }
            Signed::Flawed { seq } => {
                tracing::error!(chain, seq, "the audit is not as it was written");
                return Ok(false);
            }
        }
    }
}

/// Puts this service's present signature to the heads that were signed with a key of it before, while that is still believed.
pub async fn audit_sign_anew(db: &Db, signer: &AuditSigner, signers: &AuditSigners) -> Result<(), Error> {
    let service = db.service().as_str();
    for mut head in db.vault().audit_heads().await? {
        if head.signer != signer.name && signers.believe(service, &head) {
            sign(service, signer, &mut head);
            db.vault().put_audit_head(&head).await?;
        }
    }
    Ok(())
}

fn sign(service: &str, signer: &AuditSigner, head: &mut HeadRow) {
    head.signer.clone_from(&signer.name);
    head.signature = signer.key.sign(&signed_text(service, head)).as_ref().to_vec();
}

enum Signed {
    Some,
    UpToDate,
    Flawed { seq: i64 },
}

async fn sign_next(db: &Db, signer: &AuditSigner, open: &Open) -> Result<Signed, Error> {
    let chain = open.chain.as_str();
    let mut tx = db.begin().await?;
    // Two processes would sign the same stretch twice.
    tx.lock(&["audit_checkpoint"]).await?;
    if let Some(seq) = below_the_first(&mut tx, chain).await? {
        return Ok(Signed::Flawed { seq });
    }
    let last = last_checkpoint(&mut tx, chain).await?;
    let head = db.vault().audit_head(chain).await?;
    if let Some(last) = &last
        && !signer.goes_on_from(db.service().as_str(), &last.head, head.as_ref())
    {
        return Ok(Signed::Flawed { seq: last.from_seq });
    }
    let (seq, mac, before) = match &last {
        Some(last) => (last.head.seq, last.head.mac.clone(), last.head.digest.clone()),
        None => (0, vec![0; MAC], Vec::new()),
    };
    if head.as_ref().is_some_and(|head| head.seq > seq) {
        return Ok(Signed::Flawed { seq: seq + 1 });
    }
    let rows = rows_after(&mut tx, chain, seq, ENTRIES).await?;
    let end_seq = rows.last().map_or(seq, |row| row.seq);
    let are_all = i64::try_from(rows.len()).is_ok_and(|count| count < ENTRIES);
    if are_all && end_seq < open.reaches {
        return Ok(Signed::Flawed { seq: end_seq + 1 });
    }
    let Some(end) = rows.last() else {
        drop(tx);
        // A checkpoint whose head was not put down any more.
        if let Some(last) = last.filter(|last| head.is_none_or(|head| head.seq < last.head.seq)) {
            db.vault().put_audit_head(&last.head).await?;
        }
        return Ok(Signed::UpToDate);
    };
    let (mut followed, mut keys) = (Followed::from(seq, mac), Keys::default());
    for row in &rows {
        let expected = followed.seq + 1;
        if !followed.follow(db, &mut keys, row).await? {
            return Ok(Signed::Flawed { seq: expected });
        }
    }
    let macs = macs_of(&rows);
    let mut head = HeadRow {
        chain: chain.to_owned(),
        seq: end.seq,
        mac: end.mac.clone(),
        digest: digest_behind(&before, seq + 1, &macs),
        at: tx.now(),
        signer: String::new(),
        signature: Vec::new(),
    };
    sign(db.service().as_str(), signer, &mut head);
    insert(&mut tx, &CheckpointRow { from_seq: seq + 1, macs, head: head.clone() }).await?;
    tx.commit_unaudited().await?;
    db.vault().put_audit_head(&head).await?;
    let (mac, signature) = (HEXLOWER.encode(&head.mac), HEXLOWER.encode(&head.signature));
    tracing::info!(chain, seq = head.seq, mac, signer = head.signer, signature, "audit checkpoint");
    Ok(Signed::Some)
}

/// The kept bytes of the rows' codes, one after another.
pub(super) fn macs_of(rows: &[Row]) -> Vec<u8> {
    rows.iter().flat_map(|row| row.mac.iter().copied().take(MAC_KEPT)).collect()
}

async fn unfinished(db: &Db) -> Result<Vec<(String, DateTime<Utc>)>, Error> {
    let mut tx = db.read().await?;
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select chain, opened_at from audit_chain where not finished order by opened_at, chain"
    ))
    .fetch_all(conn)
    .await)?)
}

/// A chain that gets no more entries need not be looked at again.
async fn finish(db: &Db, chain: &str, opened_at: DateTime<Utc>) -> Result<(), Error> {
    if db.clock().now() - opened_at < FINISHED_AFTER {
        return Ok(());
    }
    let mut tx = db.begin().await?;
    on!(tx, |conn| sqlx::query(sql!("update audit_chain set finished = $2 where chain = $1"))
        .bind(chain)
        .bind(true)
        .execute(conn)
        .await
        .map(drop))?;
    tx.commit_unaudited().await
}

async fn last_checkpoint(tx: &mut Tx, chain: &str) -> Result<Option<CheckpointRow>, Error> {
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select chain, seq, from_seq, at, mac, macs, digest, signer, signature from audit_checkpoint \
         where chain = $1 order by seq desc limit 1"
    ))
    .bind(chain)
    .fetch_optional(conn)
    .await)?)
}

/// A chain's checkpoints, in order.
pub(super) async fn checkpoints(tx: &mut Tx, chain: &str) -> Result<Vec<CheckpointRow>, Error> {
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select chain, seq, from_seq, at, mac, macs, digest, signer, signature from audit_checkpoint \
         where chain = $1 order by seq"
    ))
    .bind(chain)
    .fetch_all(conn)
    .await)?)
}

/// A chain's last checkpoint, and the one before.
pub(super) async fn checkpoints_last(tx: &mut Tx, chain: &str) -> Result<Vec<CheckpointRow>, Error> {
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select chain, seq, from_seq, at, mac, macs, digest, signer, signature from audit_checkpoint \
         where chain = $1 order by seq desc limit 2"
    ))
    .bind(chain)
    .fetch_all(conn)
    .await)?)
}

async fn insert(tx: &mut Tx, row: &CheckpointRow) -> Result<(), Error> {
    let CheckpointRow { from_seq, macs, head } = row;
    on!(tx, |conn| {
        sqlx::query(sql!(
            "insert into audit_checkpoint (chain, seq, from_seq, at, mac, macs, digest, signer, signature) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        ))
        .bind(&head.chain)
        .bind(head.seq)
        .bind(from_seq)
        .bind(head.at)
        .bind(&head.mac)
        .bind(macs)
        .bind(&head.digest)
        .bind(&head.signer)
        .bind(&head.signature)
        .execute(conn)
        .await
        .map(drop)
    })?;
    Ok(())
}
