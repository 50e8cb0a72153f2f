//! `spec.scheduling`, `spec.networkPolicy`: how the stack's pods fit into a cluster. Nothing here means anything in one process.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{forms, rules};

/// Where the stack's pods may run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Scheduling {
    /// Labels that a node must have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 16,
        "additionalProperties" = { "type": "string", "maxLength": 63 },
        "x-kubernetes-map-type" = "atomic"
    ))]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that a node may have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub tolerations: Vec<Toleration>,
    /// The `PriorityClass` of the pods. It must be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = forms::OBJECT_NAME))]
    pub priority_class_name: Option<String>,
}

/// A taint that a node may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::toleration()))]
pub struct Toleration {
    /// The taint's key. Left out, with `operator: Exists`: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 316))]
    pub key: Option<String>,
    /// `Equal`: the taint has this value. `Exists`: whatever value it has.
    pub operator: TolerationOperator,
    /// The taint's value.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub value: Option<String>,
    /// What the taint does. Left out: whatever it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<TaintEffect>,
    /// With `NoExecute`: how long a pod may stay. Left out: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub toleration_seconds: Option<u32>,
}

/// How a taint's value is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TolerationOperator {
    /// It is the value.
    #[default]
    Equal,
    /// It does not matter.
    Exists,
}

/// What a taint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TaintEffect {
    /// New pods stay away.
    NoSchedule,
    /// New pods stay away if they can.
    PreferNoSchedule,
    /// Pods go away.
    NoExecute,
}

/// Who may speak to the stack's pods: by default, nobody but those who must.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkPolicySpec {
    /// Whether there are network policies at all. They take effect where the cluster's network enforces them.
    pub enabled: bool,
    /// Namespaces whose pods may reach the gateway: the Ingress controller's, and those of clients within the cluster. Left out: everybody
    /// may, from outside the cluster too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 63), regex(pattern = forms::LABEL)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub gateway_from: Vec<String>,
    /// Namespaces whose pods may read metrics: Prometheus's. Left out: every namespace; metrics name nobody.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 63), regex(pattern = forms::LABEL)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub metrics_from: Vec<String>,
}

impl Default for NetworkPolicySpec {
    fn default() -> Self {
        Self { enabled: true, gateway_from: Vec::new(), metrics_from: Vec::new() }
    }
}
