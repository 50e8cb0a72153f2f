//! `PUT /api/providers/{providerId}/credentials/{credentialId}`

use contracts::providers::UpdateCredential;
use http_kit::{Answer, Call, json};

use super::{Done, saved, today};
use crate::api::Api;
use crate::domain::credential::{Action, Credential};
use crate::error::Error;

/// Changes what the body names (RFC 7396). What was verified was something else then: it is to be verified anew.
pub async fn update(api: Api, call: Call<UpdateCredential>) -> Result<Answer<UpdateCredential>, Error> {
    let (provider, id) = &call.path;
    db::retrying(&api.db, async |mut tx| {
        let (known, kept) = api.credential(&mut tx, (provider, id)).await?;
        call.if_match.check(kept.version)?;
        let today = today(&known, tx.now());
        let current = kept.credential.view((id, provider), today);
        let changed = Credential::change(&current, &json::merge(&call.body, &current)?)?;
        let Some(after) = kept.credential.changed(changed)? else {
            return Ok(Answer::new(saved(&kept, &kept.credential, today)).version(kept.version));
        };
        let answer = Answer::new(saved(&kept, &after, today)).version(kept.version + 1);
        let done = Done { before: &kept, after, action: Action::Updated, evidence: None, ask_at: None };
        api.save(&mut tx, &call.caller.user, done).await?;
        tx.commit().await?;
        Ok::<_, Error>(answer)
    })
    .await
}
