//! Failures that are made: of services, of networks, of clocks and names and of the API server. `docs/gateway.md` has the table of what the client
//! sees; here is where it comes from.
//!
//! | file | what fails |
//! |---|---|
//! | `table.rs` | a service, in every way that bytes allow: what the client gets, how often it was asked, what is thought of it then |
//! | `flapping.rs` | one of two endpoints, up and down; and all of them at once |
//! | `hung.rs` | a service that takes requests and says nothing, beside one that is well |
//! | `partition.rs` | the network: packets are dropped, and nobody is told |
//! | `clocks.rs` | the time of day jumps |
//! | `names.rs` | a service's name leads nowhere any more |
//! | `api_server.rs` | the API server refuses, hangs and fails, and comes back |

mod api_server;
mod clocks;
mod flapping;
mod hung;
mod names;
pub(crate) mod partition;
mod table;

use std::net::SocketAddr;
use std::time::Duration;

use settings::{Address, GatewayConfig, Retries};

use crate::house::{House, config};
use crate::wire::{Answer, Client};

/// Two further attempts that do not keep a test waiting, and what the planner gives a stack for a budget.
const RETRIES: Retries =
    Retries { attempts: 2, base_backoff_ms: 1, max_backoff_ms: 5, budget_percent: 20, per_try_ms: None };

/// Endpoints that have their whole share from the first moment on.
fn before(endpoints: Vec<Address>, routes: Vec<settings::Route>) -> GatewayConfig {
    let mut config = config(endpoints, routes);
    config.upstreams.get_mut("patient-service").unwrap().slow_start_ms = 0;
    config
}

/// One request on a connection that is kept as long as the gateway says.
async fn ask(
    client: &mut Client,
    house: SocketAddr,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
) -> Answer {
    let answer = client.ask(method, path, headers, if method == "GET" { "" } else { "{}" }).await;
    if answer.header("connection") == Some("close") {
        *client = Client::connect(house).await;
    }
    answer
}

/// What the page of metrics says of an endpoint, or of all.
fn metric(house: &House, name: &str, endpoint: Option<&Address>) -> Option<u64> {
    let page = house.metrics.page();
    let mut lines = page.lines().filter(|line| line.starts_with(&format!("healthcare_gateway_{name}{{")));
    let line = lines
        .find(|line| endpoint.is_none_or(|endpoint| line.contains(&format!("endpoint=\"{endpoint}\""))))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

/// Waits until the page says so, for at most so long.
async fn says(house: &House, name: &str, endpoint: &Address, wanted: u64, within: Duration) {
    let since = std::time::Instant::now();
    while metric(house, name, Some(endpoint)) != Some(wanted) {
        assert!(since.elapsed() < within, "{name} of {endpoint} is never {wanted}: {}", house.metrics.page());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
