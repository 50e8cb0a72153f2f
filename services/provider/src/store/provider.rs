//! The `provider` table.

use chrono::{DateTime, Utc};
use contracts::id::ProviderId;
use db::{Db, Place, Subject, TERMS_MAX, Tx, on, search_index_clear, search_index_put, sql};
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

#[derive(FromRow)]
struct Row {
    id: String,
    version: i64,
    created_at: DateTime<Utc>,
    body: Vec<u8>,
}

fn place(id: &str) -> Place<'_> {
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
    Ok(search_index_put(tx, db, id.as_str(), terms_of(provider)).await?)
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
        search_index_put(tx, db, id.as_str(), terms_of(provider)).await?;
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
        search_index_clear(tx, id.as_str()).await?;
    }
    Ok(deleted == 1)
}

/// A stretch of the list, newest first.
pub async fn provider_search(tx: &mut Tx, db: &Db, search: &Search) -> Result<Vec<(Key, Kept)>, db::Error> {
    let rows = match db::search_tokens(db, &search.terms)? {
        None => list(tx, search).await?,
        Some(tokens) => find(tx, search, &tokens).await?,
    };
    let mut kept = Vec::with_capacity(rows.len());
    for row in rows {
        let key = (row.created_at, row.id.clone());
        kept.push((key, opened(db, row).await?));
    }
    Ok(kept)
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

/// The first term drives; each further one must be there too.
async fn find(tx: &mut Tx, search: &Search, tokens: &[Vec<u8>; TERMS_MAX]) -> Result<Vec<Row>, db::Error> {
    let (created_at, id) = search.window.below();
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select p.id, p.version, p.created_at, p.body \
         from search_index i join provider p on p.id = i.owner \
         where i.token = $1 \
           and exists (select 1 from search_index o where o.token = $2 and o.owner = p.id) \
           and exists (select 1 from search_index o where o.token = $3 and o.owner = p.id) \
           and exists (select 1 from search_index o where o.token = $4 and o.owner = p.id) \
           and exists (select 1 from search_index o where o.token = $5 and o.owner = p.id) \
           and exists (select 1 from search_index o where o.token = $6 and o.owner = p.id) \
           and p.deleted_at is null and (p.created_at, p.id) < ($7, $8) \
         order by p.created_at desc, p.id desc limit $9"
    ))
    .bind(&tokens[0])
    .bind(&tokens[1])
    .bind(&tokens[2])
    .bind(&tokens[3])
    .bind(&tokens[4])
    .bind(&tokens[5])
    .bind(created_at)
    .bind(&id)
    .bind(search.window.rows())
    .fetch_all(conn)
    .await)?)
}
