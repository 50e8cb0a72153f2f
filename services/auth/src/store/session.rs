//! The `session` table.

use chrono::{DateTime, Utc};
use contracts::id::{PatientId, SessionId, UserId};
use contracts::target::TargetKind;
use contracts::trail;
use db::{Db, Place, Subject, Tx, on, sql};
use http_kit::page::{Newest, Window};
use sqlx::FromRow;

use super::revocation::Ended;
use crate::domain::session::{Opening, Times};

/// A session as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The id, `sid` in its tokens.
    pub id: String,
    /// Whose it is.
    pub account: UserId,
    /// Its times.
    pub times: Times,
    /// When it was ended before its time.
    pub ended_at: Option<DateTime<Utc>>,
    /// Whether an identity provider has asked for a second factor, so that ours is not asked for.
    pub proven_outside: bool,
    /// When it began.
    pub created_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct Row {
    id: String,
    account_id: String,
    token_expires_at: DateTime<Utc>,
    idle_until: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    proven_outside: Option<bool>,
    created_at: DateTime<Utc>,
}

impl From<Row> for Kept {
    fn from(row: Row) -> Self {
        let times = Times {
            token_expires_at: row.token_expires_at,
            idle_until: row.idle_until,
            expires_at: row.expires_at,
        };
        Self {
            id: row.id,
            account: UserId::trusted(row.account_id),
            times,
            ended_at: row.ended_at,
            proven_outside: row.proven_outside.unwrap_or_default(),
            created_at: row.created_at,
        }
    }
}

/// A session as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alive {
    /// The id.
    pub id: SessionId,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it was refreshed last.
    pub refreshed_at: Option<DateTime<Utc>>,
    /// When it ends.
    pub times: Times,
    /// Where it was begun.
    pub opening: Opening,
}

#[derive(FromRow)]
struct AliveRow {
    id: String,
    created_at: DateTime<Utc>,
    refreshed_at: Option<DateTime<Utc>>,
    token_expires_at: DateTime<Utc>,
    idle_until: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    body: Option<Vec<u8>>,
}

fn place(id: &str) -> Place<'_> {
    Place { table: "session", column: "body", row: id }
}

/// Begins a session.
pub async fn session_insert(
    tx: &mut Tx,
    db: &Db,
    id: &str,
    account: &UserId,
    times: &Times,
    opening: &Opening,
) -> Result<(), db::Error> {
    let now = tx.now();
    let body = db.vault().seal_json(&Subject::Service, place(id), opening).await?;
    on!(tx, |conn| sqlx::query(sql!(
        "insert into session (id, account_id, created_at, token_expires_at, idle_until, expires_at, body) \
         values ($1, $2, $3, $4, $5, $6, $7)"
    ))
    .bind(id)
    .bind(account.as_str())
    .bind(now)
    .bind(times.token_expires_at)
    .bind(times.idle_until)
    .bind(times.expires_at)
    .bind(&body)
    .execute(conn)
    .await
    .map(drop))?;
    trail::touches(TargetKind::Session, id);
    Ok(())
}

/// An identity provider has asked for a second factor before this session.
pub async fn session_is_proven_outside(tx: &mut Tx, id: &str) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("update session set proven_outside = $2 where id = $1"))
        .bind(id)
        .bind(true)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// A stretch of an account's sessions that go on, newest first.
pub async fn session_list(
    tx: &mut Tx,
    db: &Db,
    account: &UserId,
    window: &Window<Newest>,
) -> Result<Vec<(Newest, Alive)>, db::Error> {
    let (now, (created_at, id)) = (tx.now(), window.below());
    let rows: Vec<AliveRow> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, created_at, refreshed_at, token_expires_at, idle_until, expires_at, body from session \
         where account_id = $1 and ended_at is null and idle_until > $2 and (created_at, id) < ($3, $4) \
         order by created_at desc, id desc limit $5"
    ))
    .bind(account.as_str())
    .bind(now)
    .bind(created_at)
    .bind(&id)
    .bind(window.rows())
    .fetch_all(conn)
    .await
    })?;
    alive(db, rows).await
}

/// A stretch of the open sessions of whoever signs in as this patient, newest first.
pub async fn sessions_of_patient(
    tx: &mut Tx,
    db: &Db,
    patient: &PatientId,
    window: &Window<Newest>,
) -> Result<Vec<(Newest, Alive)>, db::Error> {
    let (now, (created_at, id)) = (tx.now(), window.below());
    let rows: Vec<AliveRow> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, created_at, refreshed_at, token_expires_at, idle_until, expires_at, body from session \
         where account_id in (select id from account where patient_id = $1) \
             and ended_at is null and idle_until > $2 and (created_at, id) < ($3, $4) \
         order by created_at desc, id desc limit $5"
    ))
    .bind(patient.as_str())
    .bind(now)
    .bind(created_at)
    .bind(&id)
    .bind(window.rows())
    .fetch_all(conn)
    .await
    })?;
    alive(db, rows).await
}

async fn alive(db: &Db, rows: Vec<AliveRow>) -> Result<Vec<(Newest, Alive)>, db::Error> {
    let mut alive = Vec::with_capacity(rows.len());
    for row in rows {
        let opening = match &row.body {
            Some(body) => db.vault().open_json(&Subject::Service, place(&row.id), body).await?,
            // An older version began it.
            None => Opening::default(),
        };
        let times = Times {
            token_expires_at: row.token_expires_at,
            idle_until: row.idle_until,
            expires_at: row.expires_at,
        };
        let (id, created_at, refreshed_at) = (SessionId::trusted(row.id), row.created_at, row.refreshed_at);
        let key = (created_at, id.to_string());
        alive.push((key, Alive { id, created_at, refreshed_at, times, opening }));
    }
    Ok(alive)
}

/// The session, ended or not, if it is still remembered.
pub async fn session_find(tx: &mut Tx, id: &str) -> Result<Option<Kept>, db::Error> {
    let row: Option<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select id, account_id, token_expires_at, idle_until, expires_at, ended_at, proven_outside, created_at \
         from session where id = $1"
    ))
    .bind(id)
    .fetch_optional(conn)
    .await
    })?;
    Ok(row.map(Kept::from))
}

/// Holds a session until the commit, if it has not ended meanwhile; tells whether it has not. Whoever ends the session meanwhile sees the
/// token that is being issued.
pub async fn session_hold(tx: &mut Tx, id: &str) -> Result<bool, db::Error> {
    let now = tx.now();
    let updated = on!(tx, |conn| {
        sqlx::query(sql!("update session set refreshed_at = $2 where id = $1 and ended_at is null"))
            .bind(id)
            .bind(now)
            .execute(conn)
            .await
            .map(|done| done.rows_affected())
    })?;
    Ok(updated == 1)
}

/// Whether a session goes on, as whoever calls says that it is theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does, and will until the commit: whoever ends it waits for that.
    GoesOn,
    /// It was ended.
    Ended,
    /// It is not known here.
    Unknown,
}

/// Asks whether a session goes on, and keeps it so until the commit.
pub async fn session_standing(tx: &mut Tx, id: &str) -> Result<Standing, db::Error> {
    // An update that changes nothing: both engines hold the row for it.
    let held = on!(tx, |conn| sqlx::query(sql!(
        "update session set ended_at = null where id = $1 and ended_at is null"
    ))
    .bind(id)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    if held == 1 {
        return Ok(Standing::GoesOn);
    }
    Ok(if session_find(tx, id).await?.is_some() { Standing::Ended } else { Standing::Unknown })
}

/// Prolongs a session that is held.
pub async fn session_prolong(tx: &mut Tx, id: &str, times: &Times) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!(
        "update session set token_expires_at = $2, idle_until = $3 where id = $1"
    ))
    .bind(id)
    .bind(times.token_expires_at)
    .bind(times.idle_until)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}

/// A session that was just ended: its id, whose it is, and until when a token of its is good. The audit names both.
type EndedRow = (String, String, DateTime<Utc>);

fn ended((id, account, tokens_expire_at): EndedRow) -> Ended {
    trail::touches(TargetKind::Session, &id);
    trail::touches(TargetKind::User, &account);
    Ended { session: id, tokens_expire_at }
}

/// Ends a session; `None` if it had ended before.
pub async fn session_end(tx: &mut Tx, id: &str) -> Result<Option<Ended>, db::Error> {
    let now = tx.now();
    let row: Option<EndedRow> = on!(tx, |conn| sqlx::query_as(sql!(
        "update session set ended_at = $2 where id = $1 and ended_at is null \
         returning id, account_id, token_expires_at"
    ))
    .bind(id)
    .bind(now)
    .fetch_optional(conn)
    .await)?;
    Ok(row.map(ended))
}

/// Ends one of an account's sessions; `None` if it has no such one that goes on.
pub async fn session_end_of(
    tx: &mut Tx,
    account: &UserId,
    id: &SessionId,
) -> Result<Option<Ended>, db::Error> {
    let now = tx.now();
    let row: Option<EndedRow> = on!(tx, |conn| sqlx::query_as(sql!(
        "update session set ended_at = $3 where id = $1 and account_id = $2 and ended_at is null \
         returning id, account_id, token_expires_at"
    ))
    .bind(id.as_str())
    .bind(account.as_str())
    .bind(now)
    .fetch_optional(conn)
    .await)?;
    Ok(row.map(ended))
}

/// Ends an account's sessions, but for the one to keep if one is named. Told are those whose tokens may still be good.
pub async fn sessions_end(
    tx: &mut Tx,
    account: &UserId,
    keep: Option<&str>,
) -> Result<Vec<Ended>, db::Error> {
    let now = tx.now();
    let rows: Vec<EndedRow> = on!(tx, |conn| sqlx::query_as(sql!(
        "update session set ended_at = $3 where account_id = $1 and id <> $2 and ended_at is null \
         returning id, account_id, token_expires_at"
    ))
    .bind(account.as_str())
    .bind(keep.unwrap_or_default())
    .bind(now)
    .fetch_all(conn)
    .await)?;
    Ok(rows.into_iter().map(ended).filter(|ended| ended.tokens_expire_at > now).collect())
}

/// Takes away sessions that can neither be refreshed nor have a good token, and their refresh tokens with them.
pub async fn session_purge(tx: &mut Tx) -> Result<(), db::Error> {
    let now = tx.now();
    on!(tx, |conn| sqlx::query(sql!(
        "delete from session where idle_until <= $1 and token_expires_at <= $1"
    ))
    .bind(now)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}
