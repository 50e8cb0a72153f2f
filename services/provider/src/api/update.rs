//! `PUT /api/providers/{providerId}`

use contracts::providers::{ProviderUpdated, UpdateProvider};
use http_kit::{Answer, Call, json};

use super::Api;
use crate::domain::provider::Provider;
use crate::error::Error;
use crate::store::provider::provider_update;
use crate::store::time_off::schedule_changed;

/// Changes what the body names (RFC 7396).
pub async fn update(api: Api, call: Call<UpdateProvider>) -> Result<Answer<UpdateProvider>, Error> {
    let (id,) = &call.path;
    let version = db::retrying(&api.db, async |mut tx| {
        let kept = api.found(&mut tx, id).await?;
        call.if_match.check(kept.version)?;
        let current = kept.provider.view(id);
        let changed = Provider::change(&current, &json::merge(&call.body, &current)?, api.today())?;
        // Another change came between: merge into what stands now.
        if !provider_update(&mut tx, &api.db, id, kept.version, &changed).await? {
            return Err(Error::Db(db::Error::LostRace));
        }
        if !changed.is_booked_like(&kept.provider) {
            let version = schedule_changed(&mut tx, id).await?;
            api.tell_schedule(&mut tx, id, version).await?;
        }
        tx.commit().await?;
        Ok::<_, Error>(kept.version + 1)
    })
    .await?;
    let updated = ProviderUpdated { provider_id: id.clone(), status: "Updated".to_owned() };
    Ok(Answer::new(updated).version(version))
}
