//! `Idempotency-Key`: a request that comes again gets the answer that was kept, and its effect happens once.
//!
//! ```text
//!            ┌ Fresh(ticket) → handler: effect + idempotency_keep, one transaction → commit
//! begin ─────┼ Replay(answer)     └ error, or dropped → idempotency_release
//!            ├ Mismatch (422)
//!            └ InFlight (409)
//! ```
//!
//! A claim that is never answered (the process died) can be taken over after 60 s. The ticket's fence changes hands with
//! it: the slow first request then fails in `idempotency_keep`, and its effect rolls back.
//!
//! Keys and bodies are a client's own words, so the table holds only their keyed hashes, and the answer is sealed under a
//! day's key.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use crate::vault::{Period, Place, Subject};
use crate::{Db, Error, Tx, on, sql};

const CLAIM: TimeDelta = TimeDelta::seconds(60);
const KEEP: TimeDelta = TimeDelta::hours(24);
/// The key of the day on which an answer was given outlives the answer.
const KEY_KEEP_DAYS: u32 = 2;

/// What becomes of a request that carries a key.
#[derive(Debug)]
pub enum Begun {
    /// The first: do it, and keep the answer under the ticket.
    Fresh(Ticket),
    /// Done before: answer this.
    Replay(KeptAnswer),
    /// The key was used for another body: 422.
    Mismatch,
    /// Another request with it is under way: 409.
    InFlight,
}

/// The right to do the request's effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    id: Vec<u8>,
    fence: Vec<u8>,
}

/// An answer, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// Status code.
    pub status: u16,
    /// The headers that are to be repeated.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

#[derive(FromRow)]
struct Row {
    body_hash: Vec<u8>,
    fence: Vec<u8>,
    claimed_until: DateTime<Utc>,
    answer: Option<Vec<u8>>,
    answered_at: Option<DateTime<Utc>>,
    expires_at: DateTime<Utc>,
}

fn subject(answered_at: DateTime<Utc>) -> Subject<'static> {
    Subject::Period(Period::day("idempotency", answered_at, KEY_KEEP_DAYS))
}

fn row_name(id: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(id)
}

/// Claims `key` for a request with a body of this hash. `scope` is the user and route: two users' keys never meet.
///
/// Commits a transaction of its own: call it before the handler begins one.
pub async fn idempotency_begin(
    db: &Db,
    scope: &str,
    key: &str,
    body_hash: &[u8; 32],
) -> Result<Begun, Error> {
    let name = format!("{}:{scope}{key}", scope.len());
    let ticket =
        Ticket { id: db.vault().blind("idempotency.key", &name)?, fence: db.random().bytes::<16>().to_vec() };
    let body_hash = db.vault().blind_bytes("idempotency.body", body_hash)?;

    let mut tx = db.begin().await?;
    if claim_new(&mut tx, &ticket, &body_hash).await? {
        tx.commit_unaudited().await?;
        return Ok(Begun::Fresh(ticket));
    }
    // Not there: it was released or purged between the two statements. The client tries again.
    let Some(row) = find(&mut tx, &ticket.id).await? else {
        return Ok(Begun::InFlight);
    };
    let now = tx.now();
    if row.expires_at <= now {
        return take_over(tx, ticket, &body_hash, &row.fence).await;
    }
    if row.body_hash != body_hash {
        return Ok(Begun::Mismatch);
    }
    match (row.answer, row.answered_at) {
        (Some(answer), Some(answered_at)) => {
            drop(tx);
            let name = row_name(&ticket.id);
            let place = Place { table: "idempotency", column: "answer", row: &name };
            Ok(Begun::Replay(db.vault().open_json(&subject(answered_at), place, &answer).await?))
        }
        _ if row.claimed_until > now => Ok(Begun::InFlight),
        _ => take_over(tx, ticket, &body_hash, &row.fence).await,
    }
}

/// Keeps the answer, in the transaction of the effect; the holder of the ticket may replace it when more has come of it.
/// [`Error::Superseded`] if the claim was taken over meanwhile: roll back.
pub async fn idempotency_keep(
    tx: &mut Tx,
    db: &Db,
    ticket: &Ticket,
    answer: &KeptAnswer,
) -> Result<(), Error> {
    let now = tx.now();
    let name = row_name(&ticket.id);
    let place = Place { table: "idempotency", column: "answer", row: &name };
    let sealed = db.vault().seal_json(&subject(now), place, answer).await?;
    let rows = on!(tx, |conn| sqlx::query(sql!(
        "update idempotency set answer = $1, answered_at = $2, expires_at = $3 \
         where id = $4 and fence = $5"
    ))
    .bind(&sealed)
    .bind(now)
    .bind(now + KEEP)
    .bind(&ticket.id)
    .bind(&ticket.fence)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    if rows == 1 { Ok(()) } else { Err(Error::Superseded) }
}

/// Gives the claim back after an error, or when its request was dropped, so that the client may try again at once.
///
/// A commit of the effect may be under way: then this waits for it, and takes nothing away if there is an answer. SQLite has one writer; on PostgreSQL
/// whoever keeps an answer has locked the row, and read committed looks again at a row that it waited for.
pub async fn idempotency_release(db: &Db, ticket: &Ticket) -> Result<(), Error> {
    let mut tx = db.begin().await?;
    on!(tx, |conn| sqlx::query(sql!(
        "delete from idempotency where id = $1 and fence = $2 and answer is null"
    ))
    .bind(&ticket.id)
    .bind(&ticket.fence)
    .execute(conn)
    .await
    .map(drop))?;
    tx.commit_unaudited().await
}

pub(crate) async fn idempotency_purge(tx: &mut Tx) -> Result<u64, Error> {
    let now = tx.now();
    Ok(on!(tx, |conn| sqlx::query(sql!("delete from idempotency where expires_at <= $1"))
        .bind(now)
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))?)
}

async fn claim_new(tx: &mut Tx, ticket: &Ticket, body_hash: &[u8]) -> Result<bool, Error> {
    let now = tx.now();
    let rows = on!(tx, |conn| {
        sqlx::query(sql!(
        "insert into idempotency (id, body_hash, fence, claimed_until, expires_at) values ($1, $2, $3, $4, $5) \
         on conflict (id) do nothing"
    ))
    .bind(&ticket.id)
    .bind(body_hash)
    .bind(&ticket.fence)
    .bind(now + CLAIM)
    .bind(now + KEEP)
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    })?;
    Ok(rows == 1)
}

async fn find(tx: &mut Tx, id: &[u8]) -> Result<Option<Row>, Error> {
    Ok(on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select body_hash, fence, claimed_until, answer, answered_at, expires_at from idempotency where id = $1"
    ))
    .bind(id)
    .fetch_optional(conn)
    .await
    })?)
}

/// Takes a claim whose holder is gone; of several that try, the one that still finds the old fence.
async fn take_over(mut tx: Tx, ticket: Ticket, body_hash: &[u8], old_fence: &[u8]) -> Result<Begun, Error> {
    let now = tx.now();
    let rows = on!(tx, |conn| {
        sqlx::query(sql!(
        "update idempotency set body_hash = $1, fence = $2, claimed_until = $3, expires_at = $4, answer = null, \
         answered_at = null where id = $5 and fence = $6 and (answer is null or expires_at <= $7)"
    ))
    .bind(body_hash)
    .bind(&ticket.fence)
    .bind(now + CLAIM)
    .bind(now + KEEP)
    .bind(&ticket.id)
    .bind(old_fence)
    .bind(now)
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    })?;
    tx.commit_unaudited().await?;
    Ok(if rows == 1 { Begun::Fresh(ticket) } else { Begun::InFlight })
}
