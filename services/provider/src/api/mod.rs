//! The handlers, a file each: load, decide, save, commit. Whoever may see providers may see each of them.

pub mod add;
pub mod compliance;
pub mod credentials;
pub mod exclusions;
pub mod read;
pub mod remove;
pub mod schedules;
pub mod search;
pub mod time_off;
pub mod update;

use chrono::NaiveDate;
use chrono_tz::Tz;
use contracts::event::{Event, What};
use contracts::id::{EventId, ProviderId};
use db::{Db, Tx};
use http_kit::kit::BuildError;
use http_kit::{Kit, relay};

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

    /// The date where the clinic is.
    fn today(&self) -> NaiveDate {
        self.db.clock().now().with_timezone(&self.time_zone).date_naive()
    }

    /// Tells the others, in the transaction of what they are told.
    async fn publish(&self, tx: &mut Tx, what: What) -> Result<(), db::Error> {
        let event = Event { id: EventId::generate(self.db.random()), occurred_at: tx.now(), what };
        relay::publish(tx, &self.db, &event).await
    }

    /// Tells that when a provider can be booked has changed.
    async fn tell_schedule(&self, tx: &mut Tx, id: &ProviderId, version: i64) -> Result<(), db::Error> {
        self.publish(tx, What::ProviderScheduleChanged { provider_id: id.clone(), version }).await
    }

    /// The provider, if there is one.
    async fn found(&self, tx: &mut Tx, id: &ProviderId) -> Result<Kept, Error> {
        provider_find(tx, &self.db, id).await?.ok_or(Error::NotFound)
    }
}
