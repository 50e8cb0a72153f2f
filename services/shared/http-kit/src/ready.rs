//! [`Ready`]: whether a service can do its work just now.

use std::sync::{Arc, OnceLock};

use axum::response::{IntoResponse, Response};
use db::Db;
use http::StatusCode;
use tokio::sync::watch;

use crate::stop::Phase;

/// One service, to be asked whether it is ready.
#[derive(Clone)]
pub struct Ready {
    pub(crate) db: Db,
    pub(crate) phase: watch::Receiver<Phase>,
}

/// The services of a process, once they are started.
pub type Started = Arc<OnceLock<Vec<Ready>>>;

impl Ready {
    /// What is in the way, if something is. Of others its own database alone is asked: were it to ask for other services, one that falls ill
    /// would take all that need it along.
    pub(crate) async fn fault(&self) -> Option<&'static str> {
        if *self.phase.borrow() != Phase::Running {
            return Some("stopping\n");
        }
        self.db.ping().await.err().map(|_| "the database does not answer\n")
    }
}

/// `/livez`: the process answers.
pub(crate) async fn live() -> &'static str {
    "alive\n"
}

/// `/readyz` of these services together.
pub(crate) async fn ready(services: &[Ready]) -> Response {
    for service in services {
        if let Some(fault) = service.fault().await {
            return not(fault);
        }
    }
    "ready\n".into_response()
}

/// `/readyz` of a process whose services may yet have to start.
pub(crate) async fn started(services: &Started) -> Response {
    match services.get() {
        Some(services) => ready(services).await,
        None => not("starting\n"),
    }
}

fn not(why: &'static str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}
