//! Keys read from their store, one or many at once, and kept in memory for a while.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::cache::{Seen, Unwrapped};
use super::keys::{KeyRow, KeyState, KeysStore};
use super::seal::DataKey;
use super::{GENERATION, Subject, Vault};
use crate::{Error, SealError, names, sql};

/// A key's row, and whose it is.
#[derive(FromRow)]
struct KeyRowOf {
    subject: String,
    #[sqlx(flatten)]
    row: KeyRow,
}

impl Vault {
    /// Reads the keys of these subjects that are not in memory, in one go, so that what is sealed or opened for each of them next finds its key there. One
    /// that has none, or whose key was destroyed, is passed over: whoever seals or opens for it is told.
    pub async fn fetch(&self, subjects: &[Subject<'_>]) -> Result<(), Error> {
        let now = self.clock.now();
        let (mut missing, mut seen_first) = (Vec::new(), None);
        for subject in subjects {
            let name = subject.name().into_owned();
            if let Err(seen) = self.cache().find(&name, GENERATION, now) {
                seen_first.get_or_insert(seen);
                missing.push(name);
            }
        }
        let Some(seen) = seen_first else { return Ok(()) };
        for KeyRowOf { subject, row } in self.key_rows(&missing).await? {
            match self.take_in((&subject, GENERATION), &row, now, seen).await {
                Ok(_) | Err(Error::KeyDestroyed { .. } | Error::Sealed(SealError::UnknownKek { .. })) => {}
                Err(error) if error.is_of_the_row() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Keeps a key whose row was read.
    pub(super) async fn take_in(
        &self,
        (name, generation): (&str, u32),
        row: &KeyRow,
        now: DateTime<Utc>,
        seen: Seen,
    ) -> Result<Arc<DataKey>, Error> {
        let KeyState::Live(live) = row.state(now) else {
            // Another process destroyed it: it is to be gone from here, too.
            self.cache().forget(name);
            return Err(Error::KeyDestroyed { subject: name.to_owned() });
        };
        let held = self.cache().held(name, generation, live.wrapped, now);
        let unwrapped = if let Some(held) = held {
            held
        } else {
            let raw = self.unwrap(name, generation, live).await?;
            Unwrapped { key: Arc::new(DataKey::new(&raw)), at: now }
        };
        let key = Arc::clone(&unwrapped.key);
        self.cache().keep(name, generation, (unwrapped, live.wrapped), row.expires_at, now, seen);
        if let Some(renewal) = self.renew((name, generation), live, self.held_for() / 2) {
            tokio::spawn(renewal);
        }
        Ok(key)
    }

    async fn key_rows(&self, subjects: &[String]) -> Result<Vec<KeyRowOf>, Error> {
        let query = sql!(
            Keys,
            "select subject, wrapped, kek_id, key_check, expires_at from data_key \
             where generation = $2 and subject in (select key from jsonb_each($1))"
        );
        let subjects = names(subjects.iter().map(String::as_str));
        let generation = i64::from(GENERATION);
        Ok(match &self.keys {
            KeysStore::Postgres(pool) => {
                sqlx::query_as(query).bind(&subjects).bind(generation).fetch_all(pool).await?
            }
            KeysStore::Sqlite(pool) => {
                sqlx::query_as(query).bind(&subjects).bind(generation).fetch_all(pool).await?
            }
        })
    }
}
