//! `GET /internal/keys`: what a service's data keys are wrapped under.

use contracts::endpoint::Endpoint;
use contracts::keys::{ServiceKeys, WrappingKey};
use contracts::problem::Problem;
use settings::KekProvider;

use crate::answer::Answer;
use crate::kit::Kit;
use crate::problem;
use crate::routes::Failure;

/// The database did not say.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct Untold(#[from] db::Error);

impl Failure for Untold {
    fn problem(&self) -> Problem {
        problem::of_db(&self.0)
    }
}

pub(crate) async fn collect<E>(kit: Kit) -> Result<Answer<E>, Untold>
where
    E: Endpoint<Reply = ServiceKeys>,
{
    Ok(Answer::new(service_keys(&kit).await?).no_store())
}

/// What this service's data keys are wrapped under. Counts them.
pub async fn service_keys(kit: &Kit) -> Result<ServiceKeys, db::Error> {
    let vault = kit.db.vault();
    let counts = vault.keys_by_kek().await?;
    let keys = counts.into_iter().map(|(kek_id, data_keys)| WrappingKey { kek_id, data_keys });
    let provider = match kit.settings.encryption.provider {
        KekProvider::Secret => "Secret",
        KekProvider::Transit => "Transit",
    };
    Ok(ServiceKeys {
        service: kit.settings.service.to_string(),
        answered: true,
        provider: Some(provider.to_owned()),
        current: vault.kek_id_known(),
        keys: keys.collect(),
    })
}
