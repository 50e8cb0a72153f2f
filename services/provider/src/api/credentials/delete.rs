//! `DELETE /api/providers/{providerId}/credentials/{credentialId}`

use contracts::credentials::CredentialDeleted;
use contracts::providers::DeleteCredential;
use http_kit::{Answer, Call};

use crate::api::Api;
use crate::error::Error;
use crate::store::credential::credential_delete;

/// Deletes a credential, with what was done with it.
pub async fn delete(api: Api, call: Call<DeleteCredential>) -> Result<Answer<DeleteCredential>, Error> {
    let (provider, id) = &call.path;
    db::retrying(&api.db, async |mut tx| {
        let (_, kept) = api.credential(&mut tx, (provider, id)).await?;
        call.if_match.check(kept.version)?;
        if !credential_delete(&mut tx, id, kept.version).await? {
            return Err(Error::Db(db::Error::LostRace));
        }
        tx.commit().await?;
        Ok::<_, Error>(())
    })
    .await?;
    Ok(Answer::new(CredentialDeleted { status: "Deleted".to_owned(), credential_id: id.clone() }))
}
