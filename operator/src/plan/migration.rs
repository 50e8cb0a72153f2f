//! Migration Jobs: each service's own image brings its own schemas up to date before a pod of that version runs.

use settings::ServiceName;
use stack::names;

use super::job::{Patience, job};
use super::pod::{self, Pod};
use super::{Context, workload};
use crate::object::Object;

/// A failed migration is undone by its transaction. It is tried again for what passes by itself: a database that restarts, a lock.
const PATIENCE: Patience = Patience { retries: 4, seconds_max: Some(3_600) };

/// A Job for each service that is switched on, once the database is prepared.
pub(super) fn plan(context: &Context<'_>) -> Vec<Object> {
    let tags = context.tags.migrations.iter();
    tags.flat_map(|tag| context.stack.enabled().map(move |service| migrate(context, service, tag))).collect()
}

fn migrate(context: &Context<'_>, service: ServiceName, tag: &str) -> Object {
    let part = names::migrate(service);
    let mut container = pod::program(context, service.as_str(), tag, vec!["migrate".to_owned()]);
    container.resources =
        context.stack.services.get(&service).map(|service| pod::resources(&service.resources));
    let template = Pod {
        part: &part,
        account: context.name(service.as_str()),
        container,
        mounts: workload::service_mounts(context, service),
        user: pod::USER,
        database: true,
    }
    .template(context);
    job(context, &part, template, PATIENCE)
}
