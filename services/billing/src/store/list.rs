//! Lists of bills, newest first. A statement for each index, so that no list reads more than it shows.

use contracts::bills::BillStatus;
use contracts::id::{PatientId, ProviderId};
use db::{Db, Tx, on, sql};
use http_kit::Seeker;
use http_kit::page::Newest;

use super::bill::{Kept, Sealed, token};
use crate::domain::search::Search;

/// Whose bills a list holds.
#[derive(Clone, Copy, Debug)]
pub enum Whose<'a> {
    /// This patient's.
    Patient(&'a PatientId),
    /// Those of all whom they may see.
    Seen(&'a Seeker),
}

/// A stretch of the list, with each bill's sort key; restricted bills too if `with_restricted`. Of one patient it is known that they may be seen.
pub async fn bill_search(
    tx: &mut Tx,
    db: &Db,
    search: &Search,
    whose: Whose<'_>,
    with_restricted: bool,
) -> Result<Vec<(Newest, Kept)>, db::Error> {
    let status = search.status.map(|status| token(db, status)).transpose()?;
    let rows = match (whose, status) {
        (Whose::Patient(patient), _) => of_patient(tx, db, search, with_restricted, patient).await?,
        (Whose::Seen(seeker), status) if seeker.is_carer => of_theirs(tx, search, status, seeker).await?,
        (Whose::Seen(seeker), Some(status)) => {
            of_status(tx, search, with_restricted, &status, seeker).await?
        }
        (Whose::Seen(seeker), None) => all(tx, search, with_restricted, seeker).await?,
    };
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let kept = row.open(db).await?;
        found.push(((kept.created_at, kept.id.to_string()), kept));
    }
    Ok(found)
}

/// `restricted <= true` is every bill, `restricted <= false` those that are not.
async fn all(
    tx: &mut Tx,
    search: &Search,
    with_restricted: bool,
    seeker: &Seeker,
) -> Result<Vec<Sealed>, db::Error> {
    let ((created_at, id), now) = (search.window.below(), tx.now());
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select * from ( \
             select b.id, b.version, b.created_at, b.patient_id, b.restricted, b.until_year, b.body, \
                 (select min(d.consent) from denial d where d.patient_id = b.patient_id and d.until > $5 \
                      and $7 like '%' || d.who || '%' and d.patient_id <> coalesce($8, '')) as denial, \
                 (select max(g.id) from glass g \
                  where g.user_id = $6 and g.patient_id = b.patient_id and g.until > $5) as glass \
             from bill b \
             where b.deleted_at is null and b.restricted <= $1 and (b.created_at, b.id) < ($2, $3)) everybodys \
         where $9 or denial is null or glass is not null \
         order by created_at desc, id desc limit $4"
    ))
    .bind(with_restricted)
    .bind(created_at)
    .bind(&id)
    .bind(search.window.rows())
    .bind(now)
    .bind(&seeker.user)
    .bind(&seeker.names)
    .bind(seeker.own.as_ref().map(PatientId::as_str))
    .bind(seeker.is_exempt)
    .fetch_all(conn)
    .await
    })?)
}

async fn of_status(
    tx: &mut Tx,
    search: &Search,
    with_restricted: bool,
    status: &[u8],
    seeker: &Seeker,
) -> Result<Vec<Sealed>, db::Error> {
    let ((created_at, id), now) = (search.window.below(), tx.now());
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select * from ( \
             select b.id, b.version, b.created_at, b.patient_id, b.restricted, b.until_year, b.body, \
                 (select min(d.consent) from denial d where d.patient_id = b.patient_id and d.until > $6 \
                      and $8 like '%' || d.who || '%' and d.patient_id <> coalesce($9, '')) as denial, \
                 (select max(g.id) from glass g \
                  where g.user_id = $7 and g.patient_id = b.patient_id and g.until > $6) as glass \
             from bill b \
             where b.deleted_at is null and b.restricted <= $1 and (b.created_at, b.id) < ($2, $3) \
               and b.status = $5) everybodys \
         where $10 or denial is null or glass is not null \
         order by created_at desc, id desc limit $4"
    ))
    .bind(with_restricted)
    .bind(created_at)
    .bind(&id)
    .bind(search.window.rows())
    .bind(status)
    .bind(now)
    .bind(&seeker.user)
    .bind(&seeker.names)
    .bind(seeker.own.as_ref().map(PatientId::as_str))
    .bind(seeker.is_exempt)
    .fetch_all(conn)
    .await)?)
}

/// What the law keeps of erased patients is nobody's whom anybody treats.
async fn of_theirs(
    tx: &mut Tx,
    search: &Search,
    status: Option<Vec<u8>>,
    seeker: &Seeker,
) -> Result<Vec<Sealed>, db::Error> {
    let ((created_at, id), now) = (search.window.below(), tx.now());
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select * from ( \
             select b.id, b.version, b.created_at, b.patient_id, b.restricted, b.until_year, b.body, \
                 (select min(d.consent) from denial d where d.patient_id = b.patient_id and d.until > $7 \
                      and $9 like '%' || d.who || '%' and d.patient_id <> coalesce($10, '')) as denial, \
                 (select max(g.id) from glass g \
                  where g.user_id = $8 and g.patient_id = b.patient_id and g.until > $7) as glass \
             from bill b \
             where b.deleted_at is null and b.restricted = $11 and (b.created_at, b.id) < ($1, $2) \
               and ($4 or b.status = $5) and b.patient_id in ( \
                 select patient_id from care where provider_id = $6 and until > $7 \
                 union select patient_id from glass where user_id = $8 and until > $7 \
                 union select $10)) theirs \
         where denial is null or glass is not null \
         order by created_at desc, id desc limit $3"
    ))
    .bind(created_at)
    .bind(&id)
    .bind(search.window.rows())
    .bind(status.is_none())
    .bind(status.unwrap_or_default())
    .bind(seeker.provider.as_ref().map(ProviderId::as_str))
    .bind(now)
    .bind(&seeker.user)
    .bind(&seeker.names)
    .bind(seeker.own.as_ref().map(PatientId::as_str))
    .bind(false)
    .fetch_all(conn)
    .await)?)
}

/// A patient's bills are few: those of any status, or of one, come from the same index.
async fn of_patient(
    tx: &mut Tx,
    db: &Db,
    search: &Search,
    with_restricted: bool,
    patient: &PatientId,
) -> Result<Vec<Sealed>, db::Error> {
    let (created_at, id) = search.window.below();
    let statuses = search.status.map_or(BillStatus::ALL, |status| [status; BillStatus::ALL.len()]);
    let [first, second, third, fourth] = statuses.map(|status| token(db, status));
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, created_at, patient_id, restricted, until_year, body from bill \
         where deleted_at is null and restricted <= $1 and (created_at, id) < ($2, $3) \
           and patient_id = $5 and status in ($6, $7, $8, $9) \
         order by created_at desc, id desc limit $4"
    ))
    .bind(with_restricted)
    .bind(created_at)
    .bind(&id)
    .bind(search.window.rows())
    .bind(patient.as_str())
    .bind(first?)
    .bind(second?)
    .bind(third?)
    .bind(fourth?)
    .fetch_all(conn)
    .await)?)
}
