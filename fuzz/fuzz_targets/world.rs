//! A gateway before one service at a Unix socket, all in this process.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use contracts::ambient::{Clock, Random};
use contracts::auth::JwkSet;
use gateway::{Gateway, GatewayWorld};
use http_kit::keys::KeyRing;
use http_kit::telemetry::Metrics;
use http_kit::token::Verifier;
use serde_json::json;
use settings::GatewayConfig;
use tokio::runtime::{Builder, Runtime};
use traces::Tracer;

/// Who asks.
pub const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// On a clock that runs as fast as what happens on it.
pub fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// A socket's path for this process, with nothing there.
pub fn socket(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("fuzz-{name}-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

/// A gateway before the service at this socket.
pub async fn gateway(socket: &Path) -> Gateway {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    Gateway::start(config(socket), listener, surroundings()).await.unwrap()
}

fn surroundings() -> GatewayWorld {
    let keys = KeyRing::fixed(&JwkSet::default(), &JwkSet::default());
    let clock = Clock::system();
    GatewayWorld {
        verifier: Arc::new(Verifier::new("healthcare", "healthcare", keys, Arc::default(), clock.clone())),
        clock,
        random: Random::seeded(7),
        metrics: Metrics::default(),
        tracer: Tracer::new("api-gateway", 7, None),
        credentials: None,
        secrets: None,
    }
}

/// As a file says it, so that what is not named has its default, whatever there is to name by now.
fn config(socket: &Path) -> GatewayConfig {
    let route = |method: &str, path: &str, access: serde_json::Value| {
        // By the true clock: the other one runs ahead of it.
        json!({ "method": method, "path": path, "service": "patient-service", "access": access, "timeoutMs": 600_000 })
    };
    let config = json!({
        "routes": [
            route("GET", "/x", json!("public")),
            route("POST", "/x", json!("public")),
            route("PUT", "/x/{id}", json!("public")),
            route("DELETE", "/x/{*rest}", json!("public")),
            route("GET", "/locked", json!({ "permissions": ["patients:read"] })),
        ],
        "upstreams": { "patient-service": { "endpoints": [format!("unix:{}", socket.display())] } },
        "auth": { "issuer": "healthcare", "audience": "healthcare", "service": "auth-service" },
        "rateLimits": {},
        "bodyBytesMax": 1024,
        "accessLog": false,
    });
    serde_json::from_value(config).unwrap()
}
