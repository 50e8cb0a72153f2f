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
    pods: Vec<Pod>,
    /// The zone of the gateway's own node, if a pod of this slice runs there.
    own_zone: Option<String>,
}

/// A pod that can be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pod {
    address: IpAddr,
    condition: Condition,
    zone: Option<String>,
    /// The zones whose work it is for, if the cluster says so (`hints`).
    hints: Vec<String>,
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
    /// What counts of a slice to a gateway on this node; `None` if it is nobody's, or has names where addresses should be.
    pub(crate) fn of(slice: &EndpointSlice, node: Option<&str>) -> Option<Self> {
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
            let hints = endpoint.hints.iter().flat_map(|hints| hints.for_zones.iter().flatten());
            let hints = hints.map(|zone| zone.name.clone()).collect();
            Some(Pod { address, condition: condition(endpoint)?, zone: endpoint.zone.clone(), hints })
        });
        // One that is not ready is on its node all the same: the gateway itself is not before it knows where to send.
        let mut own = slice.endpoints.iter().filter(|endpoint| endpoint.node_name.as_deref() == node);
        let own_zone = node.and_then(|_| own.find_map(|endpoint| endpoint.zone.clone()));
        Some(Self { service, is_v6, ports: ports.collect(), pods: pods.collect(), own_zone })
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
    let mut config = config.clone();
    let mut by_service: BTreeMap<&str, Vec<&Slice>> = BTreeMap::new();
    for slice in slices {
        config.zone = config.zone.or_else(|| slice.own_zone.clone());
        by_service.entry(&slice.service).or_default().push(slice);
    }
    if let Some((service, port)) = config.peers.as_ref().and_then(service_of) {
        // This one counts, even if it is not ready yet.
        let pods = pods(by_service.get(service).map_or(&[], Vec::as_slice), port).len().max(1);
        config.replicas = u32::try_from(pods).unwrap_or(u32::MAX);
    }
    let is_in_a_zone = config.zone.is_some();
    for upstream in config.upstreams.values_mut() {
        let mut zones = BTreeMap::new();
        let mut resolve = |address: Address| {
            let Some((service, port)) = service_of(&address) else { return vec![address] };
            let scheme = if address.is_tls() { "https" } else { "http" };
            let pods = pods(by_service.get(service).map_or(&[], Vec::as_slice), port);
            // As kube-proxy has it: hints count if every pod has them.
            let is_hinted = pods.values().all(|pod| !pod.hints.is_empty());
            let resolved = pods.into_iter().map(|(place, pod)| {
                let address = Address(format!("{scheme}://{place}"));
                let zone = pod.zone.iter().filter(|_| !is_hinted);
                let of: Vec<String> = zone.chain(pod.hints.iter().filter(|_| is_hinted)).cloned().collect();
                if is_in_a_zone && !of.is_empty() {
                    zones.insert(address.clone(), of);
                }
                address
            });
            resolved.collect()
        };
        if upstream.server_name.is_none() {
            let with_tls = upstream.endpoints.iter().filter(|address| address.is_tls());
            upstream.server_name =
                with_tls.filter_map(service_of).map(|(service, _)| service.to_owned()).next();
        }
        upstream.endpoints =
            std::mem::take(&mut upstream.endpoints).into_iter().flat_map(&mut resolve).collect();
        upstream.zones.append(&mut zones);
    }
    config
}

/// The pods to send to: those that are ready; while there is none, those that still answer although they are about to end, as kube-proxy
/// does too: a single pod that is replaced is then not missed.
fn pods<'a>(slices: &[&'a Slice], port: u16) -> BTreeMap<SocketAddr, &'a Pod> {
    // A Service of both families has each pod twice.
    let has_v4 = slices.iter().any(|slice| !slice.is_v6 && !slice.pods.is_empty());
    let mut pods: BTreeMap<SocketAddr, &Pod> = BTreeMap::new();
    for slice in slices.iter().filter(|slice| slice.is_v6 != has_v4) {
        let Some(port) = slice.port(port) else { continue };
        for pod in &slice.pods {
            // A pod that moves from one slice to another is in both for a moment.
            let known = pods.entry(SocketAddr::new(pod.address, port)).or_insert(pod);
            if pod.condition > known.condition {
                *known = pod;
            }
        }
    }
    let best = pods.values().map(|pod| pod.condition).max();
    pods.retain(|_, pod| Some(pod.condition) == best);
    pods
}

/// Name and port of the Service that an address names: a single label. What has dots or is an address is no Service of ours.
fn service_of(address: &Address) -> Option<(&str, u16)> {
    let (host, port) = address.authority()?.rsplit_once(':')?;
    let is_label = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    Some((host, port.parse().ok()?)).filter(|_| is_label)
}

#[cfg(test)]
mod tests;
