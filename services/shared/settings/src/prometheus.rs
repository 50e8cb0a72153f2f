//! [`Prometheus`]: where the gateway reads what all gateways of its stack have counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A Prometheus that collects the metrics of this gateway and of those beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Prometheus {
    /// Its address, such as `http://prometheus:9090`; `/api/v1/query` is put behind it.
    pub url: String,
    /// The labels that it gives to samples of these gateways and of no others. Empty: it knows no others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}
