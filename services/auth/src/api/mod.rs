//! The handlers, a file each: authorise, load, decide, save, commit.

pub mod audit;
pub mod events;
pub mod export;
mod hold;
pub mod introspect;
pub mod keys;
pub mod login;
pub mod logout;
pub mod me;
pub mod oidc;
pub mod refresh;
pub mod revocations;
pub mod revoke;
pub mod roles;
pub mod second_factor;
pub mod sessions;
pub mod stack_keys;
mod told;
pub mod users;

use std::sync::Arc;

use contracts::auth::{LoggedIn, Revocation};
use contracts::client::found;
use contracts::id::{PatientId, ProviderId, UserId};
use contracts::patients::PatientsClient;
use contracts::problem::Faults;
use contracts::providers::ProvidersClient;
use db::{Db, Tx};
use http_kit::kit::BuildError;
use http_kit::token::{Claims, TokenError, Verifier};
use http_kit::{Caller, Kit};
use settings::{PasswordPolicy, ServiceName};

use crate::domain::role;
use crate::domain::second_factor::Asked;
use crate::domain::user::User;
use crate::error::Error;
use crate::feed::Feed;
use crate::guard::Guard;
use crate::oidc::Providers;
use crate::password::Hasher;
use crate::signing::SigningKeys;
use crate::store::revocation::Ended;
use crate::store::role::role_find;
use crate::store::second_factor::second_factor_since;
use crate::token::{Issuer, RefreshToken, To};

/// What every handler has.
#[derive(Clone, Debug)]
pub struct Api {
    pub(crate) db: Db,
    pub(crate) hasher: Hasher,
    guard: Guard,
    issuer: Arc<Issuer>,
    feed: Feed,
    verifier: Arc<Verifier>,
    policy: PasswordPolicy,
    /// Who must have a second factor.
    second_factor: Asked,
    /// Where people may log in outside the stack.
    oidc: Arc<Providers>,
    /// `None` where the stack has no such service: nobody is a patient, or provider, then.
    patients: Option<PatientsClient>,
    providers: Option<ProvidersClient>,
    audits: Arc<audit::Audits>,
    keepers: Arc<stack_keys::Keepers>,
}

impl Api {
    /// From the kit.
    pub fn new(kit: &Kit, feed: Feed, keys: Arc<SigningKeys>) -> Result<Self, BuildError> {
        Ok(Self {
            db: kit.db.clone(),
            hasher: Hasher::new(kit.db.random().clone()),
            guard: Guard::new(&kit.db),
            issuer: Arc::new(Issuer::new(keys, &kit.settings.auth)),
            feed,
            verifier: Arc::clone(&kit.world.verifier),
            policy: kit.settings.auth.password_policy,
            second_factor: Asked::from(&kit.settings.auth.second_factor),
            oidc: Arc::new(Providers::new(&kit.settings.auth.identity_providers, &kit.world.secrets)),
            patients: kit.optional_transport(ServiceName::PatientService)?.map(PatientsClient::new),
            providers: kit.optional_transport(ServiceName::ProviderService)?.map(ProvidersClient::new),
            audits: Arc::new(audit::Audits::new(kit)?),
            keepers: Arc::new(stack_keys::Keepers::new(kit)?),
        })
    }

    /// The answer to a login and to a refresh.
    fn logged_in(&self, to: &To<'_>, refresh_token: &RefreshToken) -> LoggedIn {
        let now = self.db.clock().now();
        let status = if to.only_enrols { "Enrolment required" } else { "Authenticated" };
        LoggedIn {
            token: self.issuer.access_token(self.db.random(), now, to),
            refresh_token: refresh_token.as_str().to_owned(),
            status: status.to_owned(),
            expires_in: u32::try_from((to.times.token_expires_at - now).num_seconds()).unwrap_or_default(),
        }
    }

    /// Whether somebody may do nothing but enrol a second factor: they must have one, and have none. Asked whenever a token is issued, so that
    /// a session goes on with what holds now.
    async fn only_enrols(&self, tx: &mut Tx, account: &UserId, user: &User) -> Result<bool, Error> {
        Ok(self.second_factor.of(user) && second_factor_since(tx, account).await?.is_none())
    }

    /// What a token claims that we signed, whether or not it has expired or was revoked; `None` if we did not.
    async fn signed_here(&self, token: &str) -> Result<Option<Claims>, Error> {
        match self.verifier.claims(token).await {
            Ok(claims) => Ok(Some(claims)),
            Err(TokenError::Unavailable) => Err(Error::NoKeys),
            Err(_) => Ok(None),
        }
    }

    /// Tells of sessions whose end was just committed: this process at once, the others as they ask.
    fn announce(&self, ended: &[Ended]) {
        if !ended.is_empty() {
            let revocations: Vec<Revocation> = ended.iter().map(Ended::revocation).collect();
            self.verifier.revocations().apply(&revocations, self.db.clock());
            self.feed.wake();
        }
    }

    /// Refuses a user who is to be tied to a patient or provider that does not exist. What they are tied to already is not asked for.
    async fn check_ties(&self, user: &User, present: Option<&User>) -> Result<(), Error> {
        let mut faults = Faults::new();
        if let Some(id) = &user.patient_id
            && present.is_none_or(|present| present.patient_id != user.patient_id)
            && !self.is_patient(id).await?
        {
            faults.add("patientId", "names no patient");
        }
        if let Some(id) = &user.provider_id
            && present.is_none_or(|present| present.provider_id != user.provider_id)
            && !self.is_provider(id).await?
        {
            faults.add("providerId", "names no provider");
        }
        Ok(faults.into_result()?)
    }

    /// Looks up what the roles of a user may that were made here, and refuses a user who would be given more than their maker has. Under the lock
    /// [`ROLES`](crate::store::role::ROLES): what was looked up stays so until the commit.
    async fn fill_roles(&self, tx: &mut Tx, maker: &Caller, user: &mut User) -> Result<(), Error> {
        let mut faults = Faults::new();
        for (name, permissions) in &mut user.made {
            match role_find(tx, name).await? {
                Some(kept) => *permissions = kept.permissions,
                None => faults.add("roles", format_args!("must be roles that there are; {name} is none")),
            }
        }
        faults.into_result()?;
        Ok(role::within(maker.has_to_give(), user.permissions(), "roles")?)
    }

    async fn is_patient(&self, id: &PatientId) -> Result<bool, Error> {
        let Some(patients) = &self.patients else { return Ok(false) };
        Ok(found(patients.patient_by_id(id).await)?.is_some())
    }

    async fn is_provider(&self, id: &ProviderId) -> Result<bool, Error> {
        let Some(providers) = &self.providers else { return Ok(false) };
        Ok(found(providers.provider_by_id(id).await)?.is_some())
    }
}

/// Characters, 1 to `max`: what is longer is not worth hashing.
fn bounded(field: &str, text: &str, max: usize, faults: &mut Faults) {
    if text.is_empty() || text.chars().nth(max).is_some() {
        faults.add(field, format_args!("must have 1 to {max} characters"));
    }
}
