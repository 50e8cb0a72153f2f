//! `spec.gateway`, but for its routes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use contracts::origin::{MAX_AGE_SECONDS_MAX, Origin};
use settings::{Concurrency, RateLimits, ServiceName};

use super::{bounds, routes, services};
use crate::fault::Faults;
use crate::spec::{
    ConcurrencySpec, CorsSpec, DEFAULT_RATE_LIMIT, GatewayService, GatewayServiceType, GatewaySpec,
    IngressSpec, Span,
};
use crate::{Gateway, Ingress, IngressBy, Service};

const PATH: &str = "spec.gateway";

pub(super) fn validate(
    spec: &GatewaySpec,
    services: &BTreeMap<ServiceName, Service>,
    faults: &mut Faults,
) -> Gateway {
    let resources = spec.resources.clone().unwrap_or_else(services::default_resources);
    bounds::resources(PATH, &resources, faults);
    for (index, network) in spec.trusted_proxies.iter().enumerate() {
        if !is_network(network) {
            faults.add(
                format!("{PATH}.trustedProxies[{index}]"),
                format!("{network} is no network; write one such as 10.0.0.0/8 or fd00::/8"),
            );
        }
    }
    if spec.tls.is_some() && spec.ingress.is_some() {
        faults.add(
            format!("{PATH}.tls"),
            "must be left out with ingress: what is behind an Ingress or a Gateway is spoken to without TLS; give the host's certificate \
             to ingress.tls, or to the Gateway",
        );
    }
    Gateway {
        scale: bounds::scale(PATH, spec.replicas, spec.autoscaling, faults),
        resources,
        routes: routes::validate(&spec.routes, services, faults),
        rate_limits: RateLimits {
            per_client: spec.rate_limits.per_client.or(Some(DEFAULT_RATE_LIMIT)),
            per_user: spec.rate_limits.per_user.or(Some(DEFAULT_RATE_LIMIT)),
            ..spec.rate_limits.clone()
        },
        rate_limit_store: spec.rate_limit_store.clone().inspect(|store| {
            let (path, min, max) =
                (format!("{PATH}.rateLimitStore.timeout"), Span::from_millis(1), Span::from_secs(1));
            bounds::span(path, store.timeout, min, max, faults);
        }),
        concurrency: concurrency(spec.concurrency.unwrap_or_default(), faults),
        balancing: spec.load_balancing,
        protocol: spec.upstream_protocol,
        trusted_proxies: spec.trusted_proxies.clone(),
        cors: spec.cors.clone().inspect(|cors| self::cors(cors, faults)),
        access_log: spec.access_log,
        service: service(spec.service.clone().unwrap_or_default(), faults),
        ingress: spec.ingress.as_ref().map(|ingress| self::ingress(ingress, faults)),
        tls: spec.tls.clone(),
    }
}

fn concurrency(spec: ConcurrencySpec, faults: &mut Faults) -> Concurrency {
    let ConcurrencySpec { max, adaptive, min, fast } = spec;
    let path = format!("{PATH}.concurrency");
    bounds::span(format!("{path}.fast"), fast, Span::from_millis(1), Span::from_secs(60), faults);
    let min = min.unwrap_or(Concurrency::min_below(max));
    if min > max {
        faults.add(path, format!("min ({min}) must be at most max ({max})"));
    }
    Concurrency { max, adaptive, min, fast_ms: fast.millis() }
}

fn cors(cors: &CorsSpec, faults: &mut Faults) {
    for (index, origin) in cors.origins.iter().enumerate() {
        if let Err(fault) = origin.parse::<Origin>() {
            faults.add(format!("{PATH}.cors.origins[{index}]"), format!("{origin} {fault}"));
        }
    }
    let max = Span::from_secs(MAX_AGE_SECONDS_MAX.into());
    bounds::span(format!("{PATH}.cors.maxAge"), cors.max_age, Span::from_secs(0), max, faults);
}

fn service(service: GatewayService, faults: &mut Faults) -> GatewayService {
    if service.node_port.is_some() && service.r#type == GatewayServiceType::ClusterIp {
        faults.add(format!("{PATH}.service.nodePort"), "needs type NodePort or LoadBalancer");
    }
    service
}

fn ingress(spec: &IngressSpec, faults: &mut Faults) -> Ingress {
    let class_name = spec.class_name.clone();
    let tls_secret = spec.tls.as_ref().map(|tls| tls.secret_name.clone());
    let by = if spec.parent_refs.is_empty() {
        IngressBy::Ingress { class_name, tls_secret }
    } else {
        for (name, there) in [("className", class_name.is_some()), ("tls", tls_secret.is_some())] {
            if there {
                faults.add(
                    format!("{PATH}.ingress.{name}"),
                    "must be left out with parentRefs: an HTTPRoute has none, its Gateway does",
                );
            }
        }
        IngressBy::HttpRoute { parents: spec.parent_refs.clone() }
    };
    Ingress { host: spec.host.clone(), annotations: spec.annotations.clone(), by }
}

/// An address, a slash, a prefix length that the address family has.
fn is_network(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else { return false };
    let max = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    !prefix.is_empty()
        && prefix.bytes().all(|byte| byte.is_ascii_digit())
        && prefix.parse().is_ok_and(|prefix: u8| prefix <= max)
}
