//! Notifications that tell of appointments: from when they are planned until they are handed to the way out, or withdrawn.
//!
//! Such a row is `Scheduled` until its time, and keeps its id from then on. Whoever makes it ready holds a lease, as whoever hands it on does
//! ([`due`](super::due), [`claim`](super::claim)); what has become of the appointment is looked at in the transaction that makes it `Queued`, under the patient's lock.

use chrono::{DateTime, Utc};
use contracts::id::{AppointmentId, NotificationId};
use contracts::notifications::{Channel, NotificationStatus as Status, NotificationType as Kind};
use db::{Db, Subject, Tx, on, sql};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use crate::domain::notification::{Content, addressee};
use crate::domain::timing::Slot;
use crate::domain::visit::{Person, Visit};
use crate::store::notification::{channel_name, period, place, status_name};

/// Why what is late has not gone out.
pub(super) const PASSED: &str = "Its time has passed.";

/// What is to be sent, as it is known so far: what is sealed as the row's body. Whoever hands it on reads the content alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// What it says and to whom, if nothing changes.
    #[serde(flatten)]
    pub content: Content,
    /// Who is written to.
    pub person: Person,
    /// The appointment that it tells of.
    pub visit: Visit,
}

/// A notification of an appointment, planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Under which id, if it names itself.
    pub id: Option<NotificationId>,
    /// What it is about.
    pub kind: Kind,
    /// Under which name it is told once.
    pub told_once: String,
    /// The way it is to go.
    pub channel: Channel,
    /// When.
    pub slot: Slot,
    /// What, to whom, of what.
    pub waiting: Waiting,
}

impl Planned {
    /// It, and the same to these further addresses.
    pub fn with_copies(self, to: Vec<String>) -> Vec<Self> {
        let mut all = vec![self];
        for to in to {
            let first = &all[0];
            let told_once = format!("{}+{to}", first.told_once);
            let mut copy = Self { id: None, told_once, ..first.clone() };
            copy.waiting.content.to = to;
            all.push(copy);
        }
        all
    }
}

#[derive(FromRow)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) patient_id: Option<String>,
    pub(super) channel: String,
    pub(super) kind: String,
    pub(super) body: Vec<u8>,
    pub(super) told_once: Option<String>,
    pub(super) send_at: Option<DateTime<Utc>>,
    pub(super) send_until: Option<DateTime<Utc>>,
    pub(super) turn: i64,
}

/// Plans one, under the patient's [`db::erasure_lock`]: what is due at once goes to the way out (`has_way`), or stays in the capture box. What is told
/// already, or of an erased patient, is passed over: `false`.
pub async fn planned_insert(
    tx: &mut Tx,
    db: &Db,
    id: &NotificationId,
    planned: &Planned,
    has_way: bool,
) -> Result<bool, db::Error> {
    let Planned { kind, told_once, channel, slot, waiting, .. } = planned;
    let (now, visit) = (tx.now(), &waiting.visit);
    let patient = visit.patient.as_str();
    let sealed = db.vault().seal_json(&Subject::Patient(patient), place(id.as_str()), waiting).await;
    let body = match sealed {
        Err(db::Error::KeyDestroyed { .. }) => return Ok(false),
        sealed => sealed?,
    };
    let (status, next_attempt_at, sent_at, look_at) = match (slot.send_at > now, has_way) {
        (true, _) => (Status::Scheduled, None, None, Some(slot.send_at)),
        (false, true) => (Status::Queued, Some(now), None, None),
        (false, false) => (Status::Sent, None, Some(now), None),
    };
    let to = db.vault().blind("to", &addressee(&waiting.content.to))?;
    let inserted = on!(tx, |conn| {
        sqlx::query(sql!(
        "insert into notification (id, version, created_at, expires_at, channel, status, patient_id, addressee, body, sent_at, \
             attempts, next_attempt_at, kind, appointment_id, told_once, send_at, send_until, look_at) \
         values ($1, 1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $11, $12, $13, $14, $15, $16) \
         on conflict do nothing"
    ))
    .bind(id.as_str())
    .bind(now)
    .bind(period(slot.send_at.max(now)).expires_at())
    .bind(channel_name(*channel))
    .bind(status_name(status))
    .bind(patient)
    .bind(&to)
    .bind(&body)
    .bind(sent_at)
    .bind(next_attempt_at)
    .bind(kind.as_str())
    .bind((*kind != Kind::Waitlist).then(|| visit.id.as_str()))
    .bind(told_once)
    .bind(slot.send_at)
    .bind(slot.until)
    .bind(look_at)
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    })?;
    Ok(inserted == 1)
}

/// Withdraws all that tells of an appointment and has not been handed on, in the transaction that learns of its change, under the patient's lock. An attempt
/// that is under way is not called back: it notes that it has sent, if it has. What was handed on and comes back goes no other way.
pub async fn scheduled_withdraw(tx: &mut Tx, appointment: &AppointmentId) -> Result<u64, db::Error> {
    let now = tx.now();
    let withdrawn = on!(tx, |conn| {
        sqlx::query(sql!(
        "update notification set version = version + 1, status = 'Withdrawn', next_attempt_at = null, look_at = null, claim = null, \
             told_once = null, error = 'The appointment has changed.' \
         where appointment_id = $1 and status in ('Scheduled', 'Queued')"
    ))
    .bind(appointment.as_str())
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    })?;
    // After that: what was being noted as sent meanwhile is seen here.
    on!(tx, |conn| {
        sqlx::query(sql!(
            "update notification set send_until = $2 where appointment_id = $1 and status = 'Sent' and send_until > $2"
        ))
        .bind(appointment.as_str())
        .bind(now)
        .execute(conn)
        .await
        .map(drop)
    })?;
    Ok(withdrawn)
}

/// Takes the reminders of an appointment away that wait for somebody, to be planned anew; those that were sent stay, as do those that go another way now.
pub async fn reminders_clear(tx: &mut Tx, db: &Db, visit: &Visit, person: &Person) -> Result<(), db::Error> {
    let rows: Vec<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, patient_id, channel, kind, body, told_once, send_at, send_until, turn from notification \
         where appointment_id = $1 and status = 'Scheduled' and kind = 'reminder' and turn = 0"
    ))
    .bind(visit.id.as_str())
    .fetch_all(conn)
    .await
    })?;
    for row in rows {
        let Some(waiting) = opened(db, &row).await? else { continue };
        if waiting.person != *person {
            continue;
        }
        on!(tx, |conn| sqlx::query(sql!("delete from notification where id = $1 and status = 'Scheduled'"))
            .bind(&row.id)
            .execute(conn)
            .await
            .map(drop))?;
    }
    Ok(())
}

pub(super) async fn opened(db: &Db, row: &Row) -> Result<Option<Waiting>, db::Error> {
    let Some(patient) = row.patient_id.as_deref() else { return Ok(None) };
    match db.vault().open_json(&Subject::Patient(patient), place(&row.id), &row.body).await {
        Err(db::Error::KeyDestroyed { .. }) => Ok(None),
        opened => opened.map(Some),
    }
}

/// When the next is due, if any is planned.
pub async fn scheduled_next(db: &Db) -> Result<Option<DateTime<Utc>>, db::Error> {
    let mut tx = db.read().await?;
    Ok(on!(tx, |conn| sqlx::query_scalar(sql!("select min(look_at) from notification"))
        .fetch_one(conn)
        .await)?)
}
