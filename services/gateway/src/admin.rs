//! The admin port: metrics and health, on an address that strangers do not reach. It answers from the process's first moment, when
//! there may be no gateway yet, to its last.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use http_kit::telemetry::{METRICS_MEDIA_TYPE, Metrics};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::Gateway;

/// The gateway, once it was started.
pub type Place = Arc<OnceLock<Gateway>>;

/// Answers `/metrics`, `/livez` and `/readyz` for as long as the future lives.
pub async fn serve(listener: TcpListener, metrics: Metrics, gateway: Place) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let (metrics, gateway) = (metrics.clone(), Arc::clone(&gateway));
        let service = service_fn(move |request| {
            let (metrics, gateway) = (metrics.clone(), Arc::clone(&gateway));
            async move { Ok::<_, Infallible>(answer(&request, &metrics, gateway.get()).await) }
        });
        tokio::spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            let _ = connection.await;
        });
    }
}

async fn answer(
    request: &Request<Incoming>,
    metrics: &Metrics,
    gateway: Option<&Gateway>,
) -> Response<Full<Bytes>> {
    let (status, media_type, text) = match request.uri().path() {
        "/metrics" => (StatusCode::OK, METRICS_MEDIA_TYPE, metrics.page()),
        "/livez" => (StatusCode::OK, "text/plain", "ok\n".to_owned()),
        "/readyz" => match gateway {
            Some(gateway) if gateway.is_ready().await => (StatusCode::OK, "text/plain", "ok\n".to_owned()),
            _ => (StatusCode::SERVICE_UNAVAILABLE, "text/plain", "not ready\n".to_owned()),
        },
        _ => (StatusCode::NOT_FOUND, "text/plain", "metrics, livez, readyz\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
