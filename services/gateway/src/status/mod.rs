//! `GET /api/gateway`: how the gateway is and what was answered, by all gateways of the stack together if a Prometheus collects from them and
//! answers, else by this one.
//!
//! Either way what was counted comes as samples of the same metrics, and one reading makes details of them.

mod details;
mod fleet;
mod page;
mod recent;

use std::collections::BTreeMap;
use std::sync::Arc;

use contracts::gateway::{CountedBy, GatewayDetails, GatewayMetrics, GatewayReport};

pub(crate) use fleet::Fleet;
pub(crate) use recent::Recent;

use crate::gateway::Core;

/// Requests by route and class of status.
const REQUESTS: &str = "healthcare_gateway_requests_total";
/// How long they took.
const BUCKETS: &str = "healthcare_gateway_request_seconds_bucket";
const STATE: &str = "healthcare_gateway_endpoint_state";
const BREAKER: &str = "healthcare_gateway_breaker_state";
const IN_FLIGHT: &str = "healthcare_gateway_endpoint_in_flight";

/// One number of a metric.
#[derive(Clone, Debug, PartialEq)]
struct Sample {
    metric: &'static str,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Sample {
    fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// What is answered.
pub(crate) async fn report(core: &Core, with_details: bool) -> GatewayReport {
    let fleet = core.snapshot.load().fleet.clone();
    if let Some(fleet) = fleet
        && let Some(report) = of_all(core, &fleet, with_details).await
    {
        return report;
    }
    let mut report = of_this_one(core);
    if with_details {
        report.details = own_details(core).await;
    }
    report
}

/// Made of this gateway's own page of metrics.
async fn own_details(core: &Core) -> Option<GatewayDetails> {
    let metrics = core.world.metrics.clone();
    let read = move || details::read(&page::samples(&metrics.page()), None);
    let details = core.details.get(|| recent::aside(read)).await?;
    Some(GatewayDetails::clone(&details))
}

async fn of_all(core: &Core, fleet: &Arc<Fleet>, with_details: bool) -> Option<GatewayReport> {
    let totals = fleet.totals().await?;
    let details = if with_details { Some(GatewayDetails::clone(&*fleet.details().await?)) } else { None };
    Some(GatewayReport {
        status: status(core),
        metrics: totals.metrics,
        source: CountedBy::Prometheus,
        replicas: totals.replicas,
        details,
    })
}

/// What this gateway knows of itself, without details.
pub(crate) fn of_this_one(core: &Core) -> GatewayReport {
    let (requests, errors) = core.meters.totals();
    GatewayReport {
        status: status(core),
        metrics: GatewayMetrics { requests, errors },
        source: CountedBy::Gateway,
        replicas: 1,
        details: None,
    }
}

fn status(core: &Core) -> String {
    if core.is_leaving() { "Draining" } else { "Running" }.to_owned()
}
