//! Whose turn it is to hand a queued notification on.
//!
//! A claim is a lease: it moves `next_attempt_at` past the time that an attempt may take, so that whoever dies with it loses nothing.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use contracts::ambient::Random;
use contracts::id::NotificationId;
use contracts::notifications::{Channel, NotificationStatus, NotificationType};
use db::{Db, Tx, on, sql};
use serde_json::json;
use sqlx::FromRow;
use sqlx::types::Json;

use crate::domain::delivery::{Attempted, Verdict};
use crate::domain::notification::Content;
use crate::store::notification::{CHANNELS, channel_name, content, kind_of, status_name, subject};
use crate::store::outcome::provider_ref;
use crate::store::scheduled::PASSED;

/// How long a claimed notification is left to its claimer: longer than its attempts may take one after the other.
pub const LEASE: TimeDelta = TimeDelta::seconds(60);

/// The right to hand on what carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim([u8; 16]);

impl Claim {
    /// A new one.
    pub fn new(random: &Random) -> Self {
        Self(random.bytes())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A notification that its claimer, and nobody else, may hand on until the lease ends.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Which.
    pub id: NotificationId,
    /// Its present version.
    pub version: i64,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// From when it is tried for a day: when it was asked for, was to be sent, or was sent again.
    pub since: DateTime<Utc>,
    /// The way it goes.
    pub channel: Channel,
    /// What it is about.
    pub kind: NotificationType,
    /// What it says and to whom.
    pub content: Content,
    /// That it may have been handed on already.
    pub unsure: Option<Unsure>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How many of its hand-overs did not arrive.
    pub turn: i64,
    /// From when on it is not sent any more, if that is so.
    pub send_until: Option<DateTime<Utc>>,
    /// By what right.
    pub claim: Claim,
}

/// By whom a notification may have been taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsure {
    /// By this one of its channel's adapters.
    By(usize),
    /// By whichever was asked when the claimer before died.
    BySome,
}

#[derive(FromRow)]
struct Row {
    id: String,
    version: i64,
    channel: String,
    kind: String,
    created_at: DateTime<Utc>,
    replayed_at: Option<DateTime<Utc>>,
    unsure_adapter: Option<i64>,
    patient_id: Option<String>,
    body: Vec<u8>,
    attempts: i64,
    send_at: Option<DateTime<Utc>>,
    send_until: Option<DateTime<Utc>>,
    turn: i64,
}

/// Claims up to `limit` notifications that are due. No two claimers get the same one.
pub async fn notifications_claim(db: &Db, limit: u32) -> Result<Vec<Claimed>, db::Error> {
    let claim = Claim::new(db.random());
    let mut tx = db.begin().await?;
    // Claimers take turns; otherwise two on PostgreSQL would pick the same rows, and one of them find nothing.
    tx.lock(&["delivery"]).await?;
    let now = tx.now();
    let rows: Vec<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        // Whose claim still stands, and whose time has come all the same, died with it.
        "update notification set unsure_adapter = case when claim is null then unsure_adapter else coalesce(unsure_adapter, -1) end, \
             claim = $1, next_attempt_at = $2, attempts = attempts + 1 \
         where next_attempt_at <= $3 and id in ( \
             select id from notification where next_attempt_at <= $3 order by next_attempt_at, id limit $4) \
         returning id, version, channel, kind, created_at, replayed_at, unsure_adapter, patient_id, body, attempts, send_at, send_until, turn"
    ))
    .bind(claim.bytes())
    .bind(now + LEASE)
    .bind(now)
    .bind(i64::from(limit))
    .fetch_all(conn)
    .await
    })?;
    tx.commit().await?;
    let subjects: Vec<_> =
        rows.iter().map(|row| subject(row.patient_id.as_deref(), row.created_at)).collect();
    db.vault().fetch(&subjects).await?;
    let mut claimed = Vec::with_capacity(rows.len());
    for row in rows {
        let content = match content(db, &row.id, row.patient_id.as_deref(), row.created_at, &row.body).await {
            Ok(content) => content,
            // It stands in nobody else's way.
            Err(error) if error.is_of_the_row() => {
                tracing::error!(%error, notification = row.id, "what is queued cannot be opened");
                continue;
            }
            Err(error) => return Err(error),
        };
        let channel = CHANNELS.into_iter().find(|channel| channel_name(*channel) == row.channel);
        let unsure = row.unsure_adapter.map(|by| usize::try_from(by).map_or(Unsure::BySome, Unsure::By));
        claimed.extend(content.zip(channel).map(|(content, channel)| Claimed {
            id: NotificationId::trusted(row.id),
            version: row.version,
            created_at: row.created_at,
            since: row.replayed_at.or(row.send_at).unwrap_or(row.created_at),
            channel,
            kind: kind_of(&row.kind).unwrap_or_default(),
            content,
            unsure,
            attempt: u32::try_from(row.attempts).unwrap_or(u32::MAX),
            turn: row.turn,
            send_until: row.send_until,
            claim: claim.clone(),
        }));
    }
    Ok(claimed)
}

/// Of those that somebody has claimed to hand on, the ones that are still to be sent, and are still theirs. What is too late is sent no more.
pub async fn queued_wanted(db: &Db, claimed: Vec<Claimed>) -> Result<Vec<Claimed>, db::Error> {
    type Queued = (String, Option<Vec<u8>>, Option<DateTime<Utc>>);
    let ids = db::names(claimed.iter().map(|claimed| claimed.id.as_str()));
    let mut tx = db.read().await?;
    let now = tx.now();
    let rows: Vec<Queued> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, claim, send_until from notification where id in (select key from jsonb_each($1)) and status = 'Queued'"
    ))
    .bind(&ids)
    .fetch_all(conn)
    .await
    })?;
    drop(tx);
    let queued: HashMap<_, _> = rows.iter().map(|(id, claim, until)| (id.as_str(), (claim, until))).collect();
    let mut wanted = Vec::with_capacity(claimed.len());
    for claimed in claimed {
        match queued.get(claimed.id.as_str()) {
            // Claimed anew since, by whomever: it may stand here twice.
            Some((by, _)) if by.as_deref() != Some(claimed.claim.bytes()) => {}
            Some((_, until)) if until.is_none_or(|until| now < until) => wanted.push(claimed),
            Some(_) => withdraw_late(db, &claimed.id, &claimed.claim).await?,
            None => {}
        }
    }
    Ok(wanted)
}

async fn withdraw_late(db: &Db, id: &NotificationId, claim: &Claim) -> Result<(), db::Error> {
    let mut tx = db.begin().await?;
    on!(tx, |conn| {
        sqlx::query(sql!(
        "update notification set version = version + 1, status = case when turn > 0 then 'Failed' else 'Withdrawn' end, \
             next_attempt_at = null, claim = null, error = case when turn > 0 and error is not null then error else $2 end \
         where id = $1 and status = 'Queued' and claim = $3"
    ))
    .bind(id.as_str())
    .bind(PASSED)
    .bind(claim.bytes())
    .execute(conn)
    .await
    .map(drop)
    })?;
    tx.commit().await
}

/// When the next notification is due, if any is queued.
pub async fn notification_next_due(db: &Db) -> Result<Option<DateTime<Utc>>, db::Error> {
    let mut tx = db.read().await?;
    Ok(on!(tx, |conn| sqlx::query_scalar(sql!("select min(next_attempt_at) from notification"))
        .fetch_one(conn)
        .await)?)
}

/// Notes what came of an attempt; `false` if there is nothing to note it on: somebody else's attempt came to an end before, its provider told more
/// already, it goes another way by now, or the patient was erased.
pub async fn notification_note(
    tx: &mut Tx,
    db: &Db,
    claimed: &Claimed,
    Attempted { verdict, adapter }: &Attempted,
) -> Result<bool, db::Error> {
    let now = tx.now();
    let (mut sent_at, mut error, mut code, mut next_attempt_at, mut by, mut name) =
        (None, None, None, None, None, None);
    let status = match verdict {
        Verdict::Sent(told) => {
            (sent_at, name) = (Some(now), told.as_deref().map(|name| provider_ref(db, name)).transpose()?);
            NotificationStatus::Sent
        }
        Verdict::Failed(refusal) => {
            (error, code) = (Some(&refusal.why), refusal.code.as_ref());
            NotificationStatus::Failed
        }
        Verdict::Again { at, why, unsure } => {
            (error, next_attempt_at) = (Some(why), Some(*at));
            by = unsure.then(|| adapter.and_then(|it| i64::try_from(it).ok()).unwrap_or(-1));
            NotificationStatus::Queued
        }
    };
    // What is handed on is handed on, whoever's turn it is by now; anything else only the holder of the claim may say.
    let noted = on!(tx, |conn| {
        sqlx::query(sql!(
        "update notification set version = version + 1, status = $2, sent_at = $3, error = $4, next_attempt_at = $5, claim = null, \
             provider_code = $7, unsure_adapter = $8, provider_ref = coalesce($9, provider_ref) \
         where id = $1 and turn = $10 and ((status = 'Queued' and ($2 = 'Sent' or claim = $6)) or (status = 'Withdrawn' and $2 = 'Sent'))"
    ))
    .bind(claimed.id.as_str())
    .bind(status_name(status))
    .bind(sent_at)
    .bind(error)
    .bind(next_attempt_at)
    .bind(claimed.claim.bytes())
    .bind(code)
    .bind(by)
    .bind(&name)
    .bind(claimed.turn)
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    })?;
    Ok(noted == 1)
}

/// Notes that these were handed on, whoever's turn it is by now, and nothing that their providers said. Of one that goes another way by now there is nothing to note.
pub async fn notifications_note_sent(tx: &mut Tx, sent: &[&Claimed]) -> Result<(), db::Error> {
    let mut turns = BTreeMap::new();
    for sent in sent {
        let turn: &mut i64 = turns.entry(sent.id.as_str()).or_default();
        // The earlier one of two is over.
        *turn = (*turn).max(sent.turn);
    }
    let turns =
        Json(turns.into_iter().map(|(id, turn)| (id, json!({ "turn": turn }))).collect::<BTreeMap<_, _>>());
    let now = tx.now();
    on!(tx, |conn| {
        sqlx::query(sql!(
        "update notification set version = notification.version + 1, status = 'Sent', sent_at = $2, error = null, next_attempt_at = null, \
             claim = null, provider_code = null, unsure_adapter = null \
         from jsonb_each($1) as it \
         where notification.id = it.key and notification.turn = cast(it.value ->> 'turn' as integer) \
           and notification.status in ('Queued', 'Withdrawn')"
    ))
    .bind(&turns)
    .bind(now)
    .execute(conn)
    .await
    .map(drop)
    })?;
    Ok(())
}
