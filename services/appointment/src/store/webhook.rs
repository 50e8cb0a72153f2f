//! The `webhook` table, and whose turn it is to tell one.
//!
//! What is to be told stands in `provider_state`, written with whatever changed: nothing is lost with a process. A claim is a lease: it moves `next_at`
//! past the time that an attempt may take, so that whoever dies with it loses nothing, and another tells it.

use chrono::{DateTime, TimeDelta, Utc};
use contracts::id::{ProviderId, WebhookId};
use db::{Db, Place, Subject, Tx, on, sql};
use sqlx::FromRow;

use crate::domain::webhook::{Standing, Verdict, Webhook};
use crate::error::Error;
use crate::store::among::among;
use crate::store::appointment::provider_check;
use crate::store::state::changes;

/// How long a claimed webhook is left to its claimer: longer than an attempt may take.
pub const LEASE: TimeDelta = TimeDelta::seconds(60);

#[derive(FromRow)]
struct Row {
    id: String,
    created_at: DateTime<Utc>,
    body: Vec<u8>,
    told: i64,
    next_at: Option<DateTime<Utc>>,
    failures: i64,
    error: Option<String>,
    delivered_at: Option<DateTime<Utc>>,
    disabled_at: Option<DateTime<Utc>>,
}

/// A webhook as kept.
#[derive(Clone)]
pub struct Kept {
    /// Which.
    pub id: WebhookId,
    /// The data.
    pub webhook: Webhook,
    /// How far it is.
    pub standing: Standing,
}

/// A webhook that its claimer, and nobody else, may tell until the lease ends.
#[derive(Clone)]
pub struct Claimed {
    /// Which.
    pub id: WebhookId,
    /// Whose availability.
    pub provider: ProviderId,
    /// The data.
    pub webhook: Webhook,
    /// What it is to be told.
    pub change: i64,
    /// Attempts that failed before,
    pub failures: i64,
    /// and since when.
    pub failing_since: Option<DateTime<Utc>>,
    claim: Vec<u8>,
}

fn place(id: &str) -> Place<'_> {
    Place { table: "webhook", column: "body", row: id }
}

/// Makes a webhook: it is told what changes from now on. Under the provider's lock. [`Error::NotFound`] if they are gone by now.
pub async fn webhook_insert(
    tx: &mut Tx,
    db: &Db,
    (id, provider): (&WebhookId, &ProviderId),
    webhook: &Webhook,
) -> Result<(), Error> {
    match provider_check(tx, provider).await {
        Err(Error::Invalid(_)) => return Err(Error::NotFound),
        checked => checked?,
    }
    let (now, told) = (tx.now(), changes(tx, provider).await?);
    let body = db.vault().seal_json(&Subject::Service, place(id.as_str()), webhook).await?;
    on!(tx, |conn| sqlx::query(sql!(
        "insert into webhook (id, provider_id, created_at, body, told) values ($1, $2, $3, $4, $5)"
    ))
    .bind(id.as_str())
    .bind(provider.as_str())
    .bind(now)
    .bind(&body)
    .bind(told)
    .execute(conn)
    .await
    .map(drop))
    .map_err(db::Error::from)?;
    Ok(())
}

/// A provider's webhooks, the oldest first. They are few: [`WEBHOOKS_MAX`](contracts::webhooks::WEBHOOKS_MAX).
pub async fn webhook_list(tx: &mut Tx, db: &Db, provider: &ProviderId) -> Result<Vec<Kept>, db::Error> {
    let rows: Vec<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, created_at, body, told, next_at, failures, error, delivered_at, disabled_at from webhook \
         where provider_id = $1 order by created_at, id"
    ))
    .bind(provider.as_str())
    .fetch_all(conn)
    .await
    })?;
    let mut kept = Vec::with_capacity(rows.len());
    for Row { id, created_at, body, told, next_at, failures, error, delivered_at, disabled_at } in rows {
        let webhook = db.vault().open_json(&Subject::Service, place(&id), &body).await.map(Some);
        let Some(webhook) = among("webhook", &id, webhook)? else { continue };
        let standing = Standing { created_at, told, failures, error, next_at, delivered_at, disabled_at };
        kept.push(Kept { id: WebhookId::trusted(id), webhook, standing });
    }
    Ok(kept)
}

/// Deletes a provider's webhook. Whether there was one.
pub async fn webhook_delete(tx: &mut Tx, provider: &ProviderId, id: &WebhookId) -> Result<bool, db::Error> {
    let deleted =
        on!(tx, |conn| sqlx::query(sql!("delete from webhook where id = $1 and provider_id = $2"))
            .bind(id.as_str())
            .bind(provider.as_str())
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
    Ok(deleted == 1)
}

/// Takes away all webhooks of a provider whose profile is removed, under their lock.
pub async fn webhooks_of_provider_delete(tx: &mut Tx, provider: &ProviderId) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from webhook where provider_id = $1"))
        .bind(provider.as_str())
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

#[derive(FromRow)]
struct ClaimedRow {
    id: String,
    provider_id: String,
    body: Vec<u8>,
    failures: i64,
    failing_since: Option<DateTime<Utc>>,
}

/// Claims up to `limit` webhooks that are to be told something, those first that have waited longest. No two claimers get the same one.
pub async fn webhooks_claim(db: &Db, limit: usize) -> Result<Vec<Claimed>, db::Error> {
    let mut tx = db.read().await?;
    let is_any = webhook_due(&mut tx).await?;
    drop(tx);
    if !is_any {
        return Ok(Vec::new());
    }
    let claim: [u8; 16] = db.random().bytes();
    db::retrying(db, async |mut tx| {
        // Claimers take turns; otherwise two on PostgreSQL would pick the same rows, and one of them find nothing.
        tx.lock(&["webhooks"]).await?;
        let now = tx.now();
        let rows: Vec<ClaimedRow> = on!(tx, |conn| sqlx::query_as(sql!(
            "update webhook set claim = $1, next_at = $2 where id in ( \
                 select w.id from webhook w join provider_state s on s.provider_id = w.provider_id \
                 where w.disabled_at is null and s.changes > w.told and (w.next_at is null or w.next_at <= $3) \
                 order by coalesce(w.next_at, w.delivered_at, w.created_at), w.id limit $4) \
             returning id, provider_id, body, failures, failing_since"
        ))
        .bind(&claim[..])
        .bind(now + LEASE)
        .bind(now)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(conn)
        .await)?;
        let mut claimed = Vec::with_capacity(rows.len());
        for ClaimedRow { id, provider_id, body, failures, failing_since } in rows {
            let provider = ProviderId::trusted(provider_id);
            let webhook = db.vault().open_json(&Subject::Service, place(&id), &body).await.map(Some);
            let Some(webhook) = among("webhook", &id, webhook)? else { continue };
            let change = changes(&mut tx, &provider).await?;
            let (id, claim) = (WebhookId::trusted(id), claim.to_vec());
            claimed.push(Claimed { id, provider, webhook, change, failures, failing_since, claim });
        }
        tx.commit_unaudited().await?;
        Ok(claimed)
    })
    .await
}

async fn webhook_due(tx: &mut Tx) -> Result<bool, db::Error> {
    let now = tx.now();
    let due: i64 = on!(tx, |conn| sqlx::query_scalar(sql!(
        "select count(*) from webhook w join provider_state s on s.provider_id = w.provider_id \
         where w.disabled_at is null and s.changes > w.told and (w.next_at is null or w.next_at <= $1)"
    ))
    .bind(now)
    .fetch_one(conn)
    .await)?;
    Ok(due > 0)
}

/// Notes what came of an attempt, if it is still the claimer's to say.
pub async fn webhook_note(db: &Db, claimed: &Claimed, verdict: &Verdict) -> Result<(), db::Error> {
    db::retrying(db, async |mut tx| {
        let now = tx.now();
        let is_told = *verdict == Verdict::Told;
        let (next_at, error) = match verdict {
            Verdict::Told => (None, None),
            Verdict::Again(at, why) => (Some(*at), Some(why)),
            Verdict::Disabled(why) => (None, Some(why)),
        };
        let disabled_at = matches!(verdict, Verdict::Disabled(_)).then_some(now);
        on!(tx, |conn| sqlx::query(sql!(
            "update webhook set claim = null, next_at = $3, error = $4, disabled_at = $5, \
                 told = case when $6 then $7 else told end, delivered_at = case when $6 then $8 else delivered_at end, \
                 failures = case when $6 then 0 else failures + 1 end, \
                 failing_since = case when $6 then null else coalesce(failing_since, $8) end \
             where id = $1 and claim = $2"
        ))
        .bind(claimed.id.as_str())
        .bind(&claimed.claim)
        .bind(next_at)
        .bind(error)
        .bind(disabled_at)
        .bind(is_told)
        .bind(claimed.change)
        .bind(now)
        .execute(conn)
        .await
        .map(drop))?;
        tx.commit_unaudited().await
    })
    .await
}
