//! `DELETE /api/providers/{providerId}`

use contracts::event::What;
use contracts::providers::{ProviderDeleted, RemoveProvider};
use http_kit::{Answer, Call};

use super::Api;
use crate::error::Error;
use crate::store::credential::{credentials_delete, credentials_lock};
use crate::store::exclusion::exclusion_reviews_delete;
use crate::store::provider::provider_delete;
use crate::store::time_off::time_off_remove;

/// Removes a provider's profile here, and tells the services that hold something of theirs.
pub async fn remove(api: Api, call: Call<RemoveProvider>) -> Result<Answer<RemoveProvider>, Error> {
    let (id,) = &call.path;
    let version = db::retrying(&api.db, async |mut tx| {
        credentials_lock(&mut tx, id).await?;
        let kept = api.found(&mut tx, id).await?;
        call.if_match.check(kept.version)?;
        if !provider_delete(&mut tx, id, kept.version).await? {
            return Err(Error::Db(db::Error::LostRace));
        }
        credentials_delete(&mut tx, id).await?;
        exclusion_reviews_delete(&mut tx, id).await?;
        time_off_remove(&mut tx, id).await?;
        api.publish(&mut tx, What::ProviderRemoved { provider_id: id.clone() }).await?;
        tx.commit().await?;
        Ok::<_, Error>(kept.version + 1)
    })
    .await?;
    let deleted = ProviderDeleted { status: "Deleted".to_owned(), provider_id: id.clone() };
    Ok(Answer::new(deleted).version(version))
}
