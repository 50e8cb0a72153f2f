//! `/livez`, `/readyz`, `/metrics`.
//!
//! Alive is who makes progress, not who has an open port: each watch must have shown a sign within [`SILENCE_MAX`] (it is opened anew every
//! five minutes at the latest, and shows bookmarks in between; an API server that cannot be reached is a sign too, since restarting the
//! operator would not bring it back), and the queue must move.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use http_kit::telemetry::METRICS_MEDIA_TYPE;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::transport::Signs;

/// Two of a watch's lives.
const SILENCE_MAX: Duration = Duration::from_mins(10);
/// Longer than a reconcile may take.
const STANDSTILL_MAX: Duration = Duration::from_mins(5);
/// Connections at once: a kubelet, a Prometheus, and somebody who looks.
const CONNECTIONS_MAX: usize = 32;

/// What tells whether the operator is well.
#[derive(Clone, Debug)]
pub struct Health {
    /// What is counted.
    pub metrics: Metrics,
    /// When each watch was last seen alive.
    pub signs: Signs,
    /// What waits.
    pub queue: Queue,
    /// Whether this replica either stands by or knows all that there is.
    pub ready: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Health {
    /// What stands still, if something does.
    pub fn stuck(&self) -> Option<String> {
        let silent = self.signs.silences().into_iter().find(|(_, silence)| *silence > SILENCE_MAX);
        if let Some((path, silence)) = silent {
            return Some(format!("nothing was seen of {path} for {} s", silence.as_secs()));
        }
        let standstill = self.queue.standstill()?;
        (standstill > STANDSTILL_MAX)
            .then(|| format!("the queue has not moved for {} s", standstill.as_secs()))
    }

    fn answer(&self, path: &str) -> (StatusCode, &'static str, String) {
        const TEXT: &str = "text/plain; charset=utf-8";
        match path {
            "/metrics" => (StatusCode::OK, METRICS_MEDIA_TYPE, self.metrics.page(&self.signs.silences())),
            "/readyz" if !self.ready.load(std::sync::atomic::Ordering::Acquire) => {
                (StatusCode::SERVICE_UNAVAILABLE, TEXT, "still listing what there is\n".to_owned())
            }
            "/livez" | "/readyz" => match self.stuck() {
                None => (StatusCode::OK, TEXT, "ok\n".to_owned()),
                Some(what) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{what}\n")),
            },
            _ => (StatusCode::NOT_FOUND, TEXT, "metrics, livez, readyz\n".to_owned()),
        }
    }

    /// Answers for as long as the future lives.
    pub async fn serve(self, listener: TcpListener) {
        let places = std::sync::Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(place) = std::sync::Arc::clone(&places).acquire_owned().await else { return };
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let health = self.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let (status, media_type, text) = health.answer(request.uri().path());
                    let mut response = Response::new(Full::new(Bytes::from(text)));
                    *response.status_mut() = status;
                    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
                    async move { Ok::<_, Infallible>(response) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(Duration::from_secs(10))
                    .serve_connection(TokioIo::new(stream), service);
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a health connection ended");
                }
                drop(place);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/api/v1/secrets";

    fn health() -> Health {
        let metrics = Metrics::new();
        let (queue, _requests) = Queue::new(metrics.clone());
        Health { metrics, signs: Signs::default(), queue, ready: std::sync::Arc::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_of_which_nothing_is_seen_turns_liveness_red_until_something_is() {
        let health = health();
        health.signs.expect(PATH);
        tokio::time::advance(SILENCE_MAX).await;
        assert_eq!(health.answer("/livez").0, StatusCode::OK);
        tokio::time::advance(Duration::from_secs(1)).await;
        let (status, _, text) = health.answer("/livez");
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(text.contains(PATH), "{text}");
        health.signs.seen(PATH);
        assert_eq!(health.answer("/livez").0, StatusCode::OK);
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_does_not_move_turns_liveness_red_and_an_empty_one_never() {
        let health = health();
        tokio::time::advance(Duration::from_hours(1)).await;
        assert_eq!(health.answer("/livez").0, StatusCode::OK);
        let id = crate::live::StackId { namespace: "clinic".to_owned(), label: "clinic".to_owned() };
        health.queue.meet(&id, "clinic");
        health.queue.push(&id);
        tokio::time::advance(STANDSTILL_MAX + Duration::from_secs(1)).await;
        assert_eq!(health.answer("/livez").0, StatusCode::SERVICE_UNAVAILABLE);
        health.queue.begin(&crate::queue::reference("clinic", "clinic"));
        assert_eq!(health.answer("/livez").0, StatusCode::OK);
    }
}
