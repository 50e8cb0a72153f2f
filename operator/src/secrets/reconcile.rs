//! [`reconcile`]: reads the stack's Secrets and what others made, and writes what [`super::plan`] decides.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contracts::ambient::{Clock, Random};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use settings::SecretRef;
use stack::{Database, Stack, names};

use super::kek::{CURRENT, Escrowed, NEXT, PREVIOUS};
use super::server::Server;
use super::{Change, News, Planned, Refusal, Request, Sources, asked, checksums, plan, setup};
use crate::digest::Seal;
use crate::plan::{Kek, labels};
use crate::{Error, MANAGER};

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// A digest of what pods read of each Secret, by object name.
    pub checksums: BTreeMap<String, String>,
    /// Secrets made or changed.
    pub written: usize,
    /// Makes digests of Secrets that users filled.
    pub seal: Seal,
    /// Whether a rotation is under way: it goes on when the stack has settled.
    pub rotating: bool,
    /// Whether one waits for more than time: pods are to take up another key.
    pub moving: bool,
    /// When there is something to do that nothing else will bring up.
    pub wake_at: Option<DateTime<Utc>>,
    /// What was asked for and is not done.
    pub refused: Vec<Refusal>,
    /// Whether the database's own operator has yet to make its Secrets.
    pub awaits_database: bool,
    /// What the plan has to know of the key-encryption keys.
    pub kek: Kek,
}

/// How far the stack has come, which is what a rotation goes by.
#[derive(Clone, Copy, Debug)]
pub struct Come<'a> {
    /// See [`Request::settled`].
    pub settled: bool,
    /// See [`Request::rewrapped`].
    pub rewrapped: Option<&'a str>,
}

/// Why the Secrets are not as they should be.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A person has to do something.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The API server did.
    #[error(transparent)]
    Api(#[from] Error),
}

/// Makes the stack's Secrets what they should be.
pub async fn reconcile(
    client: &Client,
    stack: &Stack,
    owner: &OwnerReference,
    annotations: Option<&BTreeMap<String, String>>,
    come: Come<'_>,
    (clock, random): (&Clock, &Random),
) -> Result<(Outcome, Vec<News>), Failure> {
    let api = Api::<Secret>::namespaced(client.clone(), &stack.namespace);
    let mut existing = list(&api, stack).await?;
    let sources = sources(&api, stack, &existing).await?;
    let Planned { changes, rotating, moving, wake_at, refused, kek, news } = plan(&Request {
        stack,
        owner,
        existing: &existing,
        sources: &sources,
        rotate: &asked(annotations),
        settled: come.settled,
        rewrapped: come.rewrapped,
        now: clock.now(),
        random,
    })?;
    let count = changes.len();
    for change in changes {
        let written = write(&api, change).await?;
        existing.insert(written.metadata.name.clone().unwrap_or_default(), written);
    }
    let managed = matches!(stack.database, Database::Managed(_));
    let outcome = Outcome {
        checksums: checksums(existing.values()),
        written: count,
        // It changes with the key, and rolls what reads users' Secrets: the services, which a new key rolls anyway, and in the same moment.
        seal: Seal::new(current_kek(stack, &existing)),
        rotating,
        moving,
        wake_at,
        refused,
        awaits_database: !managed && sources.server.is_none(),
        kek,
    };
    Ok((outcome, news))
}

fn current_kek<'a>(stack: &Stack, existing: &'a BTreeMap<String, Secret>) -> Option<&'a [u8]> {
    let secret = existing.get(&names::object(&stack.name, names::KEK))?;
    Some(&secret.data.as_ref()?.get(CURRENT)?.0)
}

async fn list(api: &Api<Secret>, stack: &Stack) -> Result<BTreeMap<String, Secret>, Error> {
    let (manager_label, manager) = labels::MANAGED_BY;
    let selector = format!("{}={},{manager_label}={manager}", labels::STACK, names::label(&stack.name));
    let list = api
        .list(&ListParams::default().labels(&selector))
        .await
        .map_err(Error::api("Secrets of the stack"))?;
    Ok(list
        .items
        .into_iter()
        .map(|secret| (secret.metadata.name.clone().unwrap_or_default(), secret))
        .collect())
}

async fn write(api: &Api<Secret>, change: Change) -> Result<Secret, Failure> {
    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    match change {
        Change::Create(secret) => {
            let name = secret.metadata.name.clone().unwrap_or_default();
            match api.create(&params, &secret).await {
                Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {
                    Err(Refusal::Taken { secret: name }.into())
                }
                created => Ok(created.map_err(Error::api(format!("Secret {name}")))?),
            }
        }
        // The version that was read goes along with it, so that what somebody else wrote since is not lost.
        Change::Replace(secret) => {
            let name = secret.metadata.name.clone().unwrap_or_default();
            Ok(api.replace(&name, &params, &secret).await.map_err(Error::api(format!("Secret {name}")))?)
        }
    }
}

/// Secrets that others make, and that say how to reach the database.
pub fn of_database(stack: &Stack) -> Vec<String> {
    match &stack.database {
        Database::Managed(_) => Vec::new(),
        Database::External(external) => vec![external.url.secret.clone()],
        Database::CloudNativePg(_) => cluster_secrets(stack).into(),
    }
}

/// What CloudNativePG makes for a cluster: the superuser's password, and the CA.
fn cluster_secrets(stack: &Stack) -> [String; 2] {
    let cluster = names::object(&stack.name, names::POSTGRES);
    [format!("{cluster}-superuser"), format!("{cluster}-ca")]
}

async fn sources(
    api: &Api<Secret>,
    stack: &Stack,
    existing: &BTreeMap<String, Secret>,
) -> Result<Sources, Failure> {
    let server = match &stack.database {
        Database::Managed(_) => None,
        Database::External(external) => Some(external_server(api, &external.url).await?),
        Database::CloudNativePg(_) => cluster_server(api, stack).await?,
    };
    let kek = match &stack.restore_from {
        Some(restore) if !existing.contains_key(&names::object(&stack.name, names::KEK)) => {
            Some(escrowed(api, &restore.key_secret_ref.name).await?)
        }
        _ => None,
    };
    Ok(Sources { server, kek })
}

async fn escrowed(api: &Api<Secret>, name: &str) -> Result<Escrowed, Failure> {
    let secret = secret(api, name).await?;
    let get = |key: &str| value(secret.as_ref(), &SecretRef { secret: name.to_owned(), key: key.to_owned() });
    Ok(Escrowed { current: get(CURRENT)?, next: get(NEXT).ok(), previous: get(PREVIOUS).ok() })
}

async fn external_server(api: &Api<Secret>, reference: &SecretRef) -> Result<Server, Failure> {
    let secret = secret(api, &reference.secret).await?;
    let url = String::from_utf8(value(secret.as_ref(), reference)?).map_err(|_| super::server::BadUrl::Form);
    let ca = SecretRef { secret: reference.secret.clone(), key: "ca.crt".to_owned() };
    let ca = value(secret.as_ref(), &ca).ok().and_then(|pem| String::from_utf8(pem).ok());
    let ca = ca.ok_or_else(|| Refusal::ExternalCa { secret: reference.secret.clone() })?;
    Ok(Server::from_url(&url.map_err(Refusal::from)?, ca).map_err(Refusal::from)?)
}

/// From the Secrets that CloudNativePG makes for a cluster. It takes a while to make them.
async fn cluster_server(api: &Api<Secret>, stack: &Stack) -> Result<Option<Server>, Failure> {
    let cluster = names::object(&stack.name, names::POSTGRES);
    let get = async |name: String, key: &str| {
        let secret = api.get_opt(&name).await.map_err(Error::api(format!("Secret {name}")))?;
        let value = secret
            .and_then(|secret| secret.data?.remove(key))
            .and_then(|value| String::from_utf8(value.0).ok());
        Ok::<_, Error>(value)
    };
    let [superuser, authority] = cluster_secrets(stack);
    let password = get(superuser, "password").await?;
    let ca = get(authority, "ca.crt").await?;
    Ok(password.zip(ca).map(|(password, ca)| Server {
        host: format!("{cluster}-rw"),
        port: 5432,
        database: setup::DATABASE.to_owned(),
        user: "postgres".to_owned(),
        password,
        ca,
        checks_host: true,
    }))
}

async fn secret(api: &Api<Secret>, name: &str) -> Result<Option<Secret>, Error> {
    api.get_opt(name).await.map_err(Error::api(format!("Secret {name}")))
}

fn value(secret: Option<&Secret>, reference: &SecretRef) -> Result<Vec<u8>, Refusal> {
    let value = secret.and_then(|secret| secret.data.as_ref()?.get(&reference.key));
    value
        .map(|value| value.0.clone())
        .ok_or_else(|| Refusal::Missing { secret: reference.secret.clone(), key: reference.key.clone() })
}
