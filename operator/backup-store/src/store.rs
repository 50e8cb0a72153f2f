//! [`Place`], which is told, and [`Store`], which can be asked.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use contracts::ambient::Clock;
use reqwest::Url;
use reqwest::redirect::Policy;
use rusty_s3::{Bucket, Credentials, UrlStyle};

use crate::Error;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where backups lie, and who we are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The store's address: `https://s3.example.org`.
    pub endpoint: String,
    /// Its region, which requests are signed for.
    pub region: String,
    /// The bucket of the data.
    pub bucket: String,
    /// The bucket of the keys, if it is another one.
    pub keys_bucket: Option<String>,
    /// The folder in both of them, without a slash first or last.
    pub folder: String,
    /// Whether the bucket stands in the path of a request, or in the host's name.
    pub path_style: bool,
    /// The file with the access key's id.
    pub access_key_id: PathBuf,
    /// The file with the access key.
    pub secret_access_key: PathBuf,
    /// The file with the certificates of who vouches for the store, if not the public ones.
    pub ca: Option<PathBuf>,
}

/// How long is gone on in vain.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The first pause; each is twice the one before.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// How often a request is made at most.
    pub tries: u32,
}

impl Default for Patience {
    /// Eight minutes: a store that is restarted or moved is there again by then.
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(30), tries: 20 }
    }
}

impl Patience {
    /// How long to wait after this many attempts; nothing if that was the last.
    pub(crate) fn pause(&self, attempts: u32) -> Option<Duration> {
        let doubled = self.first.saturating_mul(1 << attempts.saturating_sub(1).min(16));
        (attempts < self.tries).then(|| doubled.min(self.longest))
    }
}

/// A store that can be asked.
pub struct Store {
    pub(crate) http: reqwest::Client,
    pub(crate) data: Bucket,
    pub(crate) keys: Bucket,
    pub(crate) folder: String,
    pub(crate) credentials: Credentials,
    pub(crate) clock: Clock,
    pub(crate) patience: Patience,
    pub(crate) part_bytes_min: usize,
}

/// Says nothing of the credentials.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("data", &self.data)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Reads the credentials and gets ready to ask. Nothing is asked yet.
    ///
    /// # Errors
    /// If the place is none, or a file is not there.
    pub fn new(place: &Place, clock: Clock, patience: Patience) -> Result<Self, Error> {
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            // Credentials go to no host that nobody named.
            .redirect(Policy::none())
            .no_proxy();
        if let Some(path) = &place.ca {
            let pem = fs::read(path).map_err(Error::file(path))?;
            let none = |_| Error::Setting(format!("{} holds no certificates (PEM)", path.display()));
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(none)?;
            if certificates.is_empty() {
                return Err(Error::Setting(format!("{} holds no certificates (PEM)", path.display())));
            }
            http = http.tls_certs_only(certificates);
        }
        let no_client = |error: reqwest::Error| Error::Setting(format!("no HTTP client: {error}"));
        let keys_bucket = place.keys_bucket.as_ref().unwrap_or(&place.bucket);
        Ok(Self {
            http: http.build().map_err(no_client)?,
            data: bucket(place, &place.bucket)?,
            keys: bucket(place, keys_bucket)?,
            folder: place.folder.clone(),
            credentials: Credentials::new(word(&place.access_key_id)?, word(&place.secret_access_key)?),
            clock,
            patience,
            part_bytes_min: crate::upload::PART_BYTES_MIN,
        })
    }

    /// With smaller parts than S3 itself takes: for tests, which are no less true with small files.
    #[must_use]
    pub fn with_parts_of(mut self, bytes: usize) -> Self {
        self.part_bytes_min = bytes;
        self
    }

    /// The whole name of what lies in our folder.
    pub(crate) fn object(&self, name: &str) -> String {
        if self.folder.is_empty() { name.to_owned() } else { format!("{}/{name}", self.folder) }
    }

    /// For messages: what is meant, and where it is.
    pub(crate) fn shown(bucket: &Bucket, object: &str) -> String {
        format!("{object} in bucket {}", bucket.name())
    }
}

fn bucket(place: &Place, name: &str) -> Result<Bucket, Error> {
    let endpoint = &place.endpoint;
    let wrong =
        |why: &dyn fmt::Display| Error::Setting(format!("{endpoint} is no address of a store: {why}"));
    let url: Url = endpoint.parse().map_err(|error| wrong(&error))?;
    let style = if place.path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
    Bucket::new(url, style, name.to_owned(), place.region.clone()).map_err(|error| wrong(&error))
}

/// A file with one word in it.
fn word(path: &Path) -> Result<String, Error> {
    let text = fs::read_to_string(path).map_err(Error::file(path))?;
    let word = text.trim();
    if word.is_empty() {
        return Err(Error::Setting(format!("{} is empty", path.display())));
    }
    Ok(word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_end() {
        let patience = Patience { first: Duration::from_secs(1), longest: Duration::from_secs(5), tries: 5 };
        let pauses: Vec<_> = (1..=5).map(|attempts| patience.pause(attempts)).collect();
        assert_eq!(pauses, [Some(1), Some(2), Some(4), Some(5), None].map(|it| it.map(Duration::from_secs)));
    }
}
