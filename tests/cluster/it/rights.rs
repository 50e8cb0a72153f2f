//! What the operator may do, by the scope that its chart was given: all that it needs in the namespaces that it watches, nothing of it
//! elsewhere. The API server's authorizer is asked; and the operator works with no more.

use std::time::Duration;

use cluster_tests::{ApiServer, Replica, eventually};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::api::PostParams;
use kube::{Api, Client};
use operator::rbac::permissions;
use serde_json::json;

const SOON: Duration = Duration::from_secs(20);
/// Long enough to make something, for one that would.
const A_WHILE: Duration = Duration::from_secs(3);
/// What none of them ever may.
const NEVER: [(&str, &str, &str); 8] = [
    ("get", "", "nodes"),
    ("create", "", "pods/exec"),
    ("get", "", "pods/log"),
    ("impersonate", "", "users"),
    ("bind", "rbac.authorization.k8s.io", "roles"),
    ("escalate", "rbac.authorization.k8s.io", "roles"),
    ("create", "rbac.authorization.k8s.io", "clusterroles"),
    ("update", "apiextensions.k8s.io", "customresourcedefinitions"),
];

/// The operator of a namespace.
struct Account<'a> {
    client: Client,
    namespace: &'a str,
}

impl Account<'_> {
    /// Whether it may; `None`: in all namespaces, or of what has none.
    async fn may(&self, verb: &str, group: &str, resource: &str, namespace: Option<&str>) -> bool {
        let (resource, subresource) =
            resource.split_once('/').map_or((resource, None), |(it, sub)| (it, Some(sub.to_owned())));
        let asked = ResourceAttributes {
            verb: Some(verb.to_owned()),
            group: Some(group.to_owned()),
            resource: Some(resource.to_owned()),
            subresource,
            namespace: namespace.map(str::to_owned),
            ..ResourceAttributes::default()
        };
        let groups = [
            "system:authenticated".to_owned(),
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{}", self.namespace),
        ];
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                resource_attributes: Some(asked),
                user: Some(format!("system:serviceaccount:{}:healthcare-operator", self.namespace)),
                groups: Some(groups.into()),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let reviews: Api<SubjectAccessReview> = Api::all(self.client.clone());
        reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
    }

    /// Which of these rights it has there, and which it has not.
    async fn of(&self, rules: &[PolicyRule], namespace: Option<&str>) -> [Vec<String>; 2] {
        let mut sorted = [Vec::new(), Vec::new()];
        for rule in rules {
            for group in rule.api_groups.iter().flatten() {
                for resource in rule.resources.iter().flatten() {
                    for verb in &rule.verbs {
                        let may = self.may(verb, group, resource, namespace).await;
                        sorted[usize::from(!may)].push(format!("{verb} {resource}.{group} in {namespace:?}"));
                    }
                }
            }
        }
        sorted
    }

    async fn has_all(&self, rules: &[PolicyRule], namespace: Option<&str>) {
        let [has, lacks] = self.of(rules, namespace).await;
        assert!(lacks.is_empty() && !has.is_empty(), "the operator in {} lacks {lacks:?}", self.namespace);
    }

    async fn has_none(&self, rules: &[PolicyRule], namespace: Option<&str>) {
        let [has, _] = self.of(rules, namespace).await;
        assert!(has.is_empty(), "the operator in {} has {has:?}", self.namespace);
    }
}

/// What the chart tells the operator of whom to look after.
async fn operator(server: &ApiServer, namespace: &str) -> Replica {
    let arguments = "--output=jsonpath={.spec.template.spec.containers[0].args[*]}";
    let told =
        server.kubectl(&["get", "deployment", "healthcare-operator", "--namespace", namespace, arguments]);
    let scope = told.split(' ').find(|word| word.contains("namespaces")).unwrap();
    server.operator((namespace, "healthcare-operator"), &[scope]).await
}

/// Whether the operator has made something of the stack there.
async fn is_looked_after(server: &ApiServer, namespace: &str) -> bool {
    let maps: Api<ConfigMap> = Api::namespaced(server.client().await, namespace);
    maps.get_opt("clinic-api-gateway").await.unwrap().is_some()
}

#[tokio::test]
async fn an_operator_may_do_what_it_needs_where_it_watches_and_nothing_elsewhere() {
    let server = ApiServer::start().await;
    for namespace in ["east", "west"] {
        server.kubectl(&["create", "namespace", namespace]);
    }
    let install = |namespace: &str, values: &[&str]| {
        let install = [
            "install",
            "healthcare-operator",
            "charts/healthcare-operator",
            "--namespace",
            namespace,
            "--create-namespace",
        ];
        server.helm(&[&install[..], values].concat());
    };
    install("own", &[]);
    install("list", &["--set=watch.namespaces={east,west}", "--set=crd.install=false"]);
    install("everything", &["--set=watch.all=true", "--set=crd.install=false"]);
    let rights = permissions();
    let client = server.client().await;
    let account = |namespace| Account { client: client.clone(), namespace };

    for (it, watched, others) in [
        (account("own"), &["own"][..], &["list", "east", "west", "default", "kube-system"][..]),
        (account("list"), &["list", "east", "west"], &["own", "default", "kube-system"]),
        (account("everything"), &["everything", "own", "east", "default", "kube-system"], &[]),
    ] {
        for namespace in watched {
            it.has_all(&rights.stacks, Some(namespace)).await;
        }
        for namespace in others {
            it.has_none(&rights.stacks, Some(namespace)).await;
            assert!(!it.may("get", "", "secrets", Some(namespace)).await);
        }
        if others.is_empty() {
            it.has_all(&rights.stacks, None).await;
        } else {
            it.has_none(&rights.stacks, None).await;
        }
        it.has_all(&rights.own, Some(it.namespace)).await;
        it.has_none(&rights.own, Some("default")).await;
        it.has_all(&rights.cluster, None).await;
        for (verb, group, resource) in NEVER {
            assert!(!it.may(verb, group, resource, None).await, "{}: {verb} {resource}", it.namespace);
        }
    }

    // And so it is at work.
    let stack = |namespace: &str| json!({"apiVersion": stack::API_VERSION, "kind": stack::KIND, "metadata": {"name": "clinic", "namespace": namespace}, "spec": {}});
    for namespace in ["own", "east", "west", "default"] {
        eventually("a stack", SOON, async || server.apply(&stack(namespace))).await;
    }
    let looks_after = async |which: &str, namespaces: &[&str]| {
        let it = operator(&server, which).await;
        for namespace in namespaces {
            eventually(&format!("{which} to look after {namespace}"), SOON, async || {
                if is_looked_after(&server, namespace).await { Ok(()) } else { Err(it.log()) }
            })
            .await;
        }
        tokio::time::sleep(A_WHILE).await;
    };
    looks_after("own", &["own"]).await;
    looks_after("list", &["east", "west"]).await;
    assert!(!is_looked_after(&server, "default").await, "nobody watches there");
    looks_after("everything", &["default"]).await;
}
