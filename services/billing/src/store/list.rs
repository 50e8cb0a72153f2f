//! Lists of bills, newest first. A statement for each index, so that no list reads more than it shows.

use contracts::id::{PatientId, ProviderId};
use db::{Db, Tx, on, sql};
use http_kit::Seeker;
use http_kit::page::{Newest, Window};

use super::bill::{Kept, Sealed};
use crate::domain::search::Search;

/// Those of one status are picked from so many rows and one at a time.
const PICKED_FROM: u32 = 255;

/// Whose bills a list holds.
#[derive(Clone, Copy, Debug)]
pub enum Whose<'a> {
    /// This patient's.
    Patient(&'a PatientId),
    /// Those of all whom they may see.
    Seen(&'a Seeker),
}

/// A stretch of the list, with each bill's sort key; restricted bills too if `with_restricted`. Of one patient it is known that they may be seen.
/// `None` where a patient was erased.
///
/// Where bills stand the database does not know: those of one status are picked from all others here.
pub async fn bill_search(
    tx: &mut Tx,
    db: &Db,
    search: &Search,
    whose: Whose<'_>,
    with_restricted: bool,
) -> Result<Vec<(Newest, Option<Kept>)>, db::Error> {
    let at_once = if search.status.is_some() { PICKED_FROM } else { search.window.limit };
    let mut page = search.window.filling(at_once);
    while let Some(stretch) = page.unread() {
        let rows = match whose {
            Whose::Patient(patient) => of_patient(tx, &stretch, with_restricted, patient).await?,
            Whose::Seen(seeker) if seeker.is_carer => of_theirs(tx, &stretch, seeker).await?,
            Whose::Seen(seeker) => all(tx, &stretch, with_restricted, seeker).await?,
        };
        page.has_read(rows.len());
        for row in rows {
            let key = row.key();
            let stands = search.status.map_or(Ok(true), |status| row.stands(db, status))?;
            let bill = if stands { Some(row.open(db).await?) } else { None };
            if page.put(key, bill) {
                break;
            }
        }
    }
    Ok(page.into_rows())
}

/// `restricted <= true` is every bill, `restricted <= false` those that are not.
async fn all(
    tx: &mut Tx,
    stretch: &Window<Newest>,
    with_restricted: bool,
    seeker: &Seeker,
) -> Result<Vec<Sealed>, db::Error> {
    let ((created_at, id), now) = (stretch.below(), tx.now());
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select * from ( \
             select b.id, b.version, b.created_at, b.patient_id, b.restricted, b.until_year, b.status, b.body, \
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
    .bind(stretch.rows())
    .bind(now)
    .bind(&seeker.user)
    .bind(&seeker.names)
    .bind(seeker.own.as_ref().map(PatientId::as_str))
    .bind(seeker.is_exempt)
    .fetch_all(conn)
    .await
    })?)
}

/// What the law keeps of erased patients is nobody's whom anybody treats.
async fn of_theirs(tx: &mut Tx, stretch: &Window<Newest>, seeker: &Seeker) -> Result<Vec<Sealed>, db::Error> {
    let ((created_at, id), now) = (stretch.below(), tx.now());
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select * from ( \
             select b.id, b.version, b.created_at, b.patient_id, b.restricted, b.until_year, b.status, b.body, \
                 (select min(d.consent) from denial d where d.patient_id = b.patient_id and d.until > $5 \
                      and $7 like '%' || d.who || '%' and d.patient_id <> coalesce($8, '')) as denial, \
                 (select max(g.id) from glass g \
                  where g.user_id = $6 and g.patient_id = b.patient_id and g.until > $5) as glass \
             from bill b \
             where b.deleted_at is null and b.restricted = $9 and (b.created_at, b.id) < ($1, $2) \
               and b.patient_id in ( \
                 select patient_id from care where provider_id = $4 and until > $5 \
                 union select patient_id from glass where user_id = $6 and until > $5 \
                 union select $8)) theirs \
         where denial is null or glass is not null \
         order by created_at desc, id desc limit $3"
    ))
    .bind(created_at)
    .bind(&id)
    .bind(stretch.rows())
    .bind(seeker.provider.as_ref().map(ProviderId::as_str))
    .bind(now)
    .bind(&seeker.user)
    .bind(&seeker.names)
    .bind(seeker.own.as_ref().map(PatientId::as_str))
    .bind(false)
    .fetch_all(conn)
    .await
    })?)
}

async fn of_patient(
    tx: &mut Tx,
    stretch: &Window<Newest>,
    with_restricted: bool,
    patient: &PatientId,
) -> Result<Vec<Sealed>, db::Error> {
    let (created_at, id) = stretch.below();
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, created_at, patient_id, restricted, until_year, status, body from bill \
         where deleted_at is null and restricted <= $1 and (created_at, id) < ($2, $3) and patient_id = $5 \
         order by created_at desc, id desc limit $4"
    ))
    .bind(with_restricted)
    .bind(created_at)
    .bind(&id)
    .bind(stretch.rows())
    .bind(patient.as_str())
    .fetch_all(conn)
    .await)?)
}
