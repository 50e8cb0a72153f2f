//! The charts: every value does what its README says, a wrong one is refused by its name, and what is rendered is taken by an API server.
//! `helm test`, and an installation that runs: `install.rs`.

use std::collections::BTreeMap;
use std::fs;

use cluster_tests::{ApiServer, Cluster, Told, VERSION, defined, repository};
use serde_json::{Value, json};
use stack::Stack;

const OPERATOR: &str = "charts/healthcare-operator";
const STACK: &str = "charts/healthcare-stack";

/// What a value does to an object.
enum Does {
    /// The member is so.
    Is(&'static str, Value),
    /// The list has this, among others.
    Has(&'static str, Value),
    /// The object is there.
    Makes,
    /// The object is not there.
    Takes,
}
use Does::{Has, Is, Makes, Takes};

/// A value (others that it needs after it), and what it does.
struct Case {
    value: &'static str,
    set: Value,
    with: &'static [&'static str],
    object: &'static str,
    does: Does,
}

fn case(value: &'static str, set: Value, object: &'static str, does: Does) -> Case {
    Case { value, set, with: &[], object, does }
}

impl Case {
    fn with(self, with: &'static [&'static str]) -> Self {
        Self { with, ..self }
    }
}

fn of_operator() -> Vec<Case> {
    let mut cases = of_its_deployment();
    cases.extend(of_its_other_objects());
    cases
}

fn of_its_deployment() -> Vec<Case> {
    let pod = |path| Is(path, json!({"disk": "ssd"}));
    let args = "/spec/template/spec/containers/0/args";
    let image = "/spec/template/spec/containers/0/image";
    let digest = format!("sha256:{}", "0".repeat(64));
    let toleration = json!([{"key": "infra", "operator": "Exists"}]);
    let affinity = json!({"nodeAffinity": {}});
    let set = |value, set, does| case(value, set, "Deployment/healthcare-operator", does);
    vec![
        set(
            "watch.namespaces",
            json!(["east", "west"]),
            Has(args, json!("--namespaces=healthcare,east,west")),
        ),
        set("watch.all", json!(true), Has(args, json!("--all-namespaces"))),
        set(
            "image.registry",
            json!("r.example.org/h"),
            Is(image, json!(format!("r.example.org/h/healthcare-operator:{VERSION}"))),
        ),
        set(
            "image.tag",
            json!("edge"),
            Is(image, json!("ghcr.io/healthcare-stack/healthcare-operator:edge")),
        ),
        set("image.tag", json!("edge"), Has(args, json!("--stack-version=edge"))),
        set(
            "image.digest",
            json!(digest),
            Is(image, json!(format!("ghcr.io/healthcare-stack/healthcare-operator:{VERSION}@{digest}"))),
        ),
        set(
            "image.pullPolicy",
            json!("Always"),
            Is("/spec/template/spec/containers/0/imagePullPolicy", json!("Always")),
        ),
        set(
            "image.pullSecrets",
            json!(["vault"]),
            Is("/spec/template/spec/imagePullSecrets", json!([{"name": "vault"}])),
        ),
        set("replicas", json!(3), Is("/spec/replicas", json!(3))),
        set("serviceAccount.name", json!("her"), Is("/spec/template/spec/serviceAccountName", json!("her"))),
        set("log.level", json!("debug"), Has(args, json!("--log-level=debug"))),
        set("log.format", json!("text"), Has(args, json!("--log-format=text"))),
        set(
            "tracing.endpoint",
            json!("http://collector:4318"),
            Has(args, json!("--tracing-endpoint=http://collector:4318")),
        ),
        set("tracing.samplePercent", json!(5), Has(args, json!("--tracing-sample-percent=5")))
            .with(&["tracing.endpoint=http://collector:4318"]),
        set(
            "tracing.headers",
            json!([{"name": "x-key", "secret": "collector", "key": "token"}]),
            Has(args, json!("--tracing-header=x-key=collector/token")),
        )
        .with(&["tracing.endpoint=http://collector:4318"]),
        set(
            "tracing.headers",
            json!([{"name": "a", "secret": "collector", "key": "a"}, {"name": "b", "secret": "collector", "key": "b"}]),
            Is(
                "/spec/template/spec/volumes",
                json!([{"name": "secret-0", "secret": {"secretName": "collector", "defaultMode": 0o444}}]),
            ),
        )
        .with(&["tracing.endpoint=http://collector:4318"]),
        set(
            "tracing.ca",
            json!({"secret": "collector-ca", "key": "ca.crt"}),
            Has(args, json!("--tracing-ca=collector-ca/ca.crt")),
        )
        .with(&["tracing.endpoint=http://collector:4318"]),
        set(
            "resources",
            json!({"limits": {"memory": "1Gi"}}),
            Is("/spec/template/spec/containers/0/resources/limits", json!({"memory": "1Gi"})),
        ),
        set("podAnnotations", json!({"disk": "ssd"}), pod("/spec/template/metadata/annotations")),
        set("podLabels", json!({"disk": "ssd"}), Is("/spec/template/metadata/labels/disk", json!("ssd"))),
        set("nodeSelector", json!({"disk": "ssd"}), pod("/spec/template/spec/nodeSelector")),
        set("tolerations", toleration.clone(), Is("/spec/template/spec/tolerations", toleration)),
        set("affinity", affinity.clone(), Is("/spec/template/spec/affinity", affinity)),
        set("priorityClassName", json!("high"), Is("/spec/template/spec/priorityClassName", json!("high"))),
    ]
}

fn of_its_other_objects() -> Vec<Case> {
    let peers = json!([{"podSelector": {"matchLabels": {"app": "prometheus"}}}]);
    vec![
        case("watch.namespaces", json!(["east"]), "east/Role/healthcare-healthcare-operator", Makes),
        case("watch.all", json!(true), "ClusterRole/healthcare-healthcare-operator-stacks", Makes),
        case("watch.all", json!(true), "Role/healthcare-healthcare-operator", Takes),
        case(
            "crd.install",
            json!(false),
            "CustomResourceDefinition/healthcarestacks.healthcarestack.dev",
            Takes,
        ),
        case("replicas", json!(2), "PodDisruptionBudget/healthcare-operator", Makes),
        case(
            "serviceAccount.name",
            json!("her"),
            "RoleBinding/healthcare-operator-self",
            Is("/subjects/0/name", json!("her")),
        ),
        case(
            "serviceAccount.annotations",
            json!({"cloud": "id"}),
            "ServiceAccount/healthcare-operator",
            Is("/metadata/annotations/cloud", json!("id")),
        ),
        case("rbac.create", json!(false), "Role/healthcare-operator-self", Takes),
        case("rbac.create", json!(false), "ClusterRole/healthcare-healthcare-operator", Takes),
        case("rbac.aggregateToUsers", json!(false), "ClusterRole/healthcare-healthcare-operator-edit", Takes),
        case("metrics.serviceMonitor.enabled", json!(true), "ServiceMonitor/healthcare-operator", Makes),
        case(
            "metrics.serviceMonitor.interval",
            json!("5s"),
            "ServiceMonitor/healthcare-operator",
            Is("/spec/endpoints/0/interval", json!("5s")),
        )
        .with(&["metrics.serviceMonitor.enabled=true"]),
        case(
            "metrics.serviceMonitor.labels",
            json!({"team": "a"}),
            "ServiceMonitor/healthcare-operator",
            Is("/metadata/labels/team", json!("a")),
        )
        .with(&["metrics.serviceMonitor.enabled=true"]),
        case("networkPolicy.enabled", json!(false), "NetworkPolicy/healthcare-operator", Takes),
        case(
            "networkPolicy.apiServerPorts",
            json!([7443]),
            "NetworkPolicy/healthcare-operator",
            Is("/spec/egress/1/ports", json!([{"port": 7443, "protocol": "TCP"}])),
        ),
        case(
            "networkPolicy.apiServerCidrs",
            json!(["10.0.0.1/32"]),
            "NetworkPolicy/healthcare-operator",
            Is("/spec/egress/1/to", json!([{"ipBlock": {"cidr": "10.0.0.1/32"}}])),
        ),
        case(
            "tracing.endpoint",
            json!("https://otlp.example.org/team"),
            "NetworkPolicy/healthcare-operator",
            Is("/spec/egress/2/ports", json!([{"port": 443, "protocol": "TCP"}])),
        ),
        case(
            "tracing.endpoint",
            json!("http://[fd00::7]:4318"),
            "NetworkPolicy/healthcare-operator",
            Is("/spec/egress/2/ports", json!([{"port": 4318, "protocol": "TCP"}])),
        ),
        case(
            "networkPolicy.metricsFrom",
            peers.clone(),
            "NetworkPolicy/healthcare-operator",
            Is("/spec/ingress/0/from", peers),
        ),
        case("podDisruptionBudget.enabled", json!(false), "PodDisruptionBudget/healthcare-operator", Takes)
            .with(&["replicas=2"]),
        case("releaseOnUninstall", json!(false), "Job/healthcare-operator-release", Takes),
    ]
}

fn of_stack() -> Vec<Case> {
    let stack = "HealthcareStack/clinic";
    let set = |value, set, does| case(value, set, stack, does);
    vec![
        case("name", json!("praxis"), "HealthcareStack/praxis", Makes),
        set("spec", json!({"paused": true, "version": "0.2.0"}), Is("/spec/version", json!("0.2.0"))),
        set("host", json!("a.example.org"), Is("/spec/gateway/ingress", json!({"host": "a.example.org"}))),
        set("ingressClassName", json!("nginx"), Is("/spec/gateway/ingress/className", json!("nginx")))
            .with(&["host=a.example.org"]),
        set("tlsSecretName", json!("tls"), Is("/spec/gateway/ingress/tls", json!({"secretName": "tls"})))
            .with(&["host=a.example.org"]),
        set("replicas", json!(2), Is("/spec/gateway/replicas", json!(2))),
        set("replicas", json!(2), Is("/spec/services/billing/replicas", json!(2))),
        set("timeZone", json!("Europe/Berlin"), Is("/spec/timeZone", json!("Europe/Berlin"))),
        set("currency", json!("EUR"), Is("/spec/currency", json!("EUR"))),
        set("deletionPolicy", json!("Delete"), Is("/spec/deletionPolicy", json!("Delete"))),
        set("labels", json!({"team": "a"}), Is("/metadata/labels/team", json!("a"))),
        set("annotations", json!({"note": "a"}), Is("/metadata/annotations", json!({"note": "a"}))),
        case("test.enabled", json!(false), "Pod/clinic-test-ready", Takes),
    ]
}

fn helm(arguments: &[&str]) -> Told {
    Told::of(Cluster::program("helm").args(arguments))
}

/// What a chart renders, by `Kind/name`; by `namespace/Kind/name`, where that is another namespace than the release's.
fn rendered(chart: &str, values: &[String]) -> BTreeMap<String, Value> {
    let release = if chart == OPERATOR { "healthcare-operator" } else { "clinic" };
    let mut command = vec!["template", release, chart, "--namespace=healthcare", "--kube-version=1.34.0"];
    command.extend(values.iter().map(String::as_str));
    let text = helm(&command).expect(0).out;
    let documents = text
        .split("\n---\n")
        .map(|text| serde_saphyr::from_str::<Value>(text).unwrap_or_else(|error| panic!("{error}: {text}")));
    let named = documents.filter(|object| !object.is_null()).map(|object| {
        let text =
            |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = format!("{}/{}", text("/kind"), text("/metadata/name"));
        match text("/metadata/namespace").as_str() {
            "" | "healthcare" => (name, object),
            other => (format!("{other}/{name}"), object),
        }
    });
    named.collect()
}

fn check(chart: &str, cases: &[Case]) {
    let by_default = rendered(chart, &[]);
    for Case { value, set, with, object, does } in cases {
        let mut values = vec![format!("--set-json={value}={set}")];
        values.extend(with.iter().map(|with| format!("--set={with}")));
        let objects = rendered(chart, &values);
        let found = objects.get(*object);
        let default = by_default.get(*object);
        let at = |object: Option<&Value>, pointer: &str| {
            object.and_then(|object| object.pointer(pointer)).cloned().unwrap_or_default()
        };
        let (holds, held) = match does {
            Is(pointer, wanted) => (at(found, pointer) == *wanted, at(default, pointer) == *wanted),
            Has(pointer, wanted) => {
                let has = |object| at(object, pointer).as_array().is_some_and(|list| list.contains(wanted));
                (has(found), has(default))
            }
            Makes => (found.is_some(), default.is_some()),
            Takes => (found.is_none(), default.is_none() && with.is_empty()),
        };
        assert!(holds, "{value} does not do to {object} what it should: {found:#?}");
        assert!(!held, "{value} need not be set for {object} to be so");
        for (name, stack) in objects.iter().filter(|(name, _)| name.starts_with("HealthcareStack/")) {
            assert!(Stack::from_yaml(&stack.to_string()).is_ok(), "{value}: {name} is none: {stack}");
        }
    }
}

/// The paths of all values that a chart has; what is a table of free names is one value.
fn documented(chart: &str) -> Vec<String> {
    fn walk(path: &str, value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) if !members.is_empty() && path != "resources" => {
                for (name, value) in members {
                    walk(
                        &if path.is_empty() { name.clone() } else { format!("{path}.{name}") },
                        value,
                        found,
                    );
                }
            }
            _ => found.push(path.to_owned()),
        }
    }
    let text = fs::read_to_string(repository().join(chart).join("values.yaml")).unwrap();
    let mut found = Vec::new();
    walk("", &serde_saphyr::from_str(&text).unwrap(), &mut found);
    found
}

#[tokio::test]
async fn every_value_of_a_chart_does_what_it_should_and_an_api_server_takes_it() {
    for (chart, cases) in [(OPERATOR, of_operator()), (STACK, of_stack())] {
        let _ = helm(&["lint", "--strict", chart]).expect(0);
        check(chart, &cases);
        for value in documented(chart) {
            assert!(cases.iter().any(|case| case.value == value), "{chart}: no case for {value}");
        }
    }

    // All at once, but for what needs other software or excludes others.
    let server = ApiServer::start().await;
    for namespace in ["east", "west"] {
        server.kubectl(&["create", "namespace", namespace]);
    }
    let left_out =
        ["watch.all", "crd.install", "rbac.create", "podDisruptionBudget.enabled", "networkPolicy.enabled"];
    let values = |cases: Vec<Case>| {
        let kept = cases
            .into_iter()
            .filter(|case| !left_out.contains(&case.value) && !case.value.starts_with("metrics."));
        kept.map(|case| format!("--set-json={}={}", case.value, case.set)).collect::<Vec<_>>()
    };
    for (release, chart, cases) in
        [("healthcare-operator", OPERATOR, of_operator()), ("clinic", STACK, of_stack())]
    {
        let values = values(cases);
        let mut command = vec!["install", release, chart, "--namespace=healthcare", "--create-namespace"];
        command.extend(values.iter().map(String::as_str));
        server.helm(&command);
        defined(&server.client().await).await;
    }
    let stack = server.kubectl(&[
        "get",
        "healthcarestack",
        "praxis",
        "--namespace=healthcare",
        "--output=jsonpath={.spec.timeZone}",
    ]);
    assert_eq!(stack, "Europe/Berlin");
}

#[test]
fn a_wrong_value_is_refused_by_its_name() {
    let wrong = [
        (OPERATOR, "replicas", json!(9), "replicas"),
        (OPERATOR, "replica", json!(2), "replica"),
        (OPERATOR, "watch.namespaces", json!(["East"]), "watch/namespaces/0"),
        (OPERATOR, "watch", json!({"all": true, "namespaces": ["east"]}), "watch/namespaces"),
        (OPERATOR, "image.digest", json!("sha256:0"), "image/digest"),
        (OPERATOR, "image.pullPolicy", json!("Sometimes"), "image/pullPolicy"),
        (OPERATOR, "log.format", json!("xml"), "log/format"),
        (OPERATOR, "metrics.serviceMonitor.interval", json!("often"), "metrics/serviceMonitor/interval"),
        (OPERATOR, "networkPolicy.apiServerPorts", json!([]), "networkPolicy/apiServerPorts"),
        (OPERATOR, "networkPolicy.apiServerCidrs", json!(["everywhere"]), "networkPolicy/apiServerCidrs/0"),
        (OPERATOR, "podLabels", json!({"a": 1}), "podLabels/a"),
        (OPERATOR, "tolerations", json!(["all"]), "tolerations/0"),
        (STACK, "deletionPolicy", json!("Keep"), "deletionPolicy"),
        (STACK, "currency", json!("Euro"), "currency"),
        (STACK, "host", json!("https://clinic.example.org"), "host"),
        (STACK, "replicas", json!(0), "replicas"),
        (STACK, "spec.gateway.replica", json!(2), "replica"),
        (STACK, "spec.services.patients", json!({}), "patients"),
        (STACK, "spec.services.auth.replicas", json!("two"), "spec/services/auth/replicas"),
        (STACK, "name", json!("a--b"), "a--b"),
    ];
    for (chart, value, set, words) in wrong {
        let told = helm(&[
            "template",
            "clinic",
            chart,
            "--kube-version=1.34.0",
            &format!("--set-json={value}={set}"),
        ])
        .expect(1);
        let _ = told.names(&[words]);
    }
}
