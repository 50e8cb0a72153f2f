//! [`Thin`]: the few members of any object that the operator reads. The rest, above all pod templates, is skipped as it is parsed, so that
//! it never takes memory.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::{ApiResource, DynamicResourceScope};
use serde::Deserialize;
use serde_json::Value;

/// What the operator reads of an object, whatever its kind.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Thin {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// Of its spec.
    pub spec: ThinSpec,
    /// Of its status.
    pub status: ThinStatus,
}

/// What is read of a spec.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ThinSpec {
    /// Of a Deployment, StatefulSet.
    pub replicas: Option<i32>,
    /// Of a CloudNativePG Cluster.
    pub instances: Option<i32>,
    /// Of what makes pods.
    pub template: Option<ThinTemplate>,
    /// Of a `PersistentVolumeClaim`: how much it asks for.
    pub resources: Option<Value>,
    /// Of a Service: how far it is reached.
    pub r#type: Option<Value>,
    /// Of a Service: whom it leads to.
    pub selector: Option<Value>,
    /// Of a Service: where.
    pub ports: Option<Value>,
    /// Of a Service: by way of which nodes.
    pub external_traffic_policy: Option<Value>,
    /// Of a `HorizontalPodAutoscaler`, and so are all below.
    pub min_replicas: Option<Value>,
    /// The most pods.
    pub max_replicas: Option<Value>,
    /// What it goes by.
    pub metrics: Option<Value>,
    /// How fast.
    pub behavior: Option<Value>,
    /// What it scales.
    pub scale_target_ref: Option<Value>,
}

impl ThinSpec {
    /// What the operator sets of a kind whose changes the API server does not count, to be compared.
    pub fn compared(&self) -> [Option<String>; 10] {
        [
            &self.resources,
            &self.r#type,
            &self.selector,
            &self.ports,
            &self.external_traffic_policy,
            &self.min_replicas,
            &self.max_replicas,
            &self.metrics,
            &self.behavior,
            &self.scale_target_ref,
        ]
        .map(|member| member.as_ref().map(ToString::to_string))
    }
}

/// A pod template.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ThinTemplate {
    /// Its pods' spec.
    pub spec: ThinPodSpec,
}

/// What is read of a pod's spec.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ThinPodSpec {
    /// Its containers.
    pub containers: Vec<ThinContainer>,
}

/// What is read of a container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ThinContainer {
    /// Its image, with the tag.
    pub image: Option<String>,
}

/// What is read of a status.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ThinStatus {
    /// Which generation the rest speaks of.
    pub observed_generation: Option<i64>,
    /// Pods that there are.
    pub replicas: Option<i32>,
    /// Pods of the newest template.
    pub updated_replicas: Option<i32>,
    /// Pods that are ready.
    pub ready_replicas: Option<i32>,
    /// Pods that have been ready for long enough.
    pub available_replicas: Option<i32>,
    /// Of a CloudNativePG Cluster: instances that are ready.
    pub ready_instances: Option<i32>,
    /// Of a CloudNativePG Cluster: what it is at, in words.
    pub phase: Option<String>,
    /// What is so, and what is not.
    pub conditions: Vec<ThinCondition>,
    /// Of a Service or an Ingress: where it is reached.
    pub load_balancer: ThinLoadBalancer,
    /// Of an `HTTPRoute`: what Gateways say of it.
    pub parents: Vec<ThinParent>,
}

/// What a load balancer has done.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ThinLoadBalancer {
    /// The addresses that it gave.
    pub ingress: Vec<ThinAddress>,
}

/// An address.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ThinAddress {
    /// As a number.
    pub ip: Option<String>,
    /// By name.
    pub hostname: Option<String>,
}

/// What a Gateway says of an `HTTPRoute`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ThinParent {
    /// Which Gateway.
    pub parent_ref: ThinParentRef,
    /// What it says.
    pub conditions: Vec<ThinCondition>,
}

/// A Gateway.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ThinParentRef {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: Option<String>,
    /// One of its listeners.
    pub section_name: Option<String>,
}

/// A condition of any kind of object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ThinCondition {
    /// What it is about.
    pub r#type: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, in a word.
    pub reason: Option<String>,
    /// Why, in words.
    pub message: Option<String>,
    /// Which generation it speaks of, if it says so.
    pub observed_generation: Option<i64>,
}

impl ThinStatus {
    /// The condition of a type, if it is so.
    pub fn holds(&self, r#type: &str) -> Option<&ThinCondition> {
        self.conditions.iter().find(|condition| condition.r#type == r#type && condition.status == "True")
    }

    /// The condition of a type, if it is not so.
    pub fn fails(&self, r#type: &str) -> Option<&ThinCondition> {
        self.conditions.iter().find(|condition| condition.r#type == r#type && condition.status == "False")
    }
}

impl Resource for Thin {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&resource.kind)
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&resource.group)
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&resource.version)
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&resource.plural)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
