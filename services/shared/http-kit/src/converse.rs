//! Connections of a service: HTTP/1.1 or HTTP/2, whichever whoever connects speaks, until the service drains.
//!
//! With TLS it was agreed upon (ALPN); without, who speaks HTTP/2 begins with its preface (RFC 9113 §3.3), which is nothing that HTTP/1.1
//! could begin with. So the first bytes tell, either way.
//!
//! Callers are parts of the stack, and what one of them can make a service hold or do is bounded all the same: streams at once, a head's bytes,
//! what waits to be read and to be sent, resets before anybody answers (CVE-2023-44487), frames that go on with a head (h2 counts them).

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use axum::serve::Listener;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Version};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::stop::Phase;

/// Requests under way on one connection.
const STREAMS_MAX: u32 = 128;
/// Of a head. HTTP/1.1 heads have room for more; the gateway lets through as many, and adds a few lines of its own.
const HEADERS_BYTES_MAX: u32 = 96 * 1024;
/// Of a body that is not read yet, a stream's. A connection's is as much as all of them have: those that are not read would else keep all others out.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = STREAMS_MAX * STREAM_WINDOW_BYTES;
/// Of an answer that waits for whoever asked.
const SEND_BYTES_MAX: usize = 64 * 1024;
/// Streams that were reset before anybody had taken them up. A gateway gives up many requests at once when their time is over, and if this service
/// was slow to look, it sees both at once.
const PENDING_RESETS_MAX: usize = STREAMS_MAX as usize;
/// Streams that this service has reset because of what was sent, as long as the connection lasts; which may be weeks.
const ERROR_RESETS_MAX: usize = 1_024;
/// Whoever does not answer a ping is gone.
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_MAX: Duration = Duration::from_secs(20);

/// Answers whoever connects until the service drains, and then what is under way.
pub(crate) async fn serve<L: Listener>(mut listener: L, router: Router, phase: watch::Receiver<Phase>) {
    // With its state, it is made ready once rather than for each request.
    let router = TowerToHyperService::new(router.with_state(()));
    let mut connections = JoinSet::new();
    let mut drained = pin!(drains(phase.clone()));
    loop {
        tokio::select! {
            (stream, _) = listener.accept() => {
                connections.spawn(converse(stream, router.clone(), phase.clone()));
            }
            // One that panicked has ended that connection alone.
            Some(_) = connections.join_next() => {}
            () = &mut drained => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Returns when no new request is to be taken.
pub(crate) async fn drains(mut phase: watch::Receiver<Phase>) {
    // An error means that whoever would say it is gone, which says it too.
    let _ = phase.wait_for(|phase| *phase >= Phase::Draining).await;
}

/// Serves one connection to its end.
async fn converse<S>(stream: S, router: TowerToHyperService<Router>, phase: watch::Receiver<Phase>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let spoken = Arc::new(Notify::new());
    let service = {
        let (spoken, phase) = (Arc::clone(&spoken), phase.clone());
        service_fn(move |request: Request<Incoming>| {
            let is_http2 = request.version() == Version::HTTP_2;
            if is_http2 {
                spoken.notify_one();
            }
            let (answer, phase) = (router.call(request), phase.clone());
            async move {
                let mut answer = answer.await?;
                if !is_http2 && *phase.borrow() != Phase::Running {
                    close_after(&mut answer);
                }
                Ok::<_, Infallible>(answer)
            }
        })
    };
    let builder = builder();
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // How a connection ends is its caller's business; requests are logged where they are answered.
        _ = connection.as_mut() => return,
        () = goodbye(phase, &spoken) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADERS_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BYTES_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(ERROR_RESETS_MAX)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_MAX);
    builder
}

/// Returns when whoever is connected should go elsewhere. In HTTP/2 that can be said at any time (GOAWAY), and nothing is lost: it is, as soon as the
/// service lingers, to who has had a request, since others have just come. In HTTP/1.1 an answer says it ([`close_after`]), and only when the
/// service drains is a connection closed that rests: a request may be on its way.
async fn goodbye(mut phase: watch::Receiver<Phase>, spoken: &Notify) {
    if phase.wait_for(|phase| *phase >= Phase::Lingering).await.is_err() {
        return;
    }
    tokio::select! {
        () = spoken.notified() => {}
        () = drains(phase) => {}
    }
}

/// Says that the connection ends with this answer.
fn close_after(answer: &mut Response) {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
}
