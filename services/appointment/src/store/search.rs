//! Lists of appointments, by time.

use chrono::{DateTime, Utc};
use contracts::id::{PatientId, ProviderId};
use db::{Db, Tx, on, sql};
use http_kit::Seeker;

use crate::domain::search::{Key, Search};
use crate::store::appointment::{Kept, Sealed, status_index};

/// A stretch of the list: of a patient, of a provider, or of all, each along its own index. To somebody who sees whom they treat, of those,
/// and of their own days. Of one patient alone it is known that they may be seen; of the others what they deny is left out.
pub async fn appointment_search(
    tx: &mut Tx,
    db: &Db,
    search: &Search,
    seeker: Option<&Seeker>,
) -> Result<Vec<(Key, Kept)>, db::Error> {
    let status = search.status.map(|status| status_index(db, status)).transpose()?;
    let rows = match (seeker, &search.patient, &search.provider) {
        (Some(seeker), ..) if seeker.is_carer => of_theirs(tx, search, status, seeker).await?,
        (_, Some(_), _) => of_patient(tx, search, status).await?,
        (Some(seeker), None, Some(_)) => of_provider(tx, search, status, seeker).await?,
        (Some(seeker), None, None) => of_all(tx, search, status, seeker).await?,
        (None, None, _) => Vec::new(),
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
    seeker: &Seeker,
) -> Result<Vec<Sealed>, db::Error> {
    let (after, now) = (search.after(), tx.now());
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select * from ( \
             select a.id, a.version, a.patient_id, a.provider_id, a.starts_at, a.body, \
                 (select min(d.consent) from denial d where d.patient_id = a.patient_id and d.until > $9 \
                      and $11 like '%' || d.who || '%' and d.patient_id <> coalesce($12, '')) as denial, \
                 (select max(g.id) from glass g \
                  where g.user_id = $10 and g.patient_id = a.patient_id and g.until > $9) as glass \
             from appointment a \
             where a.deleted_at is null and a.provider_id = $1 and a.starts_at >= $2 and a.starts_at < $3 \
               and (a.starts_at, a.id) > ($4, $5) and ($6 or a.status = $7)) its \
         where $13 or denial is null or glass is not null \
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
    .bind(now)
    .bind(&seeker.user)
    .bind(&seeker.names)
    .bind(seeker.own.as_ref().map(PatientId::as_str))
    .bind(seeker.is_exempt)
    .fetch_all(conn)
    .await)?)
}

async fn of_theirs(
    tx: &mut Tx,
    search: &Search,
    status: Option<Vec<u8>>,
    seeker: &Seeker,
) -> Result<Vec<Sealed>, db::Error> {
    let (after, now) = (search.after(), tx.now());
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select * from ( \
             select a.id, a.version, a.patient_id, a.provider_id, a.starts_at, a.body, \
                 (select min(d.consent) from denial d where d.patient_id = a.patient_id and d.until > $12 \
                      and $16 like '%' || d.who || '%' and d.patient_id <> coalesce($14, '')) as denial, \
                 (select max(g.id) from glass g \
                  where g.user_id = $13 and g.patient_id = a.patient_id and g.until > $12) as glass \
             from appointment a \
             where a.deleted_at is null and a.starts_at >= $1 and a.starts_at < $2 and (a.starts_at, a.id) > ($3, $4) \
               and ($5 or a.status = $6) and ($7 or a.patient_id = $8) and ($9 or a.provider_id = $10) \
               and (a.provider_id = $11 or a.patient_id in ( \
                 select patient_id from care where provider_id = $11 and until > $12 \
                 union select patient_id from glass where user_id = $13 and until > $12 \
                 union select $14))) theirs \
         where provider_id = $11 or denial is null or glass is not null \
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
    .bind(seeker.provider.as_ref().map(ProviderId::as_str))
    .bind(now)
    .bind(&seeker.user)
    .bind(seeker.own.as_ref().map(PatientId::as_str))
    .bind(search.window.rows())
    .bind(&seeker.names)
    .fetch_all(conn)
    .await
    })?)
}

async fn of_all(
    tx: &mut Tx,
    search: &Search,
    status: Option<Vec<u8>>,
    seeker: &Seeker,
) -> Result<Vec<Sealed>, db::Error> {
    let (after, now) = (search.after(), tx.now());
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select * from ( \
             select a.id, a.version, a.patient_id, a.provider_id, a.starts_at, a.body, \
                 (select min(d.consent) from denial d where d.patient_id = a.patient_id and d.until > $8 \
                      and $10 like '%' || d.who || '%' and d.patient_id <> coalesce($11, '')) as denial, \
                 (select max(g.id) from glass g \
                  where g.user_id = $9 and g.patient_id = a.patient_id and g.until > $8) as glass \
             from appointment a \
             where a.deleted_at is null and a.starts_at >= $1 and a.starts_at < $2 \
               and (a.starts_at, a.id) > ($3, $4) and ($5 or a.status = $6)) everybodys \
         where $12 or denial is null or glass is not null \
         order by starts_at, id limit $7"
    ))
    .bind(search.from)
    .bind(search.before)
    .bind(after.0)
    .bind(&after.1)
    .bind(status.is_none())
    .bind(status.unwrap_or_default())
    .bind(search.window.rows())
    .bind(now)
    .bind(&seeker.user)
    .bind(&seeker.names)
    .bind(seeker.own.as_ref().map(PatientId::as_str))
    .bind(seeker.is_exempt)
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
