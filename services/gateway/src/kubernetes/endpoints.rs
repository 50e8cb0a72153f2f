//! Pure: what EndpointSlices say of a configuration's Services.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use settings::{Address, GatewayConfig};

/// The label that names a slice's Service.
pub(crate) const SERVICE_LABEL: &str = "kubernetes.io/service-name";
/// The port that services answer on, where they have several.
const PORT_NAME: &str = "http";

/// What is kept of an EndpointSlice: a fraction of it, since there may be many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    service: String,
    is_v6: bool,
    ports: Vec<(Option<String>, u16)>,
    pods: Vec<(IpAddr, Condition)>,
}

/// How far a pod can be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Condition {
    /// It answers, and is about to end.
    Leaving,
    /// It answers.
    Ready,
}

impl Slice {
    /// What counts of a slice; `None` if it is nobody's, or has names where addresses should be.
    pub(crate) fn of(slice: &EndpointSlice) -> Option<Self> {
        let service = slice.metadata.labels.as_ref()?.get(SERVICE_LABEL)?.clone();
        let is_v6 = match &*slice.address_type {
            "IPv4" => false,
            "IPv6" => true,
            _ => return None,
        };
        let ports = slice.ports.iter().flatten().filter_map(|port| {
            let number = u16::try_from(port.port?).ok()?;
            Some((port.name.clone().filter(|name| !name.is_empty()), number))
        });
        let pods = slice.endpoints.iter().filter_map(|endpoint| {
            // All addresses of an endpoint are the same pod's; the first is as good as any.
            let address = endpoint.addresses.first()?.parse().ok()?;
            Some((address, condition(endpoint)?))
        });
        Some(Self { service, is_v6, ports: ports.collect(), pods: pods.collect() })
    }

    /// The port of its pods that is meant by `wanted`, the Service's.
    fn port(&self, wanted: u16) -> Option<u16> {
        let named = self.ports.iter().find(|(name, _)| name.as_deref() == Some(PORT_NAME));
        let same = || self.ports.iter().find(|(_, number)| *number == wanted);
        let only = || self.ports.first().filter(|_| self.ports.len() == 1);
        named.or_else(same).or_else(only).map(|(_, number)| *number)
    }
}

/// `None`: not to be sent to. What is absent is taken as the API says: ready, serving, not terminating.
fn condition(endpoint: &Endpoint) -> Option<Condition> {
    let conditions = endpoint.conditions.clone().unwrap_or_default();
    if conditions.terminating == Some(true) {
        (conditions.serving != Some(false)).then_some(Condition::Leaving)
    } else {
        (conditions.ready != Some(false)).then_some(Condition::Ready)
    }
}

/// The Services that a configuration names: those of its upstreams, and the gateway's own.
pub(crate) fn services(config: &GatewayConfig) -> BTreeSet<String> {
    let addresses = config.upstreams.values().flat_map(|upstream| &upstream.endpoints);
    addresses.chain(&config.peers).filter_map(service_of).map(|(service, _)| service.to_owned()).collect()
}

/// The configuration with pods in the place of Services, each with the scheme that its Service has. With TLS the name to expect stays the
/// Service's: no certificate has a pod's address. Addresses that name no Service stay; the order is always the same, so that nothing changes
/// when nothing has changed. And as many gateways share the limits as there are pods of the gateway's own Service.
pub(crate) fn resolve<'a>(
    config: &GatewayConfig,
    slices: impl IntoIterator<Item = &'a Slice>,
) -> GatewayConfig {
    let mut by_service: BTreeMap<&str, Vec<&Slice>> = BTreeMap::new();
    for slice in slices {
        by_service.entry(&slice.service).or_default().push(slice);
    }
    let mut config = config.clone();
    if let Some((service, port)) = config.peers.as_ref().and_then(service_of) {
        // This one counts, even if it is not ready yet.
        let pods = pods(by_service.get(service).map_or(&[], Vec::as_slice), port).len().max(1);
        config.replicas = u32::try_from(pods).unwrap_or(u32::MAX);
    }
    for upstream in config.upstreams.values_mut() {
        let resolve = |address: Address| {
            let Some((service, port)) = service_of(&address) else { return vec![address] };
            let scheme = if address.is_tls() { "https" } else { "http" };
            let pods = pods(by_service.get(service).map_or(&[], Vec::as_slice), port).into_iter();
            pods.map(|pod| Address(format!("{scheme}://{pod}"))).collect()
        };
        if upstream.server_name.is_none() {
            let with_tls = upstream.endpoints.iter().filter(|address| address.is_tls());
            upstream.server_name =
                with_tls.filter_map(service_of).map(|(service, _)| service.to_owned()).next();
        }
        upstream.endpoints = std::mem::take(&mut upstream.endpoints).into_iter().flat_map(resolve).collect();
    }
    config
}

/// The pods to send to: those that are ready; while there is none, those that still answer although they are about to end, as kube-proxy
/// does too: a single pod that is replaced is then not missed.
fn pods(slices: &[&Slice], port: u16) -> Vec<SocketAddr> {
    // A Service of both families has each pod twice.
    let has_v4 = slices.iter().any(|slice| !slice.is_v6 && !slice.pods.is_empty());
    let mut pods: BTreeMap<SocketAddr, Condition> = BTreeMap::new();
    for slice in slices.iter().filter(|slice| slice.is_v6 != has_v4) {
        let Some(port) = slice.port(port) else { continue };
        for (address, condition) in &slice.pods {
            // A pod that moves from one slice to another is in both for a moment.
            let known = pods.entry(SocketAddr::new(*address, port)).or_insert(*condition);
            *known = (*known).max(*condition);
        }
    }
    let best = pods.values().max().copied();
    let chosen = pods.into_iter().filter(|(_, condition)| Some(*condition) == best);
    chosen.map(|(address, _)| address).collect()
}

/// Name and port of the Service that an address names: a single label. What has dots or is an address is no Service of ours.
fn service_of(address: &Address) -> Option<(&str, u16)> {
    let (host, port) = address.authority()?.rsplit_once(':')?;
    let is_label = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    Some((host, port.parse().ok()?)).filter(|_| is_label)
}

#[cfg(test)]
mod tests;
