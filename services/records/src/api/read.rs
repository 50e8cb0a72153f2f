//! `GET /api/records/{recordId}`

use contracts::records::GetRecordById;
use http_kit::{Answer, Call};

use super::Api;
use crate::error::Error;

/// Retrieves a medical record.
pub async fn by_id(api: Api, call: Call<GetRecordById>) -> Result<Answer<GetRecordById>, Error> {
    let (id,) = call.path;
    let mut tx = api.db.read().await?;
    let kept = api.visible(&mut tx, &call.caller, &id).await?;
    let shown = api.shown(&mut tx, &kept).await?;
    Ok(Answer::new(shown).version(kept.version))
}
