//! The keys of the audit, a generation after another, and the heads of its chains: what must not stand in the database that it watches.
//!
//! A generation is never wiped: what was written under it is verified for as long as it is kept. A new one is made while everything
//! runs; every process finds it within a minute, and what was written under the one before stays as it is.

use aws_lc_rs::hmac;
use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::keys::KeyState;
use super::{GENERATION, KeysStore, Vault};
use crate::{Error, on, sql};

/// The audit key's name in the keys store. No [`Subject`](super::Subject) has it.
const AUDIT: &str = "audit";

/// One generation.
#[derive(Clone)]
pub(crate) struct AuditKey {
    pub(crate) generation: u32,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) key: hmac::Key,
}

/// How far a chain is known to reach.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct HeadRow {
    pub(crate) chain: String,
    pub(crate) seq: i64,
    pub(crate) mac: Vec<u8>,
    pub(crate) digest: Vec<u8>,
    pub(crate) at: DateTime<Utc>,
    pub(crate) signer: String,
    pub(crate) signature: Vec<u8>,
}

impl Vault {
    /// The newest generation; the first is made if there is none.
    pub(crate) async fn newest_audit_key(&self) -> Result<AuditKey, Error> {
        if self.keys.newest(AUDIT).await?.is_none() {
            self.insert(AUDIT, GENERATION, None).await?;
        }
        let (generation, created_at) = self.keys.newest(AUDIT).await?.ok_or(Error::NotMigrated)?;
        let generation = u32::try_from(generation).unwrap_or(GENERATION);
        let key = self.audit_key(generation).await?.ok_or(Error::NotMigrated)?;
        Ok(AuditKey { generation, created_at, key })
    }

    /// A generation, if there is such a one.
    pub(crate) async fn audit_key(&self, generation: u32) -> Result<Option<hmac::Key>, Error> {
        let Some(row) = self.keys.find(AUDIT, generation).await? else { return Ok(None) };
        let KeyState::Live(live) = row.state(self.clock.now()) else { return Ok(None) };
        let key = self.unwrap(AUDIT, generation, live).await?;
        Ok(Some(hmac::Key::new(hmac::HMAC_SHA256, &*key)))
    }

    /// Makes the next generation. Of several that do so at once, all make the same one.
    pub(crate) async fn next_audit_key(&self) -> Result<u32, Error> {
        let next = self.newest_audit_key().await?.generation + 1;
        self.insert(AUDIT, next, None).await?;
        Ok(next)
    }

    /// Whether an entry of the audit was ever sealed here.
    pub(crate) async fn sealed_an_audit(&self) -> Result<bool, Error> {
        let query = sql!(Keys, "select count(*) from data_key where subject like 'period:audit:%'");
        let months: i64 = match &self.keys {
            KeysStore::Postgres(pool) => sqlx::query_scalar(query).fetch_one(pool).await?,
            KeysStore::Sqlite(pool) => sqlx::query_scalar(query).fetch_one(pool).await?,
        };
        Ok(months > 0)
    }

    /// All chains' heads.
    pub(crate) async fn audit_heads(&self) -> Result<Vec<HeadRow>, Error> {
        let query = sql!(
            Keys,
            "select chain, seq, mac, digest, at, signer, signature from audit_head order by at, chain"
        );
        Ok(match &self.keys {
            KeysStore::Postgres(pool) => sqlx::query_as(query).fetch_all(pool).await?,
            KeysStore::Sqlite(pool) => sqlx::query_as(query).fetch_all(pool).await?,
        })
    }

    /// One chain's head.
    pub(crate) async fn audit_head(&self, chain: &str) -> Result<Option<HeadRow>, Error> {
        let query = sql!(
            Keys,
            "select chain, seq, mac, digest, at, signer, signature from audit_head where chain = $1"
        );
        Ok(match &self.keys {
            KeysStore::Postgres(pool) => sqlx::query_as(query).bind(chain).fetch_optional(pool).await?,
            KeysStore::Sqlite(pool) => sqlx::query_as(query).bind(chain).fetch_optional(pool).await?,
        })
    }

    /// Moves a chain's head on, never back; or puts another signature to the same one.
    pub(crate) async fn put_audit_head(&self, head: &HeadRow) -> Result<(), Error> {
        let mut tx = self.keys.begin(self.clock.now()).await?;
        on!(tx, |conn| {
            sqlx::query(sql!(
                Keys,
                "insert into audit_head (chain, seq, mac, digest, at, signer, signature) \
                 values ($1, $2, $3, $4, $5, $6, $7) on conflict (chain) do update set seq = excluded.seq, \
                 mac = excluded.mac, digest = excluded.digest, at = excluded.at, signer = excluded.signer, \
                 signature = excluded.signature where audit_head.seq <= excluded.seq"
            ))
            .bind(&head.chain)
            .bind(head.seq)
            .bind(&head.mac)
            .bind(&head.digest)
            .bind(head.at)
            .bind(&head.signer)
            .bind(&head.signature)
            .execute(conn)
            .await
            .map(drop)
        })?;
        tx.commit_unaudited().await
    }
}
