//! The patient service: registration, search, changes and deletion of patients and their medical history.
//!
//! It keeps each patient as one body sealed under the patient's own key; what can be searched for stands beside it as keyed hashes.
//! Deleting a patient destroys the key and tells the other services by event.

pub mod api;
pub mod archive;
pub mod domain;
mod error;
pub mod jobs;
pub mod store;

use contracts::patients;
use http_kit::kit::{App, BoxFuture, BuildError, Kit, Service};
use http_kit::{Routes, renewal};
use settings::ServiceName;

pub use error::Error;

/// This service, to be started.
pub const SERVICE: Service = Service { name: ServiceName::PatientService, migrations: MIGRATIONS, build };

/// Its tables.
pub const MIGRATIONS: db::Migrations = db::migrations!();

fn build(kit: Kit) -> BoxFuture<'static, Result<App, BuildError>> {
    Box::pin(async move {
        let api = api::Api::new(&kit)?;
        renewal::renew(&kit.db, store::renewal::some).await?;
        let renewal = renewal::run(kit.db.clone(), store::renewal::some);
        let erased_before = jobs::erased_before::run(kit.db.clone());
        let (forget, retention) = (jobs::forget::run(api.db.clone()), api.retention.clone());
        let router = Routes::new(&kit, api, patients::API)
            .on(api::register::register)
            .on(api::search::list)
            .on(api::read::by_id)
            .on(api::update::update)
            .on(api::delete::delete)
            .on(api::export::export)
            .on(api::erasure::report)
            .on(api::retained::list)
            .on(api::retained::run)
            .on(api::hold::read)
            .on(api::hold::place)
            .on(api::hold::lift)
            .on(api::care_team::list)
            .on(api::care_team::join)
            .on(api::care_team::leave)
            .on(api::consents::list)
            .on(api::consents::record)
            .on(api::consents::withdraw)
            .on(api::consents::denials)
            .on(api::read::contact)
            .on(api::events::deliver)
            .on_audit::<patients::AuditOfPatients>()
            .on_keys::<patients::KeysOfPatients>()
            .on_verification::<patients::VerifyAuditOfPatients>()
            .finish()?;
        let jobs: Vec<BoxFuture<'static, ()>> =
            vec![Box::pin(renewal), Box::pin(erased_before), Box::pin(forget), Box::pin(retention.run())];
        Ok(App { router, jobs })
    })
}
