//! Statuses as the version before this one kept them, hashed alone, hashed anew with their bills.
//!
//! The old hashes are shorter, and an index has the rows that hold one.

use contracts::bills::BillStatus;
use db::{Db, on, sql};

use super::bill::tag;

/// So many bills are written anew at a time.
const BATCH: i64 = 500;

/// Writes some anew. Whether there were any.
pub async fn some(db: Db) -> Result<bool, db::Error> {
    db::retrying(&db, async |mut tx| {
        // One at a time: two would write the same.
        tx.lock(&["renewal"]).await?;
        for status in BillStatus::ALL {
            let old = db.vault().blind("status", status.as_str())?;
            let bills: Vec<String> = on!(tx, |conn| sqlx::query_scalar(sql!(
                "select id from bill where length(status) = 16 and status = $1 order by id limit $2"
            ))
            .bind(&old)
            .bind(BATCH)
            .fetch_all(conn)
            .await)?;
            for bill in &bills {
                let new = tag(&db, bill, status)?;
                on!(tx, |conn| sqlx::query(sql!(
                    "update bill set status = $3 where id = $1 and status = $2"
                ))
                .bind(bill)
                .bind(&old)
                .bind(&new)
                .execute(conn)
                .await
                .map(drop))?;
            }
            if !bills.is_empty() {
                tx.commit_unaudited().await?;
                return Ok(true);
            }
        }
        Ok(false)
    })
    .await
}
