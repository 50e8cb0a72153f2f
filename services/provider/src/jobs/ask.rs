//! Asks the registry of what waits for it, again and again, until it answers.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use contracts::credentials::CredentialKind;
use db::Db;
use settings::ServiceName;

use crate::api::credentials::today;
use crate::domain::credential::{Action, Entry};
use crate::domain::registry::judge;
use crate::error::Error;
use crate::registry::Registry;
use crate::store::credential::{Kept, credential_find, credential_to_ask, credential_update, credentials_of};
use crate::store::provider::provider_find;

const EVERY: Duration = Duration::from_secs(30);
/// Nobody else takes what is being asked for so long: longer than the registry is given to answer.
const TAKEN_FOR: TimeDelta = TimeDelta::minutes(2);
/// The shortest time until it is asked again; what waits longer is asked more seldom.
const AGAIN_MIN: TimeDelta = TimeDelta::minutes(2);
/// The longest.
const AGAIN_MAX: TimeDelta = TimeDelta::hours(6);

/// What came of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What that makes of the credential.
    pub action: Action,
    /// By what, in words that are kept.
    pub evidence: Option<String>,
}

impl Asked {
    /// Of an answer.
    pub fn of(is_good: bool, evidence: String) -> Self {
        let action = if is_good { Action::Verified } else { Action::Rejected };
        Self { action, evidence: Some(evidence) }
    }

    /// When it is to be asked again, if there was no answer: after about as long as it was waited for.
    pub fn ask_again(&self, now: DateTime<Utc>, since: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        let waited = since.map_or(AGAIN_MIN, |since| now - since);
        (self.action == Action::Asked).then(|| now + waited.clamp(AGAIN_MIN, AGAIN_MAX))
    }
}

/// The NPI to ask for: the credential itself, or its provider's.
pub async fn npi_of(db: &Db, kept: &Kept) -> Result<Option<String>, db::Error> {
    let mut tx = db.read().await?;
    let all = credentials_of(&mut tx, db, &kept.provider).await?;
    let npi = all.into_iter().map(|kept| kept.credential).find(|it| it.kind == CredentialKind::Npi);
    Ok(npi.map(|npi| npi.number))
}

/// Asks the registry.
pub async fn ask(registry: &Registry, npi: &str, kept: &Kept, name: &str) -> Asked {
    match registry.ask(npi).await {
        Ok(answer) => {
            let finding = judge(&answer, npi, &kept.credential, name);
            Asked::of(finding.is_good, finding.evidence)
        }
        Err(error) => {
            tracing::warn!(%error, credential = %kept.id, "a credential is still to be verified");
            Asked { action: Action::Asked, evidence: None }
        }
    }
}

/// Again and again.
pub async fn run(db: Db, registry: Registry) {
    loop {
        match one(&db, &registry).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "credentials could not be verified"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Asks of one that it is time for. Whether there was one.
pub async fn one(db: &Db, registry: &Registry) -> Result<bool, Error> {
    let taken = db::retrying(db, async |mut tx| {
        let next = tx.now() + TAKEN_FOR;
        let taken = credential_to_ask(&mut tx, db, next).await?;
        tx.commit_unaudited().await?;
        Ok::<_, db::Error>(taken)
    })
    .await?;
    let Some(kept) = taken else { return Ok(false) };
    let mut tx = db.read().await?;
    let known = provider_find(&mut tx, db, &kept.provider).await?;
    drop(tx);
    let Some(known) = known else { return Ok(true) };
    let asked = match npi_of(db, &kept).await? {
        Some(npi) => ask(registry, &npi, &kept, &known.provider.name).await,
        None => Asked::of(false, "The provider's NPI is not recorded any more.".to_owned()),
    };
    note(db, &kept, &asked, &known.provider).await?;
    Ok(true)
}

/// Notes what came of it, unless the credential was changed meanwhile: then that is what counts.
async fn note(
    db: &Db,
    kept: &Kept,
    asked: &Asked,
    provider: &crate::domain::provider::Provider,
) -> Result<(), Error> {
    db::retrying(db, async |mut tx| {
        let now_kept = credential_find(&mut tx, db, (&kept.provider, &kept.id)).await?;
        let Some(now_kept) = now_kept.filter(|it| it.version == kept.version) else { return Ok(()) };
        // It has expired while it waited, which is what it says now.
        let after = now_kept.credential.after(asked.action, today(provider, tx.now()));
        let Ok(after) = after else { return Ok(()) };
        let ask_at = asked.ask_again(tx.now(), kept.asked_since);
        let entry = Entry {
            by: format!("service:{}", ServiceName::ProviderService),
            action: asked.action,
            stands: after.stands,
            evidence: asked.evidence.clone(),
        };
        credential_update(&mut tx, db, (&now_kept, &after), ask_at, &entry).await?;
        Ok(tx.commit().await?)
    })
    .await
}
