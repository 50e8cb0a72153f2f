//! [`Tx`]: a transaction on either engine, and [`on!`](crate::on!), which runs one query expression on whichever it is.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::{Postgres, Sqlite, Transaction};
use tokio::sync::Notify;

use crate::{Db, Error, audit};

/// A transaction. Dropped without [`Tx::commit`], it rolls back.
///
/// Hold one at a time: SQLite has a single writer, and a task that asks for a second waits for itself.
pub struct Tx {
    /// Which engine's. For [`on!`](crate::on!).
    #[doc(hidden)]
    pub kind: TxKind,
    now: DateTime<Utc>,
    outbox: Option<Arc<Notify>>,
    /// Whose audit gets an entry of it. None of one that only reads, or that is the keys store's.
    audit: Option<Db>,
}

/// The driver's own transaction.
pub enum TxKind {
    /// On PostgreSQL.
    Postgres(Transaction<'static, Postgres>),
    /// On SQLite.
    Sqlite(Transaction<'static, Sqlite>),
}

impl Tx {
    pub(crate) fn new(kind: TxKind, now: DateTime<Utc>) -> Self {
        Self { kind, now, outbox: None, audit: None }
    }

    /// The same, to leave an entry in the audit.
    pub(crate) fn audited(self, db: &Db) -> Self {
        Self { audit: Some(db.clone()), ..self }
    }

    /// When it began: one instant for everything that it writes.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Makes it so, and leaves an entry in the audit if the work under way has a [`Trail`](contracts::trail::Trail): both or neither.
    /// An error means that nothing was kept, but for a connection lost during the commit itself ([`Error::Unavailable`]): then it
    /// may have been.
    pub async fn commit(mut self) -> Result<(), Error> {
        match (self.audit.take(), contracts::trail::current()) {
            (Some(db), Some(trail)) => audit::commit(self, db, &trail).await,
            _ => self.finish().await,
        }
    }

    /// Makes it so without an entry in the audit: for what is our own bookkeeping, such as an attempt that is counted before it is known
    /// what comes of it.
    pub async fn commit_unaudited(self) -> Result<(), Error> {
        self.finish().await
    }

    pub(crate) async fn finish(self) -> Result<(), Error> {
        // Dropped in the middle, nobody would know whether it is so.
        contracts::deadline::hold();
        match self.kind {
            TxKind::Postgres(tx) => tx.commit().await?,
            TxKind::Sqlite(tx) => tx.commit().await?,
        }
        if let Some(outbox) = self.outbox {
            outbox.notify_one();
        }
        Ok(())
    }

    /// Undoes it now, instead of in the background when it is dropped.
    pub async fn rollback(self) -> Result<(), Error> {
        match self.kind {
            TxKind::Postgres(tx) => tx.rollback().await?,
            TxKind::Sqlite(tx) => tx.rollback().await?,
        }
        Ok(())
    }

    /// Takes the named locks until the transaction ends, waiting for whoever holds them. Names are the service's own:
    /// `provider:prv_1`, `patient:pat_1`.
    ///
    /// On PostgreSQL these are advisory locks, taken in sorted order so that two transactions cannot each wait for the
    /// other; take all of a transaction's locks in one call, before its first row. SQLite's write transaction already
    /// excludes every other.
    pub async fn lock(&mut self, names: &[&str]) -> Result<(), Error> {
        if let TxKind::Postgres(tx) = &mut self.kind {
            let mut names = names.to_vec();
            names.sort_unstable();
            names.dedup();
            // Rows come in the array's order. Advisory locks are the database's, not the schema's: the schema keeps services apart.
            sqlx::query(
                "select pg_advisory_xact_lock(hashtextextended(current_schema() || ':' || name, 0)) from unnest($1::text[]) as name",
            )
            .bind(names)
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }

    /// Wakes the relay after the commit.
    pub(crate) fn wake_outbox(&mut self, outbox: &Arc<Notify>) {
        self.outbox = Some(Arc::clone(outbox));
    }
}

/// Runs one query expression on whichever engine the transaction holds:
/// `on!(tx, |conn| sqlx::query(sql!("…")).bind(id).execute(conn).await)`.
///
/// The expression is compiled once for each engine, so its value must have the same type on both: map an `execute` to
/// its `rows_affected()`.
#[macro_export]
macro_rules! on {
    ($tx:expr, |$conn:ident| $query:expr) => {
        match &mut $tx.kind {
            $crate::TxKind::Postgres(inner) => {
                let $conn = &mut **inner;
                $query
            }
            $crate::TxKind::Sqlite(inner) => {
                let $conn = &mut **inner;
                $query
            }
        }
    };
}
