//! The `amendment` table: what patients ask to have amended in their records, and what came of it.

use chrono::{DateTime, Utc};
use contracts::id::{AmendmentId, PatientId, ProviderId, RecordId};
use db::{Db, Denied, Place, Subject, Tx, on, sql};
use http_kit::Seeker;
use http_kit::page::Newest;
use sqlx::FromRow;

use crate::domain::amendment::{Amendment, Kept, Search};
use crate::store::record::Whose;

#[derive(FromRow)]
struct Row {
    id: String,
    version: i64,
    record_id: String,
    patient_id: String,
    requested_at: DateTime<Utc>,
    body: Vec<u8>,
    #[sqlx(flatten)]
    denied: Denied,
}

fn place(id: &str) -> Place<'_> {
    Place { table: "amendment", column: "body", row: id }
}

async fn seal(db: &Db, kept: &Kept) -> Result<Vec<u8>, db::Error> {
    let subject = Subject::Patient(kept.patient.as_str());
    match db.vault().seal_json(&subject, place(kept.id.as_str()), &kept.amendment).await {
        // The patient was erased since the record was read.
        Err(db::Error::KeyDestroyed { .. }) => Err(db::Error::LostRace),
        sealed => sealed,
    }
}

/// `None` if the patient was erased between the reading of the row and here: it is gone by now.
async fn opened(db: &Db, row: Row) -> Result<Option<Kept>, db::Error> {
    let subject = Subject::Patient(&row.patient_id);
    let amendment: Amendment = match db.vault().open_json(&subject, place(&row.id), &row.body).await {
        Err(db::Error::KeyDestroyed { .. }) => return Ok(None),
        opened => opened?,
    };
    Ok(Some(Kept {
        id: AmendmentId::trusted(row.id),
        version: row.version,
        record: RecordId::trusted(row.record_id),
        patient: PatientId::trusted(row.patient_id),
        requested_at: row.requested_at,
        amendment,
    }))
}

/// Keeps a request, under [`db::erasure_lock`], with a change of its record.
pub async fn amendment_insert(tx: &mut Tx, db: &Db, kept: &Kept) -> Result<(), db::Error> {
    let body = seal(db, kept).await?;
    on!(tx, |conn| sqlx::query(sql!(
        "insert into amendment (id, version, record_id, patient_id, requested_at, body) \
         values ($1, $2, $3, $4, $5, $6)"
    ))
    .bind(kept.id.as_str())
    .bind(kept.version)
    .bind(kept.record.as_str())
    .bind(kept.patient.as_str())
    .bind(kept.requested_at)
    .bind(&body)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}

/// Keeps what has come of a request. [`db::Error::LostRace`] if it changed since it was read.
pub async fn amendment_update(tx: &mut Tx, db: &Db, kept: &Kept) -> Result<(), db::Error> {
    let (body, decided_at) = (seal(db, kept).await?, kept.amendment.decision.as_ref().map(|it| it.at));
    let updated = on!(tx, |conn| {
        sqlx::query(sql!(
        "update amendment set version = version + 1, decided_at = $3, body = $4 where id = $1 and version = $2"
    ))
    .bind(kept.id.as_str())
    .bind(kept.version)
    .bind(decided_at)
    .bind(&body)
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    })?;
    if updated == 1 { Ok(()) } else { Err(db::Error::LostRace) }
}

/// All of a record, as they were asked for: [`contracts::amendments::AMENDMENTS_MAX`] at most.
pub async fn amendments_of(tx: &mut Tx, db: &Db, record: &RecordId) -> Result<Vec<Kept>, db::Error> {
    let rows: Vec<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, record_id, patient_id, requested_at, body from amendment \
         where record_id = $1 order by requested_at, id"
    ))
    .bind(record.as_str())
    .fetch_all(conn)
    .await)?;
    let mut kept = Vec::with_capacity(rows.len());
    for row in rows {
        kept.extend(opened(db, row).await?);
    }
    Ok(kept)
}

/// Takes a record's away, with the record.
pub async fn amendments_delete(tx: &mut Tx, record: &RecordId) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from amendment where record_id = $1"))
        .bind(record.as_str())
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// Takes all of a patient's away, under [`db::erasure_lock`].
pub async fn amendments_erase(tx: &mut Tx, patient: &PatientId) -> Result<u64, db::Error> {
    let gone = on!(tx, |conn| sqlx::query(sql!("delete from amendment where patient_id = $1"))
        .bind(patient.as_str())
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(gone)
}

/// One of a list, if it can still be opened, and whether its patient denies it to who asks.
pub type Listed = (Option<Kept>, Denied);

/// A stretch of the list with each one's sort key, the oldest first: of all whose records they may see, or of one patient, of whom that is known.
pub async fn amendment_search(
    tx: &mut Tx,
    db: &Db,
    search: &Search,
    whose: Whose<'_>,
) -> Result<Vec<(Newest, Listed)>, db::Error> {
    let rows = match whose {
        Whose::Patient(patient) => of_patient(tx, search, patient).await?,
        Whose::Seen(seeker) if seeker.is_carer => of_theirs(tx, search, seeker).await?,
        Whose::Seen(seeker) => of_everybody(tx, search, seeker).await?,
    };
    let mut found = Vec::with_capacity(rows.len());
    for mut row in rows {
        let (key, denied) = ((row.requested_at, row.id.clone()), std::mem::take(&mut row.denied));
        found.push((key, (opened(db, row).await?, denied)));
    }
    Ok(found)
}

async fn of_patient(tx: &mut Tx, search: &Search, patient: &PatientId) -> Result<Vec<Row>, db::Error> {
    let ((at, id), (open, decided)) = (search.above(), search.wanted());
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, record_id, patient_id, requested_at, body from amendment \
         where patient_id = $1 and (requested_at, id) > ($2, $3) \
             and (decided_at is null and $5 or decided_at is not null and $6) \
         order by requested_at, id limit $4"
    ))
    .bind(patient.as_str())
    .bind(at)
    .bind(&id)
    .bind(search.window.rows())
    .bind(open)
    .bind(decided)
    .fetch_all(conn)
    .await)?)
}

async fn of_theirs(tx: &mut Tx, search: &Search, seeker: &Seeker) -> Result<Vec<Row>, db::Error> {
    let ((at, id), (open, decided), now) = (search.above(), search.wanted(), tx.now());
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select * from ( \
             select a.id, a.version, a.record_id, a.patient_id, a.requested_at, a.body, \
                 (select min(d.consent) from denial d where d.patient_id = a.patient_id and d.until > $7 \
                      and $10 like '%' || d.who || '%' and d.patient_id <> coalesce($9, '')) as denial, \
                 (select max(g.id) from glass g \
                  where g.user_id = $8 and g.patient_id = a.patient_id and g.until > $7) as glass \
             from amendment a \
             where (a.requested_at, a.id) > ($1, $2) \
                 and (a.decided_at is null and $4 or a.decided_at is not null and $5) \
                 and a.patient_id in ( \
                     select patient_id from care where provider_id = $6 and until > $7 \
                     union select patient_id from glass where user_id = $8 and until > $7 \
                     union select $9)) theirs \
         where denial is null or glass is not null \
         order by requested_at, id limit $3"
    ))
    .bind(at)
    .bind(&id)
    .bind(search.window.rows())
    .bind(open)
    .bind(decided)
    .bind(seeker.provider.as_ref().map(ProviderId::as_str))
    .bind(now)
    .bind(&seeker.user)
    .bind(seeker.own.as_ref().map(PatientId::as_str))
    .bind(&seeker.names)
    .fetch_all(conn)
    .await)?)
}

async fn of_everybody(tx: &mut Tx, search: &Search, seeker: &Seeker) -> Result<Vec<Row>, db::Error> {
    let ((at, id), (open, decided), now) = (search.above(), search.wanted(), tx.now());
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select * from ( \
             select a.id, a.version, a.record_id, a.patient_id, a.requested_at, a.body, \
                 (select min(d.consent) from denial d where d.patient_id = a.patient_id and d.until > $6 \
                      and $9 like '%' || d.who || '%' and d.patient_id <> coalesce($8, '')) as denial, \
                 (select max(g.id) from glass g \
                  where g.user_id = $7 and g.patient_id = a.patient_id and g.until > $6) as glass \
             from amendment a \
             where (a.requested_at, a.id) > ($1, $2) \
                 and (a.decided_at is null and $4 or a.decided_at is not null and $5)) everybodys \
         where $10 or denial is null or glass is not null \
         order by requested_at, id limit $3"
    ))
    .bind(at)
    .bind(&id)
    .bind(search.window.rows())
    .bind(open)
    .bind(decided)
    .bind(now)
    .bind(&seeker.user)
    .bind(seeker.own.as_ref().map(PatientId::as_str))
    .bind(&seeker.names)
    .bind(seeker.is_exempt)
    .fetch_all(conn)
    .await)?)
}
