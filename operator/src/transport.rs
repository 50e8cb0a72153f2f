//! What stands between the operator and every request that it sends: one place that bounds, fences, counts and looks for signs of life.
//!
//! - A request that is no watch has to be answered within [`ANSWER_TIMEOUT`].
//! - No write leaves after the lease has run out, whatever the rest of the process believes: [`Fence`]. A request that was let through and then
//!   waited, for a connection or because the process was frozen, is stopped where bytes leave: [`Fenced`].
//! - Every answer to a watch or a list and every frame of a watch, bookmarks included, is a sign of life: [`Signs`]. The health check
//!   stands on them, so that a watch frozen behind a load balancer is seen although the process runs.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper::rt::Executor;
use kube::client::{Body, ClientBuilder, DynBody};
use kube::{Client, Config};
use tokio::time::Instant;
use tower::{BoxError, Layer, Service};

use crate::Error;
use crate::metrics::Metrics;

/// The API server's own limit for what is no watch is 60 s; two thirds of that are a sign that nobody is there.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);

/// No connection that works is silent for longer: to a watch, the API server sends a bookmark every minute. What was dropped between here
/// and there without a word is given up after so long, and the watch goes on from where it was on another connection.
pub const SILENCE_TIMEOUT: Duration = Duration::from_secs(150);

/// A client that keeps to the rules above.
pub async fn connect(metrics: &Metrics, fence: &Fence, signs: &Signs) -> Result<Client, Error> {
    let config = Config::infer().await.map_err(|error| Error::Api {
        what: "reading the cluster's address".to_owned(),
        source: Box::new(kube::Error::InferConfig(error)),
    })?;
    client(config, metrics, fence, signs)
}

/// The same, of an API server whose address is known.
pub fn client(mut config: Config, metrics: &Metrics, fence: &Fence, signs: &Signs) -> Result<Client, Error> {
    config.read_timeout = Some(SILENCE_TIMEOUT);
    // What fails is tried again by whoever asked, who knows whether it is still wanted.
    config.default_retry = false;
    let rules = Rules { metrics: metrics.clone(), fence: fence.clone(), signs: signs.clone() };
    let builder =
        ClientBuilder::try_from((config, Fenced(fence.clone()))).map_err(Error::api("making a client"))?;
    Ok(builder.with_layer(&rules).build())
}

/// Until when this process may write. Without leader election: for ever.
#[derive(Clone, Debug, Default)]
pub struct Fence(Arc<RwLock<Option<Instant>>>);

impl Fence {
    /// Writes may leave until then.
    pub fn open_until(&self, instant: Instant) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(instant);
    }

    /// No write may leave any more.
    pub fn close(&self) {
        self.open_until(Instant::now());
    }

    fn is_open(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_none_or(|until| Instant::now() < until)
    }
}

/// Runs what reads and writes a client's connections, for as long as the fence is open; then they end, before they write another byte.
#[derive(Clone)]
struct Fenced(Fence);

impl Executor<BoxFuture<'static, ()>> for Fenced {
    fn execute(&self, mut connection: BoxFuture<'static, ()>) {
        let Self(fence) = self.clone();
        tokio::spawn(poll_fn(
            move |cx| {
                if fence.is_open() { connection.as_mut().poll(cx) } else { Poll::Ready(()) }
            },
        ));
    }
}

/// When each watch was last seen alive, by the path that it watches.
#[derive(Clone, Debug, Default)]
pub struct Signs(Arc<Mutex<HashMap<String, Instant>>>);

impl Signs {
    /// Expects signs from a path from now on.
    pub fn expect(&self, path: &str) {
        self.lock().insert(path.to_owned(), Instant::now());
    }

    /// Expects none any more.
    pub fn forget(&self, path: &str) {
        self.lock().remove(path);
    }

    /// How long each has been silent.
    pub fn silences(&self) -> Vec<(String, Duration)> {
        self.lock().iter().map(|(path, seen)| (path.clone(), seen.elapsed())).collect()
    }

    /// Something was seen of it. Paths from which none is expected are left out.
    pub fn seen(&self, path: &str) {
        if let Some(seen) = self.lock().get_mut(path) {
            *seen = Instant::now();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone)]
struct Rules {
    metrics: Metrics,
    fence: Fence,
    signs: Signs,
}

impl<S> Layer<S> for Rules {
    type Service = Ruled<S>;

    fn layer(&self, inner: S) -> Ruled<S> {
        Ruled { inner, rules: self.clone() }
    }
}

struct Ruled<S> {
    inner: S,
    rules: Rules,
}

type Answer = Response<Box<DynBody>>;

impl<S> Service<Request<Body>> for Ruled<S>
where
    S: Service<Request<Body>, Response = Answer, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Answer;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Answer, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let rules = self.rules.clone();
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let path = request.uri().path().to_owned();
        if !is_read && !rules.fence.is_open() {
            return std::future::ready(Err("this replica leads no longer".into())).boxed();
        }
        let is_watch =
            request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"));
        rules.metrics.request(if is_watch { "WATCH" } else { method(request.method()) });
        let answer = self.inner.call(request);
        async move {
            let answer = match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
                Ok(answer) => answer?,
                Err(_) => return Err(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()).into()),
            };
            if is_read && answer.status().is_success() {
                rules.signs.seen(&path);
            }
            if !is_watch {
                return Ok(answer);
            }
            Ok(answer.map(|body| -> Box<DynBody> {
                Box::new(body.map_frame(move |frame: http_body::Frame<Bytes>| {
                    rules.signs.seen(&path);
                    frame
                }))
            }))
        }
        .boxed()
    }
}

fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// As long as a connection's task needs to be looked at again.
    const SOON: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_connection_writes_nothing_more_when_the_fence_closes() {
        let (fence, written) = (Fence::default(), Arc::new(AtomicU32::new(0)));
        let count = Arc::clone(&written);
        let connection = async move {
            loop {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        Fenced(fence.clone()).execute(connection.boxed());
        tokio::time::sleep(SOON).await;
        assert!(written.load(Ordering::Relaxed) > 0, "it runs while the fence is open");
        fence.close();
        let before = written.load(Ordering::Relaxed);
        tokio::time::sleep(SOON).await;
        assert_eq!(written.load(Ordering::Relaxed), before);
        assert_eq!(Arc::strong_count(&written), 1, "it is gone");
    }
}
