//! The `feed` table, and the appointments of a feed's calendar: what stands beside their bodies, none of which is opened.

use chrono::{DateTime, Utc};
use contracts::feeds::FeedFile;
use contracts::id::{FeedId, PatientId, ProviderId};
use db::{Db, Place, Subject, Tx, on, sql};
use sqlx::FromRow;

use crate::domain::feed::{EVENTS_MAX, Entry, Kept, Owner};
use crate::error::Error;
use crate::store::among::Want;
use crate::store::appointment::{no_patient, provider_check, provider_lock};

#[derive(FromRow)]
struct Row {
    id: String,
    patient_id: Option<String>,
    provider_id: Option<String>,
    secret: Vec<u8>,
    created_at: DateTime<Utc>,
    body: Vec<u8>,
}

/// A feed as it stands in its row, not opened yet.
pub struct Sealed {
    id: FeedId,
    /// Whose appointments.
    pub owner: Owner,
    secret: Vec<u8>,
    created_at: DateTime<Utc>,
    body: Vec<u8>,
}

fn place(id: &str) -> Place<'_> {
    Place { table: "feed", column: "body", row: id }
}

/// Under whose key a feed is.
fn subject(owner: &Owner) -> Subject<'_> {
    owner.patient().map_or(Subject::Service, |patient| Subject::Patient(patient.as_str()))
}

/// What is kept of a feed's secret: of that feed's alone.
pub fn secret_hash(db: &Db, id: &FeedId, file: &FeedFile) -> Result<Vec<u8>, db::Error> {
    // No id has a blank in it.
    db.vault().blind("feed secret", &format!("{id} {}", file.secret()))
}

impl Row {
    /// `None`: it is of nobody, which the table does not let be.
    fn sealed(self) -> Option<Sealed> {
        let Self { id, patient_id, provider_id, secret, created_at, body } = self;
        let patient = patient_id.map(|id| Owner::Patient(PatientId::trusted(id)));
        let owner = patient.or_else(|| provider_id.map(|id| Owner::Provider(ProviderId::trusted(id))))?;
        Some(Sealed { id: FeedId::trusted(id), owner, secret, created_at, body })
    }
}

impl Sealed {
    /// What is kept of its secret.
    pub fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// The feed. `None`: its patient was erased after the row was read.
    pub async fn open(self, db: &Db) -> Result<Option<Kept>, db::Error> {
        let Self { id, owner, created_at, body, .. } = self;
        match db.vault().open_json(&subject(&owner), place(id.as_str()), &body).await {
            Ok(feed) => Ok(Some(Kept { id, owner, created_at, feed })),
            Err(db::Error::KeyDestroyed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Takes the lock that writing a feed needs: who erases the patient or removes the provider waits for it, or is waited for. First in the
/// transaction.
pub async fn feed_lock(tx: &mut Tx, owner: &Owner) -> Result<(), db::Error> {
    match owner {
        Owner::Patient(patient) => db::erasure_lock(tx, patient.as_str()).await,
        Owner::Provider(provider) => tx.lock(&[&provider_lock(provider)]).await,
    }
}

/// Makes a feed, under its lock. [`Error::Invalid`] if patient or provider is gone by now.
pub async fn feed_insert(tx: &mut Tx, db: &Db, kept: &Kept, file: &FeedFile) -> Result<(), Error> {
    match &kept.owner {
        Owner::Patient(patient) if db::erasure_is_requested(tx, patient.as_str()).await? => {
            return Err(no_patient());
        }
        Owner::Patient(_) => {}
        Owner::Provider(provider) => provider_check(tx, provider).await?,
    }
    let sealed = db.vault().seal_json(&subject(&kept.owner), place(kept.id.as_str()), &kept.feed).await;
    let body = match sealed {
        Err(db::Error::KeyDestroyed { .. }) => return Err(no_patient()),
        sealed => sealed?,
    };
    let secret = secret_hash(db, &kept.id, file)?;
    on!(tx, |conn| sqlx::query(sql!(
        "insert into feed (id, patient_id, provider_id, secret, created_at, body) values ($1, $2, $3, $4, $5, $6)"
    ))
    .bind(kept.id.as_str())
    .bind(kept.owner.patient().map(PatientId::as_str))
    .bind(kept.owner.provider().map(ProviderId::as_str))
    .bind(&secret)
    .bind(kept.created_at)
    .bind(&body)
    .execute(conn)
    .await
    .map(drop))
    .map_err(db::Error::from)?;
    Ok(())
}

/// The feed, if there is one.
pub async fn feed_find(tx: &mut Tx, id: &FeedId) -> Result<Option<Sealed>, db::Error> {
    let row: Option<Row> = on!(tx, |conn| sqlx::query_as(sql!(
        "select id, patient_id, provider_id, secret, created_at, body from feed where id = $1"
    ))
    .bind(id.as_str())
    .fetch_optional(conn)
    .await)?;
    Ok(row.and_then(Row::sealed))
}

/// Somebody's feeds, the oldest first. They are few: [`FEEDS_MAX`](contracts::feeds::FEEDS_MAX).
pub async fn feed_list(tx: &mut Tx, db: &Db, owner: &Owner, want: Want) -> Result<Vec<Kept>, db::Error> {
    let rows: Vec<Row> = match owner {
        Owner::Patient(patient) => on!(tx, |conn| sqlx::query_as(sql!(
            "select id, patient_id, provider_id, secret, created_at, body from feed \
             where patient_id = $1 order by created_at, id"
        ))
        .bind(patient.as_str())
        .fetch_all(conn)
        .await)?,
        Owner::Provider(provider) => on!(tx, |conn| sqlx::query_as(sql!(
            "select id, patient_id, provider_id, secret, created_at, body from feed \
             where provider_id = $1 order by created_at, id"
        ))
        .bind(provider.as_str())
        .fetch_all(conn)
        .await)?,
    };
    let mut feeds = Vec::with_capacity(rows.len());
    for sealed in rows.into_iter().filter_map(Row::sealed) {
        let id = sealed.id.clone();
        feeds.extend(want.take("feed", id.as_str(), sealed.open(db).await)?);
    }
    Ok(feeds)
}

/// Revokes a feed. Whether there was one.
pub async fn feed_delete(tx: &mut Tx, id: &FeedId) -> Result<bool, db::Error> {
    let deleted = on!(tx, |conn| sqlx::query(sql!("delete from feed where id = $1"))
        .bind(id.as_str())
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(deleted == 1)
}

/// Takes away all feeds of a patient who is erased, under their lock. How many there were.
pub async fn feeds_of_patient_delete(tx: &mut Tx, patient: &PatientId) -> Result<u64, db::Error> {
    Ok(on!(tx, |conn| sqlx::query(sql!("delete from feed where patient_id = $1"))
        .bind(patient.as_str())
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))?)
}

/// Takes away all feeds of a provider whose profile is removed, under their lock.
pub async fn feeds_of_provider_delete(tx: &mut Tx, provider: &ProviderId) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from feed where provider_id = $1"))
        .bind(provider.as_str())
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

#[derive(FromRow)]
struct EntryRow {
    id: String,
    version: i64,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    active: bool,
    removed_at: Option<DateTime<Utc>>,
}

/// The appointments that begin within a stretch of time, cancelled ones too, in the order of their beginning.
pub async fn feed_entries(
    tx: &mut Tx,
    db: &Db,
    owner: &Owner,
    (from, before): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Vec<Entry>, db::Error> {
    let rows: Vec<EntryRow> = match owner {
        Owner::Patient(patient) => on!(tx, |conn| sqlx::query_as(sql!(
            "select a.id, a.version, a.starts_at, a.ends_at, a.updated_at, a.active, r.removed_at \
             from appointment a left join removed_provider r on r.id = a.provider_id \
             where a.deleted_at is null and a.patient_id = $1 and a.starts_at >= $2 and a.starts_at < $3 \
             order by a.starts_at, a.id limit $4"
        ))
        .bind(patient.as_str())
        .bind(from)
        .bind(before)
        .bind(i64::from(EVENTS_MAX))
        .fetch_all(conn)
        .await)?,
        Owner::Provider(provider) => on!(tx, |conn| sqlx::query_as(sql!(
            "select a.id, a.version, a.starts_at, a.ends_at, a.updated_at, a.active, r.removed_at \
             from appointment a left join removed_provider r on r.id = a.provider_id \
             where a.deleted_at is null and a.provider_id = $1 and a.starts_at >= $2 and a.starts_at < $3 \
             order by a.starts_at, a.id limit $4"
        ))
        .bind(provider.as_str())
        .bind(from)
        .bind(before)
        .bind(i64::from(EVENTS_MAX))
        .fetch_all(conn)
        .await)?,
    };
    rows.into_iter().map(|row| entry(db, row)).collect()
}

/// What names an appointment in every calendar, and tells nobody its id.
pub(super) fn uid_hash(db: &Db, appointment: &str) -> Result<[u8; 16], db::Error> {
    let mut uid = [0; 16];
    let hash = db.vault().blind("calendar uid", appointment)?;
    uid.iter_mut().zip(hash).for_each(|(to, byte)| *to = byte);
    Ok(uid)
}

/// The UID of an appointment in every calendar.
pub fn uid_of(db: &Db, appointment: &str) -> Result<String, db::Error> {
    Ok(calendar::uid(uid_hash(db, appointment)?))
}

fn entry(db: &Db, row: EntryRow) -> Result<Entry, db::Error> {
    Ok(Entry {
        uid: uid_hash(db, &row.id)?,
        version: row.version,
        starts_at: row.starts_at,
        ends_at: row.ends_at,
        changed_at: row.updated_at,
        is_active: row.active,
        provider_removed_at: row.removed_at,
    })
}
