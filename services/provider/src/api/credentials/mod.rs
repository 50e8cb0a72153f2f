//! Credentials: recorded, verified, renewed, revoked. Whoever may change providers sees all of them, and a provider their own; to everybody else
//! there are none.

pub mod add;
pub mod delete;
pub mod read;
pub mod revoke;
pub mod standing;
pub mod update;
pub mod verify;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::credentials::CredentialSaved;
use contracts::id::{CredentialId, ProviderId};
use contracts::permission::Permission;
use db::Tx;
use http_kit::Caller;

use super::Api;
use crate::domain::credential::{Action, Credential, Entry};
use crate::domain::provider::Provider;
use crate::error::Error;
use crate::store::credential::{Kept, credential_find, credential_update};

/// Whether somebody may see this provider's credentials.
fn may_see(caller: &Caller, provider: &ProviderId) -> bool {
    caller.may(Permission::ProvidersWrite) || caller.provider_id.as_ref() == Some(provider)
}

/// The date at a provider's place.
pub(crate) fn today(provider: &Provider, now: DateTime<Utc>) -> NaiveDate {
    now.with_timezone(&provider.time_zone).date_naive()
}

/// Something that is done with a credential.
struct Done<'a> {
    /// The credential before.
    before: &'a Kept,
    /// After.
    after: Credential,
    /// What was done.
    action: Action,
    /// By what, or why.
    evidence: Option<String>,
    /// When the registry is to be asked again.
    ask_at: Option<DateTime<Utc>>,
}

impl Api {
    /// A provider's credential, with its provider.
    async fn credential(
        &self,
        tx: &mut Tx,
        (provider, id): (&ProviderId, &CredentialId),
    ) -> Result<(Provider, Kept), Error> {
        let known = self.found(tx, provider).await?.provider;
        let kept = credential_find(tx, &self.db, (provider, id)).await?.ok_or(Error::NotFound)?;
        Ok((known, kept))
    }

    async fn save(&self, tx: &mut Tx, by: &str, done: Done<'_>) -> Result<(), Error> {
        let Done { before, after, action, evidence, ask_at } = done;
        let entry = Entry { by: by.to_owned(), action, stands: after.stands, evidence };
        credential_update(tx, &self.db, (before, &after), ask_at, &entry).await
    }
}

fn saved(kept: &Kept, after: &Credential, today: NaiveDate) -> CredentialSaved {
    CredentialSaved {
        credential_id: kept.id.clone(),
        provider_id: kept.provider.clone(),
        status: after.status(today),
    }
}
