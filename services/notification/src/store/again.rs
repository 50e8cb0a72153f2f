//! What could not be handed on by one way, or came back from there, and goes by another: it is `Scheduled` once more, and made ready as what has its time is
//! ([`scheduled`](super::scheduled)).
//!
//! A hand-over is known by its notification and its `turn`. What is told of one that is over, since the notification goes another way by now or was replayed, is
//! no news.

use chrono::{DateTime, Utc};
use contracts::id::NotificationId;
use contracts::notifications::Channel;
use db::{Db, Subject, Tx, on, sql};
use sqlx::FromRow;

use crate::domain::delivery::Refusal;
use crate::domain::timing;
use crate::store::claim::Claim;
use crate::store::notification::{channel_name, channel_of, kind_of, place};
use crate::store::outcome::notification_bounced;
use crate::store::preference::preference_find;
use crate::store::scheduled::Waiting;

/// A hand-over.
#[derive(Clone, Copy, Debug)]
pub struct HandOver<'a> {
    /// Of which notification.
    pub id: &'a NotificationId,
    /// By which channel.
    pub channel: Channel,
    /// How many came before it, and did not arrive.
    pub turn: i64,
}

#[derive(FromRow)]
struct Row {
    patient_id: String,
    kind: String,
    body: Vec<u8>,
    send_until: DateTime<Utc>,
}

/// Notes that a hand-over turned out to have failed for good, under the patient's [`db::erasure_lock`] if it concerns one: what tells of an appointment goes
/// another way, anything else has failed. `false` if that is no news.
pub async fn notification_came_back(
    tx: &mut Tx,
    db: &Db,
    of: &HandOver<'_>,
    refusal: &Refusal,
) -> Result<bool, db::Error> {
    Ok(scheduled_again(tx, db, (of, None), refusal).await? || notification_bounced(tx, of, refusal).await?)
}

/// Has one looked at again of which a hand-over failed for good: it goes another way, if there is one, when its reader may be disturbed. `claim`: only its
/// holder may say so of one that was not handed on. `false` of what tells of no appointment, is too late, arrived, or was complained of or answered: whoever
/// did that has it.
pub async fn scheduled_again(
    tx: &mut Tx,
    db: &Db,
    (of, claim): (&HandOver<'_>, Option<&Claim>),
    refusal: &Refusal,
) -> Result<bool, db::Error> {
    let now = tx.now();
    let row: Option<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
            "select patient_id, kind, body, send_until from notification \
             where id = $1 and turn = $2 and told_once is not null and patient_id is not null and send_until > $3 \
               and delivered_at is null and complained_at is null and answer is null"
        ))
        .bind(of.id.as_str())
        .bind(of.turn)
        .bind(now)
        .fetch_optional(conn)
        .await
    })?;
    let Some(row) = row else { return Ok(false) };
    let subject = Subject::Patient(&row.patient_id);
    let waiting: Waiting = match db.vault().open_json(&subject, place(of.id.as_str()), &row.body).await {
        Err(db::Error::KeyDestroyed { .. }) => return Ok(false),
        opened => opened?,
    };
    let wishes = preference_find(tx, db, &waiting.person).await?;
    let quiet = wishes.and_then(|(_, wishes)| wishes.quiet(waiting.visit.place()));
    let kind = kind_of(&row.kind).unwrap_or_default();
    let Some(look_at) = timing::again(kind, row.send_until, quiet, now) else { return Ok(false) };
    let again = on!(tx, |conn| {
        sqlx::query(sql!(
        "update notification set version = version + 1, status = 'Scheduled', turn = turn + 1, next_attempt_at = null, claim = null, \
             look_at = $5, attempts = 0, unsure_adapter = null, error = $6, provider_code = $7, replayed_at = $5, \
             sent_at = case when $8 then coalesce(sent_at, $9) else sent_at end \
         where id = $1 and turn = $2 and channel = $3 and status in ('Queued', 'Sent') and ($8 or claim = $4)"
    ))
    .bind(of.id.as_str())
    .bind(of.turn)
    .bind(channel_name(of.channel))
    .bind(claim.map(Claim::bytes))
    .bind(look_at)
    .bind(&refusal.why)
    .bind(&refusal.code)
    .bind(claim.is_none())
    .bind(now)
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    })?;
    Ok(again == 1)
}

/// Whether the same, which was for another of its reader's devices, goes another way already: they are told once.
pub async fn another_goes_on(tx: &mut Tx, id: &NotificationId) -> Result<bool, db::Error> {
    let row: Option<(Option<String>, Option<String>)> = on!(tx, |conn| {
        sqlx::query_as(sql!("select patient_id, told_once from notification where id = $1"))
            .bind(id.as_str())
            .fetch_optional(conn)
            .await
    })?;
    let Some((Some(patient), Some(told_once))) = row else { return Ok(false) };
    // A copy's has the device behind it.
    let first = told_once.split_once('+').map_or(&*told_once, |(first, _)| first);
    let copies = format!("{first}+");
    let gone_on: i64 = on!(tx, |conn| {
        sqlx::query_scalar(sql!(
            "select count(*) from notification where patient_id = $1 and id <> $2 and turn > 0 \
             and (told_once = $3 or substr(told_once, 1, cast($4 as integer)) = $5)"
        ))
        .bind(&patient)
        .bind(id.as_str())
        .bind(first)
        .bind(i64::try_from(copies.chars().count()).unwrap_or(i64::MAX))
        .bind(&copies)
        .fetch_one(conn)
        .await
    })?;
    Ok(gone_on > 0)
}

/// Notes which way one has gone in vain that is about to go another, by its claimer.
pub(super) async fn came_back_note(tx: &mut Tx, id: &NotificationId, claim: &Claim) -> Result<(), db::Error> {
    on!(tx, |conn| {
        sqlx::query(sql!(
            "insert into came_back (notification_id, turn, channel, sent_at) \
             select id, turn - 1, channel, sent_at from notification \
             where id = $1 and status = 'Scheduled' and claim = $2 and turn > 0 \
             on conflict (notification_id, turn) do nothing"
        ))
        .bind(id.as_str())
        .bind(claim.bytes())
        .execute(conn)
        .await
        .map(drop)
    })?;
    Ok(())
}

/// The ways that one has gone in vain, but for the one that stands in its row.
pub(super) async fn came_back_by(tx: &mut Tx, id: &str) -> Result<Vec<Channel>, db::Error> {
    let names: Vec<String> = on!(tx, |conn| {
        sqlx::query_scalar(sql!("select channel from came_back where notification_id = $1 order by turn"))
            .bind(id)
            .fetch_all(conn)
            .await
    })?;
    Ok(names.iter().filter_map(|name| channel_of(name)).collect())
}

/// How many of its hand-overs did not arrive, if there is such a notification.
pub async fn notification_turn(tx: &mut Tx, id: &NotificationId) -> Result<Option<i64>, db::Error> {
    Ok(on!(tx, |conn| sqlx::query_scalar(sql!("select turn from notification where id = $1"))
        .bind(id.as_str())
        .fetch_optional(conn)
        .await)?)
}
