//! The provider service: profiles of those who treat, with the hours in which they can be booked, and their time off.
//!
//! A profile belongs to no patient: it is one body sealed under the service's own key, with what it is found by beside it as keyed
//! hashes. So is each of their credentials. Free slots are the appointment service's to tell, which owns the bookings; it is told when a profile is
//! removed, and when a schedule has changed.

pub mod api;
pub mod domain;
mod error;
pub mod jobs;
pub mod registry;
pub mod store;

use contracts::providers;
use http_kit::kit::{App, BoxFuture, BuildError, Kit, Service};
use http_kit::{Routes, renewal};
use settings::ServiceName;

pub use error::Error;

/// This service, to be started.
pub const SERVICE: Service = Service { name: ServiceName::ProviderService, migrations: MIGRATIONS, build };

/// Its tables.
pub const MIGRATIONS: db::Migrations = db::migrations!();

fn build(kit: Kit) -> BoxFuture<'static, Result<App, BuildError>> {
    Box::pin(async move {
        let api = api::Api::new(&kit)?;
        let ask = api.registry.clone().map(|registry| jobs::ask::run(kit.db.clone(), registry));
        let remind = jobs::remind::run(kit.db.clone(), api.time_zone);
        renewal::renew(&kit.db, store::renewal::some).await?;
        let renewal = renewal::run(kit.db.clone(), store::renewal::some);
        let router = Routes::new(&kit, api, providers::API)
            .on(api::add::add)
            .on(api::search::list)
            .on(api::read::by_id)
            .on(api::update::update)
            .on(api::remove::remove)
            .on(api::time_off::take)
            .on(api::time_off::list)
            .on(api::time_off::give_back)
            .on(api::schedules::by_id)
            .on(api::schedules::list)
            .on(api::credentials::add::add)
            .on(api::credentials::read::list)
            .on(api::credentials::read::by_id)
            .on(api::credentials::update::update)
            .on(api::credentials::delete::delete)
            .on(api::credentials::verify::verify)
            .on(api::credentials::revoke::revoke)
            .on(api::compliance::report)
            .on(api::compliance::file)
            .on(api::exclusions::put)
            .on(api::exclusions::lists)
            .on(api::exclusions::matches)
            .on(api::exclusions::review)
            .on_audit::<providers::AuditOfProviders>()
            .on_keys::<providers::KeysOfProviders>()
            .on_verification::<providers::VerifyAuditOfProviders>()
            .finish()?;
        let mut jobs: Vec<BoxFuture<'static, ()>> = vec![Box::pin(renewal), Box::pin(remind)];
        if let Some(ask) = ask {
            jobs.push(Box::pin(ask));
        }
        Ok(App { router, jobs })
    })
}
