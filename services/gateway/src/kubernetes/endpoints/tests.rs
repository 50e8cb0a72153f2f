use k8s_openapi::api::discovery::v1::{EndpointConditions, EndpointHints, EndpointPort, ForZone};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const SERVICE: &str = "clinic-patient-service";

fn config(endpoints: &[&str]) -> GatewayConfig {
    serde_json::from_value(json!({
        "routes": [], "rateLimits": {}, "bodyBytesMax": 1, "accessLog": false,
        "auth": {"issuer": "i", "audience": "a", "service": "auth-service"},
        "upstreams": {"patient-service": {"endpoints": endpoints}},
    }))
    .unwrap()
}

/// Address, ready, serving, terminating.
type Given<'a> = (&'a str, Option<bool>, Option<bool>, Option<bool>);

fn slice(service: &str, ports: &[(&str, i32)], pods: &[Given<'_>]) -> EndpointSlice {
    let is_v6 = pods.iter().any(|(address, ..)| address.contains(':'));
    let mut slice = EndpointSlice {
        address_type: if is_v6 { "IPv6" } else { "IPv4" }.to_owned(),
        ports: Some(
            ports
                .iter()
                .map(|(name, port)| EndpointPort {
                    name: Some((*name).to_owned()),
                    port: Some(*port),
                    ..EndpointPort::default()
                })
                .collect(),
        ),
        ..EndpointSlice::default()
    };
    let endpoint = |(address, ready, serving, terminating): &Given<'_>| Endpoint {
        addresses: vec![(*address).to_owned()],
        conditions: Some(EndpointConditions { ready: *ready, serving: *serving, terminating: *terminating }),
        ..Endpoint::default()
    };
    slice.endpoints = pods.iter().map(endpoint).collect();
    slice.metadata.labels = Some([(SERVICE_LABEL.to_owned(), service.to_owned())].into());
    slice
}

fn resolved(slices: &[EndpointSlice]) -> Vec<String> {
    let slices: Vec<_> = slices.iter().filter_map(|slice| Slice::of(slice, None)).collect();
    let config = resolve(&config(&["http://clinic-patient-service:8082"]), &slices);
    config.upstreams["patient-service"].endpoints.iter().map(|address| address.0.clone()).collect()
}

const HTTP: &[(&str, i32)] = &[("http", 8082)];
const UP: (Option<bool>, Option<bool>, Option<bool>) = (Some(true), Some(true), Some(false));

fn up(address: &str) -> Given<'_> {
    (address, UP.0, UP.1, UP.2)
}

#[test]
fn a_services_place_is_taken_by_its_pods_that_are_ready() {
    let pods = [
        up("10.0.0.2"),
        up("10.0.0.1"),
        ("10.0.0.3", Some(false), Some(false), Some(false)),
        ("10.0.0.4", Some(false), Some(true), Some(true)),
        ("10.0.0.5", None, None, None),
    ];
    let others = slice("clinic-billing-service", HTTP, &[up("10.0.0.9")]);
    assert_eq!(
        resolved(&[slice(SERVICE, HTTP, &pods), others]),
        ["http://10.0.0.1:8082", "http://10.0.0.2:8082", "http://10.0.0.5:8082"]
    );
    assert!(resolved(&[]).is_empty());
}

#[test]
fn as_many_gateways_share_the_limits_as_are_ready_and_never_none() {
    let mut config = config(&[]);
    config.replicas = 7;
    assert_eq!(resolve(&config, []).replicas, 7, "whoever names no Service is told");
    config.peers = Some(Address("clinic-api-gateway:8080".to_owned()));
    assert_eq!(services(&config), ["clinic-api-gateway".to_owned()].into());
    let starts = ("10.0.0.9", Some(false), Some(false), Some(false));
    for (pods, replicas) in [
        (vec![], 1),
        (vec![starts], 1),
        (vec![up("10.0.0.1"), starts], 1),
        (vec![up("10.0.0.1"), up("10.0.0.2"), up("10.0.0.3"), starts], 3),
    ] {
        let gateways = Slice::of(&slice("clinic-api-gateway", &[("http", 8080)], &pods), None).unwrap();
        let others = Slice::of(&slice(SERVICE, HTTP, &[up("10.0.1.1"), up("10.0.1.2")]), None).unwrap();
        assert_eq!(resolve(&config, [&gateways, &others]).replicas, replicas, "{pods:?}");
    }
}

#[test]
fn while_no_pod_is_ready_one_that_ends_is_better_than_none() {
    let ends = ("10.0.0.4", Some(false), Some(true), Some(true));
    let gone = ("10.0.0.5", Some(false), Some(false), Some(true));
    assert_eq!(resolved(&[slice(SERVICE, HTTP, &[ends, gone])]), ["http://10.0.0.4:8082"]);
    assert_eq!(resolved(&[slice(SERVICE, HTTP, &[ends, up("10.0.0.1")])]), ["http://10.0.0.1:8082"]);
}

#[test]
fn the_pods_own_port_counts_and_the_one_named_http_where_there_are_several() {
    let port = |ports: &[(&str, i32)]| resolved(&[slice(SERVICE, ports, &[up("10.0.0.1")])]);
    assert_eq!(port(&[("admin", 9464), ("http", 18082)]), ["http://10.0.0.1:18082"]);
    assert_eq!(port(&[("admin", 9464), ("web", 8082)]), ["http://10.0.0.1:8082"]);
    assert_eq!(port(&[("", 18082)]), ["http://10.0.0.1:18082"]);
    assert!(port(&[("a", 1), ("b", 2)]).is_empty());
    assert!(port(&[]).is_empty());
}

#[test]
fn a_pod_of_two_families_is_one_pod() {
    let (v4, v6) = (slice(SERVICE, HTTP, &[up("10.0.0.1")]), slice(SERVICE, HTTP, &[up("fd00::1")]));
    assert_eq!(resolved(&[v6.clone(), v4]), ["http://10.0.0.1:8082"]);
    assert_eq!(resolved(&[v6]), ["http://[fd00::1]:8082"]);
}

#[test]
fn with_tls_pods_are_to_show_a_certificate_of_their_services_name() {
    let slices: Vec<_> = [slice(SERVICE, HTTP, &[up("10.0.0.1"), up("10.0.0.2")])]
        .iter()
        .filter_map(|slice| Slice::of(slice, None))
        .collect();
    let written = config(&["https://clinic-patient-service:8082"]);
    assert_eq!(services(&written), [SERVICE.to_owned()].into());
    let resolved = resolve(&written, &slices);
    let upstream = &resolved.upstreams["patient-service"];
    assert_eq!(
        upstream.endpoints,
        ["https://10.0.0.1:8082", "https://10.0.0.2:8082"].map(|pod| Address(pod.to_owned()))
    );
    assert_eq!(upstream.server_name.as_deref(), Some(SERVICE));

    let mut named = written.clone();
    named.upstreams.get_mut("patient-service").unwrap().server_name = Some("other".to_owned());
    assert_eq!(resolve(&named, &slices).upstreams["patient-service"].server_name.as_deref(), Some("other"));
    assert_eq!(
        resolve(&config(&["http://clinic-patient-service:8082"]), &slices).upstreams["patient-service"]
            .server_name,
        None
    );
}

#[test]
fn what_names_no_service_stays() {
    let written = [
        "unix:/run/a.sock",
        "http://10.0.0.1:8082",
        "http://[::1]:8082",
        "http://a.example:80",
        "https://a.example:443",
    ];
    let config = config(&written);
    assert!(services(&config).is_empty());
    assert_eq!(resolve(&config, []), config);
}

#[test]
fn a_slice_of_names_or_of_nobody_is_passed_over() {
    let mut names = slice(SERVICE, HTTP, &[]);
    names.address_type = "FQDN".to_owned();
    let mut nobodys = slice(SERVICE, HTTP, &[up("10.0.0.1")]);
    nobodys.metadata.labels = None;
    assert!(Slice::of(&names, None).is_none() && Slice::of(&nobodys, None).is_none());
}

/// A slice whose pods lie in these zones, on a node of the same name.
fn zoned(service: &str, pods: &[(&str, &str)]) -> EndpointSlice {
    let mut slice = slice(service, HTTP, &pods.iter().map(|(address, _)| up(address)).collect::<Vec<_>>());
    for (endpoint, (_, zone)) in slice.endpoints.iter_mut().zip(pods) {
        endpoint.zone = Some((*zone).to_owned());
        endpoint.node_name = Some(format!("node-{zone}"));
    }
    slice
}

fn resolved_on(node: Option<&str>, slices: &[EndpointSlice]) -> GatewayConfig {
    let slices: Vec<_> = slices.iter().filter_map(|slice| Slice::of(slice, node)).collect();
    resolve(&config(&["http://clinic-patient-service:8082"]), &slices)
}

#[test]
fn the_gateways_zone_is_its_nodes_and_its_own_pod_tells_it_before_it_is_ready() {
    let services = zoned(SERVICE, &[("10.0.0.1", "a"), ("10.0.0.2", "b")]);
    let mut own = zoned("clinic-api-gateway", &[("10.0.0.9", "c")]);
    own.endpoints[0].conditions =
        Some(EndpointConditions { ready: Some(false), ..EndpointConditions::default() });

    let config = resolved_on(Some("node-c"), &[services.clone(), own.clone()]);
    assert_eq!(config.zone.as_deref(), Some("c"));
    let zones = &config.upstreams["patient-service"].zones;
    assert_eq!(zones[&Address("http://10.0.0.2:8082".to_owned())], ["b"]);
    assert_eq!(zones.len(), 2);

    for node in [None, Some("node-d")] {
        let config = resolved_on(node, &[services.clone(), own.clone()]);
        assert_eq!((config.zone, config.upstreams["patient-service"].zones.len()), (None, 0), "{node:?}");
    }
}

#[test]
fn hints_say_more_than_zones_if_every_pod_has_them() {
    let mut hinted = zoned(SERVICE, &[("10.0.0.1", "a"), ("10.0.0.2", "a")]);
    let hint = |zone: &str| {
        Some(EndpointHints {
            for_zones: Some(vec![ForZone { name: zone.to_owned() }]),
            ..EndpointHints::default()
        })
    };
    hinted.endpoints[1].hints = hint("b");
    let zones = |slice: &EndpointSlice| -> Vec<String> {
        let config = resolved_on(Some("node-a"), std::slice::from_ref(slice));
        config.upstreams["patient-service"].zones.values().flatten().cloned().collect()
    };
    assert_eq!(zones(&hinted), ["a", "a"]);
    hinted.endpoints[0].hints = hint("a");
    assert_eq!(zones(&hinted), ["a", "b"]);
}

/// As [`Given`], with the last part of its address alone.
type Drawn = (u8, Option<bool>, Option<bool>, Option<bool>);

fn any_pods() -> impl Strategy<Value = Vec<Drawn>> {
    let maybe = || proptest::option::of(any::<bool>());
    proptest::collection::vec((0_u8..12, maybe(), maybe(), maybe()), 0..20)
}

proptest! {
    #[test]
    fn whoever_is_sent_to_may_be_and_how_slices_are_cut_says_nothing(
        pods in any_pods(), cut in 0_usize..20, turn in 0_usize..20,
    ) {
        let text: Vec<_> = pods.iter().map(|(last, ..)| format!("10.0.0.{last}")).collect();
        let pods: Vec<Given<'_>> =
            pods.iter().zip(&text).map(|((_, ready, serving, ends), address)| (&**address, *ready, *serving, *ends)).collect();
        let whole = resolved(&[slice(SERVICE, HTTP, &pods)]);

        let ready = |pod: &&Given<'_>| pod.1 != Some(false) && pod.3 != Some(true);
        let leaving = |pod: &&Given<'_>| pod.2 != Some(false) && pod.3 == Some(true);
        let is_any_ready = pods.iter().any(|pod| ready(&pod));
        let wanted: BTreeSet<_> = pods
            .iter()
            .filter(|pod| if is_any_ready { ready(pod) } else { leaving(pod) })
            .map(|pod| format!("http://{}:8082", pod.0))
            .collect();
        prop_assert_eq!(whole.iter().cloned().collect::<BTreeSet<_>>(), wanted);

        let mut turned = pods.clone();
        turned.rotate_left(if pods.is_empty() { 0 } else { turn % pods.len() });
        let (one, other) = turned.split_at(cut.min(turned.len()));
        prop_assert_eq!(resolved(&[slice(SERVICE, HTTP, one), slice(SERVICE, HTTP, other)]), whole);
    }
}
