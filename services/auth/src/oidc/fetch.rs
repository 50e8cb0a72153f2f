//! A provider, asked within bounds of size and time. It is somebody else's: whatever it does, a login waits no longer than this.

use std::path::Path;
use std::time::Duration;

use db::SecretError;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;

const CONNECT_MAX: Duration = Duration::from_secs(3);
/// From the first byte of a request to the last of its answer.
const REQUEST_MAX: Duration = Duration::from_secs(5);
/// Ten times what the largest providers answer.
const ANSWER_BYTES_MAX: usize = 512 * 1024;

/// Why a provider is of no help. For the log: whoever wants to log in is told that it is so, and no more.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No answer.
    #[error("the identity provider cannot be reached: {0}")]
    Unreachable(String),
    /// No answer in time.
    #[error("the identity provider does not answer in time")]
    Slow,
    /// It did not answer a moment ago, and is not asked again yet.
    #[error("the identity provider could not be asked a moment ago")]
    Resting,
    /// Another status than 200.
    #[error("the identity provider answers {0} at its {1}")]
    Status(u16, &'static str),
    /// More than anybody reads.
    #[error("the identity provider's {0} does not end")]
    Endless(&'static str),
    /// Not what it should be.
    #[error("the identity provider's {0} is not the JSON that it should be (line {1}, column {2})")]
    Garbage(&'static str, usize, usize),
    /// Its configuration cannot be used.
    #[error("the identity provider's configuration cannot be used: {0}")]
    Configuration(String),
    /// It does not take this stack's word.
    #[error("the identity provider refuses this stack at its token endpoint: {0}")]
    Refuses(String),
    /// A secret is missing.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Our own side.
    #[error("no client for the identity provider: {0}")]
    Client(String),
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Configuration,
    Keys,
    Tokens,
}

impl What {
    const fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Keys => "key set",
            Self::Tokens => "token endpoint",
        }
    }
}

/// A client of a provider that these authorities vouch for, or without any those that everybody believes.
pub(super) fn client(authorities: Option<&Path>, is_plain: bool) -> Result<Client, Fault> {
    let tls = tls::outside(authorities).map_err(|error| Fault::Client(error.to_string()))?;
    let client = Client::builder()
        .tls_backend_preconfigured((*tls).clone())
        .https_only(!is_plain)
        .connect_timeout(CONNECT_MAX)
        .timeout(REQUEST_MAX)
        // A secret goes to no host that the configuration does not name.
        .redirect(Policy::none())
        .no_proxy();
    client.build().map_err(|error| Fault::Client(error.to_string()))
}

/// The bytes of an answer with status 200.
pub(super) async fn bytes(request: RequestBuilder, what: What) -> Result<Vec<u8>, Fault> {
    let (status, body) = answer(request, what).await?;
    if status == 200 { Ok(body) } else { Err(Fault::Status(status, what.name())) }
}

/// An answer, whatever its status.
pub(super) async fn answer(request: RequestBuilder, what: What) -> Result<(u16, Vec<u8>), Fault> {
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status().as_u16();
    Ok((status, whole(&mut response, what).await?))
}

async fn whole(response: &mut Response, what: What) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    while let Some(more) = response.chunk().await.map_err(unreachable)? {
        if body.len() + more.len() > ANSWER_BYTES_MAX {
            return Err(Fault::Endless(what.name()));
        }
        body.extend_from_slice(&more);
    }
    Ok(body)
}

/// JSON of a shape. What is wrong with it is told by its place alone: a token may stand there.
pub(super) fn json<T: DeserializeOwned>(body: &[u8], what: What) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| Fault::Garbage(what.name(), error.line(), error.column()))
}

/// What an OAuth server says of a request that it refuses (RFC 6749 §5.2).
#[derive(Deserialize)]
struct OAuthError {
    error: String,
}

/// The error's code; nothing else of the answer is believed or told.
pub(super) fn oauth_error(body: &[u8]) -> Option<String> {
    let OAuthError { error } = serde_json::from_slice(body).ok()?;
    let is_code = !error.is_empty()
        && error.len() <= 64
        && error.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    is_code.then_some(error)
}

fn unreachable(error: reqwest::Error) -> Fault {
    if error.is_timeout() {
        return Fault::Slow;
    }
    // The innermost reason is the one that says something; addresses may hold a secret, and are left out.
    let error = error.without_url();
    let mut reason: &dyn std::error::Error = &error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    Fault::Unreachable(reason.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_refusal_only_its_code_is_taken() {
        assert_eq!(
            oauth_error(br#"{"error": "invalid_grant", "error_description": "x"}"#).as_deref(),
            Some("invalid_grant")
        );
        for bad in [&b"<html>"[..], b"{}", br#"{"error": "a b"}"#, br#"{"error": ""}"#, br#"{"error": 7}"#] {
            assert_eq!(oauth_error(bad), None);
        }
    }

    #[test]
    fn what_is_wrong_with_an_answer_is_told_without_what_stands_in_it() {
        let told = json::<OAuthError>(br#"{"error": ["s3cr3t"]}"#, What::Tokens).err().unwrap().to_string();
        assert!(told.contains("token endpoint") && !told.contains("s3cr3t"), "{told}");
    }
}
