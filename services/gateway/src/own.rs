//! What the gateway answers itself: how it is, whether it lives and is ready, and the documentation.

use std::time::{Duration, Instant};

use bytes::Bytes;
use contracts::permission::Permission;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Response, StatusCode};
use http_kit::token::Caller;
use settings::{GatewayConfig, Method, RouteAccess, ServiceName};
use tokio::time::timeout;

use crate::docs;
use crate::gateway::Core;
use crate::snapshot::GATEWAY;
use crate::status;

/// A service that cannot be connected to within this time is not ready.
const PROBE_MAX: Duration = Duration::from_millis(500);
const TIMEOUT_MS: u64 = 5_000;

/// An answer of the gateway's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Own {
    /// `GET /`: a person with a browser, who wants the explorer.
    Entrance,
    /// `GET /api/gateway`.
    Status,
    /// The process lives.
    Live,
    /// It can do its work.
    Ready,
    /// A file of the explorer, or the page of problems.
    Page(&'static docs::Page),
    /// The whole API.
    OpenApi,
    /// One service's part of it.
    OpenApiOf(ServiceName),
}

impl Own {
    /// What stands at a path.
    pub(crate) fn at(path: &str) -> Option<Self> {
        match path {
            "/" => Some(Self::Entrance),
            "/api/gateway" => Some(Self::Status),
            "/livez" => Some(Self::Live),
            "/readyz" => Some(Self::Ready),
            "/api/docs/openapi.json" => Some(Self::OpenApi),
            _ => docs::Page::at(path).map(Self::Page).or_else(|| {
                let name = path.strip_prefix("/api/docs/")?.strip_suffix("/openapi.json")?;
                ServiceName::ALL.into_iter().find(|service| service.as_str() == name).map(Self::OpenApiOf)
            }),
        }
    }

    /// The routes that are there whether or not the configuration names them.
    pub(crate) fn routes(config: &GatewayConfig) -> Vec<settings::Route> {
        let documents =
            ServiceName::ALL.into_iter().map(|service| format!("/api/docs/{service}/openapi.json"));
        let pages = docs::PAGES.iter().map(|page| page.path.to_owned());
        let fixed = ["/", "/api/gateway", "/livez", "/readyz", "/api/docs/openapi.json"].map(str::to_owned);
        fixed
            .into_iter()
            .chain(pages)
            .chain(documents)
            .filter(|path| {
                let takes_all = |route: &settings::Route| {
                    route.path == *path && route.method == Method::Get && route.headers.is_empty()
                };
                !config.routes.iter().any(takes_all)
            })
            .map(|path| {
                let access = match Self::at(&path) {
                    Some(Self::Status) => RouteAccess::Permissions(Vec::new()),
                    _ => RouteAccess::Public,
                };
                settings::Route::new(Method::Get, &path, GATEWAY, access, TIMEOUT_MS)
            })
            .collect()
    }

    /// Whether it is asked by machines that watch, and neither limited nor counted.
    pub(crate) fn is_probe(self) -> bool {
        matches!(self, Self::Live | Self::Ready)
    }

    /// The answer.
    pub(crate) async fn answer(self, core: &Core, caller: Option<&Caller>) -> Response<Bytes> {
        match self {
            Self::Entrance => entrance(),
            Self::Status => {
                let with_details = caller.is_some_and(|caller| caller.may(Permission::GatewayRead));
                let report = status::report(core, with_details).await;
                json(serde_json::to_vec(&report).unwrap_or_default().into(), "no-store")
            }
            Self::Live => probe(StatusCode::OK),
            Self::Ready if is_ready(core).await => probe(StatusCode::OK),
            Self::Ready => probe(StatusCode::SERVICE_UNAVAILABLE),
            Self::Page(page) => page.answer(),
            Self::OpenApi => json(docs::merged(), "no-cache"),
            Self::OpenApiOf(service) => json(docs::of_service(service), "no-cache"),
        }
    }
}

/// Ready is who runs and has reached each service once, or can now. A service that falls ill later does not take the gateway with
/// it: that would take the other six too. One that has no endpoint, as on a cluster while none of its pods is ready, says nothing
/// of the gateway.
pub(crate) async fn is_ready(core: &Core) -> bool {
    if core.is_leaving() {
        return false;
    }
    let snapshot = core.snapshot.load_full();
    let mut seen: Vec<&str> = Vec::new();
    // Not a canary's: who cannot reach it sends everybody to the version beside it.
    for lane in &snapshot.needed {
        if lane.balancer.is_empty() || seen.contains(&&*lane.service) {
            continue;
        }
        seen.push(&lane.service);
        let members = || lane.balancer.endpoints().map(|(member, _)| &member.endpoint);
        if members().any(|endpoint| endpoint.was_reached()) {
            continue;
        }
        let mut reached = false;
        for endpoint in members() {
            if let Ok(Ok(connection)) = timeout(PROBE_MAX, endpoint.connect()).await {
                endpoint.keep(connection, Instant::now());
                reached = true;
                break;
            }
        }
        if !reached {
            return false;
        }
    }
    true
}

fn probe(status: StatusCode) -> Response<Bytes> {
    let text = if status.is_success() { "ok\n" } else { "not ready\n" };
    let mut response = typed(Bytes::from_static(text.as_bytes()), "text/plain; charset=utf-8", "no-store");
    *response.status_mut() = status;
    response
}

fn entrance() -> Response<Bytes> {
    let mut response = typed(Bytes::new(), "text/plain; charset=utf-8", "no-cache");
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    response.headers_mut().insert(LOCATION, HeaderValue::from_static("/api/docs"));
    response
}

fn json(body: Bytes, cache: &'static str) -> Response<Bytes> {
    typed(body, "application/json", cache)
}

/// An answer with its media type and how long it may be kept.
pub(crate) fn typed(body: Bytes, media_type: &'static str, cache: &'static str) -> Response<Bytes> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}
