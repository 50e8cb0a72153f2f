//! From a stack and what the cluster has to the objects that there should be. Pure, and it cannot fail.
//!
//! What the gateway and the services are told is planned in crate `stack`, for every substrate alike; here it is only put into
//! `ConfigMap`s. Secrets are not planned: they are made once, by [`crate::secrets`], and never written again.

mod autoscaling;
pub mod backup;
mod claim;
pub mod config;
mod context;
mod database;
mod disruption;
mod ingress;
mod job;
pub mod labels;
mod migration;
mod monitoring;
pub mod network_policy;
mod object_store;
pub mod pod;
mod remains;
pub mod rewrap;
mod service;
pub mod service_account;
mod workload;

#[cfg(test)]
pub(crate) mod tests;

use stack::{Scale, names};

pub use context::{Capabilities, Context, Kek, Tags};
pub use remains::remains;

use crate::object::Object;

/// Every object that there should be now, in the order in which they are applied: first what pods stand on, then pods, then what stands
/// on them.
pub fn plan(context: &Context<'_>) -> Vec<Object> {
    [
        service_account::plan,
        network_policy::plan,
        config::plan,
        database::plan,
        backup::plan,
        migration::plan,
        rewrap::plan,
        service::plan,
        workload::plan,
        autoscaling::plan,
        disruption::plan,
        ingress::plan,
        monitoring::plan,
    ]
    .into_iter()
    .flat_map(|plan| plan(context))
    .collect()
}

/// The parts that run for as long as the stack does: the services that are switched on, and the gateway.
fn parts(context: &Context<'_>) -> impl Iterator<Item = &'static str> {
    context.stack.enabled().map(settings::ServiceName::as_str).chain([names::API_GATEWAY])
}

/// Those of them that are there by now, with how many pods each has.
fn scales(context: &Context<'_>) -> impl Iterator<Item = (&'static str, Scale)> {
    let services =
        context.tags.services.iter().flat_map(|_| context.stack.enabled()).filter_map(|name| {
            context.stack.services.get(&name).map(|service| (name.as_str(), service.scale))
        });
    let gateway = context.tags.gateway.iter().map(|_| (names::API_GATEWAY, context.stack.gateway.scale));
    services.chain(gateway)
}
