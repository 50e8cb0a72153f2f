//! Server-sent events (WHATWG HTML §9.2): an answer that goes on, one event after another, until whoever tells them or whoever hears them has
//! had enough. Few wait to be sent: who does not read is not told, and learns the rest from what comes next.

use std::fmt;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::poll_fn;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::Serialize;
use tokio::sync::mpsc;

/// So many wait to be sent.
const WAITING_MAX: usize = 4;
/// A client that lost its connection comes back after so long, milliseconds.
const RETRY_MS: u32 = 3_000;

/// What is heard: the body of an answer.
pub struct Events(mpsc::Receiver<Bytes>);

/// Tells events to one who hears them.
#[derive(Debug)]
pub struct Teller(mpsc::Sender<Bytes>);

/// Nobody hears any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody hears any more")]
pub struct NobodyHears;

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

/// A stream of events, and who tells them. It ends when the teller is dropped.
pub fn events() -> (Teller, Events) {
    let (teller, heard) = mpsc::channel(WAITING_MAX);
    (Teller(teller), Events(heard))
}

impl Teller {
    /// Says after how long to come back: first of all.
    pub async fn begin(&self) -> Result<(), NobodyHears> {
        self.say(format!("retry: {RETRY_MS}\n\n")).await
    }

    /// Tells an event. By its id a client that comes back says what it has heard (`Last-Event-ID`).
    pub async fn tell(&self, id: i64, name: &str, data: &impl Serialize) -> Result<(), NobodyHears> {
        // JSON has no line breaks but those that it escapes, so that it is one line.
        let data = serde_json::to_string(data).unwrap_or_default();
        self.say(format!("id: {id}\nevent: {name}\ndata: {data}\n\n")).await
    }

    /// Shows that the connection is alive, to whatever stands between.
    pub async fn beat(&self) -> Result<(), NobodyHears> {
        self.say(":\n\n".to_owned()).await
    }

    /// Returns when nobody hears any more.
    pub async fn unheard(&self) {
        self.0.closed().await;
    }

    async fn say(&self, text: String) -> Result<(), NobodyHears> {
        self.0.send(Bytes::from(text)).await.map_err(|_| NobodyHears)
    }
}

/// The HTTP answer.
pub(crate) fn response(Events(mut heard): Events) -> Response {
    let stream =
        poll_fn(move |cx| heard.poll_recv(cx).map(|next| next.map(Ok::<_, std::convert::Infallible>)));
    let mut response = Response::new(Body::from_stream(stream));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
