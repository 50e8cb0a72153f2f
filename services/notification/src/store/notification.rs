//! The `notification` table: the capture box.

use chrono::{DateTime, Utc};
use contracts::id::{AppointmentId, NotificationId, PatientId, ProviderId};
use contracts::notifications::{Channel, NotificationStatus, NotificationType};
use db::{Db, Period, Place, Subject, Tx, on, sql};
use http_kit::Seeker;
use sqlx::FromRow;

use crate::domain::notification::{Content, Draft, Notification, addressee};
use crate::domain::search::{Key, Search};
use crate::error::Error;
use crate::store::answer::answer_of;
use crate::store::claim::{Claim, LEASE};

/// Days for which a notification is kept after the month in which it was asked for.
const KEEP_DAYS: u32 = 400;
/// What a name that this version does not know would be; the table's checks keep such out.
pub(super) const STATUSES: [NotificationStatus; 6] = [
    NotificationStatus::Scheduled,
    NotificationStatus::Queued,
    NotificationStatus::Sent,
    NotificationStatus::Delivered,
    NotificationStatus::Failed,
    NotificationStatus::Withdrawn,
];
pub(super) const CHANNELS: [Channel; 3] = [Channel::Email, Channel::Sms, Channel::Push];

/// Where a new notification starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// In the capture box alone: nothing hands it on.
    Kept,
    /// Whoever has the claim hands it on.
    Claimed(Claim),
    /// The job hands it on.
    Due,
}

/// A notification as it stands in its row, not opened yet.
#[derive(FromRow)]
pub struct Sealed {
    id: String,
    version: i64,
    created_at: DateTime<Utc>,
    channel: String,
    status: String,
    patient_id: Option<String>,
    body: Vec<u8>,
    sent_at: Option<DateTime<Utc>>,
    delivered_at: Option<DateTime<Utc>>,
    error: Option<String>,
    kind: String,
    appointment_id: Option<String>,
    send_at: Option<DateTime<Utc>>,
    provider_code: Option<String>,
    complained_at: Option<DateTime<Utc>>,
    clicks: i64,
    first_clicked_at: Option<DateTime<Utc>>,
    answer: Option<String>,
}

pub(super) fn period(created_at: DateTime<Utc>) -> Period {
    Period::month("notification", created_at, KEEP_DAYS)
}

pub(super) fn subject(patient: Option<&str>, created_at: DateTime<Utc>) -> Subject<'_> {
    patient.map_or_else(|| Subject::Period(period(created_at)), Subject::Patient)
}

pub(super) fn place(id: &str) -> Place<'_> {
    Place { table: "notification", column: "body", row: id }
}

/// What it says and to whom; `None` if its key was destroyed a moment ago, and the row goes with it.
pub(super) async fn content(
    db: &Db,
    id: &str,
    patient: Option<&str>,
    created_at: DateTime<Utc>,
    body: &[u8],
) -> Result<Option<Content>, db::Error> {
    match db.vault().open_json(&subject(patient, created_at), place(id), body).await {
        Err(db::Error::KeyDestroyed { .. }) => Ok(None),
        opened => opened.map(Some),
    }
}

impl Sealed {
    /// Which.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// When it was asked for.
    pub(super) fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }

    /// The way it goes.
    pub fn channel(&self) -> Option<Channel> {
        CHANNELS.into_iter().find(|channel| channel_name(*channel) == self.channel)
    }

    /// Its present version.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Whom it concerns, if it concerns somebody.
    pub fn patient(&self) -> Option<PatientId> {
        self.patient_id.clone().map(PatientId::trusted)
    }

    /// The notification; `None` if its key was destroyed a moment ago.
    pub async fn open(self, db: &Db) -> Result<Option<Notification>, db::Error> {
        let patient = self.patient_id.as_deref();
        let content = content(db, &self.id, patient, self.created_at, &self.body).await?;
        let channel = self.channel();
        let status = STATUSES.into_iter().find(|status| status_name(*status) == self.status);
        Ok(content.zip(channel).zip(status).map(|((content, channel), status)| Notification {
            draft: Draft { channel, content, patient: self.patient() },
            id: NotificationId::trusted(self.id),
            version: self.version,
            created_at: self.created_at,
            status: if self.delivered_at.is_some() { NotificationStatus::Delivered } else { status },
            sent_at: self.sent_at,
            delivered_at: self.delivered_at,
            error: self.error,
            kind: kind_of(&self.kind).unwrap_or_default(),
            appointment: self.appointment_id.map(AppointmentId::trusted),
            send_at: self.send_at,
            provider_code: self.provider_code,
            complained_at: self.complained_at,
            clicks: u64::try_from(self.clicks).unwrap_or(0),
            first_clicked_at: self.first_clicked_at,
            answer: self.answer.as_deref().and_then(answer_of),
        }))
    }
}

pub(super) fn channel_of(name: &str) -> Option<Channel> {
    CHANNELS.into_iter().find(|channel| channel_name(*channel) == name)
}

pub(super) fn kind_of(name: &str) -> Option<NotificationType> {
    NotificationType::ALL.into_iter().find(|kind| kind.as_str() == name)
}

pub(super) fn channel_name(channel: Channel) -> &'static str {
    match channel {
        Channel::Email => "Email",
        Channel::Sms => "Sms",
        Channel::Push => "Push",
    }
}

pub(super) fn status_name(status: NotificationStatus) -> &'static str {
    match status {
        NotificationStatus::Scheduled => "Scheduled",
        NotificationStatus::Queued => "Queued",
        NotificationStatus::Sent => "Sent",
        NotificationStatus::Delivered => "Delivered",
        NotificationStatus::Failed => "Failed",
        NotificationStatus::Withdrawn => "Withdrawn",
    }
}

/// Puts a notification in the capture box, under [`db::erasure_lock`] if it concerns one. [`Error::UnknownPatient`] if they were erased.
pub async fn notification_insert(
    tx: &mut Tx,
    db: &Db,
    id: &NotificationId,
    draft: &Draft,
    start: &Start,
) -> Result<(), Error> {
    if let Some(patient) = &draft.patient
        && db::erasure_is_requested(tx, patient.as_str()).await?
    {
        return Err(Error::UnknownPatient);
    }
    let now = tx.now();
    let patient = draft.patient.as_ref().map(PatientId::as_str);
    let body = match db.vault().seal_json(&subject(patient, now), place(id.as_str()), &draft.content).await {
        Err(db::Error::KeyDestroyed { .. }) if patient.is_some() => return Err(Error::UnknownPatient),
        sealed => sealed?,
    };
    let (status, sent_at, next_attempt_at, claim, attempts) = match start {
        Start::Kept => (NotificationStatus::Sent, Some(now), None, None, 0),
        Start::Claimed(claim) => {
            (NotificationStatus::Queued, None, Some(now + LEASE), Some(claim.bytes()), 1)
        }
        Start::Due => (NotificationStatus::Queued, None, Some(now), None, 0_i64),
    };
    let addressee = db.vault().blind("to", &addressee(&draft.content.to))?;
    on!(tx, |conn| sqlx::query(sql!(
        "insert into notification (id, version, created_at, expires_at, channel, status, patient_id, addressee, body, sent_at, \
             attempts, next_attempt_at, claim) \
         values ($1, 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
    ))
    .bind(id.as_str())
    .bind(now)
    .bind(period(now).expires_at())
    .bind(channel_name(draft.channel))
    .bind(status_name(status))
    .bind(patient)
    .bind(&addressee)
    .bind(&body)
    .bind(sent_at)
    .bind(attempts)
    .bind(next_attempt_at)
    .bind(claim)
    .execute(conn)
    .await
    .map(drop))
    .map_err(db::Error::from)?;
    Ok(())
}

/// Says of a new one what it is about, in the transaction that puts it there.
pub async fn notification_mark(
    tx: &mut Tx,
    id: &NotificationId,
    kind: NotificationType,
) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("update notification set kind = $2 where id = $1"))
        .bind(id.as_str())
        .bind(kind.as_str())
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// The notification, if there is one.
pub async fn notification_find(tx: &mut Tx, id: &NotificationId) -> Result<Option<Sealed>, db::Error> {
    let now = tx.now();
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, version, created_at, channel, status, patient_id, body, sent_at, delivered_at, error, provider_code, kind, appointment_id, send_at, complained_at, clicks, first_clicked_at, answer from notification \
         where id = $1 and expires_at > $2"
    ))
    .bind(id.as_str())
    .bind(now)
    .fetch_optional(conn)
    .await
    })?)
}

/// A stretch of the list, newest first: to somebody, of a patient, or of all, each along its own index; to somebody who sees whom they treat, of
/// those, if it is not of one of whom that is known. One that is being erased just now has its place in it, but nothing to show.
pub async fn notification_search(
    tx: &mut Tx,
    db: &Db,
    search: &Search,
    carer: Option<&Seeker>,
) -> Result<Vec<(Key, Option<Notification>)>, db::Error> {
    let addressee = search.addressee.as_ref().map(|to| db.vault().blind("to", to)).transpose()?;
    let rows = match (addressee, &search.patient, carer) {
        (addressee, None, Some(carer)) => of_theirs(tx, search, addressee, carer).await?,
        (addressee, ..) if search.appointment.is_some() => of_appointment(tx, search, addressee).await?,
        (Some(addressee), ..) => to_addressee(tx, search, &addressee).await?,
        (None, Some(patient), _) => of_patient(tx, search, patient).await?,
        (None, None, None) => of_all(tx, search).await?,
    };
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let key = (row.created_at, row.id.clone());
        found.push((key, row.open(db).await?));
    }
    Ok(found)
}

fn names(search: &Search) -> (&'static str, &'static str, &'static str) {
    let kind = search.kind.map_or("", NotificationType::as_str);
    (search.channel.map_or("", channel_name), search.status.map_or("", status_name), kind)
}

async fn of_appointment(
    tx: &mut Tx,
    search: &Search,
    addressee: Option<Vec<u8>>,
) -> Result<Vec<Sealed>, db::Error> {
    let (now, after, (channel, status, kind)) = (tx.now(), search.window.below(), names(search));
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, version, created_at, channel, status, patient_id, body, sent_at, delivered_at, error, provider_code, kind, appointment_id, send_at, complained_at, clicks, first_clicked_at, answer from notification \
         where appointment_id = $1 and expires_at > $2 and (created_at, id) < ($3, $4) \
           and ($5 = '' or channel = $5) and ($6 = '' or case when delivered_at is null then status else 'Delivered' end = $6) and ($7 = '' or kind = $7) and ($8 = '' or patient_id = $8) \
           and ($9 or addressee = $10) \
         order by created_at desc, id desc limit $11"
    ))
    .bind(search.appointment.as_ref().map(AppointmentId::as_str))
    .bind(now)
    .bind(after.0)
    .bind(&after.1)
    .bind(channel)
    .bind(status)
    .bind(kind)
    .bind(search.patient.as_ref().map_or("", |id| id.as_str()))
    .bind(addressee.is_none())
    .bind(addressee.unwrap_or_default())
    .bind(search.window.rows())
    .fetch_all(conn)
    .await
    })?)
}

async fn to_addressee(tx: &mut Tx, search: &Search, addressee: &[u8]) -> Result<Vec<Sealed>, db::Error> {
    let (now, after, (channel, status, kind)) = (tx.now(), search.window.below(), names(search));
    let patient = search.patient.as_ref().map_or("", |id| id.as_str());
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, version, created_at, channel, status, patient_id, body, sent_at, delivered_at, error, provider_code, kind, appointment_id, send_at, complained_at, clicks, first_clicked_at, answer from notification \
         where addressee = $1 and expires_at > $2 and (created_at, id) < ($3, $4) \
           and ($5 = '' or channel = $5) and ($6 = '' or case when delivered_at is null then status else 'Delivered' end = $6) and ($7 = '' or patient_id = $7) \
           and ($9 = '' or kind = $9) \
         order by created_at desc, id desc limit $8"
    ))
    .bind(addressee)
    .bind(now)
    .bind(after.0)
    .bind(&after.1)
    .bind(channel)
    .bind(status)
    .bind(patient)
    .bind(search.window.rows())
    .bind(kind)
    .fetch_all(conn)
    .await
    })?)
}

async fn of_patient(tx: &mut Tx, search: &Search, patient: &PatientId) -> Result<Vec<Sealed>, db::Error> {
    let (now, after, (channel, status, kind)) = (tx.now(), search.window.below(), names(search));
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, version, created_at, channel, status, patient_id, body, sent_at, delivered_at, error, provider_code, kind, appointment_id, send_at, complained_at, clicks, first_clicked_at, answer from notification \
         where patient_id = $1 and expires_at > $2 and (created_at, id) < ($3, $4) \
           and ($5 = '' or channel = $5) and ($6 = '' or case when delivered_at is null then status else 'Delivered' end = $6) and ($8 = '' or kind = $8) \
         order by created_at desc, id desc limit $7"
    ))
    .bind(patient.as_str())
    .bind(now)
    .bind(after.0)
    .bind(&after.1)
    .bind(channel)
    .bind(status)
    .bind(search.window.rows())
    .bind(kind)
    .fetch_all(conn)
    .await
    })?)
}

/// What concerns nobody is nobody's whom they treat.
async fn of_theirs(
    tx: &mut Tx,
    search: &Search,
    addressee: Option<Vec<u8>>,
    carer: &Seeker,
) -> Result<Vec<Sealed>, db::Error> {
    let (now, after, (channel, status, kind)) = (tx.now(), search.window.below(), names(search));
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, version, created_at, channel, status, patient_id, body, sent_at, delivered_at, error, provider_code, kind, appointment_id, send_at, complained_at, clicks, first_clicked_at, answer from notification \
         where expires_at > $1 and (created_at, id) < ($2, $3) \
           and ($4 = '' or channel = $4) and ($5 = '' or case when delivered_at is null then status else 'Delivered' end = $5) and ($7 or addressee = $8) \
           and ($12 = '' or kind = $12) and ($13 = '' or appointment_id = $13) and patient_id in ( \
             select patient_id from care where provider_id = $9 and until > $1 \
             union select patient_id from glass where user_id = $10 and until > $1 \
             union select $11) \
         order by created_at desc, id desc limit $6"
    ))
    .bind(now)
    .bind(after.0)
    .bind(&after.1)
    .bind(channel)
    .bind(status)
    .bind(search.window.rows())
    .bind(addressee.is_none())
    .bind(addressee.unwrap_or_default())
    .bind(carer.provider.as_ref().map(ProviderId::as_str))
    .bind(&carer.user)
    .bind(carer.own.as_ref().map(PatientId::as_str))
    .bind(kind)
    .bind(search.appointment.as_ref().map_or("", |id| id.as_str()))
    .fetch_all(conn)
    .await
    })?)
}

async fn of_all(tx: &mut Tx, search: &Search) -> Result<Vec<Sealed>, db::Error> {
    let (now, after, (channel, status, kind)) = (tx.now(), search.window.below(), names(search));
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, version, created_at, channel, status, patient_id, body, sent_at, delivered_at, error, provider_code, kind, appointment_id, send_at, complained_at, clicks, first_clicked_at, answer from notification \
         where expires_at > $1 and (created_at, id) < ($2, $3) \
           and ($4 = '' or channel = $4) and ($5 = '' or case when delivered_at is null then status else 'Delivered' end = $5) and ($7 = '' or kind = $7) \
         order by created_at desc, id desc limit $6"
    ))
    .bind(now)
    .bind(after.0)
    .bind(&after.1)
    .bind(channel)
    .bind(status)
    .bind(search.window.rows())
    .bind(kind)
    .fetch_all(conn)
    .await
    })?)
}

/// Takes away what has had its time.
pub async fn notifications_forget(tx: &mut Tx) -> Result<(), db::Error> {
    let now = tx.now();
    on!(tx, |conn| sqlx::query(sql!("delete from notification where expires_at <= $1"))
        .bind(now)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}
