//! Lists of bills, newest first. A statement for each index, so that no list reads more than it shows.

use contracts::bills::BillStatus;
use contracts::id::PatientId;
use db::{Db, Tx, on, sql};
use http_kit::page::Newest;

use super::bill::{Kept, Row, opened, token};
use crate::domain::search::Search;

/// A stretch of the list, with each bill's sort key; restricted bills too if `with_restricted`.
pub async fn bill_search(
    tx: &mut Tx,
    db: &Db,
    search: &Search,
    with_restricted: bool,
) -> Result<Vec<(Newest, Kept)>, db::Error> {
    let rows = match (&search.patient_id, search.status) {
        (Some(patient), status) => of_patient(tx, db, search, with_restricted, patient, status).await?,
        (None, Some(status)) => of_status(tx, db, search, with_restricted, status).await?,
        (None, None) => all(tx, search, with_restricted).await?,
    };
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let kept = opened(db, row).await?;
        found.push(((kept.created_at, kept.id.to_string()), kept));
    }
    Ok(found)
}

/// `restricted <= true` is every bill, `restricted <= false` those that are not.
async fn all(tx: &mut Tx, search: &Search, with_restricted: bool) -> Result<Vec<Row>, db::Error> {
    let (created_at, id) = search.window.below();
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, created_at, patient_id, restricted, body from bill \
         where deleted_at is null and restricted <= $1 and (created_at, id) < ($2, $3) \
         order by created_at desc, id desc limit $4"
    ))
    .bind(with_restricted)
    .bind(created_at)
    .bind(&id)
    .bind(search.window.rows())
    .fetch_all(conn)
    .await)?)
}

async fn of_status(
    tx: &mut Tx,
    db: &Db,
    search: &Search,
    with_restricted: bool,
    status: BillStatus,
) -> Result<Vec<Row>, db::Error> {
    let (created_at, id) = search.window.below();
    let status = token(db, status)?;
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, created_at, patient_id, restricted, body from bill \
         where deleted_at is null and restricted <= $1 and (created_at, id) < ($2, $3) and status = $5 \
         order by created_at desc, id desc limit $4"
    ))
    .bind(with_restricted)
    .bind(created_at)
    .bind(&id)
    .bind(search.window.rows())
    .bind(&status)
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
    status: Option<BillStatus>,
) -> Result<Vec<Row>, db::Error> {
    let (created_at, id) = search.window.below();
    let statuses = status.map_or(BillStatus::ALL, |status| [status; BillStatus::ALL.len()]);
    let [first, second, third, fourth] = statuses.map(|status| token(db, status));
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, created_at, patient_id, restricted, body from bill \
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
