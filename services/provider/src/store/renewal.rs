//! The search index as the version before this one kept it, moved to where it is now.
//!
//! What stands there is what is to be done. That version writes there when it registers or changes a provider, and takes somebody who is
//! deleted out of there alone: a trigger takes them out here.

use db::{Db, SealError, Subject, Tx, on, search_index_old, search_index_old_clear, sql};

use super::provider::place;
use crate::domain::provider::Provider;
use crate::domain::search::terms_of;

/// So many providers are moved at a time.
const BATCH: i64 = 100;

/// Moves some. Whether there were any.
pub async fn some(db: Db) -> Result<bool, db::Error> {
    db::retrying(&db, async |mut tx| {
        // One at a time: two would move the same.
        tx.lock(&["renewal"]).await?;
        let providers = search_index_old(&mut tx, BATCH).await?;
        for provider in &providers {
            renew(&mut tx, &db, provider).await?;
            search_index_old_clear(&mut tx, provider).await?;
        }
        tx.commit_unaudited().await?;
        Ok(!providers.is_empty())
    })
    .await
}

async fn renew(tx: &mut Tx, db: &Db, id: &str) -> Result<(), db::Error> {
    // Taken hold of: whoever is changing the provider is waited for, and waits.
    let body: Option<Vec<u8>> = on!(tx, |conn| sqlx::query_scalar(sql!(
        "update provider set version = version where id = $1 and deleted_at is null returning body"
    ))
    .bind(id)
    .fetch_optional(conn)
    .await)?;
    let Some(body) = body else { return Ok(()) };
    match db.vault().open_json::<Provider>(&Subject::Service, place(id), &body).await {
        Ok(provider) => db::search_terms_put(tx, db, id, terms_of(&provider)).await,
        // Nobody can read them any more. A service that would not start for that shows nobody else either.
        Err(
            error @ db::Error::Sealed(
                SealError::NoKey | SealError::Malformed | SealError::Refused | SealError::Shape,
            ),
        ) => {
            tracing::warn!(%error, "a provider is found by nothing any more");
            db::search_terms_clear(tx, id).await
        }
        Err(error) => Err(error),
    }
}
