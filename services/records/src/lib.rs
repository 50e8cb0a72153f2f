//! The medical records service: what was found and done, day by day, for each patient.
//!
//! It keeps each record as one body sealed under its patient's key; only whose and of which day it is stands beside it. When a patient
//! is erased, their records go, or are kept aside for their years, and the key is destroyed.
//!
//! Patients ask to have them amended; what they asked, and what came of it, is shown with the record, which stays as it was.
//!
//! Clinicians see the records of whom they treat. Who treats whom it is told by events, and keeps; in an emergency they break the glass,
//! which is told to others and reviewed.

pub mod api;
pub mod domain;
mod error;
pub mod jobs;
pub mod store;

use contracts::records;
use http_kit::Routes;
use http_kit::kit::{App, BoxFuture, BuildError, Kit, Service};
use settings::ServiceName;

pub use error::Error;

/// This service, to be started.
pub const SERVICE: Service =
    Service { name: ServiceName::MedicalRecordsService, migrations: MIGRATIONS, build };

/// Its tables.
pub const MIGRATIONS: db::Migrations = db::migrations!();

fn build(kit: Kit) -> BoxFuture<'static, Result<App, BuildError>> {
    Box::pin(async move {
        let api = api::Api::new(&kit)?;
        let (forget, retention) = (jobs::forget::run(api.db.clone()), api.retention.clone());
        let router = Routes::new(&kit, api, records::API)
            .on(api::create::create)
            .on(api::search::list)
            .on(api::read::by_id)
            .on(api::update::update)
            .on(api::delete::delete)
            .on(api::amendments::request)
            .on(api::amendments::of_record)
            .on(api::amendments::list)
            .on(api::amendments::decide)
            .on(api::amendments::disagree)
            .on(api::break_glass::break_glass)
            .on(api::reviews::list)
            .on(api::reviews::review)
            .on(api::events::deliver)
            .on_export::<records::ExportOfRecords, _>(api::export::kinds())
            .on_erasure::<records::ErasureOfRecords, _, _>(api::erasure::kept)
            .on_retention::<records::RetainedByRecords, records::CarryRetentionOfRecords>(&retention)
            .on_audit::<records::AuditOfRecords>()
            .on_keys::<records::KeysOfRecords>()
            .on_verification::<records::VerifyAuditOfRecords>()
            .finish()?;
        Ok(App { router, jobs: vec![Box::pin(forget), Box::pin(retention.run())] })
    })
}
