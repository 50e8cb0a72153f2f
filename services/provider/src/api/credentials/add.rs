//! `POST /api/providers/{providerId}/credentials`

use contracts::credentials::CredentialSaved;
use contracts::id::CredentialId;
use contracts::providers::AddCredential;
use http_kit::{Answer, Call};

use super::today;
use crate::api::Api;
use crate::domain::credential::{Action, Credential, Entry};
use crate::error::Error;
use crate::store::credential::{Kept, credential_insert, credentials_lock};

/// Records a credential.
pub async fn add(api: Api, call: Call<AddCredential>) -> Result<Answer<AddCredential>, Error> {
    let (provider,) = &call.path;
    let credential = Credential::parse(&call.body)?;
    let id = CredentialId::generate(api.db.random());
    let entry = Entry {
        by: call.caller.user.clone(),
        action: Action::Created,
        stands: credential.stands,
        evidence: None,
    };
    let kept = Kept { id, provider: provider.clone(), version: 1, asked_since: None, credential };
    db::retrying(&api.db, async |mut tx| {
        credentials_lock(&mut tx, provider).await?;
        let known = api.found(&mut tx, provider).await?.provider;
        credential_insert(&mut tx, &api.db, &kept, &entry).await?;
        let status = kept.credential.status(today(&known, tx.now()));
        let (credential_id, provider_id) = (kept.id.clone(), provider.clone());
        let answer = Answer::new(CredentialSaved { credential_id, provider_id, status })
            .located_at(format!("/api/providers/{provider}/credentials/{}", kept.id))
            .version(1);
        call.receipt.commit(tx, &answer).await?;
        Ok::<_, Error>(answer)
    })
    .await
}
