//! `POST /api/providers/{providerId}/credentials/{credentialId}/verify`
//!
//! The registry is asked before anything is written. If it does not answer, the credential is `Pending`, and a job asks again.

use chrono::NaiveDate;
use contracts::problem::{Faults, Problem};
use contracts::providers::VerifyCredential;
use http_kit::{Answer, Call};

use super::{Done, saved, today};
use crate::api::Api;
use crate::domain::credential::{Action, Verification};
use crate::domain::provider::Provider;
use crate::domain::registry::knows;
use crate::error::Error;
use crate::jobs::ask::{self, Asked};
use crate::store::credential::Kept;

/// Verifies a credential.
pub async fn verify(api: Api, call: Call<VerifyCredential>) -> Result<Answer<VerifyCredential>, Error> {
    let (provider, id) = &call.path;
    let verification = Verification::parse(&call.body)?;
    let mut tx = api.db.read().await?;
    let (known, kept) = api.credential(&mut tx, (provider, id)).await?;
    let today = today(&known, tx.now());
    drop(tx);
    call.if_match.check(kept.version)?;
    let asked = match verification {
        Verification::Manual { evidence, is_good } => Asked::of(is_good, evidence),
        Verification::Registry => ask_registry(&api, (&known, &kept), today).await?,
    };
    db::retrying(&api.db, async |mut tx| {
        let (_, now_kept) = api.credential(&mut tx, (provider, id)).await?;
        if now_kept.version != kept.version {
            return Err(Error::Changed);
        }
        let after = kept.credential.after(asked.action, today)?;
        let answer = Answer::new(saved(&kept, &after, today)).version(kept.version + 1);
        let ask_at = asked.ask_again(tx.now(), kept.asked_since);
        let (action, evidence) = (asked.action, asked.evidence.clone());
        api.save(&mut tx, &call.caller.user, Done { before: &kept, after, action, evidence, ask_at }).await?;
        call.receipt.commit(tx, &answer).await?;
        Ok(answer)
    })
    .await
}

async fn ask_registry(
    api: &Api,
    (known, kept): (&Provider, &Kept),
    today: NaiveDate,
) -> Result<Asked, Error> {
    let registry =
        api.registry.as_ref().ok_or_else(|| method("must be manual: this stack asks no registry"))?;
    if !knows(kept.credential.kind) {
        return Err(method("must be manual: the registry knows NPIs and licences alone").into());
    }
    kept.credential.after(Action::Asked, today)?;
    let npi = ask::npi_of(&api.db, kept).await?;
    let missing = || method("must be manual, as long as the provider's NPI is not recorded");
    Ok(ask::ask(registry, &npi.ok_or_else(missing)?, kept, &known.name).await)
}

fn method(message: &str) -> Problem {
    let mut faults = Faults::new();
    faults.add("method", message);
    faults.into_problem()
}
