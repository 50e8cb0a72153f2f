//! Jobs that wrap every key under another key-encryption key: one for each service, those that are switched off among them, since their
//! keys are in the database as well.
//!
//! The previous key-encryption key is given up when all of them are done ([`crate::secrets`]), and for no other reason. So each is told
//! which key is meant: done under another is not done.

use settings::{KekProvider, ServiceName};
use stack::names;

use super::job::{Patience, job};
use super::pod::{self, Mounts, Pod};
use super::{Context, config, workload};
use crate::object::Object;

/// What cannot be wrapped anew in some minutes is told, and tried anew later.
const PATIENCE: Patience = Patience { retries: 4, seconds_max: None };

/// How the parts begin: [`names::rewrap`].
const REWRAP: &str = "rewrap-";

/// Whether a part is a Job that wraps keys anew.
pub fn is_rewrap(part: &str) -> bool {
    part.starts_with(REWRAP)
}

/// A Job for each service, while keys are to be wrapped anew.
pub(super) fn plan(context: &Context<'_>) -> Vec<Object> {
    let (Some(kek_id), Some(tag)) = (&context.kek.rewrap, &context.tags.services) else { return Vec::new() };
    ServiceName::ALL.map(|service| rewrap(context, service, tag, kek_id)).into()
}

fn rewrap(context: &Context<'_>, service: ServiceName, tag: &str, kek_id: &str) -> Object {
    let part = names::rewrap(service);
    // An engine wraps under the newest version of its key, whatever we take that to be.
    let args = match context.stack.encryption.provider {
        KekProvider::Secret => vec!["rewrap", "--under", kek_id],
        KekProvider::Transit => vec!["rewrap"],
    };
    let args: Vec<_> = args.into_iter().map(str::to_owned).collect();
    let mut container = pod::program(context, service.as_str(), tag, args);
    container.resources =
        context.stack.services.get(&service).map(|service| pod::resources(&service.resources));
    let settings = config::text(&config::settings(context, service));
    let mounts = Mounts::default()
        .settings(context.name(service.as_str()), &settings)
        .secret("database", context.name(&names::database(service)))
        .secret(names::KEK, context.name(names::KEK));
    let mounts = workload::with_engine(mounts, &context.stack.encryption);
    let template = Pod {
        part: &part,
        account: context.name(service.as_str()),
        container,
        mounts,
        user: pod::USER,
        database: true,
    }
    .template(context);
    job(context, &part, template, PATIENCE)
}
