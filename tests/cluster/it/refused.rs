//! What the API server refuses by itself: every case of crds/tests/refused, with a message that names the field. The rules are tried without
//! a cluster too (crds/tests/it/rules.rs); here it is seen that a real API server takes the definition and reads it in the same way.

use cluster_tests::{Namespace, Operator, repository};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use kube::core::{ApiResource, GroupVersionKind};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A spec that is refused.
#[derive(Deserialize)]
struct New {
    name: String,
    spec: Value,
    at: String,
    says: String,
}

/// A change that is refused.
#[derive(Deserialize)]
struct Changed {
    name: String,
    from: Value,
    to: Value,
    at: String,
    says: String,
}

fn table<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let text = std::fs::read_to_string(repository().join(format!("crds/tests/refused/{name}.yaml"))).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// Resources as JSON: the types of ours could not hold what is wrong.
struct Stacks(Api<DynamicObject>);

impl Stacks {
    async fn new(namespace: &Namespace) -> Self {
        let gvk = GroupVersionKind::gvk("healthcarestack.dev", "v1alpha1", "HealthcareStack");
        let kind = ApiResource::from_gvk(&gvk);
        Self(Api::namespaced_with(namespace.client().await, &namespace.name, &kind))
    }

    fn resource(name: &str, spec: &Value) -> Value {
        json!({"apiVersion": stack::API_VERSION, "kind": stack::KIND, "metadata": {"name": name}, "spec": spec})
    }

    /// Creates one; dry, if it is only to be judged.
    async fn create(&self, name: &str, spec: &Value, dry: bool) -> Result<(), String> {
        let stack = serde_json::from_value(Self::resource(name, spec)).unwrap();
        let parameters = PostParams { dry_run: dry, ..PostParams::default() };
        self.0.create(&parameters, &stack).await.map(drop).map_err(|error| error.to_string())
    }

    /// Would another spec be taken in place of the one that is there?
    async fn replace(&self, name: &str, spec: &Value) -> Result<(), String> {
        let mut there = self.0.get(name).await.unwrap();
        there.data["spec"] = spec.clone();
        let parameters = PostParams { dry_run: true, ..PostParams::default() };
        self.0.replace(name, &parameters, &there).await.map(drop).map_err(|error| error.to_string())
    }
}

/// What is wrong with an answer that should name a field and say why.
fn unlike(case: &str, answer: Result<(), String>, at: &str, says: &str) -> Option<String> {
    match answer {
        Ok(()) => Some(format!("{case}: taken")),
        Err(words) if words.contains(at) && words.to_lowercase().contains(&says.to_lowercase()) => None,
        Err(words) => Some(format!("{case}: not `{at}` … `{says}`, but {words}")),
    }
}

#[tokio::test]
async fn the_api_server_refuses_each_stack_that_cannot_be_and_names_the_field() {
    Operator::define().await;
    let namespace = Namespace::new("refused");
    let stacks = Stacks::new(&namespace).await;
    let (mut wrong, mut cases) = (Vec::new(), 0);
    let mut judge = |verdict: Option<String>| {
        cases += 1;
        wrong.extend(verdict);
    };
    for case in table::<New>("new").into_iter().chain(table("malformed")) {
        let answer = stacks.create("clinic", &case.spec, true).await;
        judge(unlike(&case.name, answer, &case.at, &case.says));
    }
    for (number, case) in table::<Changed>("changed").into_iter().enumerate() {
        let name = format!("clinic-{number}");
        // What is there before must be there: rules on changes compare with it.
        stacks.create(&name, &case.from, false).await.unwrap();
        judge(unlike(&case.name, stacks.replace(&name, &case.to).await, &case.at, &case.says));
    }
    assert!(wrong.is_empty(), "of {cases} cases:\n{}", wrong.join("\n"));
    assert!(cases > 80, "{cases} cases");
}

/// Members that the definition does not know are refused where somebody asks for that, as kubectl does.
#[tokio::test]
async fn an_unknown_member_is_refused_by_name() {
    Operator::define().await;
    let namespace = Namespace::new("unknown");
    let stack = Stacks::resource("clinic", &json!({"gateway": {"replica": 2}}));
    let refused = namespace.ask_with_input(&["apply", "--filename=-"], &stack.to_string());
    assert!(refused.contains("spec.gateway.replica"), "{refused}");
    let stacks = Stacks::new(&namespace).await;
    let strictly = PatchParams {
        field_validation: Some(kube::api::ValidationDirective::Strict),
        ..PatchParams::apply("test")
    };
    let error = stacks.0.patch("clinic", &strictly, &Patch::Apply(stack)).await.unwrap_err();
    assert!(error.to_string().contains("spec.gateway.replica"), "{error}");
}
