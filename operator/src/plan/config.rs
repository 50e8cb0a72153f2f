//! What each part is told, in a `ConfigMap` of its own. What that is, crate `stack` plans for every substrate alike.

use k8s_openapi::api::core::v1::ConfigMap;
use settings::{ServiceName, ServiceSettings};
use stack::{Placement, names, plan_gateway, plan_service};

use super::{Context, pod};
use crate::object::Object;

/// The key of the gateway's configuration in its `ConfigMap`.
pub const GATEWAY_FILE: &str = "gateway.json";

/// A `ConfigMap` for each service of which pods may run, and the gateway's.
pub(super) fn plan(context: &Context<'_>) -> Vec<Object> {
    let services = context.services().map(|service| {
        config_map(context, service.as_str(), pod::SETTINGS_FILE, text(&settings(context, service)))
    });
    services.chain([config_map(context, names::API_GATEWAY, GATEWAY_FILE, gateway(context))]).collect()
}

/// What a service is told.
pub fn settings(context: &Context<'_>, service: ServiceName) -> ServiceSettings {
    plan_service(context.stack, service, &Placement::Kubernetes)
}

/// As it stands in the service's `ConfigMap`: on several lines, for people who look.
pub fn text(settings: &ServiceSettings) -> String {
    serde_json::to_string_pretty(settings).unwrap_or_default()
}

/// On one line: it has a hundred routes, and is read by the gateway alone.
fn gateway(context: &Context<'_>) -> String {
    serde_json::to_string(&plan_gateway(context.stack, &Placement::Kubernetes)).unwrap_or_default()
}

fn config_map(context: &Context<'_>, part: &str, file: &str, text: String) -> Object {
    Object::of(&ConfigMap {
        metadata: context.owned(part, context.name(part)),
        data: Some([(file.to_owned(), text)].into()),
        ..ConfigMap::default()
    })
}
