//! Lists of appointments, by time.

use chrono::{DateTime, Utc};
use contracts::id::{PatientId, ProviderId};
use db::{Db, Tx, on, sql};
use http_kit::Carer;

use crate::domain::search::{Key, Search};
use crate::store::appointment::{Kept, Sealed, status_index};

/// A stretch of the list: of a patient, of a provider, or of all, each along its own index. To somebody who sees whom they treat, of those,
/// and of their own days.
pub async fn appointment_search(
    tx: &mut Tx,
    db: &Db,
    search: &Search,
    carer: Option<&Carer>,
) -> Result<Vec<(Key, Kept)>, db::Error> {
    let status = search.status.map(|status| status_index(db, status)).transpose()?;
    let rows = match (carer, &search.patient, &search.provider) {
        (Some(carer), ..) => of_theirs(tx, search, status, carer).await?,
        (None, Some(_), _) => of_patient(tx, search, status).await?,
        (None, None, Some(_)) => of_provider(tx, search, status).await?,
        (None, None, None) => of_all(tx, search, status).await?,
    };
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(kept) = row.open(db).await? {
            found.push(((kept.starts_at, kept.id.to_string()), kept));
        }
    }
    Ok(found)
}

async fn of_patient(tx: &mut Tx, search: &Search, status: Option<Vec<u8>>) -> Result<Vec<Sealed>, db::Error> {
    let after = search.after();
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
            "select id, version, patient_id, provider_id, starts_at, body from appointment \
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

async fn of_provider(
    tx: &mut Tx,
    search: &Search,
    status: Option<Vec<u8>>,
) -> Result<Vec<Sealed>, db::Error> {
    let after = search.after();
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
            "select id, version, patient_id, provider_id, starts_at, body from appointment \
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

async fn of_theirs(
    tx: &mut Tx,
    search: &Search,
    status: Option<Vec<u8>>,
    carer: &Carer,
) -> Result<Vec<Sealed>, db::Error> {
    let (after, now) = (search.after(), tx.now());
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, patient_id, provider_id, starts_at, body from appointment \
         where deleted_at is null and starts_at >= $1 and starts_at < $2 and (starts_at, id) > ($3, $4) \
           and ($5 or status = $6) and ($7 or patient_id = $8) and ($9 or provider_id = $10) \
           and (provider_id = $11 or patient_id in ( \
             select patient_id from care where provider_id = $11 and until > $12 \
             union select patient_id from glass where user_id = $13 and until > $12 \
             union select $14)) \
         order by starts_at, id limit $15"
    ))
    .bind(search.from)
    .bind(search.before)
    .bind(after.0)
    .bind(&after.1)
    .bind(status.is_none())
    .bind(status.unwrap_or_default())
    .bind(search.patient.is_none())
    .bind(search.patient.as_ref().map_or("", |id| id.as_str()))
    .bind(search.provider.is_none())
    .bind(search.provider.as_ref().map_or("", |id| id.as_str()))
    .bind(carer.provider.as_ref().map(ProviderId::as_str))
    .bind(now)
    .bind(&carer.user)
    .bind(carer.own.as_ref().map(PatientId::as_str))
    .bind(search.window.rows())
    .fetch_all(conn)
    .await)?)
}

async fn of_all(tx: &mut Tx, search: &Search, status: Option<Vec<u8>>) -> Result<Vec<Sealed>, db::Error> {
    let after = search.after();
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, patient_id, provider_id, starts_at, body from appointment \
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
    let rows: Vec<Sealed> = on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, patient_id, provider_id, starts_at, body from appointment \
         where deleted_at is null and active and provider_id = $1 and starts_at >= $2 \
         order by starts_at, id"
    ))
    .bind(provider.as_str())
    .bind(from)
    .fetch_all(conn)
    .await)?;
    let mut kept = Vec::with_capacity(rows.len());
    for row in rows {
        kept.extend(row.open(db).await?);
    }
    Ok(kept)
}
