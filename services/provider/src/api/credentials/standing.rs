//! `GET /internal/providers/{providerId}/standing`

use contracts::credentials::{NotBookable, ProviderStanding};
use contracts::providers::StandingOfProvider;
use http_kit::{Answer, Call};

use super::today;
use crate::api::Api;
use crate::error::Error;
use crate::store::credential::credentials_stop;
use crate::store::exclusion::exclusion_stops;

/// Whether a provider can be booked now: by today's date at their place, whatever job did or did not run.
pub async fn standing(api: Api, call: Call<StandingOfProvider>) -> Result<Answer<StandingOfProvider>, Error> {
    let (provider_id,) = call.path;
    let mut tx = api.db.read().await?;
    let known = api.found(&mut tx, &provider_id).await?.provider;
    let today = today(&known, tx.now());
    let mut not_bookable = credentials_stop(&mut tx, &provider_id, today).await?;
    if not_bookable.is_none() && exclusion_stops(&mut tx, &provider_id).await? {
        not_bookable = Some(NotBookable::Excluded);
    }
    Ok(Answer::new(ProviderStanding { provider_id, not_bookable }))
}
