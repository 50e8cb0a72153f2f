//! The `waitlist` table, and with whom time has become free.

use chrono::{DateTime, Utc};
use contracts::id::{PatientId, ProviderId, SlotHoldId, WaitlistId};
use db::{Db, Place, Subject, Tx, on, sql};
use http_kit::page::Window;
use sqlx::FromRow;

use super::among::{Want, among};
use super::appointment::no_patient;
use crate::domain::span::Span;
use crate::domain::waitlist::Kept;
use crate::error::Error;

/// So many are looked at in one go.
const BATCH: i64 = 200;

/// The sort key of the waitlist: who has waited longest comes first.
pub type Key = (DateTime<Utc>, String);

#[derive(FromRow)]
struct Row {
    id: String,
    version: i64,
    patient_id: String,
    provider_id: Option<String>,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    hold_id: Option<String>,
    offer_until: Option<DateTime<Utc>>,
    body: Vec<u8>,
}

fn place(id: &str) -> Place<'_> {
    Place { table: "waitlist", column: "body", row: id }
}

impl Row {
    /// `None`: the patient was erased after the row was read.
    async fn open(self, db: &Db) -> Result<Option<Kept>, db::Error> {
        let entry = match db
            .vault()
            .open_json(&Subject::Patient(&self.patient_id), place(&self.id), &self.body)
            .await
        {
            Ok(entry) => entry,
            Err(db::Error::KeyDestroyed { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(Kept {
            id: WaitlistId::trusted(self.id),
            version: self.version,
            patient: PatientId::trusted(self.patient_id),
            provider: self.provider_id.map(ProviderId::trusted),
            span: Span { starts_at: self.starts_at, ends_at: self.ends_at },
            created_at: self.created_at,
            held: self.hold_id.map(SlotHoldId::trusted).zip(self.offer_until),
            entry,
        }))
    }
}

/// Those that can be opened.
async fn opened(db: &Db, rows: Vec<Row>) -> Result<Vec<Kept>, db::Error> {
    let mut kept = Vec::with_capacity(rows.len());
    for row in rows {
        let id = row.id.clone();
        kept.extend(among("waitlist", &id, row.open(db).await)?);
    }
    Ok(kept)
}

async fn seal(db: &Db, kept: &Kept) -> Result<Vec<u8>, Error> {
    let subject = Subject::Patient(kept.patient.as_str());
    match db.vault().seal_json(&subject, place(kept.id.as_str()), &kept.entry).await {
        Err(db::Error::KeyDestroyed { .. }) => Err(no_patient()),
        sealed => Ok(sealed?),
    }
}

/// How many entries of a patient wait, or are offered something.
pub async fn waitlist_count(tx: &mut Tx, patient: &PatientId) -> Result<i64, db::Error> {
    let now = tx.now();
    Ok(on!(tx, |conn| sqlx::query_scalar(sql!(
        "select count(*) from waitlist where patient_id = $1 and open and ends_at > $2"
    ))
    .bind(patient.as_str())
    .bind(now)
    .fetch_one(conn)
    .await)?)
}

/// Puts somebody on the waitlist, under their lock. [`Error::Invalid`] if they are gone by now.
pub async fn waitlist_insert(tx: &mut Tx, db: &Db, kept: &Kept) -> Result<(), Error> {
    if db::erasure_is_requested(tx, kept.patient.as_str()).await? {
        return Err(no_patient());
    }
    let body = seal(db, kept).await?;
    on!(tx, |conn| sqlx::query(sql!(
        "insert into waitlist (id, version, patient_id, provider_id, starts_at, ends_at, created_at, open, body) \
         values ($1, 1, $2, $3, $4, $5, $6, $7, $8)"
    ))
    .bind(kept.id.as_str())
    .bind(kept.patient.as_str())
    .bind(kept.provider.as_ref().map(ProviderId::as_str))
    .bind(kept.span.starts_at)
    .bind(kept.span.ends_at)
    .bind(kept.created_at)
    .bind(true)
    .bind(&body)
    .execute(conn)
    .await
    .map(drop))
    .map_err(db::Error::from)?;
    // There may be a time for them already.
    if let Some(provider) = &kept.provider {
        freed_note(tx, provider).await?;
    }
    Ok(())
}

/// Replaces an entry. [`Error::Changed`] if it is not the one that was read any more.
pub async fn waitlist_update(tx: &mut Tx, db: &Db, kept: &Kept) -> Result<(), Error> {
    let body = seal(db, kept).await?;
    let (hold, until) = match &kept.held {
        Some((hold, until)) => (Some(hold.as_str()), Some(*until)),
        None => (None, None),
    };
    let updated = on!(tx, |conn| sqlx::query(sql!(
        "update waitlist set version = version + 1, open = $3, hold_id = $4, offer_until = $5, body = $6 \
         where id = $1 and version = $2"
    ))
    .bind(kept.id.as_str())
    .bind(kept.version)
    .bind(kept.is_open())
    .bind(hold)
    .bind(until)
    .bind(&body)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))
    .map_err(db::Error::from)?;
    if updated == 1 { Ok(()) } else { Err(Error::Changed) }
}

/// The entry, if there is one.
pub async fn waitlist_find(tx: &mut Tx, db: &Db, id: &WaitlistId) -> Result<Option<Kept>, db::Error> {
    let row: Option<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, version, patient_id, provider_id, starts_at, ends_at, created_at, hold_id, offer_until, body \
         from waitlist where id = $1"
    ))
    .bind(id.as_str())
    .fetch_optional(conn)
    .await
    })?;
    match row {
        Some(row) => row.open(db).await,
        None => Ok(None),
    }
}

/// A stretch of the waitlist: of a patient, of who waits for a provider, or of all.
pub async fn waitlist_list(
    tx: &mut Tx,
    db: &Db,
    (patient, provider): (Option<&PatientId>, Option<&ProviderId>),
    window: &Window<Key>,
    want: Want,
) -> Result<Vec<(Key, Kept)>, db::Error> {
    let mut page = window.filling(window.limit);
    while let Some(window) = page.unread() {
        let rows = stretch(tx, patient, provider, &window).await?;
        page.has_read(rows.len());
        for row in rows {
            let key = (row.created_at, row.id.clone());
            if page.put(key.clone(), want.take("waitlist", &key.1, row.open(db).await)?) {
                break;
            }
        }
    }
    Ok(page.into_rows())
}

async fn stretch(
    tx: &mut Tx,
    patient: Option<&PatientId>,
    provider: Option<&ProviderId>,
    window: &Window<Key>,
) -> Result<Vec<Row>, db::Error> {
    let (after, id) = window.after.clone().unwrap_or((DateTime::UNIX_EPOCH, String::new()));
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, version, patient_id, provider_id, starts_at, ends_at, created_at, hold_id, offer_until, body \
         from waitlist \
         where ($1 or patient_id = $2) and ($3 or provider_id = $4) and (created_at, id) > ($5, $6) \
         order by created_at, id limit $7"
    ))
    .bind(patient.is_none())
    .bind(patient.map_or("", PatientId::as_str))
    .bind(provider.is_none())
    .bind(provider.map_or("", ProviderId::as_str))
    .bind(after)
    .bind(&id)
    .bind(window.rows())
    .fetch_all(conn)
    .await
    })?)
}

/// Some of those who wait and may be offered something, who has waited longest first: those of one provider, and those to whom any of a kind would do. After
/// which the next come, if there may be more.
pub async fn waitlist_waiting(
    tx: &mut Tx,
    db: &Db,
    provider: &ProviderId,
    after: Option<&Key>,
) -> Result<(Vec<Kept>, Option<Key>), db::Error> {
    let now = tx.now();
    let (after, id) = after.cloned().unwrap_or((DateTime::UNIX_EPOCH, String::new()));
    let rows: Vec<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, version, patient_id, provider_id, starts_at, ends_at, created_at, hold_id, offer_until, body \
         from waitlist \
         where open and hold_id is null and ends_at > $2 and (provider_id = $1 or provider_id is null) and (created_at, id) > ($4, $5) \
         order by created_at, id limit $3"
    ))
    .bind(provider.as_str())
    .bind(now)
    .bind(BATCH)
    .bind(after)
    .bind(&id)
    .fetch_all(conn)
    .await
    })?;
    let is_more = rows.len() == usize::try_from(BATCH).unwrap_or_default();
    let last = rows.last().filter(|_| is_more).map(|row| (row.created_at, row.id.clone()));
    Ok((opened(db, rows).await?, last))
}

/// Whether a patient is offered some of a provider's time already. Under the patient's lock.
pub async fn offer_stands(
    tx: &mut Tx,
    patient: &PatientId,
    provider: &ProviderId,
) -> Result<bool, db::Error> {
    let now = tx.now();
    let standing: i64 = on!(tx, |conn| sqlx::query_scalar(sql!(
        "select count(*) from waitlist join slot_hold on slot_hold.id = waitlist.hold_id \
         where waitlist.patient_id = $1 and slot_hold.provider_id = $2 and waitlist.offer_until > $3"
    ))
    .bind(patient.as_str())
    .bind(provider.as_str())
    .bind(now)
    .fetch_one(conn)
    .await)?;
    Ok(standing > 0)
}

/// Some of those to whom something was offered until now, whose offer ended first first. After which the next come, if there may be more.
pub async fn waitlist_overdue(
    tx: &mut Tx,
    db: &Db,
    after: Option<&Key>,
) -> Result<(Vec<Kept>, Option<Key>), db::Error> {
    let now = tx.now();
    let (after, id) = after.cloned().unwrap_or((DateTime::UNIX_EPOCH, String::new()));
    let rows: Vec<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, version, patient_id, provider_id, starts_at, ends_at, created_at, hold_id, offer_until, body \
         from waitlist where offer_until <= $1 and (offer_until, id) > ($3, $4) order by offer_until, id limit $2"
    ))
    .bind(now)
    .bind(BATCH)
    .bind(after)
    .bind(&id)
    .fetch_all(conn)
    .await
    })?;
    let is_more = rows.len() == usize::try_from(BATCH).unwrap_or_default();
    let last = rows.last().filter(|_| is_more).and_then(|row| Some((row.offer_until?, row.id.clone())));
    Ok((opened(db, rows).await?, last))
}

/// Notes that somebody should look whether a provider has time for who waits.
pub async fn freed_note(tx: &mut Tx, provider: &ProviderId) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("insert into slot_freed (provider_id) values ($1)"))
        .bind(provider.as_str())
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// With whom time has become free, the one noted first, and up to which note.
pub async fn freed_next(tx: &mut Tx) -> Result<Option<(ProviderId, i64)>, db::Error> {
    let next: Option<(String, i64)> = on!(tx, |conn| sqlx::query_as(sql!(
        "select provider_id, max(id) from slot_freed group by provider_id order by min(id) limit 1"
    ))
    .fetch_optional(conn)
    .await)?;
    Ok(next.map(|(provider, upto)| (ProviderId::trusted(provider), upto)))
}

/// Takes the notes away that were looked at.
pub async fn freed_done(tx: &mut Tx, provider: &ProviderId, upto: i64) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from slot_freed where provider_id = $1 and id <= $2"))
        .bind(provider.as_str())
        .bind(upto)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// Takes away what a patient who is erased waits for, under their lock. How much it was.
pub async fn waitlist_of_patient_delete(tx: &mut Tx, patient: &PatientId) -> Result<u64, db::Error> {
    Ok(on!(tx, |conn| sqlx::query(sql!("delete from waitlist where patient_id = $1"))
        .bind(patient.as_str())
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))?)
}
