//! `validate`: what only the operator can know to be wrong, because it stands in the cluster and not in the resource.
//!
//! While something is wrong nothing is written but the status: what runs keeps running.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use serde_json::Value;
use stack::condition::reason;
use stack::{Database, IngressBy, Stack};
use tokio::time::Instant;

use crate::kinds::Kind;
use crate::lists::Lists;
use crate::live::StackId;
use crate::plan::Capabilities;
use crate::watch::SecretVersions;
use crate::{Error, discover, secrets};

/// An answer about an Ingress class is good for so long: nothing tells when one comes or goes.
pub const CLASS_TTL: Duration = Duration::from_mins(1);

/// Something that a person has to do something about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// One word, for programs: one of [`stack::condition::reason`].
    pub reason: &'static str,
    /// What to do, for people.
    pub message: String,
}

/// What was found out before.
#[derive(Debug, Default)]
pub struct Memory {
    /// What is in each Secret, and in which version.
    contents: HashMap<String, (u64, Contents)>,
    class: Option<(String, Instant, bool)>,
}

impl Memory {
    /// The named Secrets, each with a digest of what is in it. To be shown sealed only.
    pub fn digests(&self) -> impl Iterator<Item = (&String, &str)> {
        self.contents.iter().map(|(name, (_, contents))| (name, contents.digest.as_str()))
    }
}

/// What is in a Secret.
#[derive(Debug, Default)]
struct Contents {
    keys: BTreeSet<String>,
    digest: String,
}

/// Where to look.
#[derive(Clone, Copy)]
pub struct Cluster<'a> {
    /// The API server.
    pub client: &'a Client,
    /// Which Secrets there are.
    pub secrets: &'a SecretVersions,
    /// What other software brings.
    pub capabilities: Capabilities,
}

/// What is wrong, in the order of the paths.
pub async fn problems(
    cluster: Cluster<'_>,
    id: &StackId,
    stack: &Stack,
    spec: &Value,
    memory: &mut Memory,
) -> Result<Vec<Problem>, Error> {
    let mut problems = missing_software(stack, cluster.capabilities);
    let named: Vec<_> = named_secrets(spec).into_iter().filter(|named| !comes_later(stack, named)).collect();
    let noticed = named.iter().map(|named| named.secret.clone()).chain(secrets::of_database(stack));
    cluster.secrets.name(id, noticed.collect());
    memory.contents.retain(|name, _| named.iter().any(|named| named.secret == *name));
    for named in &named {
        let Some(version) = cluster.secrets.version(&id.namespace, &named.secret) else {
            problems.push(named.is_missing());
            continue;
        };
        let Some(key) = &named.key else { continue };
        let contents = match memory.contents.get(&named.secret) {
            Some((of, contents)) if *of == version => contents,
            _ => {
                let contents = contents(cluster.client, &id.namespace, &named.secret).await?;
                &memory.contents.entry(named.secret.clone()).insert_entry((version, contents)).into_mut().1
            }
        };
        if !contents.keys.contains(key) {
            problems.push(named.has_no_key(key));
        }
    }
    problems.extend(ingress_class(cluster.client, stack, memory).await?);
    Ok(problems)
}

/// Whether somebody makes the Secret who needs our object for it: cert-manager makes an Ingress's certificate when it sees the Ingress.
fn comes_later(stack: &Stack, named: &Named) -> bool {
    let annotations = stack.gateway.ingress.iter().flat_map(|ingress| ingress.annotations.keys());
    named.path == "spec.gateway.ingress.tls.secretName"
        && annotations.into_iter().any(|name| name.starts_with("cert-manager.io/"))
}

/// What of a stack may be there and is not seen, because the operator may not list it: it would be taken for missing. Kinds of other software come
/// and go, and may be refused for a while; they hold nothing up, but for a database.
pub fn unseen(lists: &Lists, id: &StackId, stack: &Stack) -> Option<Problem> {
    let is_database =
        |kind: &Kind| kind.resource.kind == "Cluster" && matches!(stack.database, Database::CloudNativePg(_));
    let refused = lists.refused(&id.namespace).into_iter();
    let unseen: Vec<_> = refused
        .filter(|kind| kind.needs.is_none() || is_database(kind))
        .map(|kind| kind.resource.plural.as_str())
        .collect();
    (!unseen.is_empty()).then(|| Problem {
        reason: reason::APPLY_REFUSED,
        message: format!(
            "the operator may not list {} here, so that nothing is done; give it its rights in this namespace again",
            unseen.join(", ")
        ),
    })
}

fn missing_software(stack: &Stack, has: Capabilities) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |path: &str, software: &str, kind: &str| {
        problems.push(Problem {
            reason: reason::KIND_MISSING,
            message: format!("{path} needs {software}: the cluster does not know the kind {kind}. Install it, or leave {path} out"),
        });
    };
    if matches!(stack.database, Database::CloudNativePg(_)) && !has.cloud_native_pg {
        add("spec.database.cloudNativePG", "CloudNativePG", "Cluster (postgresql.cnpg.io/v1)");
    }
    let wants_route = stack
        .gateway
        .ingress
        .as_ref()
        .is_some_and(|ingress| matches!(ingress.by, IngressBy::HttpRoute { .. }));
    if wants_route && !has.http_route {
        add("spec.gateway.ingress.parentRefs", "the Gateway API", "HTTPRoute (gateway.networking.k8s.io/v1)");
    }
    problems
}

/// A Secret that the spec names.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    path: String,
    secret: String,
    key: Option<String>,
}

impl Named {
    fn is_missing(&self) -> Problem {
        let Self { path, secret, key } = self;
        let with = key.as_ref().map(|key| format!(" with the key {key}")).unwrap_or_default();
        Problem {
            reason: reason::SECRET_MISSING,
            message: format!("{path} names the Secret {secret}, which is not there; create it{with}"),
        }
    }

    fn has_no_key(&self, key: &str) -> Problem {
        let Self { path, secret, .. } = self;
        Problem {
            reason: reason::SECRET_KEY_MISSING,
            message: format!(
                "{path} names the key {key} of the Secret {secret}, which has no such key; add it"
            ),
        }
    }
}

/// Every Secret that a spec names: `{secret, key}`, `secretName`, `keySecretRef.name`, and the items of `pullSecrets`.
fn named_secrets(spec: &Value) -> Vec<Named> {
    fn walk(path: &str, value: &Value, found: &mut Vec<Named>) {
        match value {
            Value::Object(members) => {
                let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
                let mut add = |path: String, secret: Option<String>, key| {
                    found.extend(secret.map(|secret| Named { path, secret, key }));
                };
                if members.len() == 2 && members.contains_key("key") {
                    add(path.to_owned(), text("secret"), text("key"));
                }
                add(format!("{path}.secretName"), text("secretName"), None);
                if path.ends_with(".keySecretRef") {
                    add(path.to_owned(), text("name"), None);
                }
                members.iter().for_each(|(name, value)| walk(&format!("{path}.{name}"), value, found));
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    match item.as_str() {
                        Some(secret) if path.starts_with("spec.image.pullSecrets[") => {
                            found.push(Named { path, secret: secret.to_owned(), key: None });
                        }
                        _ => walk(&path, item, found),
                    }
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk("spec", spec, &mut found);
    found
}

async fn contents(client: &Client, namespace: &str, name: &str) -> Result<Contents, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = api.get_opt(name).await.map_err(Error::api(format!("Secret {name}")))?.unwrap_or_default();
    let digest = secrets::checksum(&secret);
    Ok(Contents { keys: secret.data.map(BTreeMap::into_keys).into_iter().flatten().collect(), digest })
}

async fn ingress_class(
    client: &Client,
    stack: &Stack,
    memory: &mut Memory,
) -> Result<Option<Problem>, Error> {
    let by = stack.gateway.ingress.as_ref().map(|ingress| &ingress.by);
    let Some(IngressBy::Ingress { class_name: Some(name), .. }) = by else { return Ok(None) };
    let known = memory.class.as_ref().filter(|(of, when, _)| of == name && when.elapsed() < CLASS_TTL);
    let there = if let Some((_, _, there)) = known {
        *there
    } else {
        // An operator that may not know says nothing.
        let there = discover::has_ingress_class(client, name).await?.unwrap_or(true);
        memory.class = Some((name.to_owned(), Instant::now(), there));
        there
    };
    Ok((!there).then(|| Problem {
        reason: reason::INGRESS_CLASS_MISSING,
        message: format!("spec.gateway.ingress.className: there is no Ingress class {name}; `kubectl get ingressclass` lists those that are there"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_certificate_that_cert_manager_makes_is_not_waited_for() {
        let stack = |annotation: &str| {
            let text = format!(
                "{{apiVersion: {}, kind: {}, metadata: {{name: clinic, namespace: east}}, spec: {{gateway: {{ingress: {{host: a.test, \
                 tls: {{secretName: cert}}, annotations: {{{annotation}: letsencrypt}}}}}}}}}}",
                stack::API_VERSION,
                stack::KIND
            );
            Stack::from_yaml(&text).unwrap()
        };
        let of_ingress = |path: &str| Named { path: path.to_owned(), secret: "cert".to_owned(), key: None };
        let tls = of_ingress("spec.gateway.ingress.tls.secretName");
        assert!(comes_later(&stack("cert-manager.io/cluster-issuer"), &tls));
        assert!(!comes_later(&stack("example.org/note"), &tls));
        let other = of_ingress("spec.image.pullSecrets[0]");
        assert!(!comes_later(&stack("cert-manager.io/cluster-issuer"), &other));
    }

    #[test]
    fn every_secret_that_a_spec_names_is_found_with_its_path() {
        let spec = json!({
            "image": {"pullSecrets": ["registry"]},
            "integrations": {"mail": {"host": "h", "password": {"secret": "smtp", "key": "password"}}},
            "gateway": {"ingress": {"tls": {"secretName": "cert"}}},
            "services": {"patient": {"env": [{"name": "A", "secret": {"secret": "s", "key": "k"}}]}},
            "restoreFrom": {"keySecretRef": {"name": "old-kek"}}
        });
        let found: BTreeMap<_, _> =
            named_secrets(&spec).into_iter().map(|named| (named.path, (named.secret, named.key))).collect();
        let expected = [
            ("spec.image.pullSecrets[0]", "registry", None),
            ("spec.integrations.mail.password", "smtp", Some("password")),
            ("spec.gateway.ingress.tls.secretName", "cert", None),
            ("spec.services.patient.env[0].secret", "s", Some("k")),
            ("spec.restoreFrom.keySecretRef", "old-kek", None),
        ];
        let expected: BTreeMap<_, _> = expected
            .into_iter()
            .map(|(path, secret, key)| (path.to_owned(), (secret.to_owned(), key.map(str::to_owned))))
            .collect();
        assert_eq!(found, expected);
    }
}
