//! [`Fleet`]: all gateways of the stack, as Prometheus knows them.
//!
//! However many ask at once, Prometheus is asked once, and what it said holds for a moment: a screen that looks at the gateway again and again is
//! no load for it. It never keeps anybody waiting for long; while it is away, or says what makes no sense, the gateway tells of itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use contracts::gateway::{GatewayDetails, GatewayMetrics};
use futures_util::future::try_join_all;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde::Deserialize;
use settings::Prometheus;
use traces::chain;

use super::details::{self, whole};
use super::recent::{ANSWER_MAX, Recent, aside};
use super::{BREAKER, BUCKETS, IN_FLIGHT, REQUESTS, STATE, Sample};

/// A thousand routes, each with sixteen buckets.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Latencies are of the last five minutes.
const LATENCY_SECONDS: u32 = 300;
/// Behind its address.
const PATH: &str = "/api/v1/query";

/// Counted by each process for itself under a name that no other has: so these never fall, and the last value of one that ended stays true.
const PROCESS_REQUESTS: &str = "healthcare_gateway_process_requests_total";
const PROCESS_ERRORS: &str = "healthcare_gateway_process_errors_total";

/// Whom to ask, and what was said last.
#[derive(Debug)]
pub(crate) struct Fleet {
    settings: Prometheus,
    /// What selects the stack's samples.
    selector: String,
    http: Result<(Client, Url), String>,
    totals: Recent<Totals>,
    details: Recent<GatewayDetails>,
    is_away: AtomicBool,
}

/// Of all of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Totals {
    pub(super) metrics: GatewayMetrics,
    pub(super) replicas: u32,
}

impl Fleet {
    pub(crate) fn new(settings: Prometheus) -> Self {
        let selector = selector(&settings.labels);
        let http = address(&settings.url).and_then(|url| Ok((client()?, url)));
        Self {
            settings,
            selector,
            http,
            totals: Recent::default(),
            details: Recent::default(),
            is_away: AtomicBool::new(false),
        }
    }

    /// Whether it is the one that these settings describe.
    pub(crate) fn is_of(&self, settings: &Prometheus) -> bool {
        self.settings == *settings
    }

    /// What is wrong with settings, and where.
    pub(crate) fn check(settings: &Prometheus) -> Vec<String> {
        let url = address(&settings.url).err().map(|why| format!("prometheus.url: {why}"));
        let names = settings.labels.keys().filter(|name| !is_label(name));
        url.into_iter().chain(names.map(|name| format!("prometheus.labels: {name} is no label"))).collect()
    }

    /// What all have answered; `None`: Prometheus does not say, or does not know them.
    pub(super) async fn totals(self: &Arc<Self>) -> Option<Arc<Totals>> {
        let this = Arc::clone(self);
        self.totals.get(|| async move { this.told(this.ask_totals().await) }).await
    }

    /// Routes, latencies and endpoints.
    pub(super) async fn details(self: &Arc<Self>) -> Option<Arc<GatewayDetails>> {
        let this = Arc::clone(self);
        self.details.get(|| async move { this.told(this.ask_details().await) }).await
    }

    async fn ask_totals(&self) -> Result<Totals, String> {
        let of = &self.selector;
        // By process: who is collected from twice counts once.
        let sum = |metric: &str| format!("sum(max by (process) (max_over_time({metric}{{{of}}}[7d])))");
        let replicas = format!("count(count by (process) ({PROCESS_REQUESTS}{{{of}}}))");
        let asked = [sum(PROCESS_REQUESTS), sum(PROCESS_ERRORS), replicas];
        let answers = try_join_all(asked.iter().map(|expression| self.query("", expression))).await?;
        let numbers: Vec<u64> = answers.iter().flatten().map(|sample| whole(sample.value)).collect();
        let [requests, errors, replicas] = numbers[..] else {
            return Err(format!("it has no samples of gateways with {of}"));
        };
        let replicas = u32::try_from(replicas).unwrap_or(u32::MAX);
        Ok(Totals { metrics: GatewayMetrics { requests, errors }, replicas })
    }

    async fn ask_details(&self) -> Result<GatewayDetails, String> {
        let of = &self.selector;
        let asked = [
            (REQUESTS, format!("sum by (method, route, status) ({REQUESTS}{{{of}}})")),
            (BUCKETS, format!("sum by (method, route, le) (rate({BUCKETS}{{{of}}}[{LATENCY_SECONDS}s]))")),
            (STATE, format!("max by (upstream, endpoint) ({STATE}{{{of}}})")),
            (BREAKER, format!("max by (upstream, endpoint) ({BREAKER}{{{of}}})")),
            (IN_FLIGHT, format!("sum by (upstream, endpoint) ({IN_FLIGHT}{{{of}}})")),
        ];
        let answers = asked.iter().map(|&(metric, ref expression)| self.query(metric, expression));
        let samples: Vec<Sample> = try_join_all(answers).await?.into_iter().flatten().collect();
        aside(move || details::read(&samples, Some(LATENCY_SECONDS))).await.ok_or_else(nonsense)
    }

    /// What an expression in `PromQL` comes to now.
    async fn query(&self, metric: &'static str, expression: &str) -> Result<Vec<Sample>, String> {
        let (http, url) = self.http.as_ref().map_err(Clone::clone)?;
        let request = http.get(url.clone()).query(&[("query", expression)]);
        let mut answer = request.send().await.map_err(|error| chain(&error.without_url()))?;
        if !answer.status().is_success() {
            return Err(format!("it answers {}", answer.status()));
        }
        let mut body = Vec::new();
        while let Some(more) = answer.chunk().await.map_err(|error| chain(&error.without_url()))? {
            if body.len() + more.len() > ANSWER_BYTES_MAX {
                return Err("its answer does not end".to_owned());
            }
            body.extend_from_slice(&more);
        }
        aside(move || read(metric, &body)).await.flatten().ok_or_else(nonsense)
    }

    /// Says once that it is away, and once that it is back.
    fn told<T>(&self, answer: Result<T, String>) -> Option<T> {
        let is_news = self.is_away.swap(answer.is_err(), Ordering::Relaxed) != answer.is_err();
        match &answer {
            Err(why) if is_news => {
                tracing::warn!(why, "Prometheus does not tell of all gateways: this one tells of itself");
            }
            Ok(_) if is_news => tracing::info!("Prometheus tells of all gateways again"),
            _ => {}
        }
        answer.ok()
    }
}

/// An answer to an instant query: <https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries>.
#[derive(Deserialize)]
struct Reply {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    /// When, and what: a number in a text.
    value: (f64, String),
}

/// The samples of an answer; those that are no number are left out.
fn read(metric: &'static str, body: &[u8]) -> Option<Vec<Sample>> {
    let reply: Reply = serde_json::from_slice(body).ok()?;
    let mut samples = Vec::with_capacity(reply.data.result.len());
    for Series { metric: labels, value: (_, value) } in reply.data.result {
        let value: f64 = value.parse().ok()?;
        if value.is_finite() {
            samples.push(Sample { metric, labels, value });
        }
    }
    Some(samples)
}

fn nonsense() -> String {
    "its answer makes no sense".to_owned()
}

fn client() -> Result<Client, String> {
    let client = Client::builder().timeout(ANSWER_MAX).redirect(Policy::none()).no_proxy();
    client.build().map_err(|error| format!("no HTTP client: {error}"))
}

/// Where it is asked.
fn address(url: &str) -> Result<Url, String> {
    let mut url: Url = url.parse().map_err(|error| format!("is no address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("is {}, not http or https", url.scheme()));
    }
    let path = format!("{}{PATH}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

/// `a="b",c="d"`.
fn selector(labels: &BTreeMap<String, String>) -> String {
    let escaped = |value: &str| value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
    let one = |(name, value): (&String, &String)| format!(r#"{name}="{}""#, escaped(value));
    labels.iter().map(one).collect::<Vec<_>>().join(",")
}

fn is_label(name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(is_word) && name.starts_with(|first: char| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_below_its_address_whatever_stands_there() {
        for (url, asked) in [
            ("http://prometheus:9090", "http://prometheus:9090/api/v1/query"),
            ("https://mimir.example/prometheus/", "https://mimir.example/prometheus/api/v1/query"),
            ("http://prometheus:9090?tenant=7", "http://prometheus:9090/api/v1/query?tenant=7"),
        ] {
            assert_eq!(address(url).unwrap().as_str(), asked);
        }
        assert!(address("prometheus:9090").is_err() && address("").is_err());
    }

    #[test]
    fn no_value_of_a_label_ends_the_selector() {
        let labels = [("namespace".to_owned(), "a\"} or vector(1) #\\\n".to_owned())].into();
        assert_eq!(selector(&labels), r#"namespace="a\"} or vector(1) #\\\n""#);
        let labels = [("a-b".to_owned(), String::new()), (String::new(), String::new())].into();
        assert_eq!(Fleet::check(&Prometheus { url: "http://p".to_owned(), labels }).len(), 2);
    }

    #[test]
    fn answers_that_make_no_sense_are_none() {
        let text = |text: &str| read(REQUESTS, text.as_bytes());
        let whole = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"route":"/a"},"value":[1.5,"12"]},{"metric":{},"value":[1,"NaN"]}]}}"#;
        let samples = text(whole).unwrap();
        assert_eq!((samples.len(), samples[0].label("route"), super::whole(samples[0].value)), (1, "/a", 12));
        for garbage in [
            "",
            "<html>",
            "[]",
            r#"{"status":"error","errorType":"bad_data","error":"x"}"#,
            r#"{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}"#,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"twelve"]}]}}"#,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{}}]}}"#,
        ] {
            assert!(text(garbage).is_none(), "{garbage}");
        }
        assert!(text(&"[".repeat(100_000)).is_none());
    }
}
