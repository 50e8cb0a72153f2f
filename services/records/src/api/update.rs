//! `PUT /api/records/{recordId}`

use contracts::records::{RecordUpdated, UpdateRecord};
use http_kit::{Answer, Call, json};

use super::Api;
use crate::error::Error;
use crate::store::record::record_update;

/// Changes what the body names (RFC 7396).
pub async fn update(api: Api, call: Call<UpdateRecord>) -> Result<Answer<UpdateRecord>, Error> {
    let (id,) = &call.path;
    let today = api.today();
    let version = db::retrying(&api.db, async |mut tx| {
        let kept = api.visible(&mut tx, &call.caller, id).await?;
        call.if_match.check(kept.version)?;
        let current = api.shown(&mut tx, &kept).await?;
        let changed = kept.record.change(&current, &json::merge(&call.body, &current)?, today)?;
        record_update(&mut tx, &api.db, &kept, &changed).await?;
        tx.commit().await?;
        Ok::<_, Error>(kept.version + 1)
    })
    .await?;
    let updated = RecordUpdated { record_id: id.clone(), status: "Updated".to_owned() };
    Ok(Answer::new(updated).version(version))
}
