//! `GET /api/admin/keys`

use std::sync::Arc;

use contracts::auth::ReadStackKeys;
use contracts::client::{ClientError, Transport};
use contracts::keys::{CollectKeys, ServiceKeys, SigningKey, SigningKeyState, StackKeys};
use futures_util::future::join_all;
use http_kit::wrapped::service_keys;
use http_kit::{Answer, Call, Kit};
use settings::ServiceName;

use super::Api;
use crate::error::Error;

/// The ways to whoever has data keys: ourselves, and the services that this stack has.
pub(super) struct Keepers {
    own: Kit,
    peers: Vec<(ServiceName, Arc<Transport>)>,
}

impl std::fmt::Debug for Keepers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keepers").field("peers", &self.peers).finish_non_exhaustive()
    }
}

impl Keepers {
    /// From the kit.
    pub(super) fn new(kit: &Kit) -> Result<Self, ClientError> {
        Ok(Self { own: kit.clone(), peers: kit.transports()? })
    }
}

/// Tells what everybody's data keys are wrapped under, and with which keys tokens are signed. A service that does not answer is told as one
/// of which nothing is known, never as one without keys.
pub async fn read(api: Api, _: Call<ReadStackKeys>) -> Result<Answer<ReadStackKeys>, Error> {
    let own = service_keys(&api.keepers.own).await?;
    let asked = api.keepers.peers.iter().map(|(service, way)| async move {
        let told = way.call::<CollectKeys>(&[], &(), &()).await;
        told.unwrap_or_else(|error| {
            tracing::warn!(%service, %error, "it does not tell what its keys are wrapped under");
            silent(*service)
        })
    });
    let mut services = join_all(asked).await;
    services.push(own);
    services.sort_by(|one, other| one.service.cmp(&other.service));
    Ok(Answer::new(StackKeys { services, signing_keys: signing_keys(&api) }).no_store())
}

fn silent(service: ServiceName) -> ServiceKeys {
    let service = service.to_string();
    ServiceKeys { service, answered: false, provider: None, current: None, keys: Vec::new() }
}

fn signing_keys(api: &Api) -> Vec<SigningKey> {
    let (signs, public) = api.issuer.keys().told();
    let told = public.keys.into_iter().map(|key| SigningKey {
        state: if key.kid == signs { SigningKeyState::Signing } else { SigningKeyState::Verifying },
        kid: key.kid,
        algorithm: key.alg.unwrap_or_default(),
    });
    told.collect()
}
