//! The `referral` table, and `referral_change`: what was done with each.

use chrono::{DateTime, Utc};
use contracts::appointments::AppointmentStatus;
use contracts::event::Event;
use contracts::id::{AppointmentId, EventId, PatientId, ProviderId, ReferralId};
use contracts::referrals::ReferralChange;
use db::{Db, Denied, Place, Subject, Tx, on, sql};
use http_kit::page::{Newest, Window};
use http_kit::{Seeker, View, relay};
use sqlx::FromRow;

use crate::domain::referral::{Entry, Referral};
use crate::error::Error;
use crate::store::among::{Want, among};
use crate::store::appointment::no_patient;

/// A referral as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The id.
    pub id: ReferralId,
    /// Counts changes, from 1.
    pub version: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
    /// The data.
    pub referral: Referral,
    /// Whether the patient denies it to whoever asked for a list.
    pub denied: Denied,
}

/// A referral as it stands in its row, not opened yet.
#[derive(FromRow)]
pub struct Sealed {
    id: String,
    version: i64,
    patient_id: String,
    from_provider: String,
    to_provider: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    body: Vec<u8>,
    #[sqlx(flatten)]
    denied: Denied,
}

/// Which stretch of which referrals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Whose.
    pub patient: Option<PatientId>,
    /// From this provider, or to them.
    pub provider: Option<ProviderId>,
    /// Whether one that cannot be opened is passed over.
    pub want: Want,
    /// The stretch of the list, newest first.
    pub window: Window<Newest>,
}

fn place(id: &str) -> Place<'_> {
    Place { table: "referral", column: "body", row: id }
}

fn place_of_change(row: &str) -> Place<'_> {
    Place { table: "referral_change", column: "body", row }
}

fn row_name(id: &ReferralId, version: i64) -> String {
    format!("{id}:{version}")
}

impl Sealed {
    /// Whose it is.
    pub fn patient(&self) -> PatientId {
        PatientId::trusted(self.patient_id.clone())
    }

    /// Whether it is from this provider or to them.
    pub fn is_of(&self, provider: &ProviderId) -> bool {
        self.from_provider == provider.as_str() || self.to_provider.as_deref() == Some(provider.as_str())
    }

    /// The referral. `None`: the patient was erased after the row was read.
    pub async fn open(self, db: &Db) -> Result<Option<Kept>, db::Error> {
        let subject = Subject::Patient(&self.patient_id);
        match db.vault().open_json(&subject, place(&self.id), &self.body).await {
            Ok(referral) => Ok(Some(Kept {
                id: ReferralId::trusted(self.id),
                version: self.version,
                created_at: self.created_at,
                updated_at: self.updated_at,
                referral,
                denied: self.denied,
            })),
            Err(db::Error::KeyDestroyed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

async fn seal(db: &Db, id: &ReferralId, referral: &Referral) -> Result<Vec<u8>, Error> {
    let subject = Subject::Patient(referral.patient.as_str());
    match db.vault().seal_json(&subject, place(id.as_str()), referral).await {
        Err(db::Error::KeyDestroyed { .. }) => Err(no_patient()),
        sealed => Ok(sealed?),
    }
}

/// Keeps a new referral, under [`db::erasure_lock`].
pub async fn referral_insert(
    tx: &mut Tx,
    db: &Db,
    id: &ReferralId,
    referral: &Referral,
    entry: &Entry,
) -> Result<(), Error> {
    if db::erasure_is_requested(tx, referral.patient.as_str()).await? {
        return Err(no_patient());
    }
    let (now, body) = (tx.now(), seal(db, id, referral).await?);
    on!(tx, |conn| sqlx::query(sql!(
        "insert into referral (id, version, patient_id, from_provider, to_provider, created_at, updated_at, body) \
         values ($1, 1, $2, $3, $4, $5, $5, $6)"
    ))
    .bind(id.as_str())
    .bind(referral.patient.as_str())
    .bind(referral.from.as_str())
    .bind(referral.to.as_ref().map(ProviderId::as_str))
    .bind(now)
    .bind(&body)
    .execute(conn)
    .await
    .map(drop))
    .map_err(db::Error::from)?;
    change_add(tx, db, (id, 1), &referral.patient, entry).await?;
    Ok(tell(tx, db, id, referral).await?)
}

/// Keeps what came of something that was done, and tells of it. [`db::Error::LostRace`] if it changed since it was read.
pub async fn referral_update(
    tx: &mut Tx,
    db: &Db,
    (before, after): (&Kept, &Referral),
    entry: &Entry,
) -> Result<(), Error> {
    let (now, version) = (tx.now(), before.version + 1);
    let body = match seal(db, &before.id, after).await {
        Err(Error::Invalid(_)) => return Err(Error::NotFound),
        sealed => sealed?,
    };
    let updated = on!(tx, |conn| {
        sqlx::query(sql!(
        "update referral set version = $3, updated_at = $4, to_provider = $5, appointment_id = $6, body = $7 \
         where id = $1 and version = $2"
    ))
    .bind(before.id.as_str())
    .bind(before.version)
    .bind(version)
    .bind(now)
    .bind(after.to.as_ref().map(ProviderId::as_str))
    .bind(after.appointment.as_ref().map(AppointmentId::as_str))
    .bind(&body)
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    })
    .map_err(db::Error::from)?;
    if updated == 0 {
        return Err(Error::Db(db::Error::LostRace));
    }
    change_add(tx, db, (&before.id, version), &after.patient, entry).await?;
    Ok(tell(tx, db, &before.id, after).await?)
}

/// Has the referral that an appointment was booked from follow where it stands now, in the same transaction.
pub async fn referral_follow(
    tx: &mut Tx,
    db: &Db,
    appointment: &AppointmentId,
    status: AppointmentStatus,
    by: &str,
) -> Result<(), Error> {
    let row: Option<Sealed> = on!(tx, |conn| sqlx::query_as(sql!(
        "select id, version, patient_id, from_provider, to_provider, created_at, updated_at, body from referral \
         where appointment_id = $1"
    ))
    .bind(appointment.as_str())
    .fetch_optional(conn)
    .await)
    .map_err(db::Error::from)?;
    let Some(row) = row else { return Ok(()) };
    // One that cannot be opened keeps its appointment from nothing.
    let id = row.id.clone();
    let Some(kept) = among("referral", &id, row.open(db).await)? else { return Ok(()) };
    let Some(after) = kept.referral.follow(status) else { return Ok(()) };
    let entry = Entry { by: by.to_owned(), status: after.status, reason: None };
    referral_update(tx, db, (&kept, &after), &entry).await
}

async fn tell(tx: &mut Tx, db: &Db, id: &ReferralId, referral: &Referral) -> Result<(), db::Error> {
    let Some(what) = referral.told(id) else { return Ok(()) };
    let event = Event { id: EventId::generate(db.random()), occurred_at: tx.now(), what };
    relay::publish(tx, db, &event).await
}

async fn change_add(
    tx: &mut Tx,
    db: &Db,
    (id, version): (&ReferralId, i64),
    patient: &PatientId,
    entry: &Entry,
) -> Result<(), db::Error> {
    let (now, row) = (tx.now(), row_name(id, version));
    let subject = Subject::Patient(patient.as_str());
    let body = db.vault().seal_json(&subject, place_of_change(&row), entry).await?;
    on!(tx, |conn| sqlx::query(sql!(
        "insert into referral_change (referral_id, version, changed_at, body) values ($1, $2, $3, $4)"
    ))
    .bind(id.as_str())
    .bind(version)
    .bind(now)
    .bind(&body)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}

/// What was done with a referral, oldest first: a handful.
pub async fn referral_changes(
    tx: &mut Tx,
    db: &Db,
    (id, patient): (&ReferralId, &PatientId),
    view: View,
) -> Result<Vec<ReferralChange>, db::Error> {
    let rows: Vec<(i64, DateTime<Utc>, Vec<u8>)> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select version, changed_at, body from referral_change where referral_id = $1 order by version limit 200"
    ))
    .bind(id.as_str())
    .fetch_all(conn)
    .await
    })?;
    let subject = Subject::Patient(patient.as_str());
    let mut changes = Vec::with_capacity(rows.len());
    for (version, at, body) in rows {
        let row = row_name(id, version);
        let entry: Entry = db.vault().open_json(&subject, place_of_change(&row), &body).await?;
        changes.push(entry.view(at, view));
    }
    Ok(changes)
}

/// The referral, if there is one.
pub async fn referral_find(tx: &mut Tx, id: &ReferralId) -> Result<Option<Sealed>, db::Error> {
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, version, patient_id, from_provider, to_provider, created_at, updated_at, body from referral where id = $1"
    ))
    .bind(id.as_str())
    .fetch_optional(conn)
    .await
    })?)
}

/// A stretch of the list: of a patient, of whom it is known that they may be seen; or of all, without what they deny the seeker. To somebody who sees whom they
/// treat, of those, and what is from them or to them.
pub async fn referral_search(
    tx: &mut Tx,
    db: &Db,
    search: &Search,
    seeker: Option<&Seeker>,
) -> Result<Vec<(Newest, Kept)>, db::Error> {
    let mut page = search.window.filling(search.window.limit);
    while let Some(window) = page.unread() {
        let stretch = Search { window, ..search.clone() };
        let rows = match (seeker, &search.patient) {
            (Some(seeker), _) if seeker.is_carer => of_theirs(tx, &stretch, seeker).await?,
            (_, Some(patient)) => of_patient(tx, &stretch, patient).await?,
            (Some(seeker), None) => of_all(tx, &stretch, seeker).await?,
            (None, None) => Vec::new(),
        };
        page.has_read(rows.len());
        for row in rows {
            let key = (row.created_at, row.id.clone());
            if page.put(key.clone(), search.want.take("referral", &key.1, row.open(db).await)?) {
                break;
            }
        }
    }
    Ok(page.into_rows())
}

async fn of_patient(tx: &mut Tx, search: &Search, patient: &PatientId) -> Result<Vec<Sealed>, db::Error> {
    let below = search.window.below();
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, version, patient_id, from_provider, to_provider, created_at, updated_at, body from referral \
         where patient_id = $1 and (created_at, id) < ($2, $3) and ($4 or from_provider = $5 or to_provider = $5) \
         order by created_at desc, id desc limit $6"
    ))
    .bind(patient.as_str())
    .bind(below.0)
    .bind(&below.1)
    .bind(search.provider.is_none())
    .bind(search.provider.as_ref().map_or("", ProviderId::as_str))
    .bind(search.window.rows())
    .fetch_all(conn)
    .await
    })?)
}

async fn of_theirs(tx: &mut Tx, search: &Search, seeker: &Seeker) -> Result<Vec<Sealed>, db::Error> {
    let (below, now) = (search.window.below(), tx.now());
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select * from ( \
             select a.id, a.version, a.patient_id, a.from_provider, a.to_provider, a.created_at, a.updated_at, a.body, \
                 (select min(d.consent) from denial d where d.patient_id = a.patient_id and d.until > $8 \
                      and $11 like '%' || d.who || '%' and d.patient_id <> coalesce($10, '')) as denial, \
                 (select max(g.id) from glass g \
                  where g.user_id = $9 and g.patient_id = a.patient_id and g.until > $8) as glass \
             from referral a \
             where (a.created_at, a.id) < ($1, $2) and ($3 or a.patient_id = $4) \
               and ($5 or a.from_provider = $6 or a.to_provider = $6) \
               and (a.from_provider = $7 or a.to_provider = $7 or a.patient_id in ( \
                 select patient_id from care where provider_id = $7 and until > $8 \
                 union select patient_id from glass where user_id = $9 and until > $8 \
                 union select $10))) theirs \
         where from_provider = $7 or to_provider = $7 or denial is null or glass is not null \
         order by created_at desc, id desc limit $12"
    ))
    .bind(below.0)
    .bind(&below.1)
    .bind(search.patient.is_none())
    .bind(search.patient.as_ref().map_or("", PatientId::as_str))
    .bind(search.provider.is_none())
    .bind(search.provider.as_ref().map_or("", ProviderId::as_str))
    .bind(seeker.provider.as_ref().map(ProviderId::as_str))
    .bind(now)
    .bind(&seeker.user)
    .bind(seeker.own.as_ref().map(PatientId::as_str))
    .bind(&seeker.names)
    .bind(search.window.rows())
    .fetch_all(conn)
    .await
    })?)
}

async fn of_all(tx: &mut Tx, search: &Search, seeker: &Seeker) -> Result<Vec<Sealed>, db::Error> {
    let (below, now) = (search.window.below(), tx.now());
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select * from ( \
             select a.id, a.version, a.patient_id, a.from_provider, a.to_provider, a.created_at, a.updated_at, a.body, \
                 (select min(d.consent) from denial d where d.patient_id = a.patient_id and d.until > $5 \
                      and $7 like '%' || d.who || '%' and d.patient_id <> coalesce($8, '')) as denial, \
                 (select max(g.id) from glass g \
                  where g.user_id = $6 and g.patient_id = a.patient_id and g.until > $5) as glass \
             from referral a \
             where (a.created_at, a.id) < ($1, $2) and ($3 or a.from_provider = $4 or a.to_provider = $4)) everybodys \
         where $9 or denial is null or glass is not null \
         order by created_at desc, id desc limit $10"
    ))
    .bind(below.0)
    .bind(&below.1)
    .bind(search.provider.is_none())
    .bind(search.provider.as_ref().map_or("", ProviderId::as_str))
    .bind(now)
    .bind(&seeker.user)
    .bind(&seeker.names)
    .bind(seeker.own.as_ref().map(PatientId::as_str))
    .bind(seeker.is_exempt)
    .bind(search.window.rows())
    .fetch_all(conn)
    .await
    })?)
}

/// Takes all of a patient's away, with their history, under [`db::erasure_lock`]. How many there were.
pub async fn referrals_erase(tx: &mut Tx, patient: &PatientId) -> Result<u64, db::Error> {
    Ok(on!(tx, |conn| sqlx::query(sql!("delete from referral where patient_id = $1"))
        .bind(patient.as_str())
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))?)
}
