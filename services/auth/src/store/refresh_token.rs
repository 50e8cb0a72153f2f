//! The `refresh_token` table: hashes of tokens, and for a moment the successor of the last one.

use chrono::{DateTime, Utc};
use db::{Db, Place, Subject, Tx, on, sql};
use sqlx::FromRow;

use crate::token::RefreshToken;

/// A refresh token as kept.
#[derive(Debug, FromRow)]
pub struct Kept {
    /// Whose session it belongs to.
    pub session_id: String,
    /// When it was exchanged.
    pub used_at: Option<DateTime<Utc>>,
    successor: Option<Vec<u8>>,
}

impl Kept {
    /// Whether the token it was exchanged for still waits to be used.
    pub fn successor_waits(&self) -> bool {
        self.successor.is_some()
    }

    /// The token it was exchanged for.
    pub async fn successor(&self, db: &Db, token: &RefreshToken) -> Result<Option<RefreshToken>, db::Error> {
        let Some(sealed) = &self.successor else { return Ok(None) };
        let row = data_encoding::HEXLOWER.encode(&token.hash());
        let opened = db.vault().open_json(&Subject::Service, place(&row), sealed).await?;
        Ok(Some(opened))
    }
}

fn place(row: &str) -> Place<'_> {
    Place { table: "refresh_token", column: "successor", row }
}

/// Keeps a new token.
pub async fn refresh_token_insert(tx: &mut Tx, token: &RefreshToken, session: &str) -> Result<(), db::Error> {
    on!(tx, |conn| sqlx::query(sql!("insert into refresh_token (hash, session_id) values ($1, $2)"))
        .bind(token.hash())
        .bind(session)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// The token, used or not, if it is still remembered.
pub async fn refresh_token_find(tx: &mut Tx, token: &RefreshToken) -> Result<Option<Kept>, db::Error> {
    Ok(on!(tx, |conn| sqlx::query_as(sql!(
        "select session_id, used_at, successor from refresh_token where hash = $1"
    ))
    .bind(token.hash())
    .fetch_optional(conn)
    .await)?)
}

/// Exchanges a token for its successor, if nobody else did meanwhile; tells whether it was so. The successor of the token before is
/// forgotten: it has come back, so its answer was not lost.
pub async fn refresh_token_exchange(
    tx: &mut Tx,
    db: &Db,
    token: &RefreshToken,
    session: &str,
    successor: &RefreshToken,
) -> Result<bool, db::Error> {
    let now = tx.now();
    let row = data_encoding::HEXLOWER.encode(&token.hash());
    let sealed = db.vault().seal_json(&Subject::Service, place(&row), successor).await?;
    on!(tx, |conn| {
        sqlx::query(sql!(
        "update refresh_token set successor = null where session_id = $1 and successor is not null and hash <> $2"
    ))
    .bind(session)
    .bind(token.hash())
    .execute(conn)
    .await
    .map(drop)
    })?;
    let exchanged = on!(tx, |conn| sqlx::query(sql!(
        "update refresh_token set used_at = $2, successor = $3 where hash = $1 and used_at is null"
    ))
    .bind(token.hash())
    .bind(now)
    .bind(&sealed)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    if exchanged == 1 {
        refresh_token_insert(tx, successor, session).await?;
    }
    Ok(exchanged == 1)
}
