//! `POST /api/providers/{providerId}/credentials/{credentialId}/revoke`

use contracts::problem::Faults;
use contracts::providers::RevokeCredential;
use http_kit::{Answer, Call};

use super::{Done, saved, today};
use crate::api::Api;
use crate::domain::credential::{Action, prose};
use crate::error::Error;

/// Notes that it was taken from the provider, who is booked no more.
pub async fn revoke(api: Api, call: Call<RevokeCredential>) -> Result<Answer<RevokeCredential>, Error> {
    let (provider, id) = &call.path;
    let mut faults = Faults::new();
    let reason = faults.take("reason", prose(&call.body.reason));
    let reason = faults.finish(reason)?;
    db::retrying(&api.db, async |mut tx| {
        let (known, kept) = api.credential(&mut tx, (provider, id)).await?;
        call.if_match.check(kept.version)?;
        let today = today(&known, tx.now());
        let after = kept.credential.after(Action::Revoked, today)?;
        let answer = Answer::new(saved(&kept, &after, today)).version(kept.version + 1);
        let evidence = Some(reason.clone());
        let done = Done { before: &kept, after, action: Action::Revoked, evidence, ask_at: None };
        api.save(&mut tx, &call.caller.user, done).await?;
        call.receipt.commit(tx, &answer).await?;
        Ok::<_, Error>(answer)
    })
    .await
}
