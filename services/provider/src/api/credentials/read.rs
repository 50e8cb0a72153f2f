//! `GET /api/providers/{providerId}/credentials` and `…/{credentialId}`

use contracts::credentials::{Credential, Credentials};
use contracts::providers::{CredentialById, ListCredentials};
use http_kit::{Answer, Call};

use super::{may_see, today};
use crate::api::Api;
use crate::error::Error;
use crate::store::credential::{credential_changes, credentials_of};

/// A provider's credentials.
pub async fn list(api: Api, call: Call<ListCredentials>) -> Result<Answer<ListCredentials>, Error> {
    let (provider,) = &call.path;
    let mut tx = api.db.read().await?;
    let known = api.found(&mut tx, provider).await?.provider;
    if !may_see(&call.caller, provider) {
        return Err(Error::NotFound);
    }
    let today = today(&known, tx.now());
    let kept = credentials_of(&mut tx, &api.db, provider).await?;
    let items = kept.iter().map(|kept| kept.credential.view((&kept.id, provider), today)).collect();
    Ok(Answer::new(Credentials { items }))
}

/// One of them, and what was done with it.
pub async fn by_id(api: Api, call: Call<CredentialById>) -> Result<Answer<CredentialById>, Error> {
    let (provider, id) = &call.path;
    let mut tx = api.db.read().await?;
    let (known, kept) = api.credential(&mut tx, (provider, id)).await?;
    if !may_see(&call.caller, provider) {
        return Err(Error::NotFound);
    }
    let history = credential_changes(&mut tx, &api.db, id).await?;
    let view = kept.credential.view((id, provider), today(&known, tx.now()));
    Ok(Answer::new(Credential { history, ..view }))
}
