//! The lists of those who are excluded, who of the providers stands on the one that counts, and what somebody found who looked.

use chrono::NaiveDate;
use contracts::exclusions::{ExclusionDecision, ExclusionEntry, ExclusionListStatus, MatchedBy};
use contracts::id::ProviderId;
use db::{Db, Place, Subject, Tx, on, sql};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use crate::domain::exclusion::{line_of, name_of, names_of};

/// The length of [`token`].
const TOKEN_CHARS: usize = 32;

/// A review: what is sealed as its row's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Who looked.
    pub by: String,
    /// What they found.
    pub note: String,
}

/// An entry that a provider is found at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: String,
    /// By what.
    pub by: MatchedBy,
    /// What it says.
    pub entry: ExclusionEntry,
    /// What somebody found who looked.
    pub decision: Option<ExclusionDecision>,
}

#[derive(FromRow)]
struct Row {
    edition: NaiveDate,
    id: String,
    by_npi: bool,
    confirmed: Option<bool>,
    body: Vec<u8>,
}

fn place(row: &str) -> Place<'_> {
    Place { table: "exclusion", column: "body", row }
}

fn row_name(edition: NaiveDate, id: &str) -> String {
    format!("{edition}:{id}")
}

/// A keyed hash as text, of a fixed length.
fn token(db: &Db, field: &str, value: &str) -> Result<String, db::Error> {
    let hash = db.vault().blind(field, value)?;
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    Ok(hash.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect())
}

/// The day of the list that counts.
pub async fn exclusion_edition(tx: &mut Tx) -> Result<Option<NaiveDate>, db::Error> {
    Ok(on!(tx, |conn| sqlx::query_scalar(sql!(
        "select edition from exclusion_list where is_current order by edition desc limit 1"
    ))
    .fetch_optional(conn)
    .await)?)
}

/// The lists that are here, newest first: two at most.
pub async fn exclusion_lists(tx: &mut Tx) -> Result<Vec<ExclusionListStatus>, db::Error> {
    let rows: Vec<(NaiveDate, i64, bool, i64, i64)> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select l.edition, l.parts, l.is_current, \
             (select count(*) from exclusion_part p where p.edition = l.edition), \
             (select cast(coalesce(sum(p.entries), 0) as bigint) from exclusion_part p where p.edition = l.edition) \
         from exclusion_list l order by l.edition desc"
    ))
    .fetch_all(conn)
    .await
    })?;
    let status = |(edition, parts, is_current, received, rows): (NaiveDate, i64, bool, i64, i64)| {
        ExclusionListStatus {
            edition: edition.to_string(),
            parts: u32::try_from(parts).unwrap_or_default(),
            parts_received: u32::try_from(received).unwrap_or_default(),
            rows: u64::try_from(rows).unwrap_or_default(),
            is_current,
        }
    };
    Ok(rows.into_iter().map(status).collect())
}

/// Takes the lock under which lists change. First in the transaction.
pub async fn exclusions_lock(tx: &mut Tx) -> Result<(), db::Error> {
    tx.lock(&["exclusions"]).await
}

/// Begins a list, or one anew that has another number of parts; what else is not whole goes.
pub async fn exclusion_list_begin(tx: &mut Tx, edition: NaiveDate, parts: u32) -> Result<(), db::Error> {
    let now = tx.now();
    on!(tx, |conn| sqlx::query(sql!(
        "delete from exclusion_list where not is_current and (edition <> $1 or parts <> $2)"
    ))
    .bind(edition)
    .bind(i64::from(parts))
    .execute(conn)
    .await
    .map(drop))?;
    on!(tx, |conn| sqlx::query(sql!(
        "insert into exclusion_list (edition, parts, is_current, updated_at) values ($1, $2, $3, $4) \
         on conflict (edition) do nothing"
    ))
    .bind(edition)
    .bind(i64::from(parts))
    .bind(false)
    .bind(now)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}

/// Keeps a part, unless it is here already.
pub async fn exclusion_part_put(
    tx: &mut Tx,
    db: &Db,
    (edition, part): (NaiveDate, u32),
    entries: &[ExclusionEntry],
) -> Result<(), db::Error> {
    let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
    let is_new = on!(tx, |conn| {
        sqlx::query(sql!(
        "insert into exclusion_part (edition, part, entries) values ($1, $2, $3) on conflict (edition, part) do nothing"
    ))
    .bind(edition)
    .bind(i64::from(part))
    .bind(count)
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    })?;
    if is_new == 0 {
        return Ok(());
    }
    for entry in entries {
        entry_put(tx, db, edition, entry).await?;
    }
    Ok(())
}

async fn entry_put(
    tx: &mut Tx,
    db: &Db,
    edition: NaiveDate,
    entry: &ExclusionEntry,
) -> Result<(), db::Error> {
    let id = token(db, "exclusion", &line_of(entry))?;
    let npi = entry.npi.as_ref().map(|npi| db.vault().blind("npi", npi)).transpose()?;
    let name = name_of(entry).map(|name| token(db, "excluded name", &name)).transpose()?;
    let body = db.vault().seal_json(&Subject::Service, place(&row_name(edition, &id)), entry).await?;
    on!(tx, |conn| {
        sqlx::query(sql!(
        "insert into exclusion (edition, id, npi, name, body) values ($1, $2, $3, $4, $5) on conflict (edition, id) do nothing"
    ))
    .bind(edition)
    .bind(&id)
    .bind(npi)
    .bind(name)
    .bind(&body)
    .execute(conn)
    .await
    .map(drop)
    })?;
    Ok(())
}

/// Has a list count whose parts are all here; the one before goes. Whether it does.
pub async fn exclusion_list_complete(tx: &mut Tx, edition: NaiveDate) -> Result<bool, db::Error> {
    let completed = on!(tx, |conn| {
        sqlx::query(sql!(
        "update exclusion_list set is_current = $2 \
         where edition = $1 and parts = (select count(*) from exclusion_part p where p.edition = exclusion_list.edition)"
    ))
    .bind(edition)
    .bind(true)
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    })?;
    if completed == 1 {
        on!(tx, |conn| sqlx::query(sql!("delete from exclusion_list where edition <> $1"))
            .bind(edition)
            .execute(conn)
            .await
            .map(drop))?;
    }
    Ok(completed == 1)
}

/// Whether a provider is excluded: by their NPI, or since somebody who looked says so. Nothing is opened for it: it is asked with each booking.
pub async fn exclusion_stops(tx: &mut Tx, provider: &ProviderId) -> Result<bool, db::Error> {
    let entries: i64 = on!(tx, |conn| {
        sqlx::query_scalar(sql!(
        "select (select count(*) from credential c join exclusion e on e.npi = c.npi \
                     join exclusion_list l on l.edition = e.edition where c.provider_id = $1 and l.is_current) \
              + (select count(*) from exclusion_review r join exclusion e on e.id = r.exclusion_id \
                     join exclusion_list l on l.edition = e.edition where r.provider_id = $1 and r.confirmed and l.is_current)"
    ))
    .bind(provider.as_str())
    .fetch_one(conn)
    .await
    })?;
    Ok(entries > 0)
}

/// The entries that a provider of this name is found at, on the list that counts.
pub async fn exclusions_found(
    tx: &mut Tx,
    db: &Db,
    (provider, name): (&ProviderId, &str),
) -> Result<Vec<Found>, db::Error> {
    let Some(edition) = exclusion_edition(tx).await? else { return Ok(Vec::new()) };
    let tokens = names_of(name).into_iter().map(|name| token(db, "excluded name", &name));
    let tokens = tokens.collect::<Result<String, _>>()?;
    let count = i64::try_from(tokens.len() / TOKEN_CHARS).unwrap_or_default();
    let rows: Vec<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
            "with recursive number (n) as (select 0 union all select n + 1 from number where n < 200), \
                 sought (name) as (select substr($2, 32 * n + 1, 32) from number where n < $3), \
                 found (edition, id, by_npi, body) as ( \
                     select e.edition, e.id, c.id is not null, e.body from exclusion e \
                     left join credential c on c.npi = e.npi and c.provider_id = $1 \
                     where e.edition = $4 and ( \
                         e.npi in (select o.npi from credential o where o.provider_id = $1 and o.npi is not null) \
                         or e.name in (select s.name from sought s))) \
             select f.edition, f.id, f.by_npi, r.confirmed, f.body from found f \
             left join exclusion_review r on r.provider_id = $1 and r.exclusion_id = f.id \
             order by f.id limit 100"
        ))
        .bind(provider.as_str())
        .bind(&tokens)
        .bind(count)
        .bind(edition)
        .fetch_all(conn)
        .await
    })?;
    let mut found = Vec::with_capacity(rows.len());
    for Row { edition, id, by_npi, confirmed, body } in rows {
        let name = row_name(edition, &id);
        let entry = db.vault().open_json(&Subject::Service, place(&name), &body).await?;
        let by = if by_npi { MatchedBy::Npi } else { MatchedBy::Name };
        let word = |is_confirmed| {
            if is_confirmed { ExclusionDecision::Confirmed } else { ExclusionDecision::Dismissed }
        };
        let decision = confirmed.map(word);
        found.push(Found { id, by, entry, decision });
    }
    Ok(found)
}

/// Keeps what somebody found who looked, in the place of what was found before.
pub async fn exclusion_review_put(
    tx: &mut Tx,
    db: &Db,
    (provider, exclusion): (&ProviderId, &str),
    decision: ExclusionDecision,
    review: &Review,
) -> Result<(), db::Error> {
    let (now, row) = (tx.now(), format!("{provider}:{exclusion}"));
    let place = Place { table: "exclusion_review", column: "body", row: &row };
    let body = db.vault().seal_json(&Subject::Service, place, review).await?;
    on!(tx, |conn| {
        sqlx::query(sql!(
        "insert into exclusion_review (provider_id, exclusion_id, confirmed, reviewed_at, body) values ($1, $2, $3, $4, $5) \
         on conflict (provider_id, exclusion_id) do update set \
             confirmed = excluded.confirmed, reviewed_at = excluded.reviewed_at, body = excluded.body"
    ))
    .bind(provider.as_str())
    .bind(exclusion)
    .bind(decision == ExclusionDecision::Confirmed)
    .bind(now)
    .bind(&body)
    .execute(conn)
    .await
    .map(drop)
    })?;
    Ok(())
}

/// Takes away what was found of a provider who is removed.
pub async fn exclusion_reviews_delete(tx: &mut Tx, provider: &ProviderId) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from exclusion_review where provider_id = $1"))
        .bind(provider.as_str())
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}
