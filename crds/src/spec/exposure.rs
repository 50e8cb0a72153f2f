//! `spec.gateway.service`, `spec.gateway.ingress`, `spec.gateway.tls`: how the gateway is reached.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::SecretRef;

use super::{forms, rules};

/// The gateway's Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::service_port()))]
pub struct GatewayService {
    /// `ClusterIP`: from within the cluster. `NodePort`: at a port of every node, too. `LoadBalancer`: at an address that the cloud
    /// gives, too.
    pub r#type: GatewayServiceType,
    /// The port of the nodes, with `NodePort` or `LoadBalancer`. Left out: the cluster picks one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub node_port: Option<u16>,
    /// What the cloud's load balancer is told.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = { "type": "string", "maxLength": 4096 }))]
    pub annotations: BTreeMap<String, String>,
}

/// Where the gateway's Service can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GatewayServiceType {
    /// From within the cluster.
    #[default]
    #[serde(rename = "ClusterIP")]
    ClusterIp,
    /// At a port of every node, too.
    NodePort,
    /// At an address that the cloud gives, too.
    LoadBalancer,
}

/// How the gateway is reached from outside the cluster: by an Ingress, or with `parentRefs` by an `HTTPRoute`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::ingress()))]
pub struct IngressSpec {
    /// The host name, such as `clinic.example.org`.
    #[schemars(length(min = 1, max = 253), regex(pattern = forms::HOST))]
    pub host: String,
    /// The Ingress class. Left out: the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = forms::OBJECT_NAME))]
    pub class_name: Option<String>,
    /// TLS for the host. Left out: plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<IngressTls>,
    /// Gateways of the Gateway API that take the host in. With any, there is an `HTTPRoute` in place of the Ingress.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    pub parent_refs: Vec<ParentRef>,
    /// What the controller is told, on the Ingress or the `HTTPRoute`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = { "type": "string", "maxLength": 4096 }))]
    pub annotations: BTreeMap<String, String>,
}

/// TLS for the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngressTls {
    /// A Secret of type `kubernetes.io/tls`.
    #[schemars(length(min = 1, max = 253), regex(pattern = forms::OBJECT_NAME))]
    pub secret_name: String,
}

/// A Gateway of the Gateway API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParentRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253), regex(pattern = forms::OBJECT_NAME))]
    pub name: String,
    /// Its namespace. Left out: the stack's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = forms::LABEL))]
    pub namespace: Option<String>,
    /// One of its listeners. Left out: each that takes the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = forms::OBJECT_NAME))]
    pub section_name: Option<String>,
}

/// TLS at the gateway itself, for those who call it with nothing in between; not with `ingress`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayTls {
    /// The certificate chain, PEM.
    pub certificate: SecretRef,
    /// Its private key, PEM.
    pub private_key: SecretRef,
}
