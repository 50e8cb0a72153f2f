//! The appointment service: booking, moving and cancelling appointments, their history, the providers' free slots, and
//! calendar feeds.
//!
//! That nobody is booked twice at once is a fact of the database (an exclusion constraint, a trigger), not a check before the write.
//! Each appointment is one body sealed under its patient's key, and so is each entry of its history.
//!
//! Not here: reminders and messages (the notification service hears of bookings by event), and providers' hours (their own service's,
//! asked for when they are needed).

pub mod api;
pub mod domain;
mod error;
pub mod jobs;
mod peers;
pub mod store;

use contracts::appointments;
use http_kit::kit::{App, BoxFuture, BuildError, Kit, Service};
use http_kit::{Routes, renewal};
use settings::ServiceName;

pub use error::Error;

/// This service, to be started.
pub const SERVICE: Service = Service { name: ServiceName::AppointmentService, migrations: MIGRATIONS, build };

/// Its tables.
pub const MIGRATIONS: db::Migrations = db::migrations!();

fn build(kit: Kit) -> BoxFuture<'static, Result<App, BuildError>> {
    Box::pin(async move {
        let api = api::Api::new(&kit)?;
        let (care, retention) = (jobs::care::run(kit.db.clone()), api.retention.clone());
        renewal::renew(&kit.db, store::renewal::some).await?;
        let renewal = renewal::run(kit.db.clone(), store::renewal::some);
        let router = Routes::new(&kit, api, appointments::API)
            .on(api::book::book)
            .on(api::list::list)
            .on(api::read::by_id)
            .on(api::update::update)
            .on(api::cancel::cancel)
            .on(api::history::history)
            .on(api::slots::slots)
            .on(api::feeds::create)
            .on(api::feeds::list)
            .on(api::feeds::revoke)
            .on(api::feed_calendar::calendar)
            .on(api::referrals::create::create)
            .on(api::referrals::read::list)
            .on(api::referrals::read::by_id)
            .on(api::referrals::accept::accept)
            .on(api::referrals::decline::decline)
            .on(api::events::take)
            .on_export::<appointments::ExportOfAppointments, _>(api::export::kinds())
            .on_erasure::<appointments::ErasureOfAppointments, _, _>(|api, patient| async move {
                Ok::<_, Error>(api.retention.kept(&patient).await?)
            })
            .on_retention::<appointments::RetainedByAppointments, appointments::CarryRetentionOfAppointments>(
                &retention,
            )
            .on_audit::<appointments::AuditOfAppointments>()
            .on_keys::<appointments::KeysOfAppointments>()
            .on_verification::<appointments::VerifyAuditOfAppointments>()
            .finish()?;
        Ok(App { router, jobs: vec![Box::pin(care), Box::pin(renewal), Box::pin(retention.run())] })
    })
}
