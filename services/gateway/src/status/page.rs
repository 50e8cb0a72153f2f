//! Samples out of this gateway's own page of metrics (`OpenMetrics` text), as far as the report needs them. What this process wrote itself is read
//! here, and nobody else's.

use std::collections::BTreeMap;

use super::{BREAKER, BUCKETS, IN_FLIGHT, REQUESTS, STATE, Sample};

pub(super) fn samples(page: &str) -> Vec<Sample> {
    page.lines().filter_map(sample).collect()
}

/// `name{label="value",…} 7`, and behind that perhaps an exemplar.
fn sample(line: &str) -> Option<Sample> {
    let (name, rest) = line.split_once('{')?;
    let metric = [REQUESTS, BUCKETS, STATE, BREAKER, IN_FLIGHT].into_iter().find(|metric| *metric == name)?;
    let (labels, rest) = labels(rest)?;
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Sample { metric, labels, value })
}

/// The labels up to the closing brace, and what follows it.
fn labels(mut text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        text = text.trim_start_matches(',');
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, rest) = text.split_once("=\"")?;
        let (value, rest) = quoted(rest)?;
        labels.insert(name.to_owned(), value);
        text = rest;
    }
}

/// A value up to its closing quote, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use http_kit::telemetry::Metrics;
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;

    use super::*;

    #[test]
    fn what_the_registry_writes_is_read_again_whatever_stands_in_it() {
        let odd = "/a/{b}\\c\"d\ne, f=\"g\"} 1 # {";
        let (metrics, family) = (Metrics::default(), Family::<Vec<(String, String)>, Counter>::default());
        metrics.register("api-gateway", |registry| {
            registry.register("gateway_requests", "Requests", family.clone());
        });
        let labels = vec![("route".to_owned(), odd.to_owned()), ("method".to_owned(), "GET".to_owned())];
        family.get_or_create(&labels).inc_by(12);
        let [sample] = &samples(&metrics.page())[..] else { panic!("{}", metrics.page()) };
        assert_eq!((sample.metric, sample.label("route"), sample.label("method")), (REQUESTS, odd, "GET"));
        assert!((sample.value - 12.0).abs() < f64::EPSILON);
    }

    #[test]
    fn an_exemplar_is_passed_over() {
        let line = format!(r#"{BUCKETS}{{le="0.1",route="/x"}} 3 # {{trace_id="9"}} 0.07"#);
        let sample = sample(&line).unwrap();
        assert_eq!((sample.label("le"), sample.label("route")), ("0.1", "/x"));
        assert!((sample.value - 3.0).abs() < f64::EPSILON);
    }
}
