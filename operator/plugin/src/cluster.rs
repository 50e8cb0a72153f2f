//! [`Cluster`]: the connection, and reading what every subcommand reads.

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, Resource};
use serde::de::DeserializeOwned;
use stack::names;
use stack::spec::HealthcareStack;

use operator::plan::labels;

use crate::cli::Connection;
use crate::error::Error;

/// How many objects are asked for at once. A stack has far fewer of any kind.
const PAGE: u32 = 500;

/// A cluster, and the namespace that is looked at.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

impl Cluster {
    /// As the command line and the kubeconfig say.
    pub(crate) async fn connect(connection: &Connection) -> Result<Self, Error> {
        let options =
            KubeConfigOptions { context: connection.context.clone(), ..KubeConfigOptions::default() };
        let kubeconfig = match &connection.kubeconfig {
            Some(path) => Kubeconfig::read_from(path)?,
            None => Kubeconfig::read()?,
        };
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
        let namespace = connection.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(Error::Unreachable)?;
        Ok(Self { client, namespace })
    }

    /// Objects of a kind in the namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A stack; an error that says what to do, if it is not there.
    pub(crate) async fn stack(&self, name: &str) -> Result<HealthcareStack, Error> {
        let found = self.stack_if_any(name).await?;
        found.ok_or_else(|| Error::NoStack { namespace: self.namespace.clone(), name: name.to_owned() })
    }

    /// A stack, if it is there.
    pub(crate) async fn stack_if_any(&self, name: &str) -> Result<Option<HealthcareStack>, Error> {
        let found = match self.api::<HealthcareStack>().get_opt(name).await {
            // In a group of kinds that it does not know, the API server has no words for what is not there.
            Err(kube::Error::Api(status)) if status.code == 404 => None,
            found => found.map_err(Error::api(format!("read the HealthcareStack {name}")))?,
        };
        match found {
            None if !self.knows_stacks().await? => Err(Error::NoDefinition),
            found => Ok(found),
        }
    }

    /// Whether the definition is installed: a list of nothing is a list, an unknown kind is 404.
    async fn knows_stacks(&self) -> Result<bool, Error> {
        match self.api::<HealthcareStack>().list_metadata(&ListParams::default().limit(1)).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
            Err(error) => Err(Error::api("list the HealthcareStacks")(error)),
        }
    }

    /// The objects of a kind that belong to a stack.
    pub(crate) async fn of_stack<K>(&self, stack: &str) -> Result<Vec<K>, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let selector = format!("{}={}", labels::STACK, names::label(stack));
        self.list(&ListParams::default().labels(&selector)).await
    }

    /// The pods of one part of a stack.
    pub(crate) async fn pods(&self, stack: &str, part: &str) -> Result<Vec<Pod>, Error> {
        let selector: Vec<_> =
            labels::selector(stack, part).iter().map(|(key, value)| format!("{key}={value}")).collect();
        self.list(&ListParams::default().labels(&selector.join(","))).await
    }

    /// Objects of a kind.
    pub(crate) async fn list<K>(&self, parameters: &ListParams) -> Result<Vec<K>, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let list = self.api::<K>().list(&parameters.clone().limit(PAGE)).await;
        Ok(list.map_err(Error::api(format!("list the {}", K::plural(&()))))?.items)
    }

    /// A Secret of a stack, if it is there.
    pub(crate) async fn secret(&self, stack: &str, part: &str) -> Result<Option<Secret>, Error> {
        let name = names::object(stack, part);
        self.api::<Secret>().get_opt(&name).await.map_err(Error::api(format!("read the Secret {name}")))
    }
}
