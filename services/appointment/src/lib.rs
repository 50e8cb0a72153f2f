//! The appointment service: holding slots, booking, moving and cancelling appointments, their history, the providers' free slots, calendar feeds, and
//! calendars outside that appointments are kept in step with.
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
pub mod outside;
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
        let review = api.review();
        let (holds, waitlist) = (jobs::holds::run(kit.db.clone()), jobs::waitlist::run(api.clone()));
        renewal::renew(&kit.db, store::renewal::some).await?;
        let renewal = renewal::run(kit.db.clone(), store::renewal::some);
        let calendars = jobs::outside::jobs(&kit, &api)?;
        let webhooks =
            api.webhooks.as_ref().map(|settings| jobs::webhooks::Teller::new(kit.db.clone(), settings));
        let webhooks = webhooks.transpose()?;
        let router = Routes::new(&kit, api, appointments::API)
            .on(api::book::book)
            .on(api::list::list)
            .on(api::read::by_id)
            .on(api::update::update)
            .on(api::cancel::cancel)
            .on(api::history::history)
            .on(api::holds::hold)
            .on(api::holds::list)
            .on(api::holds::release)
            .on(api::series::book)
            .on(api::series::by_id)
            .on(api::series_change::update)
            .on(api::series_change::cancel)
            .on(api::waitlist::join)
            .on(api::waitlist::list)
            .on(api::waitlist::leave)
            .on(api::waitlist::accept)
            .on(api::waitlist::decline)
            .on(api::reschedule::all)
            .on(api::statistics::statistics)
            .on(api::provider_report::one)
            .on(api::provider_report::several)
            .on(api::slots::slots)
            .on(api::next_slots::next)
            .on(api::availability_events::stream)
            .on(api::webhooks::create)
            .on(api::webhooks::list)
            .on(api::webhooks::delete)
            .on(api::conflicts::list)
            .on(api::conflicts::resolve)
            .on(api::feeds::create)
            .on(api::feeds::list)
            .on(api::feeds::revoke)
            .on(api::feed_calendar::calendar)
            .on(api::calendars::calendars)
            .on(api::calendars::changed)
            .on(api::referrals::create::create)
            .on(api::referrals::read::list)
            .on(api::referrals::read::by_id)
            .on(api::referrals::accept::accept)
            .on(api::referrals::decline::decline)
            .on(api::referrals::withdraw::withdraw)
            .on(api::answer::take)
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
        let mut jobs: Vec<BoxFuture<'static, ()>> = vec![
            Box::pin(care),
            Box::pin(holds),
            Box::pin(waitlist),
            Box::pin(review),
            Box::pin(renewal),
            Box::pin(retention.run()),
        ];
        if let Some(teller) = webhooks {
            jobs.push(Box::pin(teller.run()));
        }
        jobs.extend(calendars);
        Ok(App { router, jobs })
    })
}
