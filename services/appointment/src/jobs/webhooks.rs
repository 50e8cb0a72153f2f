//! Tells webhooks that something has changed in when a provider can be booked: at least once, with ever longer pauses, for days; several at once, and no
//! more than that.

use std::time::Duration;

use db::Db;
use http_kit::kit::BuildError;
use http_kit::outside::{endpoint, public_names};
use reqwest::Client;
use reqwest::redirect::Policy;
use settings::WebhookSettings;
use tokio::task::JoinSet;

use crate::domain::webhook::{Outcome, change, decide};
use crate::store::webhook::{Claimed, webhook_note, webhooks_claim};

/// Told at the same time.
const AT_ONCE: usize = 16;
/// Looked for so often.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// From the first byte of a request to the head of its answer.
const REQUEST_MAX: Duration = Duration::from_secs(15);

/// Who tells.
#[derive(Clone)]
pub struct Teller {
    db: Db,
    http: Client,
    own_hosts: Vec<String>,
}

impl Teller {
    /// To public hosts, and the clinic's own that the settings name.
    pub fn new(db: Db, settings: &WebhookSettings) -> Result<Self, BuildError> {
        let (tls, own_hosts) = (tls::outside(None)?, settings.own_hosts.clone());
        let http = Client::builder()
            .tls_backend_preconfigured((*tls).clone())
            .connect_timeout(CONNECT_MAX)
            .timeout(REQUEST_MAX)
            .redirect(Policy::none())
            .no_proxy()
            .dns_resolver(public_names(&own_hosts))
            .build()?;
        Ok(Self { db, http, own_hosts })
    }

    /// Tells for as long as the future lives.
    pub async fn run(self) {
        let mut under_way = JoinSet::new();
        loop {
            let claimed = webhooks_claim(&self.db, AT_ONCE - under_way.len()).await;
            let claimed = claimed.unwrap_or_else(|error| {
                tracing::warn!(%error, "whom to tell cannot be read");
                Vec::new()
            });
            for claimed in claimed {
                let teller = self.clone();
                under_way.spawn(async move { teller.tell(&claimed).await });
            }
            tokio::select! {
                Some(ended) = under_way.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "an attempt ended early");
                    }
                }
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn tell(&self, claimed: &Claimed) {
        let outcome = self.attempt(claimed).await;
        if let Outcome::Failed(why, _) = &outcome {
            tracing::warn!(webhook = %claimed.id, why, "it was not told");
        }
        let verdict = decide(outcome, claimed.failures, claimed.failing_since, self.db.clock().now());
        if let Err(error) = webhook_note(&self.db, claimed, &verdict).await {
            // The claim runs out, and it is told once more, under the same id.
            tracing::warn!(%error, webhook = %claimed.id, "an attempt could not be noted");
        }
    }

    async fn attempt(&self, claimed: &Claimed) -> Outcome {
        let Some(url) = endpoint(&claimed.webhook.url, &self.own_hosts) else {
            return Outcome::Failed("Its address is none that may be called any more.".to_owned(), None);
        };
        let of = change(&claimed.provider, claimed.change);
        let signed = claimed.webhook.signed(&claimed.id, of, self.db.clock().now());
        let request = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .header("user-agent", "healthcare-stack")
            .header("webhook-id", signed.id)
            .header("webhook-timestamp", signed.timestamp)
            .header("webhook-signature", signed.signature)
            .body(signed.body);
        match request.send().await {
            // What it says beyond is not read.
            Ok(answer) => {
                let after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
                read(answer.status().as_u16(), after.and_then(|seconds| seconds.trim().parse().ok()))
            }
            Err(error) if error.is_timeout() => {
                Outcome::Failed("It does not answer in time.".to_owned(), None)
            }
            Err(_) => Outcome::Failed("It cannot be reached.".to_owned(), None),
        }
    }
}

/// What an answer means.
fn read(status: u16, retry_after: Option<i64>) -> Outcome {
    match status {
        200..=299 => Outcome::Taken,
        300..=399 => {
            Outcome::Failed(format!("It says that it is elsewhere ({status}): nothing is told there."), None)
        }
        410 => Outcome::Gone,
        _ => Outcome::Failed(format!("It answers {status}."), retry_after),
    }
}
