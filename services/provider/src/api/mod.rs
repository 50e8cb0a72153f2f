//! The handlers, a file each: load, decide, save, commit. Whoever may see providers may see each of them.

pub mod add;
pub mod compliance;
pub mod credentials;
pub mod exclusions;
pub mod read;
pub mod remove;
pub mod search;
pub mod update;

use chrono_tz::Tz;
use contracts::id::ProviderId;
use db::{Db, Tx};
use http_kit::Kit;
use http_kit::kit::BuildError;

use crate::error::Error;
use crate::registry::Registry;
use crate::store::provider::{Kept, provider_find};

/// What every handler has.
#[derive(Clone)]
pub struct Api {
    db: Db,
    /// The time where the clinic is.
    pub(crate) time_zone: Tz,
    /// `None` where the stack asks none.
    pub(crate) registry: Option<Registry>,
}

impl Api {
    /// From the kit.
    pub fn new(kit: &Kit) -> Result<Self, BuildError> {
        let registry = kit.settings.integrations.npi_registry.as_ref().map(Registry::new).transpose()?;
        Ok(Self { db: kit.db.clone(), time_zone: kit.settings.time_zone.parse()?, registry })
    }

    /// The provider, if there is one.
    async fn found(&self, tx: &mut Tx, id: &ProviderId) -> Result<Kept, Error> {
        provider_find(tx, &self.db, id).await?.ok_or(Error::NotFound)
    }
}
