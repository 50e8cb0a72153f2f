//! [`KeysStore`]: the statements on wrapped keys. Knows no key, only what is wrapped.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool, SqlitePool};

use super::keepers::Wrapped;
use crate::{ConstraintKind, Error, SealError, Tx, TxKind, on, postgres, sql};

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
    key_check: Option<Vec<u8>>,
    pub(super) expires_at: Option<DateTime<Utc>>,
}

/// What a row says of its key.
pub(super) enum KeyState<'a> {
    Live(Live<'a>),
    Destroyed,
}

/// A key that is there, wrapped.
#[derive(Clone, Copy)]
pub(super) struct Live<'a> {
    pub(super) wrapped: &'a [u8],
    pub(super) kek_id: &'a str,
    /// Of rows from before there was one: none.
    pub(super) check: Option<&'a [u8]>,
}

impl KeyRow {
    /// An expired key counts as destroyed at once, whenever the purge comes to it.
    pub(super) fn state(&self, now: DateTime<Utc>) -> KeyState<'_> {
        match (&self.wrapped, &self.kek_id) {
            (Some(wrapped), Some(kek_id)) if self.expires_at.is_none_or(|expires_at| now < expires_at) => {
                KeyState::Live(Live { wrapped, kek_id, check: self.key_check.as_deref() })
            }
            _ => KeyState::Destroyed,
        }
    }
}

/// A key's row that is wrapped under some other key-encryption key than is wanted.
#[derive(FromRow)]
pub(super) struct OtherwiseWrapped {
    pub(super) subject: String,
    pub(super) generation: i64,
    pub(super) wrapped: Vec<u8>,
    pub(super) kek_id: String,
    pub(super) key_check: Option<Vec<u8>>,
}

/// The same key, wrapped anew.
pub(super) struct WrappedAnew {
    pub(super) before: OtherwiseWrapped,
    pub(super) after: Wrapped,
}

impl KeysStore {
    pub(super) async fn begin(&self, now: DateTime<Utc>) -> Result<Tx, Error> {
        let kind = match self {
            Self::Postgres(pool) => TxKind::Postgres(postgres::begin(pool, postgres::WRITE).await?),
            Self::Sqlite(pool) => TxKind::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
        };
        Ok(Tx::new(kind, now))
    }

    pub(super) async fn find(&self, subject: &str, generation: u32) -> Result<Option<KeyRow>, Error> {
        let query = sql!(
            Keys,
            "select wrapped, kek_id, key_check, expires_at from data_key where subject = $1 and generation = $2"
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

    /// The newest generation of a subject's key, and when it was made.
    pub(super) async fn newest(&self, subject: &str) -> Result<Option<(i64, DateTime<Utc>)>, Error> {
        let query = sql!(
            Keys,
            "select generation, created_at from data_key where subject = $1 order by generation desc limit 1"
        );
        let newest = match self {
            Self::Postgres(pool) => sqlx::query_as(query).bind(subject).fetch_optional(pool).await?,
            Self::Sqlite(pool) => sqlx::query_as(query).bind(subject).fetch_optional(pool).await?,
        };
        Ok(newest)
    }

    /// Inserts unless there is one: destroyed ones count. A key-encryption key that is retired is refused.
    pub(super) async fn insert(
        &self,
        subject: &str,
        generation: u32,
        wrapped: &Wrapped,
        now: DateTime<Utc>,
        expires_at: Option<DateTime<Utc>>,
    ) -> Result<(), Error> {
        let mut tx = self.begin(now).await?;
        let inserted = on!(tx, |conn| {
            sqlx::query(sql!(
            Keys,
            "insert into data_key (subject, generation, wrapped, kek_id, key_check, created_at, expires_at) \
             values ($1, $2, $3, $4, $5, $6, $7) on conflict (subject, generation) do nothing"
        ))
        .bind(subject)
        .bind(i64::from(generation))
        .bind(&wrapped.bytes)
        .bind(&wrapped.kek_id)
        .bind(&wrapped.check)
        .bind(now)
        .bind(expires_at)
        .execute(conn)
        .await
        .map(drop)
        });
        match inserted.map_err(Error::from) {
            Err(error) if is_foreign_key(&error) => {
                Err(SealError::RetiredKek { kek_id: wrapped.kek_id.clone() }.into())
            }
            Err(error) => Err(error),
            Ok(()) => tx.commit_unaudited().await,
        }
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
            "update data_key set wrapped = null, kek_id = null, key_check = null, destroyed_at = $2 \
             where subject = $1 and destroyed_at is null"
        ))
        .bind(subject)
        .bind(now)
        .execute(conn)
        .await
        .map(drop))?;
        tx.commit_unaudited().await?;
        self.scrub().await
    }

    /// Some of the patients' keys that are destroyed, by name, in order from beyond `after`.
    pub(super) async fn patients_destroyed(&self, after: &str, count_max: i64) -> Result<Vec<String>, Error> {
        let query = sql!(
            Keys,
            "select subject from data_key where subject like 'patient:%' and generation = 1 \
             and destroyed_at is not null and subject > $1 order by subject limit $2"
        );
        Ok(match self {
            Self::Postgres(pool) => {
                sqlx::query_scalar(query).bind(after).bind(count_max).fetch_all(pool).await?
            }
            Self::Sqlite(pool) => {
                sqlx::query_scalar(query).bind(after).bind(count_max).fetch_all(pool).await?
            }
        })
    }

    /// The names of years' keys that stand.
    pub(super) async fn live_of_years(&self) -> Result<Vec<String>, Error> {
        let query =
            sql!(Keys, "select subject from data_key where subject like 'kept:%' and destroyed_at is null");
        Ok(match self {
            Self::Postgres(pool) => sqlx::query_scalar(query).fetch_all(pool).await?,
            Self::Sqlite(pool) => sqlx::query_scalar(query).fetch_all(pool).await?,
        })
    }

    /// The names of holds' keys that stand.
    pub(super) async fn live_of_holds(&self) -> Result<Vec<String>, Error> {
        let query =
            sql!(Keys, "select subject from data_key where subject like 'hold:%' and destroyed_at is null");
        Ok(match self {
            Self::Postgres(pool) => sqlx::query_scalar(query).fetch_all(pool).await?,
            Self::Sqlite(pool) => sqlx::query_scalar(query).fetch_all(pool).await?,
        })
    }

    pub(super) async fn purge_expired(&self, now: DateTime<Utc>) -> Result<u64, Error> {
        let mut tx = self.begin(now).await?;
        let wiped = on!(tx, |conn| sqlx::query(sql!(
            Keys,
            "update data_key set wrapped = null, kek_id = null, key_check = null, destroyed_at = $1 \
             where expires_at <= $1 and destroyed_at is null"
        ))
        .bind(now)
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))?;
        tx.commit_unaudited().await?;
        if wiped > 0 {
            self.scrub().await?;
        }
        Ok(wiped)
    }

    /// Lets keys be wrapped under this key-encryption key, unless it was retired; tells whether they may.
    pub(super) async fn admit_kek(&self, kek_id: &str, now: DateTime<Utc>) -> Result<bool, Error> {
        let mut tx = self.begin(now).await?;
        on!(tx, |conn| sqlx::query(sql!(
            Keys,
            "insert into kek (id, wraps) values ($1, $1) on conflict (id) do nothing"
        ))
        .bind(kek_id)
        .execute(conn)
        .await
        .map(drop))?;
        tx.commit_unaudited().await?;
        self.is_admitted(kek_id).await
    }

    /// Whether keys may be wrapped under this key-encryption key.
    pub(super) async fn is_admitted(&self, kek_id: &str) -> Result<bool, Error> {
        let query = sql!(Keys, "select count(*) from kek where wraps = $1");
        let admitted: i64 = match self {
            Self::Postgres(pool) => sqlx::query_scalar(query).bind(kek_id).fetch_one(pool).await?,
            Self::Sqlite(pool) => sqlx::query_scalar(query).bind(kek_id).fetch_one(pool).await?,
        };
        Ok(admitted != 0)
    }

    /// Retires every key-encryption key but this one, and `known`, which may never have been used here: nothing is wrapped
    /// under them ever again. Tells whether that was possible: while a key is still wrapped under one, the database
    /// refuses, and nothing is retired.
    pub(super) async fn retire_keks_but(
        &self,
        kek_id: &str,
        known: &[&str],
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let mut tx = self.begin(now).await?;
        for known in known {
            on!(tx, |conn| sqlx::query(sql!(
                Keys,
                "insert into kek (id, retired_at) values ($1, $2) on conflict (id) do nothing"
            ))
            .bind(known)
            .bind(now)
            .execute(conn)
            .await
            .map(drop))?;
        }
        let retired = on!(tx, |conn| sqlx::query(sql!(
            Keys,
            "update kek set wraps = null, retired_at = $2 where id <> $1 and wraps is not null"
        ))
        .bind(kek_id)
        .bind(now)
        .execute(conn)
        .await
        .map(drop));
        match retired.map_err(Error::from) {
            Err(error) if is_foreign_key(&error) => Ok(false),
            Err(error) => Err(error),
            Ok(()) => tx.commit_unaudited().await.map(|()| true),
        }
    }

    /// Some of the keys that are wrapped under any other key-encryption key, expired ones among them, in order from
    /// beyond `after`.
    pub(super) async fn otherwise_wrapped(
        &self,
        kek_id: &str,
        (subject, generation): (&str, i64),
        count_max: i64,
    ) -> Result<Vec<OtherwiseWrapped>, Error> {
        let query = sql!(
            Keys,
            "select subject, generation, wrapped, kek_id, key_check from data_key \
             where kek_id <> $1 and (subject, generation) > ($2, $3) order by subject, generation limit $4"
        );
        let rows = match self {
            Self::Postgres(pool) => {
                sqlx::query_as(query)
                    .bind(kek_id)
                    .bind(subject)
                    .bind(generation)
                    .bind(count_max)
                    .fetch_all(pool)
                    .await?
            }
            Self::Sqlite(pool) => {
                sqlx::query_as(query)
                    .bind(kek_id)
                    .bind(subject)
                    .bind(generation)
                    .bind(count_max)
                    .fetch_all(pool)
                    .await?
            }
        };
        Ok(rows)
    }

    /// Puts keys that were wrapped anew in the place of what they were, each only if it still is that: one that was
    /// destroyed meanwhile stays so. Returns how many.
    pub(super) async fn replace(&self, keys: &[WrappedAnew], now: DateTime<Utc>) -> Result<u64, Error> {
        let mut tx = self.begin(now).await?;
        let mut replaced = 0;
        for WrappedAnew { before, after } in keys {
            replaced += on!(tx, |conn| sqlx::query(sql!(
                Keys,
                "update data_key set wrapped = $1, kek_id = $2, key_check = $7 \
                 where subject = $3 and generation = $4 and kek_id = $5 and wrapped = $6"
            ))
            .bind(&after.bytes)
            .bind(&after.kek_id)
            .bind(&before.subject)
            .bind(before.generation)
            .bind(&before.kek_id)
            .bind(&before.wrapped)
            .bind(&after.check)
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        }
        tx.commit_unaudited().await?;
        Ok(replaced)
    }

    /// How many keys are wrapped under each key-encryption key.
    pub(super) async fn count_by_kek(&self) -> Result<Vec<(String, u64)>, Error> {
        let query = sql!(
            Keys,
            "select kek_id, count(*) from data_key where kek_id is not null group by kek_id order by kek_id"
        );
        let counts: Vec<(String, i64)> = match self {
            Self::Postgres(pool) => sqlx::query_as(query).fetch_all(pool).await?,
            Self::Sqlite(pool) => sqlx::query_as(query).fetch_all(pool).await?,
        };
        Ok(counts.into_iter().map(|(kek_id, count)| (kek_id, count.unsigned_abs())).collect())
    }

    /// Empties SQLite's write-ahead log, where the wiped bytes still stand; `secure_delete` overwrote them in the file.
    /// PostgreSQL has its own log and dead rows, gone with the next checkpoints and vacuum.
    pub(super) async fn scrub(&self) -> Result<(), Error> {
        if let Self::Sqlite(pool) = self {
            let busy: i64 = sqlx::query_scalar("pragma wal_checkpoint(truncate)").fetch_one(pool).await?;
            if busy != 0 {
                tracing::warn!("the keys file's log is in use by another process; wiped keys leave it later");
            }
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

/// Keys refer to nothing but the key-encryption key that they are wrapped under.
fn is_foreign_key(error: &Error) -> bool {
    matches!(error, Error::Constraint { kind: ConstraintKind::ForeignKey, .. })
}
