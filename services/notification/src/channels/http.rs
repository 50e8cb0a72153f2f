//! Whoever takes messages over HTTP, asked within bounds of size and time: no redirect to elsewhere is followed with what is secret.

use std::time::Duration;

use http_kit::kit::BuildError;
use http_kit::outside::public_names;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};

use super::TIMEOUT;
use crate::domain::delivery::Outcome;

const CONNECT_MAX: Duration = Duration::from_secs(2);
/// A hundred of an SMS provider's messages, with room.
const ANSWER_BYTES_MAX: usize = 512 * 1024;

/// An answer: its status, in how many seconds to ask again if it says so, and its body.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

/// A client. `public`: of public addresses alone, but for these hosts.
pub(super) fn client(public: Option<&[String]>) -> Result<Client, BuildError> {
    let tls = tls::outside(None)?;
    let mut client = Client::builder()
        .tls_backend_preconfigured((*tls).clone())
        .connect_timeout(CONNECT_MAX)
        .timeout(TIMEOUT)
        .redirect(Policy::none())
        .no_proxy();
    if let Some(own) = public {
        client = client.dns_resolver(public_names(own));
    }
    Ok(client.build()?)
}

/// Refuses an address that passwords or patients' numbers would go to in clear, unless it is this machine's.
pub(super) fn check_url(name: &'static str, url: &str) -> Result<(), BuildError> {
    let parsed: reqwest::Url = url.parse().map_err(|_| format!("{name} is no address"))?;
    let is_local = parsed.host_str().is_some_and(|host| matches!(host, "127.0.0.1" | "localhost" | "[::1]"));
    if parsed.scheme() != "https" && !is_local {
        return Err(format!("{name} must be https: secrets and people's addresses go there").into());
    }
    Ok(())
}

/// Asks. What goes wrong before a connection stands was surely not taken; after that, nobody knows.
pub(super) async fn ask(request: RequestBuilder) -> Result<Answer, Outcome> {
    let mut response = request.send().await.map_err(|error| no_answer(&error))?;
    let status = response.status().as_u16();
    let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let retry_after = header.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(more)) if body.len() + more.len() <= ANSWER_BYTES_MAX => body.extend_from_slice(&more),
            // The status says what came of it; what is too long, or breaks off, is read as nothing.
            Ok(Some(_)) | Err(_) => return Ok(Answer { status, retry_after, body: Vec::new() }),
            Ok(None) => return Ok(Answer { status, retry_after, body }),
        }
    }
}

fn no_answer(error: &reqwest::Error) -> Outcome {
    if error.is_connect() || error.is_builder() {
        return Outcome::not_now("The provider cannot be reached.");
    }
    Outcome::unsure("The provider did not answer in time.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_in_clear_to_this_machine_alone() {
        for good in ["https://api.twilio.com", "http://127.0.0.1:8080", "http://localhost:1"] {
            assert!(check_url("url", good).is_ok(), "{good}");
        }
        for bad in ["http://api.twilio.com", "api.twilio.com", ""] {
            assert!(check_url("url", bad).is_err(), "{bad}");
        }
    }
}
