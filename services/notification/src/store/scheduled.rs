//! Notifications that tell of appointments: from when they are planned until they are handed to the way out, or withdrawn.
//!
//! Such a row is `Scheduled` until its time, and keeps its id from then on. Whoever makes it ready holds a lease, as whoever hands it on does
//! ([`claim`](super::claim)); what has become of the appointment is looked at in the transaction that makes it `Queued`, under the patient's lock.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use contracts::id::{AppointmentId, NotificationId};
use contracts::notifications::{Channel, NotificationStatus as Status, NotificationType as Kind};
use db::{Db, Subject, Tx, on, sql};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use crate::domain::notification::{Content, addressee};
use crate::domain::timing::Slot;
use crate::domain::visit::{Person, Visit};
use crate::store::again::{came_back_by, came_back_note};
use crate::store::claim::Claim;
use crate::store::notification::{channel_name, channel_of, kind_of, period, place, status_name};

/// How long what is claimed is left to its claimer: longer than asking where somebody is reached may take.
const LEASE: TimeDelta = TimeDelta::seconds(60);
/// Why what nobody can be reached by has not.
const SUPPRESSED: &str = "The address is suppressed.";
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

/// One whose time has come, and that its claimer makes ready until the lease ends.
#[derive(Clone, Debug)]
pub struct Due {
    /// Which.
    pub id: NotificationId,
    /// What it is about.
    pub kind: Kind,
    /// The way it is to go, as was planned.
    pub channel: Channel,
    /// What, to whom, of what.
    pub waiting: Waiting,
    /// The ways that it has gone in vain.
    pub tried: Vec<Channel>,
    told_once: Option<String>,
    slot: Option<Slot>,
    claim: Claim,
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

impl Due {
    /// The same to these further addresses.
    pub fn copies(&self, channel: Channel, said: &Content, to: Vec<String>) -> Vec<Planned> {
        let (Some(told_once), Some(slot)) = (self.told_once.clone(), self.slot) else { return Vec::new() };
        let waiting = Waiting { content: said.clone(), ..self.waiting.clone() };
        let first = Planned { id: None, kind: self.kind, told_once, channel, slot, waiting };
        first.with_copies(to).split_off(1)
    }
}

/// What becomes of one that was made ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ready {
    /// It is handed to the way out, or stays in the capture box if there is none.
    Send(Channel, Content),
    /// It is not sent, and why.
    Withdraw(&'static str),
    /// No address of theirs is written to any more.
    Fail,
    /// Where it goes is not known just now: it is looked at again when the claim has run out.
    Later,
}

#[derive(FromRow)]
struct Row {
    id: String,
    patient_id: Option<String>,
    channel: String,
    kind: String,
    body: Vec<u8>,
    told_once: Option<String>,
    send_at: Option<DateTime<Utc>>,
    send_until: Option<DateTime<Utc>>,
    turn: i64,
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
    Ok(on!(tx, |conn| {
        sqlx::query(sql!(
        "update notification set version = version + 1, status = 'Withdrawn', next_attempt_at = null, look_at = null, claim = null, \
             told_once = null, error = 'The appointment has changed.' \
         where appointment_id = $1 and status in ('Scheduled', 'Queued')"
    ))
    .bind(appointment.as_str())
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    })?)
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

async fn opened(db: &Db, row: &Row) -> Result<Option<Waiting>, db::Error> {
    let Some(patient) = row.patient_id.as_deref() else { return Ok(None) };
    match db.vault().open_json(&Subject::Patient(patient), place(&row.id), &row.body).await {
        Err(db::Error::KeyDestroyed { .. }) => Ok(None),
        opened => opened.map(Some),
    }
}

/// Claims up to `limit` whose time has come. No two claimers get the same one. What is too late is withdrawn, and not claimed; what came back has failed then.
pub async fn scheduled_claim(db: &Db, limit: u32) -> Result<Vec<Due>, db::Error> {
    let claim = Claim::new(db.random());
    let mut tx = db.begin().await?;
    // Claimers take turns; otherwise two on PostgreSQL would pick the same rows, and one of them find nothing.
    tx.lock(&["scheduling"]).await?;
    let now = tx.now();
    on!(tx, |conn| {
        sqlx::query(sql!(
        "update notification set version = version + 1, status = case when turn > 0 then 'Failed' else 'Withdrawn' end, look_at = null, \
             claim = null, error = case when turn > 0 then coalesce(error, $2) else $2 end \
         where look_at <= $1 and send_until <= $1"
    ))
    .bind(now)
    .bind(PASSED)
    .execute(conn)
    .await
    .map(drop)
    })?;
    let rows: Vec<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "update notification set claim = $1, look_at = $2 \
         where look_at <= $3 and id in (select id from notification where look_at <= $3 order by look_at, id limit $4) \
         returning id, patient_id, channel, kind, body, told_once, send_at, send_until, turn"
    ))
    .bind(claim.bytes())
    .bind(now + LEASE)
    .bind(now)
    .bind(i64::from(limit))
    .fetch_all(conn)
    .await
    })?;
    let mut tried: HashMap<String, Vec<Channel>> = HashMap::new();
    for row in rows.iter().filter(|row| row.turn > 0) {
        let mut ways = came_back_by(&mut tx, &row.id).await?;
        ways.extend(channel_of(&row.channel));
        tried.insert(row.id.clone(), ways);
    }
    tx.commit().await?;
    let mut due = Vec::with_capacity(rows.len());
    for row in rows {
        let (Some(channel), Some(kind)) = (channel_of(&row.channel), kind_of(&row.kind)) else {
            continue;
        };
        let waiting = match opened(db, &row).await {
            Ok(Some(waiting)) => waiting,
            Ok(None) => continue,
            // It stands in nobody else's way.
            Err(error) => {
                tracing::error!(%error, notification = row.id, "what is due cannot be opened");
                continue;
            }
        };
        let slot = row.send_at.zip(row.send_until).map(|(send_at, until)| Slot { send_at, until });
        let tried = tried.remove(&row.id).unwrap_or_default();
        let (id, told_once) = (NotificationId::trusted(row.id), row.told_once);
        due.push(Due { id, kind, channel, waiting, tried, told_once, slot, claim: claim.clone() });
    }
    Ok(due)
}

/// Notes what becomes of one, under the patient's [`db::erasure_lock`]; `false` if there is nothing to note it on: the appointment has changed, somebody else made
/// it ready, or the patient was erased.
pub async fn scheduled_note(
    tx: &mut Tx,
    db: &Db,
    due: &Due,
    ready: &Ready,
    has_way: bool,
) -> Result<bool, db::Error> {
    let now = tx.now();
    let (channel, content) = match ready {
        Ready::Send(channel, content) => (channel, content),
        Ready::Withdraw(why) => return end(tx, due, (Status::Withdrawn, why)).await,
        Ready::Fail => return end(tx, due, (Status::Failed, SUPPRESSED)).await,
        Ready::Later => return Ok(false),
    };
    let waiting = Waiting { content: content.clone(), ..due.waiting.clone() };
    let subject = Subject::Patient(waiting.visit.patient.as_str());
    let body = match db.vault().seal_json(&subject, place(due.id.as_str()), &waiting).await {
        Err(db::Error::KeyDestroyed { .. }) => return Ok(false),
        sealed => sealed?,
    };
    let to = db.vault().blind("to", &addressee(&content.to))?;
    let (status, next_attempt_at, sent_at) =
        if has_way { (Status::Queued, Some(now), None) } else { (Status::Sent, None, Some(now)) };
    if !due.tried.is_empty() {
        came_back_note(tx, &due.id, &due.claim).await?;
    }
    let noted = on!(tx, |conn| {
        sqlx::query(sql!(
        "update notification set version = version + 1, status = $3, channel = $4, addressee = $5, body = $6, next_attempt_at = $7, \
             sent_at = $8, look_at = null, claim = null, error = null, provider_code = null \
         where id = $1 and status = 'Scheduled' and claim = $2"
    ))
    .bind(due.id.as_str())
    .bind(due.claim.bytes())
    .bind(status_name(status))
    .bind(channel_name(*channel))
    .bind(&to)
    .bind(&body)
    .bind(next_attempt_at)
    .bind(sent_at)
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    })?;
    Ok(noted == 1)
}

/// What was said when it could not be handed on, or came back, says more than why it is handed on no more; and then it has failed.
async fn end(tx: &mut Tx, due: &Due, (status, why): (Status, &str)) -> Result<bool, db::Error> {
    let status = if due.tried.is_empty() { status } else { Status::Failed };
    let noted = on!(tx, |conn| {
        sqlx::query(sql!(
        "update notification set version = version + 1, status = $4, look_at = null, claim = null, error = coalesce(error, $3) \
         where id = $1 and status = 'Scheduled' and claim = $2"
    ))
    .bind(due.id.as_str())
    .bind(due.claim.bytes())
    .bind(why)
    .bind(status_name(status))
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    })?;
    Ok(noted == 1)
}

/// When the next is due, if any is planned.
pub async fn scheduled_next(db: &Db) -> Result<Option<DateTime<Utc>>, db::Error> {
    let mut tx = db.read().await?;
    Ok(on!(tx, |conn| sqlx::query_scalar(sql!("select min(look_at) from notification"))
        .fetch_one(conn)
        .await)?)
}
