//! `GET /api/auth/me/second-factor`

use contracts::auth::OwnSecondFactor;
use http_kit::{Answer, Call};

use super::{owner, view};
use crate::api::Api;
use crate::error::Error;

/// Shows whether one has a second factor, and whether one must.
pub async fn own(api: Api, call: Call<OwnSecondFactor>) -> Result<Answer<OwnSecondFactor>, Error> {
    Ok(Answer::new(view(&api, &owner(&call.caller)?).await?))
}
