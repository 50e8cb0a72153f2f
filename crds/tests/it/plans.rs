//! What the planner makes of the sample that `make run` starts: snapshots for a reviewer to read, and what holds for every stack.

use std::collections::BTreeSet;

use contracts::endpoint::Access;
use settings::{Database, RouteAccess, SecretRef, ServiceName, ServiceSettings};
use stack::plan::connections_max;
use stack::{LocalDatabase, Placement, Stack, plan_gateway, plan_service};

use crate::{sample, stack};

fn clinic() -> Stack {
    Stack::from_yaml(&sample("healthcarestack")).unwrap()
}

fn local(database: LocalDatabase) -> Placement {
    Placement::Local { data_dir: "/var/lib/clinic".into(), socket_dir: "/run/clinic".into(), database }
}

fn yaml(value: &impl serde::Serialize) -> String {
    serde_saphyr::to_string(value).unwrap()
}

/// The routes as a table; what is like the default is left out.
fn table(config: &settings::GatewayConfig) -> String {
    let row = |route: &settings::Route| {
        let access = match &route.access {
            RouteAccess::Public => "public".to_owned(),
            RouteAccess::Permissions(names) if names.is_empty() => "signed in".to_owned(),
            RouteAccess::Permissions(names) => names.join(" + "),
        };
        let retries = route.retries.map_or(0, |retries| retries.attempts);
        let fallback =
            route.fallback.as_ref().map_or_else(|| "none".to_owned(), |fallback| format!("{fallback:?}"));
        let (method, path, service, timeout) =
            (route.method.as_str(), &route.path, &route.service, route.timeout_ms);
        let priority = format!("{:?}", route.priority);
        format!(
            "{method:6} {path:42} {service:23} {access:19} {priority:8} {timeout:5} ms, retries {retries}, {fallback}"
        )
    };
    config.routes.iter().map(row).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_gateway_of_the_sample_routes_every_operation() {
    insta::assert_snapshot!(table(&plan_gateway(&clinic(), &local(LocalDatabase::Sqlite))));
}

#[test]
fn the_gateway_of_the_sample_is_told_the_rest() {
    let mut config = plan_gateway(&clinic(), &local(LocalDatabase::Sqlite));
    // One route in full; the table has the others.
    config.routes.retain(|route| route.path == "/api/providers/{providerId}/slots");
    insta::assert_snapshot!(yaml(&config));
}

#[test]
fn a_service_of_the_sample_in_one_process() {
    let settings = plan_service(&clinic(), ServiceName::AppointmentService, &local(LocalDatabase::Sqlite));
    insta::assert_snapshot!(yaml(&settings));
}

#[test]
fn a_service_of_the_full_sample_on_a_cluster() {
    let stack = Stack::from_yaml(&sample("full")).unwrap();
    let settings = plan_service(&stack, ServiceName::NotificationService, &Placement::Kubernetes);
    insta::assert_snapshot!(yaml(&settings));
}

#[test]
fn every_public_operation_has_a_route_that_asks_for_no_less() {
    for name in ["minimal", "healthcarestack", "full"] {
        let config = plan_gateway(&Stack::from_yaml(&sample(name)).unwrap(), &Placement::Kubernetes);
        for operation in contracts::operations() {
            let mut routes = config
                .routes
                .iter()
                .filter(|route| (route.method, route.path.as_str()) == (operation.method, operation.path));
            let route = routes.next();
            assert!(routes.next().is_none(), "{} twice", operation.id);
            if operation.is_internal() {
                assert!(route.is_none(), "{} is routed", operation.id);
                continue;
            }
            match (operation.access, &route.unwrap_or_else(|| panic!("{} has no route", operation.id)).access)
            {
                (Access::Needs(permission), RouteAccess::Permissions(names)) => {
                    assert!(names.iter().any(|name| name == permission.as_str()), "{}", operation.id);
                }
                (Access::Needs(_) | Access::SignedIn | Access::Enrolling, RouteAccess::Public) => {
                    panic!("{} is open", operation.id)
                }
                (Access::SignedIn | Access::Enrolling | Access::Public, _) => {}
            }
        }
    }
}

#[test]
fn every_route_has_an_upstream_or_is_the_gateways_own() {
    let config = plan_gateway(&clinic(), &Placement::Kubernetes);
    for route in &config.routes {
        assert!(
            route.service == "gateway" || config.upstreams.contains_key(&route.service),
            "{}",
            route.path
        );
    }
    let own: Vec<_> =
        config.routes.iter().filter(|route| route.service == "gateway").map(|route| &route.path).collect();
    assert_eq!(own, ["/api/gateway", "/api/docs", "/api/docs/openapi.json", "/api/docs/problems"]);
}

/// Whoever is spoken to over a network is so with TLS, and shows a certificate of a name that it has there.
#[test]
fn over_a_network_every_part_is_reached_with_tls_and_in_one_process_none() {
    for name in ["minimal", "full"] {
        let stack = Stack::from_yaml(&sample(name)).unwrap();
        let placements = [
            (Placement::Kubernetes, true),
            (Placement::Compose, true),
            (local(LocalDatabase::Sqlite), false),
        ];
        for (placement, with_tls) in placements {
            let upstreams = plan_gateway(&stack, &placement).upstreams.into_values();
            for endpoint in upstreams.flat_map(|upstream| upstream.endpoints) {
                assert_eq!(endpoint.is_tls(), with_tls, "{endpoint}");
            }
            for service in stack.enabled() {
                let settings = plan_service(&stack, service, &placement);
                assert_eq!(settings.tls.is_some(), with_tls, "{service}");
                for peer in settings.peers.values() {
                    assert_eq!(peer.address.is_tls(), with_tls, "{}", peer.address);
                }
            }
        }
    }
}

#[test]
fn the_gateway_asks_the_prometheus_that_the_stack_names_or_that_runs_beside_it() {
    let asked = |name: &str, placement: &Placement| {
        plan_gateway(&Stack::from_yaml(&sample(name)).unwrap(), placement).prometheus
    };
    let here = local(LocalDatabase::Sqlite);
    let named = asked("full", &Placement::Kubernetes).unwrap();
    assert_eq!(named.url, "http://prometheus.monitoring:9090");
    assert_eq!(named.labels.keys().collect::<Vec<_>>(), ["namespace", "stack"]);
    assert_eq!(asked("full", &here), Some(named));
    assert_eq!(asked("minimal", &Placement::Compose).unwrap().url, "http://prometheus:9090");
    assert_eq!([asked("minimal", &Placement::Kubernetes), asked("minimal", &here)], [None, None]);
}

#[test]
fn a_service_that_is_switched_off_is_nowhere() {
    let stack = stack("services: { billing: { enabled: false } }");
    let config = plan_gateway(&stack, &Placement::Kubernetes);
    assert!(!config.upstreams.contains_key("billing-service"));
    assert!(config.routes.iter().all(|route| route.service != "billing-service"));
    let settings = plan_service(&stack, ServiceName::PatientService, &Placement::Kubernetes);
    assert!(!settings.peers.contains_key(&ServiceName::BillingService));
    assert_eq!(settings.peers.len(), 6);
}

fn all(stack: &Stack, placement: &Placement) -> Vec<ServiceSettings> {
    ServiceName::ALL.into_iter().map(|service| plan_service(stack, service, placement)).collect()
}

#[test]
fn no_two_services_share_a_place() {
    for placement in [local(LocalDatabase::Sqlite), Placement::Kubernetes] {
        let services = all(&clinic(), &placement);
        let listens: BTreeSet<_> = services.iter().map(|settings| settings.listen.to_string()).collect();
        let databases: BTreeSet<_> =
            services.iter().map(|settings| format!("{:?}", settings.database)).collect();
        assert_eq!((listens.len(), databases.len()), (7, 7));
    }
}

#[test]
fn in_one_process_the_services_leave_postgres_room() {
    let url = SecretRef { secret: "database".to_owned(), key: "url".to_owned() };
    let connections = |settings: &ServiceSettings| match &settings.database {
        Database::Postgres { max_connections, url: given, schema, keys_schema } => {
            assert_eq!(given, &url);
            assert_eq!(keys_schema, &format!("{schema}_keys"));
            *max_connections
        }
        Database::Sqlite { .. } => panic!("SQLite"),
    };
    let placement = local(LocalDatabase::Postgres { url: url.clone() });
    let sum: u32 = all(&clinic(), &placement).iter().map(connections).sum();
    assert!(sum <= 95, "{sum}");
}

#[test]
fn pods_share_what_a_server_of_somebody_elses_has_for_us() {
    for (spec, budget) in [
        ("database: { external: { url: { secret: db, key: url }, maxConnections: 14 } }", 14),
        ("database: { external: { url: { secret: db, key: url }, maxConnections: 10000 } }", 10_000),
    ] {
        let held = connections_max(&stack(spec));
        assert!(held <= budget && held >= budget * 3 / 4, "{spec}: {held} of {budget}");
    }
}

#[test]
fn replicas_of_a_service_change_nothing_for_the_pods_that_are_there() {
    let settings = |spec| all(&stack(spec), &Placement::Kubernetes);
    assert_eq!(settings("services: { patient: { replicas: 5 } }"), settings("paused: false"));
    assert_eq!(connections_max(&stack("services: { patient: { replicas: 5 } }")), 78);
}

#[test]
fn the_same_name_in_another_namespace_is_another_issuer() {
    let issuer = |namespace: &str| {
        let text =
            sample("minimal").replace("name: minimal", &format!("name: minimal\n  namespace: {namespace}"));
        plan_gateway(&Stack::from_yaml(&text).unwrap(), &Placement::Kubernetes).auth.issuer
    };
    assert_eq!(issuer("a"), "https://healthcarestack.dev/stacks/a/minimal");
    assert_ne!(issuer("a"), issuer("b"));
}

#[test]
fn only_the_notification_service_learns_where_messages_go() {
    let stack = Stack::from_yaml(&sample("full")).unwrap();
    for settings in all(&stack, &Placement::Kubernetes) {
        let (outside, told) = (settings.integrations, settings.service == ServiceName::NotificationService);
        assert_eq!(outside.mail.is_some() && outside.sms.is_some() && outside.push.is_some(), told);
        assert_eq!((outside.mail_fallback.len(), outside.sms_fallback.len()), (told.into(), told.into()));
        assert_eq!(outside.public_url.is_some(), told);
    }
}

#[test]
fn only_the_appointment_service_learns_where_calendars_and_webhooks_are() {
    let stack = Stack::from_yaml(&sample("full")).unwrap();
    for settings in all(&stack, &Placement::Kubernetes) {
        let names: Vec<_> =
            settings.integrations.calendars.iter().map(|calendar| calendar.name.as_str()).collect();
        let expected: &[&str] =
            if settings.service == ServiceName::AppointmentService { &["dr-smith", "clinic"] } else { &[] };
        assert_eq!(names, expected, "{}", settings.service);
        let hosts = settings.integrations.webhooks.map(|webhooks| webhooks.own_hosts);
        let takes = settings.service == ServiceName::AppointmentService;
        assert_eq!(hosts, takes.then(|| vec!["hooks.clinic.internal".to_owned()]), "{}", settings.service);
    }
}
