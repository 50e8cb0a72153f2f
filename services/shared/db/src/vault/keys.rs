//! [`KeysStore`]: the statements on wrapped keys. Knows no key, only what is wrapped.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool, SqlitePool};

use crate::{Error, Tx, TxKind, on, sql};

/// The store of wrapped keys: a file or schema of its own, with connections of its own, so that sealing inside a data
/// transaction never waits for that transaction.
pub(crate) enum KeysStore {
    /// In its schema.
    Postgres(PgPool),
    /// In its file.
    Sqlite(SqlitePool),
}

/// A key's row.
#[derive(FromRow)]
pub(super) struct KeyRow {
    wrapped: Option<Vec<u8>>,
    kek_id: Option<String>,
    pub(super) expires_at: Option<DateTime<Utc>>,
}

/// What a row says of its key.
pub(super) enum KeyState<'a> {
    Live { wrapped: &'a [u8], kek_id: &'a str },
    Destroyed,
}

impl KeyRow {
    /// An expired key counts as destroyed at once, whenever the purge comes to it.
    pub(super) fn state(&self, now: DateTime<Utc>) -> KeyState<'_> {
        match (&self.wrapped, &self.kek_id) {
            (Some(wrapped), Some(kek_id)) if self.expires_at.is_none_or(|expires_at| now < expires_at) => {
                KeyState::Live { wrapped, kek_id }
            }
            _ => KeyState::Destroyed,
        }
    }
}

impl KeysStore {
    async fn begin(&self, now: DateTime<Utc>) -> Result<Tx, Error> {
        let kind = match self {
            Self::Postgres(pool) => TxKind::Postgres(pool.begin().await?),
            Self::Sqlite(pool) => TxKind::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
        };
        Ok(Tx::new(kind, now))
    }

    pub(super) async fn find(&self, subject: &str, generation: u32) -> Result<Option<KeyRow>, Error> {
        let query = sql!(
            Keys,
            "select wrapped, kek_id, expires_at from data_key where subject = $1 and generation = $2"
        );
        let row = match self {
            Self::Postgres(pool) => {
                sqlx::query_as(query).bind(subject).bind(i64::from(generation)).fetch_optional(pool).await?
            }
            Self::Sqlite(pool) => {
                sqlx::query_as(query).bind(subject).bind(i64::from(generation)).fetch_optional(pool).await?
            }
        };
        Ok(row)
    }

    /// Inserts unless there is one: destroyed ones count.
    pub(super) async fn insert(
        &self,
        subject: &str,
        generation: u32,
        wrapped: &[u8],
        kek_id: &str,
        now: DateTime<Utc>,
        expires_at: Option<DateTime<Utc>>,
    ) -> Result<(), Error> {
        let mut tx = self.begin(now).await?;
        on!(tx, |conn| sqlx::query(sql!(
            Keys,
            "insert into data_key (subject, generation, wrapped, kek_id, created_at, expires_at) \
             values ($1, $2, $3, $4, $5, $6) on conflict (subject, generation) do nothing"
        ))
        .bind(subject)
        .bind(i64::from(generation))
        .bind(wrapped)
        .bind(kek_id)
        .bind(now)
        .bind(expires_at)
        .execute(conn)
        .await
        .map(drop))?;
        tx.commit().await
    }

    /// Wipes all of a subject's keys, and leaves a mark even if it had none.
    pub(super) async fn destroy(&self, subject: &str, now: DateTime<Utc>) -> Result<(), Error> {
        let mut tx = self.begin(now).await?;
        on!(tx, |conn| sqlx::query(sql!(
            Keys,
            "insert into data_key (subject, generation, created_at, destroyed_at) values ($1, 1, $2, $2) \
             on conflict (subject, generation) do nothing"
        ))
        .bind(subject)
        .bind(now)
        .execute(conn)
        .await
        .map(drop))?;
        on!(tx, |conn| sqlx::query(sql!(
            Keys,
            "update data_key set wrapped = null, kek_id = null, destroyed_at = $2 \
             where subject = $1 and destroyed_at is null"
        ))
        .bind(subject)
        .bind(now)
        .execute(conn)
        .await
        .map(drop))?;
        tx.commit().await?;
        self.scrub().await
    }

    pub(super) async fn purge_expired(&self, now: DateTime<Utc>) -> Result<u64, Error> {
        let mut tx = self.begin(now).await?;
        let wiped = on!(tx, |conn| sqlx::query(sql!(
            Keys,
            "update data_key set wrapped = null, kek_id = null, destroyed_at = $1 \
             where expires_at <= $1 and destroyed_at is null"
        ))
        .bind(now)
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))?;
        tx.commit().await?;
        if wiped > 0 {
            self.scrub().await?;
        }
        Ok(wiped)
    }

    /// Empties SQLite's write-ahead log, where the wiped bytes still stand; `secure_delete` overwrote them in the file.
    /// PostgreSQL has its own log and dead rows, gone with the next checkpoints and vacuum.
    async fn scrub(&self) -> Result<(), Error> {
        if let Self::Sqlite(pool) = self {
            let busy: i64 = sqlx::query_scalar("pragma wal_checkpoint(truncate)").fetch_one(pool).await?;
            if busy != 0 {
                tracing::warn!("the keys file's log is in use by another process; wiped keys leave it later");
            }
        }
        Ok(())
    }

    pub(super) async fn ping(&self) -> Result<(), Error> {
        match self {
            Self::Postgres(pool) => sqlx::query("select 1").execute(pool).await.map(drop)?,
            Self::Sqlite(pool) => sqlx::query("select 1").execute(pool).await.map(drop)?,
        }
        Ok(())
    }

    /// Whether the table is there.
    pub(super) async fn is_migrated(&self) -> Result<bool, Error> {
        Ok(match self {
            Self::Postgres(pool) => {
                sqlx::query_scalar("select to_regclass('data_key') is not null").fetch_one(pool).await?
            }
            Self::Sqlite(pool) => {
                sqlx::query_scalar("select exists (select 1 from sqlite_schema where name = 'data_key')")
                    .fetch_one(pool)
                    .await?
            }
        })
    }
}
