//! [`Exporter`]: the one task of a process that speaks to the collector (OTLP over HTTP, protobuf).
//!
//! Once a second, or sooner when a batch is full, it sends what waits, one request at a time. A collector that cannot now (OTLP: 429, 502, 503,
//! 504, or no answer) is asked again, later each time and not for long; meanwhile the queue fills and what finds no room is dropped.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use prost::Message;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response, Url};
use resilience::retry::parse_retry_after;
use settings::{SecretRef, Tracing};
use tokio::sync::{mpsc, oneshot, watch};

use crate::causes::chain;
use crate::otlp::{self, ExportResponse, Origin};
use crate::queue::{BATCH, Dropped, Queue};

const EVERY: Duration = Duration::from_secs(1);
const CONNECT_MAX: Duration = Duration::from_secs(2);
const REQUEST_MAX: Duration = Duration::from_secs(5);
/// A batch is sent so often at most, and then given up.
const ATTEMPTS_MAX: u32 = 3;
/// The pause after the first attempt; it doubles.
const PAUSE: Duration = Duration::from_millis(500);
/// However long the collector asks for.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Where OTLP has traces.
const PATH: &str = "/v1/traces";
/// An answer is a few bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

type Flush = oneshot::Sender<()>;

/// Sends what waits in the queue.
#[derive(Debug)]
pub(crate) struct Exporter {
    queue: Arc<Queue>,
    settings: watch::Receiver<Option<Tracing>>,
    flushes: mpsc::Receiver<Flush>,
    secrets: Option<PathBuf>,
    instance: String,
    /// What is in force.
    tracing: Option<Tracing>,
    collector: Option<Collector>,
    /// Who waits for everything to be sent.
    asked: Option<Flush>,
    /// That it fails was told; that it works again is told once.
    is_failing: bool,
}

/// The collector, as it is asked.
#[derive(Debug)]
struct Collector {
    http: Client,
    url: Url,
    headers: HeaderMap,
    origin: Origin,
}

/// Why a batch was not taken.
#[derive(Debug)]
enum Fault {
    /// It may be another time.
    Later { why: String, after: Option<Duration> },
    /// It will not be.
    Never { why: String, kind: Dropped },
}

impl Exporter {
    pub(crate) fn new(
        queue: Arc<Queue>,
        settings: watch::Receiver<Option<Tracing>>,
        flushes: mpsc::Receiver<Flush>,
        secrets: Option<PathBuf>,
        instance: [u8; 8],
    ) -> Self {
        let instance = data_encoding::HEXLOWER.encode(&instance);
        Self {
            queue,
            settings,
            flushes,
            secrets,
            instance,
            tracing: None,
            collector: None,
            asked: None,
            is_failing: false,
        }
    }

    /// Sends for as long as there is a tracer.
    pub(crate) async fn run(mut self) {
        loop {
            tokio::select! {
                biased;
                changed = self.settings.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let tracing = self.settings.borrow_and_update().clone();
                    if tracing.is_none() {
                        // What is still there was to be sent.
                        self.send_all().await;
                    }
                    (self.tracing, self.collector, self.is_failing) = (tracing, None, false);
                }
                flush = self.flushes.recv() => match flush {
                    Some(flush) => self.asked = Some(flush),
                    None => return,
                },
                () = self.queue.is_worth_it.notified() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
            self.send_all().await;
            if let Some(done) = self.asked.take() {
                let _ = done.send(());
            }
        }
    }

    async fn send_all(&mut self) {
        loop {
            let batch = self.queue.take();
            let spans = batch.len();
            if spans > 0 {
                match self.send(&batch).await {
                    Ok(refused) => {
                        self.queue.sent_count(spans - refused);
                        self.queue.drop_count(Dropped::Refused, refused);
                        self.works();
                    }
                    Err((kind, why)) => {
                        self.queue.drop_count(kind, spans);
                        self.fails(&why);
                    }
                }
            }
            // What has changed meanwhile goes first: the collector may be another one, which takes what this one does not.
            if spans < BATCH || self.settings.has_changed().unwrap_or(true) {
                return;
            }
        }
    }

    /// Sends a batch, as often as it makes sense. How many of its spans were refused; or why none was taken.
    async fn send(&mut self, batch: &[Box<crate::span::Finished>]) -> Result<usize, (Dropped, String)> {
        let Some(tracing) = self.tracing.clone() else {
            return Err((Dropped::Stopped, "nothing is to be sent".to_owned()));
        };
        let mut body = None;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let collector = match self.collector.take() {
                Some(collector) => collector,
                None => Collector::new(&tracing, self.secrets.as_deref(), &self.instance)
                    .map_err(|why| (Dropped::Unusable, why))?,
            };
            let body = body
                .get_or_insert_with(|| Bytes::from(otlp::request(batch, &collector.origin).encode_to_vec()));
            let after = match collector.ask(body.clone()).await {
                Ok(refused) => {
                    self.collector = Some(collector);
                    return Ok(refused.min(batch.len()));
                }
                // The next batch is sent with headers and certificates as they are then.
                Err(Fault::Never { why, kind }) => return Err((kind, why)),
                Err(Fault::Later { why, .. }) if attempts == ATTEMPTS_MAX || self.asked.is_some() => {
                    return Err((Dropped::Unreachable, why));
                }
                Err(Fault::Later { after, .. }) => after,
            };
            self.collector = Some(collector);
            self.pause(after.unwrap_or(PAUSE * 2_u32.pow(attempts - 1)).min(PAUSE_MAX)).await;
        }
    }

    /// Waits, unless the process ends.
    async fn pause(&mut self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            flush = self.flushes.recv() => self.asked = flush,
        }
    }

    fn works(&mut self) {
        if std::mem::take(&mut self.is_failing) {
            tracing::info!("the collector takes traces again");
        }
    }

    fn fails(&mut self, why: &str) {
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(why, "traces do not reach the collector; they are dropped until they do");
        }
    }
}

impl Collector {
    fn new(tracing: &Tracing, secrets: Option<&Path>, instance: &str) -> Result<Self, String> {
        let mut http = Client::builder()
            .connect_timeout(CONNECT_MAX)
            .timeout(REQUEST_MAX)
            // Headers may be secrets: they go to no host that nobody named.
            .redirect(Policy::none())
            .no_proxy();
        if let Some(ca) = &tracing.ca {
            let pem = read(secrets, ca)?;
            let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
            if certificates.is_empty() {
                return Err(format!("the secret {}/{} holds no certificates (PEM)", ca.secret, ca.key));
            }
            http = http.tls_certs_only(certificates);
        }
        Ok(Self {
            http: http.build().map_err(|error| format!("no HTTP client: {error}"))?,
            url: address(tracing)?,
            headers: headers(tracing, secrets)?,
            origin: Origin { namespace: tracing.stack.clone(), instance: instance.to_owned() },
        })
    }

    /// Sends once. How many spans the collector did not want.
    async fn ask(&self, body: Bytes) -> Result<usize, Fault> {
        let later = |why: String| Fault::Later { why, after: None };
        let request = self.http.post(self.url.clone()).headers(self.headers.clone()).body(body);
        let answer = request.send().await.map_err(|error| later(chain(&error.without_url())))?;
        let status = answer.status();
        let why = format!("the collector answers {status}");
        match status.as_u16() {
            200..300 => {
                let body = whole(answer).await.map_err(later)?;
                let refused = ExportResponse::decode(body).ok().and_then(|answer| answer.partial_success);
                Ok(refused.and_then(|it| usize::try_from(it.rejected_spans).ok()).unwrap_or(0))
            }
            429 | 502 | 503 | 504 => {
                let asked = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                Err(Fault::Later { why, after: asked.and_then(parse_retry_after) })
            }
            _ => Err(Fault::Never { why, kind: Dropped::Refused }),
        }
    }
}

/// Where traces are taken: `/v1/traces` at the endpoint, unless it is named to the end.
pub(crate) fn address(tracing: &Tracing) -> Result<Url, String> {
    let mut url: Url = tracing.endpoint.parse().map_err(|error| format!("is no address: {error}"))?;
    if !url.path().ends_with(PATH) {
        let path = format!("{}{PATH}", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(format!("is {other}, not http or https")),
    }
}

fn headers(tracing: &Tracing, secrets: Option<&Path>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for header in &tracing.headers {
        let name = HeaderName::try_from(&header.name).map_err(|_| format!("{} is no header", header.name))?;
        let bytes = read(secrets, &header.value)?;
        let malformed =
            |_| format!("the secret {}/{} cannot stand in a header", header.value.secret, header.value.key);
        let mut value = HeaderValue::from_bytes(bytes.trim_ascii()).map_err(malformed)?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    Ok(headers)
}

fn read(secrets: Option<&Path>, named: &SecretRef) -> Result<Vec<u8>, String> {
    let SecretRef { secret, key } = named;
    let dir = secrets.ok_or_else(|| format!("there is no folder of secrets to find {secret}/{key} in"))?;
    if [secret, key].into_iter().any(|name| name.contains('/') || name.starts_with('.')) {
        return Err(format!("{secret:?}/{key:?} does not name a secret"));
    }
    std::fs::read(dir.join(secret).join(key))
        .map_err(|error| format!("the secret {secret}/{key} cannot be read: {}", error.kind()))
}

async fn whole(mut answer: Response) -> Result<BytesMut, String> {
    let mut body = BytesMut::new();
    while let Some(more) = answer.chunk().await.map_err(|error| chain(&error.without_url()))? {
        if body.len() + more.len() > ANSWER_BYTES_MAX {
            return Err("the collector's answer does not end".to_owned());
        }
        body.extend_from_slice(&more);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_taken_at_one_path_below_the_endpoint() {
        let at = |endpoint: &str| {
            address(&Tracing { endpoint: endpoint.to_owned(), ..Tracing::default() })
                .map(|url| url.to_string())
        };
        for (endpoint, url) in [
            ("http://collector:4318", "http://collector:4318/v1/traces"),
            ("https://otlp.example/", "https://otlp.example/v1/traces"),
            ("https://otlp.example/team/v1/traces", "https://otlp.example/team/v1/traces"),
            ("https://otlp.example/team?key=1", "https://otlp.example/team/v1/traces?key=1"),
        ] {
            assert_eq!(at(endpoint).unwrap(), url);
        }
        assert!(at("collector:4318").is_err() && at("").is_err());
    }
}
