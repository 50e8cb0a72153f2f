//! `POST /api/providers`

use contracts::id::ProviderId;
use contracts::providers::{AddProvider, ProviderCreated};
use http_kit::{Answer, Call};

use super::Api;
use crate::domain::provider::Provider;
use crate::error::Error;
use crate::store::provider::provider_insert;

/// Adds a provider.
pub async fn add(api: Api, call: Call<AddProvider>) -> Result<Answer<AddProvider>, Error> {
    let (id, provider) = Provider::add(&call.body, api.time_zone, api.today())?;
    let id = id.unwrap_or_else(|| ProviderId::generate(api.db.random()));
    let created = ProviderCreated { provider_id: id.clone(), status: "Created".to_owned() };
    let answer = Answer::new(created).located(&id).version(1);
    db::retrying(&api.db, async |mut tx| {
        provider_insert(&mut tx, &api.db, &id, &provider).await?;
        Ok::<_, Error>(call.receipt.commit(tx, &answer).await?)
    })
    .await?;
    Ok(answer)
}
