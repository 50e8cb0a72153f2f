//! [`Transit`]: a server that wraps and unwraps, and never gives its key away: the transit engine of Vault, and of what speaks as Vault does
//! (<https://openbao.org/api-docs/secret/transit/>).
//!
//! Every request is a batch, of one or of many. What a key is bound to goes along as `associated_data`; the engine's own `rewrap` takes
//! none, so that to wrap anew is to decrypt and to encrypt. The ciphertext is kept as it comes, `vault:v3:…`, and says under which version
//! of its key the engine made it; a key-encryption key is called by mount, key and version: `transit/clinic:v3`.
//!
//! Keys in the clear travel both ways. Buffers of our own are wiped; those of the HTTP client are not.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use contracts::deadline;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use resilience::breaker::{Breaker, BreakerConfig};
use settings::SecretRef;
use zeroize::Zeroizing;

use super::wire::{Answer, Batch, Item, Outcome};
use crate::{Error, OpenError, SealError, SecretError, Secrets};

const CONNECT_MAX: Duration = Duration::from_secs(1);
/// One request, and all attempts at it together.
const ATTEMPT_MAX: Duration = Duration::from_secs(2);
const ALL_MAX: Duration = Duration::from_secs(4);
const ATTEMPTS_MAX: u32 = 2;
/// Some hundred bytes for each key of a batch.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// A key with what is bound to it is a hundred or two.
const CIPHERTEXT_BYTES_MAX: usize = 4 * 1024;
/// A new one each hour for a hundred years.
const VERSION_MAX: u32 = 1_000_000;
/// What a server says of its reasons is shown so far.
const REASON_CHARS_MAX: usize = 200;

/// Whoever does not answer is asked again after this, by one request.
const BREAKER: BreakerConfig = BreakerConfig {
    failure_rate_percent: 50,
    window_calls: 20,
    min_calls: 10,
    consecutive_failures: 3,
    slow_call_ms: 2_000,
    open_ms: 5_000,
    half_open_calls: 1,
};

/// The engine, as it is asked.
pub(super) struct Transit {
    /// Mount and key, which a wrapped key is bound to.
    name: String,
    base: String,
    key: String,
    namespace: Option<HeaderValue>,
    token: SecretRef,
    ca: Option<(SecretRef, PathBuf)>,
    secrets: Secrets,
    /// With the certificates that it was made with.
    client: Mutex<Option<(Vec<u8>, Client)>>,
    breaker: Breaker,
    /// The version of its key that it last wrapped under; 0: none yet.
    latest: AtomicU32,
    /// That it fails was told.
    is_failing: AtomicBool,
}

/// A key that was wrapped.
pub(super) struct Ciphertext {
    pub(super) text: String,
    pub(super) version: u32,
}

impl Transit {
    pub(super) fn new(settings: &settings::Transit, secrets: &Secrets) -> Result<Self, OpenError> {
        let address = settings.address.trim_end_matches('/');
        let url: Url = address.parse().map_err(|_| OpenError::Keeper("is no address"))?;
        if url.scheme() != "https" && !(url.scheme() == "http" && is_this_machine(&url)) {
            return Err(OpenError::Keeper("must be https: keys travel to it"));
        }
        let namespace = settings.namespace.as_deref().map(HeaderValue::from_str).transpose();
        let ca = settings.ca.clone().map(|ca| secrets.path(&ca).map(|path| (ca, path)));
        Ok(Self {
            name: format!("{}/{}", settings.mount, settings.key),
            base: format!("{address}/v1/{}", settings.mount),
            key: settings.key.clone(),
            namespace: namespace.map_err(|_| OpenError::Keeper("has a namespace that is none"))?,
            token: settings.token.clone(),
            ca: ca.transpose()?,
            secrets: secrets.clone(),
            client: Mutex::new(None),
            breaker: Breaker::new(BREAKER),
            latest: AtomicU32::new(0),
            is_failing: AtomicBool::new(false),
        })
    }

    /// Mount and key: what a key that it wraps is bound to, whichever version did it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What a version of its key is called.
    pub(super) fn kek_id(&self, version: u32) -> String {
        format!("{}:v{version}", self.name)
    }

    /// Whether a key-encryption key that is called so is a version of its key.
    pub(super) fn is_of(&self, kek_id: &str) -> bool {
        kek_id.strip_prefix(&self.name).and_then(|rest| rest.strip_prefix(":v")).is_some()
    }

    /// The version that it last wrapped under, if it did.
    pub(super) fn latest_seen(&self) -> Option<String> {
        let latest = self.latest.load(Ordering::Relaxed);
        (latest > 0).then(|| self.kek_id(latest))
    }

    /// The version that it wraps under now. Asked of what it does: to read of its key would need another permission.
    pub(super) async fn newest(&self) -> Result<String, Error> {
        let told = self.encrypt_unproven(&[(&[0; 32], b"which version".to_vec())]).await?;
        told.first().map(|it| self.kek_id(it.version)).ok_or_else(|| refused("it tells no version"))
    }

    /// Wraps keys, each bound to something, and has them unwrapped again: what came back as something else, or not at all, would be lost
    /// with the wrapping that it is to replace.
    pub(super) async fn encrypt(&self, keys: &[(&[u8; 32], Vec<u8>)]) -> Result<Vec<Ciphertext>, Error> {
        let wrapped = self.encrypt_unproven(keys).await?;
        let texts = wrapped.iter().zip(keys).map(|(it, (_, aad))| (it.text.clone(), aad.clone()));
        let back = self.decrypt(texts.collect()).await?;
        let is_back = |((key, _), back): &(&(&[u8; 32], _), Result<Zeroizing<[u8; 32]>, _>)| {
            back.as_ref().is_ok_and(|back| verify_slices_are_equal(&**back, *key).is_ok())
        };
        match keys.iter().zip(back).filter(|it| !is_back(it)).count() {
            0 => Ok(wrapped),
            lost => Err(refused(&format!(
                "{lost} of {} keys that it wrapped do not come back as they were; all that was wrapped before stays as it is. Repair the \
                 engine, or have the Secret wrap (provider: Secret)",
                keys.len()
            ))),
        }
    }

    async fn encrypt_unproven(&self, keys: &[(&[u8; 32], Vec<u8>)]) -> Result<Vec<Ciphertext>, Error> {
        let items = keys.iter().map(|(key, aad)| Item::to_encrypt(key, aad)).collect();
        let outcomes = self.ask("encrypt", items).await?;
        let mut wrapped = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            if !outcome.error.is_empty() {
                return Err(refused(&outcome.error));
            }
            if outcome.ciphertext.len() > CIPHERTEXT_BYTES_MAX {
                return Err(refused("what it has wrapped is longer than a key can be"));
            }
            let version = version_of(&outcome.ciphertext).ok_or_else(|| refused("it tells no version"))?;
            // The last answer and not the highest: one that is mistaken is put right by the next.
            self.latest.store(version, Ordering::Relaxed);
            wrapped.push(Ciphertext { text: outcome.ciphertext, version });
        }
        Ok(wrapped)
    }

    /// Unwraps keys, each bound to what it was wrapped with. One that does not unwrap keeps none of the others.
    pub(super) async fn decrypt(
        &self,
        mut wrapped: Vec<(String, Vec<u8>)>,
    ) -> Result<Vec<Result<Zeroizing<[u8; 32]>, SealError>>, Error> {
        // Of several, the first goes along twice: so whoever answers in another order than it is asked is found out.
        let is_twice = wrapped.len() > 1;
        if is_twice {
            wrapped.insert(0, wrapped[0].clone());
        }
        let items = wrapped.into_iter().map(|(text, aad)| Item::to_decrypt(text, &aad)).collect();
        let outcomes = self.ask("decrypt", items).await?;
        let mut keys: Vec<_> = outcomes.into_iter().map(Outcome::key).collect();
        if is_twice && !is_same(&keys.remove(0), &keys[0]) {
            return Err(refused("its answers are not in the order of what it was asked"));
        }
        Ok(keys)
    }

    /// One answer to each item, in order. Wrapping twice does no harm, so that whoever does not answer may be asked again.
    async fn ask(&self, verb: &str, items: Vec<Item>) -> Result<Vec<Outcome>, Error> {
        let count = items.len();
        let body = serde_json::to_vec(&Batch { batch_input: items }).map_err(|_| SealError::Shape)?;
        let body = bytes::Bytes::from_owner(Zeroizing::new(body));
        let own = Instant::now() + ALL_MAX;
        let until = deadline::current().map_or(own, |until| until.min(own));
        let mut attempts = 0;
        loop {
            attempts += 1;
            let now = Instant::now();
            let permit = self.breaker.try_acquire(now).map_err(|open| silent(&open.to_string()))?;
            let left = until.saturating_duration_since(now).min(ATTEMPT_MAX);
            let answer = tokio::time::timeout(left, self.attempt(verb, body.clone())).await;
            let answer = answer.unwrap_or_else(|_| Err(Fault::Silent("no answer in time".to_owned())));
            match answer {
                Ok(outcomes) if outcomes.len() == count => {
                    permit.success(Instant::now(), now.elapsed());
                    self.works();
                    return Ok(outcomes);
                }
                Ok(_) => return Err(refused("it answers another number of keys than it was asked for")),
                Err(Fault::Refused(why)) => {
                    permit.success(Instant::now(), now.elapsed());
                    return Err(self.told(refused(&why)));
                }
                Err(Fault::Silent(why)) => {
                    // One that its caller cut short says little of the server.
                    if left == ATTEMPT_MAX || now.elapsed() < left {
                        permit.failure(Instant::now());
                    }
                    if attempts == ATTEMPTS_MAX || Instant::now() >= until {
                        return Err(self.told(silent(&why)));
                    }
                }
            }
        }
    }

    async fn attempt(&self, verb: &str, body: bytes::Bytes) -> Result<Vec<Outcome>, Fault> {
        let url = format!("{}/{verb}/{}", self.base, self.key);
        let request = self.client()?.post(url).headers(self.headers()?).body(body);
        let answer = request.send().await.map_err(|error| Fault::Silent(chain(&error.without_url())))?;
        let status = answer.status().as_u16();
        let body = whole(answer).await?;
        // Partly done is 400 with an outcome for each; not at all, 400 with none.
        let answer: Answer = serde_json::from_slice(&body).unwrap_or_default();
        let outcomes = answer.data.and_then(|data| data.batch_results).unwrap_or_default();
        let why = || format!("{status}: {}", answer.errors.join("; "));
        match status {
            200..300 => Ok(outcomes),
            400 if !outcomes.is_empty() => Ok(outcomes),
            // Asked too much, a standby that does not pass on, sealed, or not there behind its proxy.
            429 | 472 | 473 | 300..400 | 500.. => Err(Fault::Silent(why())),
            _ => Err(Fault::Refused(why())),
        }
    }

    fn headers(&self) -> Result<HeaderMap, Fault> {
        let token = self.secrets.read_text(&self.token)?;
        let mut value = HeaderValue::from_str(token.trim())
            .map_err(|_| Fault::Refused("the token cannot stand in a header".to_owned()))?;
        value.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert("x-vault-token", value);
        headers.insert("x-vault-request", HeaderValue::from_static("true"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(namespace) = &self.namespace {
            headers.insert("x-vault-namespace", namespace.clone());
        }
        Ok(headers)
    }

    /// The pool of connections; another when the certificates that vouch for the server are others.
    fn client(&self) -> Result<Client, Fault> {
        let pem = self.ca.as_ref().map(|(ca, _)| self.secrets.read(ca)).transpose()?;
        let pem = pem.map(|pem| pem.to_vec()).unwrap_or_default();
        let mut kept = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, client)) = &*kept
            && *of == pem
        {
            return Ok(client.clone());
        }
        let unusable = |why: String| Fault::Refused(format!("nobody to vouch for it: {why}"));
        let config = tls::outside(self.ca.as_ref().map(|(_, path)| path.as_path()))
            .map_err(|error| unusable(error.to_string()))?;
        let client = Client::builder()
            .connect_timeout(CONNECT_MAX)
            // Keys go to no host that nobody named.
            .redirect(Policy::none())
            .no_proxy()
            .tls_backend_preconfigured(tls::ClientConfig::clone(&config))
            .build()
            .map_err(|error| unusable(chain(&error)))?;
        *kept = Some((pem, client.clone()));
        Ok(client)
    }

    fn told(&self, error: Error) -> Error {
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(kek = self.name, %error, "keys can be neither wrapped nor unwrapped");
        }
        error
    }

    fn works(&self) {
        if self.is_failing.swap(false, Ordering::Relaxed) {
            tracing::info!(kek = self.name, "keys are wrapped and unwrapped again");
        }
    }
}

/// Why one attempt came to nothing.
enum Fault {
    /// It may be another time.
    Silent(String),
    /// It will not be by itself.
    Refused(String),
}

impl From<SecretError> for Fault {
    fn from(error: SecretError) -> Self {
        Self::Refused(error.to_string())
    }
}

/// Whether the same came of the same.
fn is_same(
    one: &Result<Zeroizing<[u8; 32]>, SealError>,
    other: &Result<Zeroizing<[u8; 32]>, SealError>,
) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => verify_slices_are_equal(&**one, &**other).is_ok(),
        (one, other) => one.is_err() && other.is_err(),
    }
}

fn silent(why: &str) -> Error {
    Error::KeeperSilent { why: shortened(why) }
}

fn refused(why: &str) -> Error {
    SealError::KeeperRefused { why: shortened(why) }.into()
}

pub(super) fn shortened(why: &str) -> String {
    why.chars().filter(|char| !char.is_control()).take(REASON_CHARS_MAX).collect()
}

/// `vault:v3:…`.
fn version_of(ciphertext: &str) -> Option<u32> {
    let version = ciphertext.split(':').nth(1)?.strip_prefix('v')?.parse().ok()?;
    (1..=VERSION_MAX).contains(&version).then_some(version)
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

async fn whole(mut answer: Response) -> Result<Zeroizing<Vec<u8>>, Fault> {
    // As large as it may be from the beginning: what grows leaves copies behind.
    let size = answer.content_length().and_then(|size| usize::try_from(size).ok()).unwrap_or(64 * 1024);
    let mut body = Zeroizing::new(Vec::with_capacity(size.min(ANSWER_BYTES_MAX)));
    while let Some(more) = answer.chunk().await.map_err(|error| Fault::Silent(chain(&error.without_url())))? {
        if body.len() + more.len() > ANSWER_BYTES_MAX {
            return Err(Fault::Silent("its answer does not end".to_owned()));
        }
        body.extend_from_slice(&more);
    }
    Ok(body)
}
