//! `GET /api/bills/{billId}`

use contracts::bills::BillById;
use http_kit::{Answer, Call};

use super::Api;
use crate::error::Error;

/// Retrieves a bill.
pub async fn by_id(api: Api, call: Call<BillById>) -> Result<Answer<BillById>, Error> {
    let (id,) = call.path;
    let mut tx = api.db.read().await?;
    let kept = api.visible(&mut tx, &call.caller, &id).await?;
    Ok(Answer::new(api.view(&kept)).version(kept.version))
}
