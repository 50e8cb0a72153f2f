//! Details out of samples: routes, latencies, endpoints. Pure.

use std::collections::BTreeMap;

use contracts::gateway::{BreakerState, EndpointReport, EndpointState, GatewayDetails, Latency, RouteReport};

use super::{BREAKER, BUCKETS, IN_FLIGHT, REQUESTS, STATE, Sample};

/// Details, with latencies of the last so many seconds, or if that is not said of all time.
pub(super) fn read(samples: &[Sample], latency_over_seconds: Option<u32>) -> GatewayDetails {
    let (mut routes, mut endpoints) = (BTreeMap::new(), BTreeMap::new());
    let mut all = Buckets::default();
    for sample in samples {
        match sample.metric {
            REQUESTS => {
                let (report, _) = route(&mut routes, sample);
                report.requests += whole(sample.value);
                if sample.label("status") == "5xx" {
                    report.errors += whole(sample.value);
                }
            }
            BUCKETS => {
                route(&mut routes, sample).1.add(sample);
                all.add(sample);
            }
            STATE => endpoint(&mut endpoints, sample).state = state(sample.value),
            BREAKER => endpoint(&mut endpoints, sample).breaker = breaker(sample.value),
            IN_FLIGHT => endpoint(&mut endpoints, sample).in_flight += whole(sample.value),
            _ => {}
        }
    }
    let routes =
        routes.into_values().map(|(route, buckets)| RouteReport { latency: buckets.latency(), ..route });
    GatewayDetails {
        latency_over_seconds,
        latency: all.latency(),
        routes: routes.collect(),
        endpoints: endpoints.into_values().collect(),
    }
}

type Key = (String, String);

fn route<'a>(
    routes: &'a mut BTreeMap<Key, (RouteReport, Buckets)>,
    sample: &Sample,
) -> &'a mut (RouteReport, Buckets) {
    let (route, method) = (sample.label("route").to_owned(), sample.label("method").to_owned());
    routes.entry((route.clone(), method.clone())).or_insert_with(|| {
        (RouteReport { method, route, requests: 0, errors: 0, latency: None }, Buckets::default())
    })
}

fn endpoint<'a>(endpoints: &'a mut BTreeMap<Key, EndpointReport>, sample: &Sample) -> &'a mut EndpointReport {
    let (service, endpoint) = (sample.label("upstream").to_owned(), sample.label("endpoint").to_owned());
    endpoints.entry((service.clone(), endpoint.clone())).or_insert_with(|| EndpointReport {
        service,
        endpoint,
        state: EndpointState::Well,
        breaker: BreakerState::Closed,
        in_flight: 0,
    })
}

/// As `metrics.rs` numbers them.
fn state(value: f64) -> EndpointState {
    match whole(value) {
        0 => EndpointState::Well,
        1 => EndpointState::Joining,
        2 => EndpointState::Ejected,
        _ => EndpointState::Down,
    }
}

fn breaker(value: f64) -> BreakerState {
    match whole(value) {
        0 => BreakerState::Closed,
        1 => BreakerState::HalfOpen,
        _ => BreakerState::Open,
    }
}

/// Counts travel as floating point numbers.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
pub(super) fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// Seconds as milliseconds, to hundredths: a bucket tells no more.
fn millis(seconds: f64) -> f64 {
    (seconds * 100_000.0).round() / 100.0
}

/// A histogram: how many took no longer, by seconds.
#[derive(Debug, Default)]
struct Buckets(Vec<(f64, f64)>);

impl Buckets {
    fn add(&mut self, sample: &Sample) {
        let Ok(bound) = sample.label("le").parse::<f64>() else { return };
        match self.0.iter_mut().find(|(known, _)| known.total_cmp(&bound).is_eq()) {
            Some((_, count)) => *count += sample.value,
            None => self.0.push((bound, sample.value)),
        }
    }

    fn latency(mut self) -> Option<Latency> {
        self.0.sort_by(|one, other| one.0.total_cmp(&other.0));
        Some(Latency { p50_ms: millis(self.quantile(0.5)?), p99_ms: millis(self.quantile(0.99)?) })
    }

    /// As `histogram_quantile` has it: within a bucket requests are spread evenly, and what is in the last one took as long as the last bound.
    fn quantile(&self, share: f64) -> Option<f64> {
        let total = self.0.last()?.1;
        if total <= 0.0 {
            return None;
        }
        let rank = share * total;
        let (mut below, mut counted) = (0.0, 0.0);
        for (bound, count) in &self.0 {
            if *count >= rank && bound.is_finite() {
                return Some(below + (bound - below) * (rank - counted) / (count - counted));
            }
            if bound.is_finite() {
                (below, counted) = (*bound, *count);
            }
        }
        Some(below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(metric: &'static str, labels: &[(&str, &str)], value: f64) -> Sample {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Sample { metric, labels, value }
    }

    fn bucket(route: &str, le: &str, count: f64) -> Sample {
        sample(BUCKETS, &[("method", "GET"), ("route", route), ("le", le)], count)
    }

    #[test]
    fn quantiles_lie_within_their_bucket_and_never_past_the_last_bound() {
        let samples = [
            bucket("/a", "+Inf", 100.0),
            bucket("/a", "0.1", 50.0),
            bucket("/a", "0.2", 98.0),
            bucket("/a", "0.4", 100.0),
            bucket("/slow", "10.0", 0.0),
            bucket("/slow", "+Inf", 4.0),
            bucket("/unused", "0.1", 0.0),
            bucket("/unused", "+Inf", 0.0),
        ];
        let details = read(&samples, Some(300));
        let latency = |at: usize| {
            details.routes[at].latency.map(|latency| (whole(latency.p50_ms), whole(latency.p99_ms)))
        };
        assert_eq!([latency(0), latency(1), latency(2)], [Some((100, 300)), Some((10_000, 10_000)), None]);
        assert_eq!(details.latency_over_seconds, Some(300));
    }

    #[test]
    fn a_latency_has_no_more_digits_than_a_person_reads() {
        let details = read(&[bucket("/a", "0.001", 3.0), bucket("/a", "0.004", 10.0)], None);
        let latency = details.latency.unwrap();
        assert_eq!([latency.p50_ms.to_string(), latency.p99_ms.to_string()], ["1.86", "3.96"]);
    }

    #[test]
    fn a_route_is_counted_over_all_classes_and_its_errors_are_those_of_the_5xx() {
        let of = |status, count| {
            sample(REQUESTS, &[("method", "GET"), ("route", "/a"), ("status", status)], count)
        };
        let details = read(&[of("2xx", 7.0), of("4xx", 2.0), of("5xx", 1.0)], None);
        let [route] = &details.routes[..] else { panic!("{details:?}") };
        assert_eq!((route.requests, route.errors, route.latency), (10, 1, None));
    }

    #[test]
    fn an_endpoint_has_its_state_its_breaker_and_its_load() {
        let labels = [("upstream", "patient-service"), ("endpoint", "http://10.0.0.1:8082")];
        let samples =
            [sample(STATE, &labels, 2.0), sample(BREAKER, &labels, 1.0), sample(IN_FLIGHT, &labels, 3.0)];
        let details = read(&samples, None);
        let expected = EndpointReport {
            service: "patient-service".to_owned(),
            endpoint: "http://10.0.0.1:8082".to_owned(),
            state: EndpointState::Ejected,
            breaker: BreakerState::HalfOpen,
            in_flight: 3,
        };
        assert_eq!(details.endpoints, [expected]);
    }
}
