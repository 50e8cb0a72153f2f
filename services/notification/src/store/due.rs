//! Notifications whose time has come: claimed, many at a time, to be made ready, and what became of each is noted, in one statement for all.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use contracts::id::NotificationId;
use contracts::notifications::{Channel, NotificationStatus as Status, NotificationType as Kind};
use db::{Db, Subject, Tx, on, sql};
use serde::Serialize;
use sqlx::types::Json;

use crate::domain::notification::{Content, addressee};
use crate::domain::timing::Slot;
use crate::store::again::{came_back_by, came_back_note};
use crate::store::claim::Claim;
use crate::store::notification::{channel_name, channel_of, kind_of, place, status_name};
use crate::store::scheduled::{PASSED, Planned, Row, Waiting, opened};

/// How long what is claimed is left to its claimer: longer than asking where somebody is reached may take.
const LEASE: TimeDelta = TimeDelta::seconds(60);
/// Why what nobody can be reached by has not gone out.
const SUPPRESSED: &str = "The address is suppressed.";

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

/// Claims up to `limit` whose time has come. No two claimers get the same one. What is too late is withdrawn, and not claimed; what came back has failed then.
pub async fn scheduled_claim(db: &Db, limit: u32) -> Result<Vec<Due>, db::Error> {
    let claim = Claim::new(db.random());
    let mut tx = db.begin().await?;
    // Claimers take turns; otherwise two on PostgreSQL would pick the same rows, and one of them find nothing.
    tx.lock(&["scheduling"]).await?;
    let now = tx.now();
    let mut rows: Vec<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "update notification set claim = case when send_until <= $3 then null else coalesce($1, claim) end, \
             look_at = case when send_until <= $3 then null else coalesce($2, look_at) end, \
             status = case when send_until > $3 or send_until is null then status when turn > 0 then 'Failed' else 'Withdrawn' end, \
             version = case when send_until <= $3 then version + 1 else version end, \
             error = case when send_until <= $3 and (turn = 0 or error is null) then $5 else error end \
         where look_at <= $3 and id in (select id from notification where look_at <= $3 order by look_at, id limit $4) \
         returning id, patient_id, channel, kind, body, told_once, send_at, send_until, turn"
    ))
    .bind(claim.bytes())
    .bind(now + LEASE)
    .bind(now)
    .bind(i64::from(limit))
    .bind(PASSED)
    .fetch_all(conn)
    .await
    })?;
    rows.retain(|row| row.send_until.is_none_or(|until| now < until));
    let mut tried: HashMap<String, Vec<Channel>> = HashMap::new();
    for row in rows.iter().filter(|row| row.turn > 0) {
        let mut ways = came_back_by(&mut tx, &row.id).await?;
        ways.extend(channel_of(&row.channel));
        tried.insert(row.id.clone(), ways);
    }
    tx.commit().await?;
    let subjects: Vec<_> =
        rows.iter().filter_map(|row| row.patient_id.as_deref().map(Subject::Patient)).collect();
    db.vault().fetch(&subjects).await?;
    let mut due = Vec::with_capacity(rows.len());
    for row in rows {
        let (Some(channel), Some(kind)) = (channel_of(&row.channel), kind_of(&row.kind)) else {
            continue;
        };
        let waiting = match opened(db, &row).await {
            Ok(Some(waiting)) => waiting,
            Ok(None) => continue,
            // It stands in nobody else's way.
            Err(error) if error.is_of_the_row() => {
                tracing::error!(%error, notification = row.id, "what is due cannot be opened");
                continue;
            }
            Err(error) => return Err(error),
        };
        let slot = row.send_at.zip(row.send_until).map(|(send_at, until)| Slot { send_at, until });
        let tried = tried.remove(&row.id).unwrap_or_default();
        let (id, told_once) = (NotificationId::trusted(row.id), row.told_once);
        due.push(Due { id, kind, channel, waiting, tried, told_once, slot, claim: claim.clone() });
    }
    Ok(due)
}

/// What is to be noted of one that was made ready, and whether anything hands on what goes that way.
pub type Made<'a> = (&'a Due, &'a Ready, bool);

/// One that is handed on: where in the statement's bytes its address's hash and its sealed body are, from 1.
#[derive(Serialize)]
struct Handed {
    status: &'static str,
    channel: &'static str,
    to_at: usize,
    to_bytes: usize,
    body_at: usize,
    body_bytes: usize,
}

/// Notes what becomes of these, all of one claim, under their patients' [`db::erasure_lock`]s, and tells of which it could be noted. Of the others there is
/// nothing to note it on: the appointment has changed, somebody else made it ready, or the patient was erased.
pub async fn scheduled_note(
    tx: &mut Tx,
    db: &Db,
    made: &[Made<'_>],
) -> Result<HashSet<NotificationId>, db::Error> {
    let Some((Due { claim, .. }, ..)) = made.first() else { return Ok(HashSet::new()) };
    let (mut handed, mut hashes, mut bodies) = (BTreeMap::new(), Vec::new(), Vec::new());
    let mut noted = HashSet::new();
    for (due, ready, has_way) in made {
        let ended = match ready {
            Ready::Send(channel, content) => {
                let Some(body) = sealed(db, due, content).await? else { continue };
                if !due.tried.is_empty() {
                    came_back_note(tx, &due.id, claim).await?;
                }
                let to = db.vault().blind("to", &addressee(&content.to))?;
                let one = Handed {
                    status: status_name(if *has_way { Status::Queued } else { Status::Sent }),
                    channel: channel_name(*channel),
                    to_at: hashes.len() + 1,
                    to_bytes: to.len(),
                    body_at: bodies.len() + 1,
                    body_bytes: body.len(),
                };
                hashes.extend(to);
                bodies.extend(body);
                handed.insert(due.id.as_str(), one);
                continue;
            }
            Ready::Withdraw(why) => end(tx, due, (Status::Withdrawn, why)).await?,
            Ready::Fail => end(tx, due, (Status::Failed, SUPPRESSED)).await?,
            Ready::Later => false,
        };
        if ended {
            noted.insert(due.id.clone());
        }
    }
    noted.extend(hand(tx, claim, handed, (&hashes, &bodies)).await?);
    Ok(noted)
}

/// `None` of a patient who was erased.
async fn sealed(db: &Db, due: &Due, content: &Content) -> Result<Option<Vec<u8>>, db::Error> {
    let waiting = Waiting { content: content.clone(), ..due.waiting.clone() };
    let subject = Subject::Patient(waiting.visit.patient.as_str());
    match db.vault().seal_json(&subject, place(due.id.as_str()), &waiting).await {
        Err(db::Error::KeyDestroyed { .. }) => Ok(None),
        sealed => sealed.map(Some),
    }
}

/// Hands those to the way out that are still claimed so, or leaves them in the capture box; which they are.
async fn hand(
    tx: &mut Tx,
    claim: &Claim,
    handed: BTreeMap<&str, Handed>,
    (hashes, bodies): (&[u8], &[u8]),
) -> Result<Vec<NotificationId>, db::Error> {
    let now: DateTime<Utc> = tx.now();
    let handed = Json(handed);
    let ids: Vec<String> = on!(tx, |conn| {
        sqlx::query_scalar(sql!(
        "update notification set version = notification.version + 1, status = it.value ->> 'status', channel = it.value ->> 'channel', \
             addressee = substr(coalesce($4, notification.addressee), cast(it.value ->> 'to_at' as integer), cast(it.value ->> 'to_bytes' as integer)), \
             body = substr(coalesce($5, notification.body), cast(it.value ->> 'body_at' as integer), cast(it.value ->> 'body_bytes' as integer)), \
             next_attempt_at = case when it.value ->> 'status' = 'Queued' then coalesce($3, next_attempt_at) end, \
             sent_at = case when it.value ->> 'status' = 'Sent' then coalesce($3, sent_at) end, \
             look_at = null, claim = null, error = null, provider_code = null \
         from jsonb_each($1) as it \
         where notification.id = it.key and notification.status = 'Scheduled' and notification.claim = $2 \
         returning notification.id"
    ))
    .bind(&handed)
    .bind(claim.bytes())
    .bind(now)
    .bind(hashes)
    .bind(bodies)
    .fetch_all(conn)
    .await
    })?;
    Ok(ids.into_iter().map(NotificationId::trusted).collect())
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
