//! The `provider` table.

use chrono::{DateTime, Utc};
use contracts::id::ProviderId;
use db::{Db, Place, Subject, Tx, on, search_terms_clear, search_terms_put, sql};
use http_kit::page::Window;
use sqlx::FromRow;

use crate::domain::provider::Provider;
use crate::domain::search::{Key, Search, terms_of};
use crate::error::Error;

/// A provider as kept: the data with its id and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The id.
    pub id: ProviderId,
    /// Counts changes, from 1.
    pub version: i64,
    /// When they were added.
    pub created_at: DateTime<Utc>,
    /// The data.
    pub provider: Provider,
}

/// So many rows are looked through at a time, at least: those who share the rarest of what is asked for may differ in the rest.
const FOUND_MIN: u32 = 64;

#[derive(FromRow)]
struct Row {
    id: String,
    version: i64,
    created_at: DateTime<Utc>,
    body: Vec<u8>,
}

impl Row {
    fn key(&self) -> Key {
        (self.created_at, self.id.clone())
    }
}

pub(super) fn place(id: &str) -> Place<'_> {
    Place { table: "provider", column: "body", row: id }
}

async fn seal(db: &Db, id: &ProviderId, provider: &Provider) -> Result<Vec<u8>, db::Error> {
    db.vault().seal_json(&Subject::Service, place(id.as_str()), provider).await
}

async fn opened(db: &Db, row: Row) -> Result<Kept, db::Error> {
    let provider = db.vault().open_json(&Subject::Service, place(&row.id), &row.body).await?;
    Ok(Kept { id: ProviderId::trusted(row.id), version: row.version, created_at: row.created_at, provider })
}

/// Adds a provider. [`Error::Taken`] if the id was ever used.
pub async fn provider_insert(
    tx: &mut Tx,
    db: &Db,
    id: &ProviderId,
    provider: &Provider,
) -> Result<(), Error> {
    let (now, body) = (tx.now(), seal(db, id, provider).await?);
    let inserted = on!(tx, |conn| sqlx::query(sql!(
        "insert into provider (id, version, created_at, updated_at, body) values ($1, 1, $2, $2, $3) \
         on conflict (id) do nothing"
    ))
    .bind(id.as_str())
    .bind(now)
    .bind(&body)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))
    .map_err(db::Error::from)?;
    if inserted == 0 {
        return Err(Error::Taken);
    }
    Ok(search_terms_put(tx, db, id.as_str(), terms_of(provider)).await?)
}

/// The provider, if there is one.
pub async fn provider_find(tx: &mut Tx, db: &Db, id: &ProviderId) -> Result<Option<Kept>, db::Error> {
    let row: Option<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, created_at, body from provider where id = $1 and deleted_at is null"
    ))
    .bind(id.as_str())
    .fetch_optional(conn)
    .await)?;
    match row {
        Some(row) => opened(db, row).await.map(Some),
        None => Ok(None),
    }
}

/// Replaces a provider's data, if `version` is still the present one; tells whether it was.
pub async fn provider_update(
    tx: &mut Tx,
    db: &Db,
    id: &ProviderId,
    version: i64,
    provider: &Provider,
) -> Result<bool, db::Error> {
    let (now, body) = (tx.now(), seal(db, id, provider).await?);
    let updated = on!(tx, |conn| sqlx::query(sql!(
        "update provider set version = version + 1, updated_at = $3, body = $4 \
         where id = $1 and version = $2 and deleted_at is null"
    ))
    .bind(id.as_str())
    .bind(version)
    .bind(now)
    .bind(&body)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    if updated == 1 {
        search_terms_put(tx, db, id.as_str(), terms_of(provider)).await?;
    }
    Ok(updated == 1)
}

/// Takes a provider's data away, if `version` is still the present one; the id stays taken.
pub async fn provider_delete(tx: &mut Tx, id: &ProviderId, version: i64) -> Result<bool, db::Error> {
    let now = tx.now();
    let deleted = on!(tx, |conn| sqlx::query(sql!(
        "update provider set version = version + 1, updated_at = $3, deleted_at = $3, body = null \
         where id = $1 and version = $2 and deleted_at is null"
    ))
    .bind(id.as_str())
    .bind(version)
    .bind(now)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    if deleted == 1 {
        search_terms_clear(tx, id.as_str()).await?;
    }
    Ok(deleted == 1)
}

/// A stretch of the list, newest first.
pub async fn provider_search(tx: &mut Tx, db: &Db, search: &Search) -> Result<Vec<(Key, Kept)>, db::Error> {
    let Some(tokens) = db::search_tokens(db, &search.terms)? else {
        let rows = list(tx, search).await?;
        let mut kept = Vec::with_capacity(rows.len());
        for row in rows {
            kept.push((row.key(), opened(db, row).await?));
        }
        return Ok(kept);
    };
    let mut page = search.window.filling(search.window.limit.max(FOUND_MIN));
    while let Some(stretch) = page.unread() {
        let rows = find(tx, &tokens, &stretch).await?;
        page.has_read(rows.len());
        for row in rows {
            let key = row.key();
            let found = Some(opened(db, row).await?).filter(|found| search.finds(&found.provider));
            if page.put(key, found) {
                break;
            }
        }
    }
    Ok(page.into_rows())
}

async fn list(tx: &mut Tx, search: &Search) -> Result<Vec<Row>, db::Error> {
    let (created_at, id) = search.window.below();
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, created_at, body from provider \
         where deleted_at is null and (created_at, id) < ($1, $2) order by created_at desc, id desc limit $3"
    ))
    .bind(created_at)
    .bind(&id)
    .bind(search.window.rows())
    .fetch_all(conn)
    .await)?)
}

/// Some of those who have the tokens, newest first.
async fn find(tx: &mut Tx, tokens: &str, stretch: &Window<Key>) -> Result<Vec<Row>, db::Error> {
    let (created_at, id) = stretch.below();
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "with recursive number (n) as (select 0 union all select n + 1 from number where n < 31), \
             part (tokens) as materialized (select substr($1, 1024 * n + 1, 1024) from number), \
             sought (one, other) as ( \
                 select substr(tokens, 32 * n + 1, 16), substr(tokens, 32 * n + 17, 16) \
                 from part cross join number where 32 * n < length(tokens)) \
         select p.id, p.version, p.created_at, p.body \
         from sought s cross join search_term i cross join provider p \
         where i.token = s.one and p.id = i.owner \
           and (s.other = s.one or exists (select 1 from search_term o where o.token = s.other and o.owner = i.owner)) \
           and p.deleted_at is null and (p.created_at, p.id) < ($2, $3) \
         order by p.created_at desc, p.id desc limit $4"
    ))
    .bind(tokens)
    .bind(created_at)
    .bind(&id)
    .bind(stretch.rows())
    .fetch_all(conn)
    .await
    })?)
}
