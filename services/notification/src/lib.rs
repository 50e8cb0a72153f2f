//! The notification service: sends mail, text messages and push messages, and keeps everything that was to be sent in a capture box.
//!
//! A channel that the stack names nobody for keeps to the capture box: what is asked for stands there as `Sent` and goes nowhere.
//!
//! A row is committed before the first attempt, and what came of it after: after a crash in between it is handed on again, never not at all. Each
//! attempt carries the same identity (`Message-ID`, topic, tag), so that a second copy can be known; an SMS provider, which knows none, is asked
//! first whether it has it.

pub mod api;
pub mod channels;
mod dkim;
pub mod domain;
mod error;
pub mod jobs;
mod known;
mod letter;
pub mod links;
pub mod mail;
pub mod peers;
pub mod planner;
mod smtp;
pub mod store;

use contracts::notifications;
use http_kit::Routes;
use http_kit::kit::{App, BoxFuture, BuildError, Kit, Service};
use settings::ServiceName;

pub use error::Error;

/// This service, to be started.
pub const SERVICE: Service =
    Service { name: ServiceName::NotificationService, migrations: MIGRATIONS, build };

/// Its tables.
pub const MIGRATIONS: db::Migrations = db::migrations!();

fn build(kit: Kit) -> BoxFuture<'static, Result<App, BuildError>> {
    Box::pin(async move {
        let api = api::Api::new(&kit)?;
        let retention = api.retention.clone();
        let router = Routes::new(&kit, api.clone(), notifications::API)
            .on(api::send::email)
            .on(api::send::sms)
            .on(api::send::push)
            .on(api::deliveries::replay)
            .on(api::deliveries::statistics)
            .on(api::devices::register)
            .on(api::devices::list)
            .on(api::devices::remove)
            .on(api::deliveries::suppressions)
            .on(api::deliveries::lift)
            .on(api::callbacks::status)
            .on(api::callbacks::inbound)
            .on(api::mail_reports::take)
            .on(api::follow::follow)
            .on(api::unsubscribe::page)
            .on(api::unsubscribe::take)
            .on(api::answers::confirm_page)
            .on(api::answers::confirm)
            .on(api::answers::cancel_page)
            .on(api::answers::cancel)
            .on(api::list::list)
            .on(api::read::by_id)
            .on(api::preferences::of_patient)
            .on(api::preferences::update_of_patient)
            .on(api::preferences::of_provider)
            .on(api::preferences::update_of_provider)
            .on(api::templates::list)
            .on(api::templates::by_type)
            .on(api::templates::replace)
            .on(api::templates::delete)
            .on(api::templates::preview)
            .on(api::events::take)
            .on_export::<notifications::ExportOfNotifications, _>(api::export::kinds())
            .on_erasure::<notifications::ErasureOfNotifications, _, _>(|api, patient| async move {
                Ok::<_, Error>(api.retention.kept(&patient).await?)
            })
            .on_retention::<notifications::RetainedByNotifications, notifications::CarryRetentionOfNotifications>(
                &retention,
            )
            .on_audit::<notifications::AuditOfNotifications>()
            .on_keys::<notifications::KeysOfNotifications>()
            .on_verification::<notifications::VerifyAuditOfNotifications>()
            .finish()?;
        let deliver = jobs::deliver::run(api.delivery.clone());
        let remind = jobs::remind::run(api.planner.clone());
        let forget = jobs::forget::run(api.db);
        Ok(App {
            router,
            jobs: vec![Box::pin(deliver), Box::pin(remind), Box::pin(forget), Box::pin(retention.run())],
        })
    })
}
