//! The NPI registry, asked over HTTP within bounds of size and time. It is somebody else's: while it does not answer, a credential waits
//! (`Pending`), and nobody is refused anything for it.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use settings::NpiRegistrySettings;

use crate::domain::registry::Answer;

/// NPPES' API in its present version.
const VERSION: &str = "2.1";
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// From the first byte of a question to the last of its answer.
const ASK_MAX: Duration = Duration::from_secs(5);
/// Somebody with everything that NPPES knows has a tenth of it.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Why it cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum BadRegistry {
    /// Its address is none.
    #[error("the NPI registry's address is no URL")]
    Address,
    /// No client for it.
    #[error("no client for the NPI registry: {0}")]
    Client(String),
}

/// Why it is of no help just now. For the log.
#[derive(Debug, thiserror::Error)]
pub enum Silent {
    /// No answer, or not in time.
    #[error("the NPI registry does not answer: {0}")]
    Unreachable(String),
    /// Another status than 200.
    #[error("the NPI registry answers {0}")]
    Status(u16),
    /// More than anybody reads.
    #[error("the NPI registry's answer does not end")]
    Endless,
    /// Not what it should be, an error of its own among them.
    #[error("the NPI registry's answer is not of its shape")]
    Garbage,
}

/// The registry.
#[derive(Clone, Debug)]
pub struct Registry {
    client: Client,
    url: Url,
}

impl Registry {
    /// From the settings. It is not asked anything yet.
    pub fn new(settings: &NpiRegistrySettings) -> Result<Self, BadRegistry> {
        let url = Url::parse(&settings.url).map_err(|_| BadRegistry::Address)?;
        let tls = tls::outside(None).map_err(|error| BadRegistry::Client(error.to_string()))?;
        let client = Client::builder()
            .tls_backend_preconfigured((*tls).clone())
            .https_only(url.scheme() == "https")
            .connect_timeout(CONNECT_MAX)
            .timeout(ASK_MAX)
            .redirect(Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| BadRegistry::Client(error.to_string()))?;
        Ok(Self { client, url })
    }

    /// Whom it knows by an NPI.
    pub async fn ask(&self, npi: &str) -> Result<Answer, Silent> {
        let request = self.client.get(self.url.clone()).query(&[("version", VERSION), ("number", npi)]);
        let mut response = request.send().await.map_err(unreachable)?;
        if response.status().as_u16() != 200 {
            return Err(Silent::Status(response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(more) = response.chunk().await.map_err(unreachable)? {
            if body.len() + more.len() > ANSWER_BYTES_MAX {
                return Err(Silent::Endless);
            }
            body.extend_from_slice(&more);
        }
        serde_json::from_slice(&body).map_err(|_| Silent::Garbage)
    }
}

/// The address has the NPI in it, and is left out.
fn unreachable(error: reqwest::Error) -> Silent {
    Silent::Unreachable(if error.is_timeout() {
        "in time".to_owned()
    } else {
        error.without_url().to_string()
    })
}
