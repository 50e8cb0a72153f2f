//! `GET /api/providers/{providerId}`

use contracts::providers::ProviderById;
use http_kit::{Answer, Call};

use super::Api;
use crate::error::Error;

/// Retrieves a provider's profile.
pub async fn by_id(api: Api, call: Call<ProviderById>) -> Result<Answer<ProviderById>, Error> {
    let (id,) = call.path;
    let mut tx = api.db.read().await?;
    let kept = api.found(&mut tx, &id).await?;
    Ok(Answer::new(kept.provider.view(&id)).version(kept.version))
}
