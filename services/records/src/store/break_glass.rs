//! The `break_glass` table: who saw whose records in an emergency, and what a review found.

use chrono::{DateTime, Utc};
use contracts::break_glass::ReviewStatus;
use contracts::id::{GrantId, PatientId};
use db::{Db, Period, Place, Subject, Tx, on, sql};
use http_kit::page::Newest;
use sqlx::FromRow;

use crate::domain::break_glass::{Broken, Kept, Search};

/// Days for which it is kept after its month: six years, as the audit is (45 CFR 164.316(b)(2)(i)).
const KEEP_DAYS: u32 = 6 * 366;

#[derive(FromRow)]
struct Row {
    id: String,
    broken_at: DateTime<Utc>,
    user_id: String,
    patient_id: String,
    until: DateTime<Utc>,
    reviewed_at: Option<DateTime<Utc>>,
    body: Vec<u8>,
}

fn period(broken_at: DateTime<Utc>) -> Period {
    Period::month("break-glass", broken_at, KEEP_DAYS)
}

fn place(id: &str) -> Place<'_> {
    Place { table: "break_glass", column: "body", row: id }
}

async fn opened(db: &Db, row: Row) -> Result<Option<Kept>, db::Error> {
    let subject = Subject::Period(period(row.broken_at));
    let broken: Broken = match db.vault().open_json(&subject, place(&row.id), &row.body).await {
        // It has had its time a moment ago.
        Err(db::Error::KeyDestroyed { .. }) => return Ok(None),
        opened => opened?,
    };
    Ok(Some(Kept {
        id: GrantId::trusted(row.id),
        broken_at: row.broken_at,
        user: row.user_id,
        patient: PatientId::trusted(row.patient_id),
        until: row.until,
        reviewed_at: row.reviewed_at,
        broken,
    }))
}

/// Keeps that somebody broke the glass.
pub async fn break_glass_insert(tx: &mut Tx, db: &Db, kept: &Kept) -> Result<(), db::Error> {
    let period = period(kept.broken_at);
    let body = db.vault().seal_json(&Subject::Period(period), place(kept.id.as_str()), &kept.broken).await?;
    on!(tx, |conn| sqlx::query(sql!(
        "insert into break_glass (id, broken_at, user_id, patient_id, until, expires_at, body) \
         values ($1, $2, $3, $4, $5, $6, $7)"
    ))
    .bind(kept.id.as_str())
    .bind(kept.broken_at)
    .bind(&kept.user)
    .bind(kept.patient.as_str())
    .bind(kept.until)
    .bind(period.expires_at())
    .bind(&body)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}

/// It, if there is one.
pub async fn break_glass_find(tx: &mut Tx, db: &Db, id: &GrantId) -> Result<Option<Kept>, db::Error> {
    let row: Option<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, broken_at, user_id, patient_id, until, reviewed_at, body from break_glass where id = $1"
    ))
    .bind(id.as_str())
    .fetch_optional(conn)
    .await
    })?;
    match row {
        Some(row) => opened(db, row).await,
        None => Ok(None),
    }
}

/// Keeps a review. [`db::Error::LostRace`] if somebody else's came before.
pub async fn break_glass_review(tx: &mut Tx, db: &Db, kept: &Kept) -> Result<(), db::Error> {
    let now = tx.now();
    let subject = Subject::Period(period(kept.broken_at));
    let body = db.vault().seal_json(&subject, place(kept.id.as_str()), &kept.broken).await?;
    let reviewed = on!(tx, |conn| {
        sqlx::query(sql!(
        "update break_glass set reviewed_at = $2, until = $3, body = $4 where id = $1 and reviewed_at is null"
    ))
    .bind(kept.id.as_str())
    .bind(now)
    .bind(kept.until)
    .bind(&body)
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    })?;
    if reviewed == 1 { Ok(()) } else { Err(db::Error::LostRace) }
}

/// A stretch of the list with each one's sort key, the newest first.
pub async fn break_glass_search(
    tx: &mut Tx,
    db: &Db,
    search: &Search,
) -> Result<Vec<(Newest, Option<Kept>)>, db::Error> {
    let rows = match (&search.patient, search.status) {
        (Some(patient), _) => of_patient(tx, search, patient).await?,
        (None, Some(ReviewStatus::Open)) => open(tx, search).await?,
        (None, _) => all(tx, search).await?,
    };
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let key = (row.broken_at, row.id.clone());
        found.push((key, opened(db, row).await?));
    }
    Ok(found)
}

/// Whether reviewed ones are meant, and whether open ones are.
fn wanted(search: &Search) -> (bool, bool) {
    (search.status != Some(ReviewStatus::Open), search.status != Some(ReviewStatus::Reviewed))
}

async fn open(tx: &mut Tx, search: &Search) -> Result<Vec<Row>, db::Error> {
    let (at, id) = search.window.below();
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, broken_at, user_id, patient_id, until, reviewed_at, body from break_glass \
         where reviewed_at is null and (broken_at, id) < ($1, $2) order by broken_at desc, id desc limit $3"
    ))
    .bind(at)
    .bind(&id)
    .bind(search.window.rows())
    .fetch_all(conn)
    .await)?)
}

async fn all(tx: &mut Tx, search: &Search) -> Result<Vec<Row>, db::Error> {
    let ((at, id), (reviewed, open)) = (search.window.below(), wanted(search));
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, broken_at, user_id, patient_id, until, reviewed_at, body from break_glass \
         where (broken_at, id) < ($1, $2) and (reviewed_at is not null and $4 or reviewed_at is null and $5) \
         order by broken_at desc, id desc limit $3"
    ))
    .bind(at)
    .bind(&id)
    .bind(search.window.rows())
    .bind(reviewed)
    .bind(open)
    .fetch_all(conn)
    .await)?)
}

async fn of_patient(tx: &mut Tx, search: &Search, patient: &PatientId) -> Result<Vec<Row>, db::Error> {
    let ((at, id), (reviewed, open)) = (search.window.below(), wanted(search));
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, broken_at, user_id, patient_id, until, reviewed_at, body from break_glass \
         where patient_id = $1 and (broken_at, id) < ($2, $3) \
             and (reviewed_at is not null and $5 or reviewed_at is null and $6) \
         order by broken_at desc, id desc limit $4"
    ))
    .bind(patient.as_str())
    .bind(at)
    .bind(&id)
    .bind(search.window.rows())
    .bind(reviewed)
    .bind(open)
    .fetch_all(conn)
    .await)?)
}

/// Takes away what has had its time.
pub async fn break_glass_forget(tx: &mut Tx) -> Result<(), db::Error> {
    let now = tx.now();
    on!(tx, |conn| sqlx::query(sql!("delete from break_glass where expires_at <= $1"))
        .bind(now)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}
