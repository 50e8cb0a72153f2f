//! Services: one stable name for each part. None has the admin port: that is for Prometheus, which asks each pod.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use settings::GATEWAY_PORT;
use stack::names;
use stack::spec::GatewayServiceType;

use super::{Context, labels, pod};
use crate::object::Object;

/// One for each part that runs. The services find each other by them; the gateway learns from their `EndpointSlices` which pods there are.
pub(super) fn plan(context: &Context<'_>) -> Vec<Object> {
    let services = context.stack.enabled().map(|name| service(context, name.as_str(), name.port(), "https"));
    services.chain([gateway(context)]).map(|service| Object::of(&service)).collect()
}

fn gateway(context: &Context<'_>) -> Service {
    let asked = &context.stack.gateway.service;
    let protocol = if context.stack.gateway.tls.is_some() { "https" } else { "http" };
    let mut service = service(context, names::API_GATEWAY, GATEWAY_PORT, protocol);
    if !asked.annotations.is_empty() {
        service.metadata.annotations = Some(asked.annotations.clone());
    }
    if let Some(spec) = &mut service.spec {
        let (type_, traffic) = match asked.r#type {
            GatewayServiceType::ClusterIp => ("ClusterIP", None),
            GatewayServiceType::NodePort => ("NodePort", None),
            // Straight to a node with a gateway on it, so that the client's address is seen: limits count by it.
            GatewayServiceType::LoadBalancer => ("LoadBalancer", Some("Local".to_owned())),
        };
        spec.type_ = Some(type_.to_owned());
        spec.external_traffic_policy = traffic;
        for port in spec.ports.iter_mut().flatten() {
            port.node_port = asked.node_port.map(i32::from);
        }
    }
    service
}

fn service(context: &Context<'_>, part: &str, port: u16, protocol: &str) -> Service {
    Service {
        metadata: context.owned(part, context.name(part)),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(labels::selector(&context.stack.name, part)),
            ports: Some(vec![ServicePort {
                name: Some(protocol.to_owned()),
                port: port.into(),
                target_port: Some(IntOrString::String(pod::HTTP.to_owned())),
                protocol: Some("TCP".to_owned()),
                app_protocol: Some(protocol.to_owned()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}
