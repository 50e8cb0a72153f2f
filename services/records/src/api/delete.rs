//! `DELETE /api/records/{recordId}`

use contracts::records::{DeleteRecord, RecordDeleted};
use http_kit::{Answer, Call};

use super::Api;
use crate::error::Error;
use crate::store::erase::record_hold;
use crate::store::record::record_delete;

/// Deletes a medical record; its id stays taken. Of whom a legal hold is on it is kept aside until that is over.
pub async fn delete(api: Api, call: Call<DeleteRecord>) -> Result<Answer<DeleteRecord>, Error> {
    let (id,) = &call.path;
    let version = db::retrying(&api.db, async |mut tx| {
        let kept = api.visible(&mut tx, &call.caller, id).await?;
        call.if_match.check(kept.version)?;
        db::erasure_lock(&mut tx, kept.record.patient_id.as_str()).await?;
        match db::legal_hold_on(&mut tx, kept.record.patient_id.as_str()).await? {
            Some(hold) => record_hold(&mut tx, &api.db, &kept, hold).await?,
            None => record_delete(&mut tx, &kept).await?,
        }
        tx.commit().await?;
        Ok::<_, Error>(kept.version + 1)
    })
    .await?;
    let deleted = RecordDeleted { status: "Deleted".to_owned(), record_id: id.clone() };
    Ok(Answer::new(deleted).version(version))
}
