//! [`Fault`]: why a calendar outside is of no help just now; and what every one is asked through.

use std::time::Duration;

use db::SecretError;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};

use crate::domain::outside::State;

const CONNECT_MAX: Duration = Duration::from_secs(5);
/// From the first byte of a request to the last of its answer.
const REQUEST_MAX: Duration = Duration::from_secs(20);
/// A list of twenty thousand objects is some six million octets.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Why a calendar is of no help. Its words are shown to staff: nothing of what the other side says is repeated in them.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No answer.
    #[error("The calendar's server does not answer.")]
    Unreachable,
    /// No answer in time.
    #[error("The calendar's server does not answer in time.")]
    Slow,
    /// It has trouble of its own, or too much to do; and when it wants to be asked again, seconds.
    #[error("The calendar's server does not serve us now ({0}).")]
    NotNow(u16, Option<u64>),
    /// It does not let us in.
    #[error("The calendar's server does not take our credentials any more ({0}).")]
    Unauthorized(&'static str),
    /// The credentials are not where the settings say.
    #[error("The calendar's credentials cannot be read: {0}.")]
    Secret(#[from] SecretError),
    /// It sends us elsewhere. Our credentials go nowhere that the settings do not name.
    #[error("The calendar's server says that it is elsewhere ({0}): set its new address.")]
    Moved(u16),
    /// It refuses.
    #[error("The calendar's server refuses what it is asked ({0}).")]
    Refused(u16),
    /// What it answers does not end.
    #[error("The calendar's server answers more than can be read.")]
    Endless,
    /// What it answers is not what it should be.
    #[error("The calendar's server answers what cannot be read: {0}.")]
    Garbled(&'static str),
    /// What we ask with, to hear what has changed, is too old: all of it is to be read.
    #[error("The calendar's server wants all of it to be read again.")]
    TokenRefused,
    /// The object is not as it is known to be.
    #[error("The event was changed meanwhile.")]
    Changed,
}

impl Fault {
    /// How that is shown.
    pub fn state(&self) -> State {
        match self {
            Self::Unreachable | Self::Slow | Self::NotNow(..) => State::Unreachable,
            Self::Unauthorized(_) | Self::Secret(_) => State::CredentialRevoked,
            Self::Moved(_) | Self::Refused(_) | Self::TokenRefused | Self::Changed => State::Refused,
            Self::Endless | Self::Garbled(_) => State::Garbled,
        }
    }

    /// When it wants to be asked again, seconds.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::NotNow(_, seconds) => *seconds,
            _ => None,
        }
    }
}

/// A client of servers that are no part of the stack.
pub(super) fn client() -> Result<Client, Box<dyn std::error::Error + Send + Sync>> {
    let tls = tls::outside(None)?;
    let client = Client::builder()
        .tls_backend_preconfigured((*tls).clone())
        .connect_timeout(CONNECT_MAX)
        .timeout(REQUEST_MAX)
        .redirect(Policy::none())
        .no_proxy();
    Ok(client.build()?)
}

/// An answer that was read to its end.
pub(super) struct Whole {
    pub(super) status: u16,
    pub(super) etag: Option<String>,
    pub(super) retry_after: Option<u64>,
    pub(super) body: Vec<u8>,
}

impl Whole {
    /// The fault that its status is, if it is none that is asked for.
    pub(super) fn fault(&self) -> Fault {
        match self.status {
            401 | 407 => Fault::Unauthorized("401"),
            412 => Fault::Changed,
            300..=399 => Fault::Moved(self.status),
            408 | 423 | 425 | 429 | 500..=599 => Fault::NotNow(self.status, self.retry_after),
            status => Fault::Refused(status),
        }
    }
}

/// Sends a request, and reads all of the answer.
pub(super) async fn whole(request: RequestBuilder) -> Result<Whole, Fault> {
    let mut response = request.send().await.map_err(|error| unreachable(&error))?;
    let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
    let (etag, retry_after) =
        (header("etag"), header("retry-after").and_then(|seconds| seconds.parse().ok()));
    let (status, body) = (response.status().as_u16(), body(&mut response).await?);
    Ok(Whole { status, etag, retry_after, body })
}

async fn body(response: &mut Response) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    while let Some(more) = response.chunk().await.map_err(|error| unreachable(&error))? {
        if body.len() + more.len() > ANSWER_BYTES_MAX {
            return Err(Fault::Endless);
        }
        body.extend_from_slice(&more);
    }
    Ok(body)
}

fn unreachable(error: &reqwest::Error) -> Fault {
    if error.is_timeout() { Fault::Slow } else { Fault::Unreachable }
}
