//! The billing service: bills for what was done for patients, what insurers are asked to pay of them, and where each bill stands.
//!
//! A bill is kept as one body sealed under its patient's key. The law keeps what was issued beyond the patient's erasure: those bills
//! move under the service's own key and are *restricted* to whoever keeps the books.

pub mod api;
pub mod domain;
mod error;
pub mod store;

use contracts::bills;
use http_kit::kit::{App, BoxFuture, BuildError, Kit, Service};
use http_kit::{Routes, renewal};
use settings::ServiceName;

pub use error::Error;

/// This service, to be started.
pub const SERVICE: Service = Service { name: ServiceName::BillingService, migrations: MIGRATIONS, build };

/// Its tables.
pub const MIGRATIONS: db::Migrations = db::migrations!();

fn build(kit: Kit) -> BoxFuture<'static, Result<App, BuildError>> {
    Box::pin(async move {
        let api = api::Api::new(&kit)?;
        renewal::renew(&kit.db, store::renewal::some).await?;
        let renewal = renewal::run(kit.db.clone(), store::renewal::some);
        let retention = api.retention.clone();
        let router = Routes::new(&kit, api, bills::API)
            .on(api::create::create)
            .on(api::search::list)
            .on(api::read::by_id)
            .on(api::update::update)
            .on(api::delete::delete)
            .on(api::events::deliver)
            .on_export::<bills::ExportOfBilling, _>(api::export::kinds())
            .on_erasure::<bills::ErasureOfBilling, _, _>(api::erasure::kept)
            .on_retention::<bills::RetainedByBilling, bills::CarryRetentionOfBilling>(&retention)
            .on_audit::<bills::AuditOfBilling>()
            .on_keys::<bills::KeysOfBills>()
            .on_verification::<bills::VerifyAuditOfBilling>()
            .finish()?;
        Ok(App { router, jobs: vec![Box::pin(renewal), Box::pin(retention.run())] })
    })
}
