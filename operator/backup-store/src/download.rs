//! An object becomes a file, and its digest is made on the way. If the line breaks, it goes on from where it was.

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest;
use reqwest::{Response, StatusCode};
use rusty_s3::{Bucket, Method};
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use crate::layout::Digest;
use crate::request::{Failure, Request, chain, header};
use crate::upload::SHA256;
use crate::{Error, Store};

/// A line that brings nothing for so long is given up.
const SILENCE_TIMEOUT: Duration = Duration::from_mins(1);
/// The whole of an object in one answer, if the line holds for so long.
const WHOLE_TIMEOUT: Duration = Duration::from_hours(24);

/// What has come.
pub(crate) struct Downloaded {
    pub(crate) bytes: u64,
    pub(crate) digest: Digest,
    /// The digest that was told with it when it was put there.
    pub(crate) told: Option<Digest>,
}

/// What has come so far.
struct Progress {
    file: File,
    hash: digest::Context,
    bytes: u64,
    /// Which state of the object it is of.
    etag: Option<String>,
    told: Option<Digest>,
}

impl Store {
    /// Writes an object to a file.
    pub(crate) async fn download(
        &self,
        bucket: &Bucket,
        object: &str,
        to: &Path,
    ) -> Result<Downloaded, Error> {
        let file = File::create(to).await.map_err(Error::file(to))?;
        let hash = digest::Context::new(&digest::SHA256);
        let mut progress = Progress { file, hash, bytes: 0, etag: None, told: None };
        let mut attempts = 0;
        loop {
            attempts += 1;
            let before = progress.bytes;
            let failure = match self.go_on(bucket, object, to, &mut progress).await {
                Ok(()) => break,
                Err(failure) => failure,
            };
            if progress.bytes > before {
                attempts = 1;
            }
            self.pause(failure, attempts).await?;
        }
        progress.file.sync_all().await.map_err(Error::file(to))?;
        let Progress { hash, bytes, told, .. } = progress;
        Ok(Downloaded { bytes, digest: Digest::of(&hash.finish()), told })
    }

    async fn go_on(
        &self,
        bucket: &Bucket,
        object: &str,
        to: &Path,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let what = format!("reading {}", Self::shown(bucket, object));
        let mut request = Request::new(what, Method::Get, bucket, Some(object));
        request.timeout = WHOLE_TIMEOUT;
        if let Some(etag) = &progress.etag {
            let from = format!("bytes={}-", progress.bytes);
            request.headers = vec![("if-match", etag.clone()), ("range", from)];
        }
        let opened = tokio::time::timeout(SILENCE_TIMEOUT, self.open(&request)).await;
        let response = opened.unwrap_or_else(|_| Err(Failure::passing(&request.what, "it is silent")))?;
        let broken = |error| Failure::Final(Error::file(to)(error));
        if response.status() != StatusCode::PARTIAL_CONTENT {
            progress.begin(&response).await.map_err(broken)?;
        }
        receive(&request.what, response, to, progress).await
    }
}

impl Progress {
    /// From the first byte on, whatever has come before.
    async fn begin(&mut self, response: &Response) -> std::io::Result<()> {
        // A device that is no file, such as a full one in a test, has no length to set.
        if self.bytes > 0 {
            self.file.set_len(0).await?;
            self.file.rewind().await?;
        }
        self.hash = digest::Context::new(&digest::SHA256);
        self.bytes = 0;
        self.etag = header(response.headers(), "etag").map(str::to_owned);
        self.told = header(response.headers(), SHA256).and_then(Digest::parse);
        Ok(())
    }
}

async fn receive(
    what: &str,
    mut response: Response,
    to: &Path,
    progress: &mut Progress,
) -> Result<(), Failure> {
    loop {
        let chunk = match tokio::time::timeout(SILENCE_TIMEOUT, response.chunk()).await {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => break,
            Ok(Err(error)) => return Err(Failure::passing(what, chain(&error.without_url()))),
            Err(_) => return Err(Failure::passing(what, "it is silent")),
        };
        progress.file.write_all(&chunk).await.map_err(|error| Failure::Final(Error::file(to)(error)))?;
        progress.hash.update(&chunk);
        progress.bytes += chunk.len() as u64;
    }
    // What is written may still be on its way to the file, and fail there.
    progress.file.flush().await.map_err(|error| Failure::Final(Error::file(to)(error)))
}
