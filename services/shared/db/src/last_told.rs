//! What a service last ran with (its settings, the keys that it uses), so that what changes in it can be told.

use crate::vault::{Place, Subject};
use crate::{Db, Error, Tx, on, sql};

fn place(matter: &str) -> Place<'_> {
    Place { table: "last_told", column: "body", row: matter }
}

/// Something as it was told, and for which time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastTold {
    /// From 1.
    pub version: i64,
    /// Its own text.
    pub text: Vec<u8>,
}

/// What was told last of a matter; nothing before the first time.
pub async fn last_told(tx: &mut Tx, db: &Db, matter: &str) -> Result<Option<LastTold>, Error> {
    let row: Option<(i64, Vec<u8>)> =
        on!(tx, |conn| sqlx::query_as(sql!("select version, body from last_told where matter = $1"))
            .bind(matter)
            .fetch_optional(conn)
            .await)?;
    let Some((version, body)) = row else { return Ok(None) };
    let text = db.vault().open(&Subject::Service, place(matter), &body).await?;
    Ok(Some(LastTold { version, text }))
}

/// Puts the next in its place. Gives whether it did: not if another process told its own meanwhile.
pub async fn last_told_put(tx: &mut Tx, db: &Db, matter: &str, told: &LastTold) -> Result<bool, Error> {
    let body = db.vault().seal(&Subject::Service, place(matter), &told.text).await?;
    let done = on!(tx, |conn| sqlx::query(sql!(
        "insert into last_told (matter, version, body) values ($1, $2, $3) \
         on conflict (matter) do update set version = excluded.version, body = excluded.body \
         where last_told.version = excluded.version - 1"
    ))
    .bind(matter)
    .bind(told.version)
    .bind(&body)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()))?;
    Ok(done == 1)
}
