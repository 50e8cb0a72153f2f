//! [`Shown`]: what the metrics page says of limits, read when it is asked for.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::gauge::ConstGauge;
use resilience::concurrency::Limiter;

use crate::kept::Lanes;

/// The limits of the upstreams in use.
#[derive(Debug)]
pub(crate) struct Shown(pub(crate) Lanes);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UpstreamLabels {
    upstream: String,
}

type Value = fn(&Limiter) -> u32;

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Several lanes may be of one upstream, which has one limit.
        let limiters: BTreeMap<_, _> =
            lanes.iter().filter_map(|lane| Some((&lane.service, lane.limiter.as_ref()?))).collect();
        let families: [(&str, &str, Value); 2] = [
            ("gateway_concurrency_limit", "So many requests may be under way at an upstream", Limiter::limit),
            ("gateway_upstream_in_flight", "So many are", Limiter::in_flight),
        ];
        for (name, help, value) in families {
            let mut family = encoder.encode_descriptor(name, help, None, ConstGauge::<i64>::TYPE)?;
            for (upstream, limiter) in &limiters {
                let labels = UpstreamLabels { upstream: upstream.to_string() };
                ConstGauge::new(i64::from(value(limiter))).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
