//! Lists of appointments, by time.

use chrono::{DateTime, Utc};
use contracts::id::{PatientId, ProviderId};
use db::{Db, Tx, on, sql};
use http_kit::Seeker;

use crate::domain::search::{Key, Search};
use crate::store::appointment::{Kept, Sealed};

/// Those of one status are picked from so many rows and one at a time.
const PICKED_FROM: u32 = 255;

/// A stretch of the list: of a patient, of a provider, or of all, each along its own index. To somebody who sees whom they treat, of those,
/// and of their own days. Of one patient alone it is known that they may be seen; of the others what they deny is left out.
///
/// Where appointments stand the database does not know: those of one status are picked from all others here.
pub async fn appointment_search(
    tx: &mut Tx,
    db: &Db,
    search: &Search,
    seeker: Option<&Seeker>,
) -> Result<Vec<(Key, Kept)>, db::Error> {
    let at_once = if search.status.is_some() { PICKED_FROM } else { search.window.limit };
    let mut page = search.window.filling(at_once);
    while let Some(window) = page.unread() {
        let stretch = Search { window, ..search.clone() };
        let rows = match (seeker, &search.patient, &search.provider) {
            (Some(seeker), ..) if seeker.is_carer => of_theirs(tx, &stretch, seeker).await?,
            (_, Some(_), _) => of_patient(tx, &stretch).await?,
            (Some(seeker), None, Some(_)) => of_provider(tx, &stretch, seeker).await?,
            (Some(seeker), None, None) => of_all(tx, &stretch, seeker).await?,
            (None, None, _) => Vec::new(),
        };
        page.has_read(rows.len());
        for row in rows {
            let key = row.key();
            let stands = search.status.map_or(Ok(true), |status| row.stands(db, status))?;
            let kept = if stands { row.open_wanted(db, search.want).await? } else { None };
            if page.put(key, kept) {
                break;
            }
        }
    }
    Ok(page.into_rows())
}

async fn of_patient(tx: &mut Tx, search: &Search) -> Result<Vec<Sealed>, db::Error> {
    let after = search.after();
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
            "select id, version, patient_id, provider_id, starts_at, status, body from appointment \
             where deleted_at is null and patient_id = $1 and starts_at >= $2 and starts_at < $3 \
               and (starts_at, id) > ($4, $5) and ($6 or provider_id = $7) \
             order by starts_at, id limit $8"
        ))
        .bind(search.patient.as_ref().map_or("", |id| id.as_str()))
        .bind(search.from)
        .bind(search.before)
        .bind(after.0)
        .bind(&after.1)
        .bind(search.provider.is_none())
        .bind(search.provider.as_ref().map_or("", |id| id.as_str()))
        .bind(search.window.rows())
        .fetch_all(conn)
        .await
    })?)
}

async fn of_provider(tx: &mut Tx, search: &Search, seeker: &Seeker) -> Result<Vec<Sealed>, db::Error> {
    let (after, now) = (search.after(), tx.now());
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select * from ( \
             select a.id, a.version, a.patient_id, a.provider_id, a.starts_at, a.status, a.body, \
                 (select min(d.consent) from denial d where d.patient_id = a.patient_id and d.until > $7 \
                      and $9 like '%' || d.who || '%' and d.patient_id <> coalesce($10, '')) as denial, \
                 (select max(g.id) from glass g \
                  where g.user_id = $8 and g.patient_id = a.patient_id and g.until > $7) as glass \
             from appointment a \
             where a.deleted_at is null and a.provider_id = $1 and a.starts_at >= $2 and a.starts_at < $3 \
               and (a.starts_at, a.id) > ($4, $5) and ($12 or a.in_conflict)) its \
         where $11 or denial is null or glass is not null \
         order by starts_at, id limit $6"
    ))
    .bind(search.provider.as_ref().map_or("", |id| id.as_str()))
    .bind(search.from)
    .bind(search.before)
    .bind(after.0)
    .bind(&after.1)
    .bind(search.window.rows())
    .bind(now)
    .bind(&seeker.user)
    .bind(&seeker.names)
    .bind(seeker.own.as_ref().map(PatientId::as_str))
    .bind(seeker.is_exempt)
    .bind(!search.in_conflict)
    .fetch_all(conn)
    .await)?)
}

async fn of_theirs(tx: &mut Tx, search: &Search, seeker: &Seeker) -> Result<Vec<Sealed>, db::Error> {
    let (after, now) = (search.after(), tx.now());
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select * from ( \
             select a.id, a.version, a.patient_id, a.provider_id, a.starts_at, a.status, a.body, \
                 (select min(d.consent) from denial d where d.patient_id = a.patient_id and d.until > $10 \
                      and $14 like '%' || d.who || '%' and d.patient_id <> coalesce($12, '')) as denial, \
                 (select max(g.id) from glass g \
                  where g.user_id = $11 and g.patient_id = a.patient_id and g.until > $10) as glass \
             from appointment a \
             where a.deleted_at is null and a.starts_at >= $1 and a.starts_at < $2 and (a.starts_at, a.id) > ($3, $4) \
               and ($5 or a.patient_id = $6) and ($7 or a.provider_id = $8) and ($15 or a.in_conflict) \
               and (a.provider_id = $9 or a.patient_id in ( \
                 select patient_id from care where provider_id = $9 and until > $10 \
                 union select patient_id from glass where user_id = $11 and until > $10 \
                 union select $12))) theirs \
         where provider_id = $9 or denial is null or glass is not null \
         order by starts_at, id limit $13"
        ))
        .bind(search.from)
        .bind(search.before)
        .bind(after.0)
        .bind(&after.1)
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
        .bind(!search.in_conflict)
        .fetch_all(conn)
        .await
    })?)
}

async fn of_all(tx: &mut Tx, search: &Search, seeker: &Seeker) -> Result<Vec<Sealed>, db::Error> {
    let (after, now) = (search.after(), tx.now());
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select * from ( \
             select a.id, a.version, a.patient_id, a.provider_id, a.starts_at, a.status, a.body, \
                 (select min(d.consent) from denial d where d.patient_id = a.patient_id and d.until > $6 \
                      and $8 like '%' || d.who || '%' and d.patient_id <> coalesce($9, '')) as denial, \
                 (select max(g.id) from glass g \
                  where g.user_id = $7 and g.patient_id = a.patient_id and g.until > $6) as glass \
             from appointment a \
             where a.deleted_at is null and a.starts_at >= $1 and a.starts_at < $2 \
               and (a.starts_at, a.id) > ($3, $4) and ($11 or a.in_conflict)) everybodys \
         where $10 or denial is null or glass is not null \
         order by starts_at, id limit $5"
    ))
    .bind(search.from)
    .bind(search.before)
    .bind(after.0)
    .bind(&after.1)
    .bind(search.window.rows())
    .bind(now)
    .bind(&seeker.user)
    .bind(&seeker.names)
    .bind(seeker.own.as_ref().map(PatientId::as_str))
    .bind(seeker.is_exempt)
    .bind(!search.in_conflict)
    .fetch_all(conn)
    .await)?)
}

/// A provider's appointments from a time on that take place, as far as is known, but for one that cannot be opened.
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
        kept.extend(row.open_among(db).await?);
    }
    Ok(kept)
}

/// Some of a provider's appointments from a time on that take place, as far as is known, after one; and where to go on, if there may be more. One
/// that cannot be opened is passed over: it holds nobody up.
pub async fn appointments_ahead_some(
    tx: &mut Tx,
    db: &Db,
    provider: &ProviderId,
    from: DateTime<Utc>,
    after: Option<&Key>,
    count: i64,
) -> Result<(Option<Key>, Vec<Kept>), db::Error> {
    let (at, id) = after.map_or((from, ""), |(at, id)| (*at, id.as_str()));
    let rows: Vec<Sealed> = on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, patient_id, provider_id, starts_at, body from appointment \
         where deleted_at is null and active and provider_id = $1 and (starts_at, id) > ($2, $3) \
         order by starts_at, id limit $4"
    ))
    .bind(provider.as_str())
    .bind(at)
    .bind(id)
    .bind(count)
    .fetch_all(conn)
    .await)?;
    let is_last = i64::try_from(rows.len()).is_ok_and(|rows| rows < count);
    let last = rows.last().filter(|_| !is_last).map(Sealed::key);
    let mut kept = Vec::with_capacity(rows.len());
    for row in rows {
        kept.extend(row.open_among(db).await?);
    }
    Ok((last, kept))
}
