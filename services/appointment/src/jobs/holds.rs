//! Takes away the holds that have expired. They are in nobody's way before that: whoever takes a provider's time does the same first.

use std::time::Duration;

use db::Db;

use crate::store::hold::holds_sweep;

const EVERY: Duration = Duration::from_secs(15);

/// Again and again.
pub async fn run(db: Db) {
    loop {
        match sweep(&db).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "holds that have expired could not be taken away"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Takes away some. Whether there may be more.
pub async fn sweep(db: &Db) -> Result<bool, db::Error> {
    db::retrying(db, async |mut tx| {
        let is_more = holds_sweep(&mut tx).await?;
        tx.commit().await?;
        Ok(is_more)
    })
    .await
}
