//! What is not counted as it happens, but looked at when the metrics page is asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use resilience::breaker::{Breaker, State};
use resilience::health::Standing;

use crate::fallback::Larder;
use crate::kept::Lanes;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabels {
    upstream: String,
    endpoint: String,
}

/// The state of breakers and endpoints, read when the page is asked for.
#[derive(Debug)]
pub(super) struct Endpoints(pub(super) Lanes);

/// How much is kept to be served stale, once anything is.
#[derive(Debug)]
pub(super) struct Shelves(pub(super) Arc<OnceLock<Arc<Larder>>>);

impl Collector for Shelves {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(larder) = self.0.get() else { return Ok(()) };
        let (answers, bytes) = larder.size();
        let gauges = [
            ("gateway_kept_answers", "Answers kept to be served stale", answers),
            ("gateway_kept_answer_bytes", "What they take in memory", bytes),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

/// What the page says of an endpoint.
#[derive(Default)]
struct Shown {
    in_flight: i64,
    breaker: i64,
    standing: i64,
}

type Value = fn(&Shown) -> i64;

impl Endpoints {
    /// Several lanes may use one endpoint: its breakers may differ, and the worst is shown; all else is one.
    fn shown(&self) -> BTreeMap<(String, String), Shown> {
        let lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let now = Instant::now();
        let mut endpoints = BTreeMap::new();
        for lane in &lanes {
            for (member, in_flight) in lane.balancer.endpoints() {
                let key = (lane.service.to_string(), member.address.0.clone());
                let shown: &mut Shown = endpoints.entry(key).or_default();
                let breaker = member.breaker.as_ref().map_or(State::Closed, Breaker::state);
                shown.in_flight = i64::from(in_flight);
                shown.breaker = shown.breaker.max(match breaker {
                    State::Closed => 0,
                    State::HalfOpen => 1,
                    State::Open => 2,
                });
                shown.standing = match lane.standing(member, now) {
                    Standing::Well => 0,
                    Standing::Joining => 1,
                    Standing::Ejected => 2,
                    Standing::Down => 3,
                };
            }
        }
        endpoints
    }
}

impl Collector for Endpoints {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let endpoints = self.shown();
        let families: [(&str, &str, Value); 3] = [
            ("gateway_endpoint_in_flight", "Requests under way at an endpoint", |shown| shown.in_flight),
            (
                "gateway_endpoint_state",
                "An endpoint: 0 well, 1 joining (its share grows), 2 set aside after failures, 3 does not say that it is well",
                |shown| shown.standing,
            ),
            (
                "gateway_breaker_state",
                "An endpoint's circuit breaker: 0 closed, 1 half open, 2 open",
                |shown| shown.breaker,
            ),
        ];
        for (name, help, value) in families {
            let kind = ConstGauge::new(0_i64).metric_type();
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for ((upstream, endpoint), shown) in &endpoints {
                let labels = EndpointLabels { upstream: upstream.clone(), endpoint: endpoint.clone() };
                ConstGauge::new(value(shown)).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
