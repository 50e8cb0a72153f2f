//! The auth service: login and logout, sessions and their tokens, users and their roles.
//!
//! | module | idea |
//! |---|---|
//! | [`domain`] | what a user, a password, a session may be; how often a password may be tried |
//! | [`guard`] | attempts are counted before they are evaluated |
//! | [`password`] | argon2id, a bounded number at once |
//! | [`token`], [`signing`] | access and refresh tokens, and the keys behind them |
//! | [`oidc`] | identity providers outside the stack |
//! | [`feed`] | revocations, told to those who wait for them |
//! | [`seed`] | the first administrator; demo users |
//! | [`api`], [`store`], [`jobs`] | handlers, SQL, background work |
//!
//! Every change that makes a token wrong ends the user's sessions, and a session's end is committed as a revocation with it.

pub mod api;
pub mod domain;
mod error;
pub mod feed;
pub mod guard;
pub mod jobs;
pub mod oidc;
pub mod password;
pub mod seed;
pub mod signing;
pub mod store;
pub mod token;

use std::sync::Arc;

use chrono::TimeDelta;
use contracts::auth;
use contracts::secret::Secret;
use http_kit::Routes;
use http_kit::kit::{App, BoxFuture, BuildError, Kit, Service};
use settings::ServiceName;

use crate::signing::SigningKeys;

pub use error::Error;

/// This service, to be started.
pub const SERVICE: Service = Service { name: ServiceName::AuthService, migrations: MIGRATIONS, build };

/// Its tables.
pub const MIGRATIONS: db::Migrations = db::migrations!();

fn build(kit: Kit) -> BoxFuture<'static, Result<App, BuildError>> {
    Box::pin(async move {
        let (feed, watch) = feed::feed(&kit.db, Arc::clone(&kit.world.verifier)).await?;
        let token_life = TimeDelta::seconds(kit.settings.auth.access_token_seconds.into());
        let keys = SigningKeys::load(&kit.world.secrets, &kit.world.clock, token_life)?;
        let api = api::Api::new(&kit, feed, Arc::clone(&keys))?;
        seed::first_admin(&api.db, &api.hasher, kit.world.admin_password.as_ref().map(Secret::reveal))
            .await?;
        let router = Routes::new(&kit, api.clone(), auth::API)
            .on(api::login::login)
            .on(api::oidc::list::list)
            .on(api::oidc::start::start)
            .on(api::oidc::finish::finish)
            .on(api::oidc::second_factor::second_factor)
            .on(api::refresh::refresh)
            .on(api::logout::logout)
            .on(api::revoke::revoke)
            .on(api::introspect::introspect)
            .on(api::me::me)
            .on(api::me::change_password)
            .on(api::second_factor::own::own)
            .on(api::second_factor::offer::offer)
            .on(api::second_factor::confirm::confirm)
            .on(api::second_factor::remove::remove)
            .on(api::sessions::own::list)
            .on(api::sessions::own::revoke)
            .on(api::sessions::own::revoke_all)
            .on(api::sessions::users::list)
            .on(api::sessions::users::revoke)
            .on(api::sessions::users::revoke_all)
            .on(api::users::create::create)
            .on(api::users::list::list)
            .on(api::users::read::by_id)
            .on(api::users::update::update)
            .on(api::users::set_password::set_password)
            .on(api::second_factor::users::status)
            .on(api::second_factor::users::reset)
            .on(api::users::delete::delete)
            .on(api::roles::list::list)
            .on(api::roles::create::create)
            .on(api::roles::read::by_name)
            .on(api::roles::update::update)
            .on(api::roles::delete::delete)
            .on(api::keys::jwks)
            .on(api::revocations::after)
            .on(api::events::deliver)
            .on(api::audit::list::list)
            .on(api::audit::verify::verify)
            .on(api::audit::accesses::accesses)
            .on_export::<auth::ExportOfAuth, _>(api::export::kinds())
            .on_erasure::<auth::ErasureOfAuth, _, _>(|_, _| async { Ok::<_, Error>(Vec::new()) })
            .on_audit::<auth::AuditOfAuth>()
            .on(api::stack_keys::read)
            .on_keys::<auth::KeysOfAuth>()
            .on_verification::<auth::VerifyAuditOfAuth>()
            .finish()?;
        let verifier = kit.world.verifier;
        Ok(App {
            router,
            jobs: vec![
                Box::pin(watch.run(api.db.clone())),
                Box::pin(jobs::purge::run(api.db.clone())),
                Box::pin(jobs::keys::tell(api.db, Arc::clone(&keys))),
                Box::pin(async move { match signing::follow(keys, verifier).await {} }),
            ],
        })
    })
}
