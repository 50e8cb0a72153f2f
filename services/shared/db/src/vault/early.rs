//! A keys store of the version before: it is opened, and then brought up to date.

use super::keys::{KeyRow, KeysStore};
use crate::{Error, sql};

impl KeysStore {
    /// [`KeysStore::find`], also where the store was not brought up to date yet.
    pub(super) async fn find_early(&self, subject: &str, generation: u32) -> Result<Option<KeyRow>, Error> {
        if self.has_checks().await? {
            return self.find(subject, generation).await;
        }
        let query = sql!(
            Keys,
            "select wrapped, kek_id, null as key_check, expires_at from data_key where subject = $1 and generation = $2"
        );
        Ok(match self {
            Self::Postgres(pool) => {
                sqlx::query_as(query).bind(subject).bind(i64::from(generation)).fetch_optional(pool).await?
            }
            Self::Sqlite(pool) => {
                sqlx::query_as(query).bind(subject).bind(i64::from(generation)).fetch_optional(pool).await?
            }
        })
    }

    /// Whether keys have check values here: a store of the version before is opened, and then brought up to date.
    async fn has_checks(&self) -> Result<bool, Error> {
        Ok(match self {
            Self::Postgres(pool) => {
                sqlx::query_scalar(
                    "select exists (select 1 from pg_attribute where attrelid = to_regclass('data_key') \
                     and attname = 'key_check' and not attisdropped)",
                )
                .fetch_one(pool)
                .await?
            }
            Self::Sqlite(pool) => {
                sqlx::query_scalar(
                    "select exists (select 1 from pragma_table_info('data_key') where name = 'key_check')",
                )
                .fetch_one(pool)
                .await?
            }
        })
    }
}
