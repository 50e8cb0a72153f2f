//! Takes away why legal holds were on patients that are over by their last day.

use std::time::Duration;

use db::Db;

use crate::store::hold::hold_forget;

const EVERY: Duration = Duration::from_hours(1);

/// Again and again.
pub async fn run(db: Db) {
    loop {
        if let Err(error) = forget(&db).await {
            tracing::warn!(%error, "why holds were on patients could not be taken away");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn forget(db: &Db) -> Result<(), db::Error> {
    let mut tx = db.begin().await?;
    hold_forget(&mut tx).await?;
    tx.commit().await
}
