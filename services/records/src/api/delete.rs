//! `DELETE /api/records/{recordId}`

use contracts::records::{DeleteRecord, RecordDeleted};
use http_kit::{Answer, Call};

use super::Api;
use crate::error::Error;
use crate::store::record::record_delete;

/// Deletes a medical record; its id stays taken.
pub async fn delete(api: Api, call: Call<DeleteRecord>) -> Result<Answer<DeleteRecord>, Error> {
    let (id,) = &call.path;
    let version = db::retrying(&api.db, async |mut tx| {
        let kept = api.visible(&mut tx, &call.caller, id).await?;
        call.if_match.check(kept.version)?;
        record_delete(&mut tx, &kept).await?;
        tx.commit().await?;
        Ok::<_, Error>(kept.version + 1)
    })
    .await?;
    let deleted = RecordDeleted { status: "Deleted".to_owned(), record_id: id.clone() };
    Ok(Answer::new(deleted).version(version))
}
