//! `GET /api/audit/verification`

use contracts::auth::VerifyAudit;
use http_kit::{Answer, Call};

use crate::api::Api;
use crate::error::Error;

/// Tells whether the audit of every service is as it was written, and the first entry of each chain that is not.
pub async fn verify(api: Api, call: Call<VerifyAudit>) -> Result<Answer<VerifyAudit>, Error> {
    Ok(Answer::new(api.audits.verification(&call.query).await).no_store())
}
