//! The `outside_flow` table: logins at an identity provider that were begun.

use chrono::{DateTime, Utc};
use db::{Db, Place, Subject, Tx, on, sql};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::flow::Flow;

/// The lock ([`Tx::lock`]) under which open flows are counted.
pub const FLOWS: &str = "outside_flows";

fn place(row: &str) -> Place<'_> {
    Place { table: "outside_flow", column: "body", row }
}

fn row(hash: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(hash)
}

/// Keeps what it takes to go on with a flow. `is_proven`: what is still to come is a code of ours.
pub async fn outside_flow_insert(
    tx: &mut Tx,
    db: &Db,
    flow: &Flow,
    is_proven: bool,
    until: DateTime<Utc>,
    body: &impl Serialize,
) -> Result<(), db::Error> {
    let hash = flow.hash();
    let sealed = db.vault().seal_json(&Subject::Service, place(&row(&hash)), body).await?;
    on!(tx, |conn| sqlx::query(sql!(
        "insert into outside_flow (flow_hash, expires_at, is_proven, body) values ($1, $2, $3, $4)"
    ))
    .bind(&hash)
    .bind(until)
    .bind(is_proven)
    .bind(&sealed)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}

/// Takes a flow, if it is there and in its time. Of many at once, one gets it.
pub async fn outside_flow_take<T: DeserializeOwned>(
    tx: &mut Tx,
    db: &Db,
    flow: &Flow,
    is_proven: bool,
) -> Result<Option<T>, db::Error> {
    let (now, hash) = (tx.now(), flow.hash());
    let sealed: Option<Vec<u8>> = on!(tx, |conn| {
        sqlx::query_scalar(sql!(
        "delete from outside_flow where flow_hash = $1 and is_proven = $2 and expires_at > $3 returning body"
    ))
    .bind(&hash)
    .bind(is_proven)
    .bind(now)
    .fetch_optional(conn)
    .await
    })?;
    open(db, &hash, sealed).await
}

/// Looks at a flow, if it is there and in its time.
pub async fn outside_flow_find<T: DeserializeOwned>(
    tx: &mut Tx,
    db: &Db,
    flow: &Flow,
    is_proven: bool,
) -> Result<Option<T>, db::Error> {
    let (now, hash) = (tx.now(), flow.hash());
    let sealed: Option<Vec<u8>> = on!(tx, |conn| sqlx::query_scalar(sql!(
        "select body from outside_flow where flow_hash = $1 and is_proven = $2 and expires_at > $3"
    ))
    .bind(&hash)
    .bind(is_proven)
    .bind(now)
    .fetch_optional(conn)
    .await)?;
    open(db, &hash, sealed).await
}

async fn open<T: DeserializeOwned>(
    db: &Db,
    hash: &[u8],
    sealed: Option<Vec<u8>>,
) -> Result<Option<T>, db::Error> {
    let Some(sealed) = sealed else { return Ok(None) };
    db.vault().open_json(&Subject::Service, place(&row(hash)), &sealed).await.map(Some)
}

/// How many are open.
pub async fn outside_flows_open(tx: &mut Tx) -> Result<i64, db::Error> {
    let now = tx.now();
    Ok(on!(tx, |conn| sqlx::query_scalar(sql!("select count(*) from outside_flow where expires_at > $1"))
        .bind(now)
        .fetch_one(conn)
        .await)?)
}

/// Takes away those that nobody finished.
pub async fn outside_flow_purge(tx: &mut Tx) -> Result<(), db::Error> {
    let now = tx.now();
    on!(tx, |conn| sqlx::query(sql!("delete from outside_flow where expires_at <= $1"))
        .bind(now)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}
