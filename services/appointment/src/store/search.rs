//! Lists of appointments, by time.

use chrono::{DateTime, Utc};
use contracts::id::ProviderId;
use db::{Db, Tx, on, sql};

use crate::domain::search::{Key, Search};
use crate::store::appointment::{Kept, Row, opened, status_index};

/// A stretch of the list: of a patient, of a provider, or of all, each along its own index.
pub async fn appointment_search(
    tx: &mut Tx,
    db: &Db,
    search: &Search,
) -> Result<Vec<(Key, Kept)>, db::Error> {
    let status = search.status.map(|status| status_index(db, status)).transpose()?;
    let rows = match (&search.patient, &search.provider) {
        (Some(_), _) => of_patient(tx, search, status).await?,
        (None, Some(_)) => of_provider(tx, search, status).await?,
        (None, None) => of_all(tx, search, status).await?,
    };
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(kept) = opened(db, row).await? {
            found.push(((kept.starts_at, kept.id.to_string()), kept));
        }
    }
    Ok(found)
}

async fn of_patient(tx: &mut Tx, search: &Search, status: Option<Vec<u8>>) -> Result<Vec<Row>, db::Error> {
    let after = search.after();
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
            "select id, version, patient_id, starts_at, body from appointment \
             where deleted_at is null and patient_id = $1 and starts_at >= $2 and starts_at < $3 \
               and (starts_at, id) > ($4, $5) \
               and ($6 or status = $7) and ($8 or provider_id = $9) \
             order by starts_at, id limit $10"
        ))
        .bind(search.patient.as_ref().map_or("", |id| id.as_str()))
        .bind(search.from)
        .bind(search.before)
        .bind(after.0)
        .bind(&after.1)
        .bind(status.is_none())
        .bind(status.unwrap_or_default())
        .bind(search.provider.is_none())
        .bind(search.provider.as_ref().map_or("", |id| id.as_str()))
        .bind(search.window.rows())
        .fetch_all(conn)
        .await
    })?)
}

async fn of_provider(tx: &mut Tx, search: &Search, status: Option<Vec<u8>>) -> Result<Vec<Row>, db::Error> {
    let after = search.after();
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
            "select id, version, patient_id, starts_at, body from appointment \
             where deleted_at is null and provider_id = $1 and starts_at >= $2 and starts_at < $3 \
               and (starts_at, id) > ($4, $5) \
               and ($6 or status = $7) \
             order by starts_at, id limit $8"
        ))
        .bind(search.provider.as_ref().map_or("", |id| id.as_str()))
        .bind(search.from)
        .bind(search.before)
        .bind(after.0)
        .bind(&after.1)
        .bind(status.is_none())
        .bind(status.unwrap_or_default())
        .bind(search.window.rows())
        .fetch_all(conn)
        .await
    })?)
}

async fn of_all(tx: &mut Tx, search: &Search, status: Option<Vec<u8>>) -> Result<Vec<Row>, db::Error> {
    let after = search.after();
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, patient_id, starts_at, body from appointment \
         where deleted_at is null and starts_at >= $1 and starts_at < $2 \
           and (starts_at, id) > ($3, $4) \
           and ($5 or status = $6) \
         order by starts_at, id limit $7"
    ))
    .bind(search.from)
    .bind(search.before)
    .bind(after.0)
    .bind(&after.1)
    .bind(status.is_none())
    .bind(status.unwrap_or_default())
    .bind(search.window.rows())
    .fetch_all(conn)
    .await)?)
}

/// A provider's appointments from a time on that take place, as far as is known.
pub async fn appointments_ahead(
    tx: &mut Tx,
    db: &Db,
    provider: &ProviderId,
    from: DateTime<Utc>,
) -> Result<Vec<Kept>, db::Error> {
    let rows: Vec<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, patient_id, starts_at, body from appointment \
         where deleted_at is null and active and provider_id = $1 and starts_at >= $2 \
         order by starts_at, id"
    ))
    .bind(provider.as_str())
    .bind(from)
    .fetch_all(conn)
    .await)?;
    let mut kept = Vec::with_capacity(rows.len());
    for row in rows {
        kept.extend(opened(db, row).await?);
    }
    Ok(kept)
}
