//! The `slot_hold` table: slots that somebody holds for a few minutes.
//!
//! A hold takes its provider's time as an appointment does, and the database decides between them. It cannot look at the clock: whoever takes a
//! provider's time takes away first what has expired of it.

use chrono::{DateTime, Utc};
use contracts::id::{PatientId, ProviderId, SlotHoldId, WaitlistId};
use db::{Db, Place, Subject, Tx, on, sql};
use sqlx::FromRow;

use super::among::Want;
use super::appointment::{no_patient, overlap, provider_check, provider_lock};
use crate::domain::appointment::{Appointment, fault};
use crate::domain::hold::Kept;
use crate::domain::span::Span;
use crate::error::Error;
use crate::store::outside_busy::outside_check;
use crate::store::state::availability_changed;

/// So many that have expired are taken away in one go.
const BATCH: i64 = 200;

#[derive(FromRow)]
struct Row {
    id: String,
    patient_id: Option<String>,
    expires_at: DateTime<Utc>,
    body: Vec<u8>,
}

#[derive(FromRow)]
struct Claim {
    provider_id: String,
    patient_id: Option<String>,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
}

fn place(id: &str) -> Place<'_> {
    Place { table: "slot_hold", column: "body", row: id }
}

fn subject(patient: Option<&PatientId>) -> Subject<'_> {
    patient.map_or(Subject::Service, |patient| Subject::Patient(patient.as_str()))
}

/// Who holds a slot, as a keyed hash: whoever reads the database is not told who is choosing just now.
pub fn holder(db: &Db, by: &str) -> Result<Vec<u8>, db::Error> {
    db.vault().blind("slot holder", by)
}

/// The same of what is offered to somebody on the waitlist.
pub fn offer_holder(db: &Db, entry: &WaitlistId) -> Result<Vec<u8>, db::Error> {
    holder(db, &format!("waitlist:{entry}"))
}

/// Takes the locks that holding a slot needs. First in the transaction.
pub async fn hold_lock(tx: &mut Tx, kept: &Kept) -> Result<(), db::Error> {
    let patient = kept.patient.as_ref().map(|patient| db::erasure_lock_name(patient.as_str()));
    let provider = provider_lock(&kept.hold.plan.provider);
    let locks: Vec<_> = patient.iter().map(String::as_str).chain([provider.as_str()]).collect();
    tx.lock(&locks).await
}

/// How many slots somebody holds.
pub async fn hold_count(tx: &mut Tx, holder: &[u8]) -> Result<i64, db::Error> {
    let now = tx.now();
    Ok(on!(tx, |conn| sqlx::query_scalar(sql!(
        "select count(*) from slot_hold where holder = $1 and expires_at > $2"
    ))
    .bind(holder)
    .bind(now)
    .fetch_one(conn)
    .await)?)
}

/// Holds a slot, under its locks. [`Error::Overlap`] if the provider's time is taken, be it by another hold; [`Error::Invalid`] if patient or
/// provider is gone by now.
pub async fn hold_insert(tx: &mut Tx, db: &Db, kept: &Kept, holder: &[u8], span: Span) -> Result<(), Error> {
    let provider = &kept.hold.plan.provider;
    if let Some(patient) = &kept.patient
        && db::erasure_is_requested(tx, patient.as_str()).await?
    {
        return Err(no_patient());
    }
    provider_check(tx, provider).await?;
    outside_check(tx, provider, span).await?;
    holds_expire(tx, provider).await?;
    let subject = subject(kept.patient.as_ref());
    let body = match db.vault().seal_json(&subject, place(kept.id.as_str()), &kept.hold).await {
        Err(db::Error::KeyDestroyed { .. }) => return Err(no_patient()),
        sealed => sealed?,
    };
    let (now, busy) = (tx.now(), kept.hold.buffers.instants(span));
    on!(tx, |conn| sqlx::query(sql!(
        "insert into slot_hold \
             (id, provider_id, patient_id, holder, starts_at, ends_at, created_at, expires_at, body, busy_from, busy_until) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
    ))
    .bind(kept.id.as_str())
    .bind(provider.as_str())
    .bind(kept.patient.as_ref().map(PatientId::as_str))
    .bind(holder)
    .bind(span.starts_at)
    .bind(span.ends_at)
    .bind(now)
    .bind(kept.expires_at)
    .bind(&body)
    .bind(busy.map(|busy| busy.0))
    .bind(busy.map(|busy| busy.1))
    .execute(conn)
    .await
    .map(drop))
    .map_err(overlap)?;
    Ok(availability_changed(tx, provider).await?)
}

/// Takes away what has expired of a provider's, under their lock: it is in nobody's way any more.
pub async fn holds_expire(tx: &mut Tx, provider: &ProviderId) -> Result<(), db::Error> {
    let now = tx.now();
    on!(tx, |conn| sqlx::query(sql!("delete from slot_hold where provider_id = $1 and expires_at <= $2"))
        .bind(provider.as_str())
        .bind(now)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// Gives the slot to the appointment that it was held for, under the locks of that: nothing if the hold is not there any more, or is another's.
/// [`Error::Invalid`] if it is not of this appointment's time.
pub async fn hold_consume(
    tx: &mut Tx,
    id: &SlotHoldId,
    holder: &[u8],
    appointment: &Appointment,
    span: Span,
) -> Result<(), Error> {
    let now = tx.now();
    let claim: Option<Claim> = on!(tx, |conn| sqlx::query_as(sql!(
        "select provider_id, patient_id, starts_at, ends_at from slot_hold \
         where id = $1 and holder = $2 and expires_at > $3"
    ))
    .bind(id.as_str())
    .bind(holder)
    .bind(now)
    .fetch_optional(conn)
    .await)
    .map_err(db::Error::from)?;
    let Some(Claim { provider_id, patient_id, starts_at, ends_at }) = claim else { return Ok(()) };
    let is_its = provider_id == appointment.plan.provider.as_str()
        && patient_id.is_none_or(|patient| patient == appointment.patient.as_str())
        && Span { starts_at, ends_at }.covers(span);
    if !is_its {
        return Err(fault("holdId", "must be of this provider, patient and time").into());
    }
    hold_delete(tx, id, holder).await?;
    Ok(())
}

/// Gives way to an appointment that is moved to where whoever moves it holds a slot for its patient, or for nobody yet. Under the locks of that.
pub async fn hold_give_way(
    tx: &mut Tx,
    holder: &[u8],
    appointment: &Appointment,
    span: Span,
) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!(
        "delete from slot_hold \
         where provider_id = $1 and holder = $2 and starts_at <= $3 and ends_at >= $4 \
           and (patient_id is null or patient_id = $5)"
    ))
    .bind(appointment.plan.provider.as_str())
    .bind(holder)
    .bind(span.starts_at)
    .bind(span.ends_at)
    .bind(appointment.patient.as_str())
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}

/// Gives a slot back. Whether the caller held it.
pub async fn hold_release(tx: &mut Tx, id: &SlotHoldId, holder: &[u8]) -> Result<bool, db::Error> {
    let Some(provider) = hold_delete(tx, id, holder).await? else { return Ok(false) };
    availability_changed(tx, &provider).await?;
    Ok(true)
}

/// Takes a hold away for the appointment that takes its place, and counts as a change by itself. Whose time it held.
pub async fn hold_delete(
    tx: &mut Tx,
    id: &SlotHoldId,
    holder: &[u8],
) -> Result<Option<ProviderId>, db::Error> {
    let freed: Option<String> = on!(tx, |conn| sqlx::query_scalar(sql!(
        "delete from slot_hold where id = $1 and holder = $2 returning provider_id"
    ))
    .bind(id.as_str())
    .bind(holder)
    .fetch_optional(conn)
    .await)?;
    Ok(freed.map(ProviderId::trusted))
}

/// The slots that somebody holds, the next to expire first.
pub async fn hold_list(tx: &mut Tx, db: &Db, holder: &[u8]) -> Result<Vec<Kept>, db::Error> {
    let now = tx.now();
    let rows: Vec<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select id, patient_id, expires_at, body from slot_hold \
         where holder = $1 and expires_at > $2 order by expires_at, id limit $3"
    ))
    .bind(holder)
    .bind(now)
    .bind(BATCH)
    .fetch_all(conn)
    .await)?;
    open(db, rows, Want::Openable).await
}

/// What is held for a patient just now.
pub async fn holds_of_patient(tx: &mut Tx, db: &Db, patient: &PatientId) -> Result<Vec<Kept>, db::Error> {
    let rows: Vec<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, patient_id, expires_at, body from slot_hold where patient_id = $1 order by id limit $2"
    ))
    .bind(patient.as_str())
    .bind(BATCH)
    .fetch_all(conn)
    .await
    })?;
    open(db, rows, Want::Whole).await
}

async fn open(db: &Db, rows: Vec<Row>, want: Want) -> Result<Vec<Kept>, db::Error> {
    let mut holds = Vec::with_capacity(rows.len());
    for Row { id, patient_id, expires_at, body } in rows {
        let patient = patient_id.map(PatientId::trusted);
        let hold = match db.vault().open_json(&subject(patient.as_ref()), place(&id), &body).await {
            // The patient was erased after the row was read.
            Err(db::Error::KeyDestroyed { .. }) => None,
            opened => want.take("slot_hold", &id, opened.map(Some))?,
        };
        let hold = hold.map(|hold| Kept { id: SlotHoldId::trusted(id), patient, expires_at, hold });
        holds.extend(hold);
    }
    Ok(holds)
}

/// Takes away some of what has expired. Whether there may be more.
pub async fn holds_sweep(tx: &mut Tx) -> Result<bool, db::Error> {
    let now = tx.now();
    let freed: Vec<String> = on!(tx, |conn| {
        sqlx::query_scalar(sql!(
        "delete from slot_hold where id in (select id from slot_hold where expires_at <= $1 order by expires_at limit $2) \
         returning provider_id"
    ))
    .bind(now)
    .bind(BATCH)
    .fetch_all(conn)
    .await
    })?;
    let is_more = freed.len() == usize::try_from(BATCH).unwrap_or_default();
    // In one order, so that two who count for the same providers do not wait for each other.
    for provider in std::collections::BTreeSet::from_iter(freed) {
        availability_changed(tx, &ProviderId::trusted(provider)).await?;
    }
    Ok(is_more)
}

/// Takes away what is held for a patient who is erased, under their lock. How many there were.
pub async fn holds_of_patient_delete(tx: &mut Tx, patient: &PatientId) -> Result<u64, db::Error> {
    Ok(on!(tx, |conn| sqlx::query(sql!("delete from slot_hold where patient_id = $1"))
        .bind(patient.as_str())
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))?)
}

/// Takes away what is held of a provider whose profile is removed, under their lock.
pub async fn holds_of_provider_delete(tx: &mut Tx, provider: &ProviderId) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from slot_hold where provider_id = $1"))
        .bind(provider.as_str())
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}
