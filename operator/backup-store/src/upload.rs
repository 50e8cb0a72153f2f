//! A file of any size becomes an object, in bounded memory. It is there when it is whole, and not before.
//!
//! What arrives is checked twice. `Content-MD5` is what every S3-compatible store compares before it takes a piece, against mistakes on the
//! way; newer checksum headers are refused by some and passed over by others. The SHA-256, which was made with the dump, is compared while
//! the file is read and again before a restore: that one holds against everything.

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use rusty_s3::actions::{CompleteMultipartUpload, CompleteMultipartUploadResponse, CreateMultipartUpload};
use rusty_s3::{Bucket, Method};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use crate::error::Refusal;
use crate::layout::Digest;
use crate::request::{Request, header, refusal};
use crate::{Error, Store};

/// A piece, as long as the file has no more of them than a store takes. A tenth of a terabyte goes through 16 MiB.
pub(crate) const PART_BYTES_MIN: usize = 16 << 20;
const PARTS_MAX: u64 = 10_000;
/// For a piece: 30 KiB/s.
const PART_TIMEOUT: Duration = Duration::from_mins(10);
/// A store may take long to put many parts together.
const COMPLETE_TIMEOUT: Duration = Duration::from_mins(10);
/// The object's SHA-256, told with it.
pub(crate) const SHA256: &str = "x-amz-meta-sha256";

/// What becomes an object.
pub(crate) struct Upload<'a> {
    pub(crate) file: &'a Path,
    /// What the file must have.
    pub(crate) digest: &'a Digest,
    pub(crate) bucket: &'a Bucket,
    pub(crate) object: String,
    /// What is told with it, beside its digest.
    pub(crate) told: Vec<(&'static str, String)>,
}

impl Upload<'_> {
    fn what(&self, doing: &str) -> String {
        format!("{doing} {}", Store::shown(self.bucket, &self.object))
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let digest = (SHA256, self.digest.as_str().to_owned());
        [digest].into_iter().chain(self.told.iter().cloned()).collect()
    }

    fn check(&self, hash: digest::Context) -> Result<(), Error> {
        let read = Digest::of(&hash.finish());
        if read == *self.digest {
            return Ok(());
        }
        Err(Error::Unusable(format!("{} is damaged: its digest does not match", self.file.display())))
    }
}

impl Store {
    /// Uploads a file. Answers its size in bytes.
    pub(crate) async fn upload(&self, upload: &Upload<'_>) -> Result<u64, Error> {
        let mut file = File::open(upload.file).await.map_err(Error::file(upload.file))?;
        let size = file.metadata().await.map_err(Error::file(upload.file))?.len();
        let part_bytes = part_bytes(size, self.part_bytes_min);
        if size <= part_bytes as u64 {
            self.upload_at_once(upload, &mut file, part_bytes).await?;
        } else {
            self.upload_in_parts(upload, &mut file, part_bytes, size).await?;
        }
        if self.is_there(upload, size).await? {
            return Ok(size);
        }
        let object = Self::shown(upload.bucket, &upload.object);
        Err(Error::Unusable(format!("{object} is not there as it was sent")))
    }

    /// A few bytes that are an object.
    pub(crate) async fn upload_text(&self, bucket: &Bucket, object: &str, text: String) -> Result<(), Error> {
        let what = format!("writing {}", Self::shown(bucket, object));
        let mut request = Request::new(what, Method::Put, bucket, Some(object));
        request.body = Bytes::from(text);
        request.headers = vec![("content-md5", md5(&request.body))];
        self.ask(&request).await.map(drop)
    }

    async fn upload_at_once(
        &self,
        upload: &Upload<'_>,
        file: &mut File,
        bytes_max: usize,
    ) -> Result<(), Error> {
        let mut hash = digest::Context::new(&digest::SHA256);
        let body = part(upload.file, file, bytes_max, &mut hash).await?;
        upload.check(hash)?;
        let mut request =
            Request::new(upload.what("writing"), Method::Put, upload.bucket, Some(&upload.object));
        request.headers = upload.headers();
        request.headers.push(("content-md5", md5(&body)));
        request.body = body;
        request.timeout = PART_TIMEOUT;
        self.ask(&request).await.map(drop)
    }

    async fn upload_in_parts(
        &self,
        upload: &Upload<'_>,
        file: &mut File,
        part_bytes: usize,
        size: u64,
    ) -> Result<(), Error> {
        let mut request = Request::new(
            upload.what("beginning to write"),
            Method::Post,
            upload.bucket,
            Some(&upload.object),
        );
        request.query = vec![("uploads", String::new())];
        request.headers = upload.headers();
        let answer = self.ask(&request).await?;
        let begun = CreateMultipartUpload::parse_response(&answer.text)
            .map_err(|error| Error::Unusable(format!("{}: no upload was begun: {error}", request.what)))?;
        let id = begun.upload_id();
        let sent = match self.send_parts(upload, file, part_bytes, id).await {
            Ok(etags) => self.complete(upload, id, &etags, size).await,
            Err(error) => Err(error),
        };
        if sent.is_err() {
            // The store would keep the parts, and be paid for them. If this fails too, the next backup but one sees to it.
            let _ = self.abort(upload.bucket, &upload.object, id).await;
        }
        sent
    }

    /// Sends the whole file. Answers the parts' tags, in their order.
    async fn send_parts(
        &self,
        upload: &Upload<'_>,
        file: &mut File,
        part_bytes: usize,
        id: &str,
    ) -> Result<Vec<String>, Error> {
        let mut hash = digest::Context::new(&digest::SHA256);
        let mut etags = Vec::new();
        loop {
            let body = part(upload.file, file, part_bytes, &mut hash).await?;
            if body.is_empty() {
                break;
            }
            let what = upload.what(&format!("writing part {} of", etags.len() + 1));
            let mut request = Request::new(what, Method::Put, upload.bucket, Some(&upload.object));
            request.query = vec![("partNumber", (etags.len() + 1).to_string()), ("uploadId", id.to_owned())];
            request.headers = vec![("content-md5", md5(&body))];
            request.body = body;
            request.timeout = PART_TIMEOUT;
            let answer = self.ask(&request).await?;
            let etag = header(&answer.headers, "etag").map(str::to_owned);
            etags.push(etag.ok_or_else(|| Error::Unusable(format!("{}: it has no tag", request.what)))?);
        }
        upload.check(hash)?;
        Ok(etags)
    }

    async fn complete(
        &self,
        upload: &Upload<'_>,
        id: &str,
        etags: &[String],
        size: u64,
    ) -> Result<(), Error> {
        let mut request =
            Request::new(upload.what("finishing"), Method::Post, upload.bucket, Some(&upload.object));
        request.query = vec![("uploadId", id.to_owned())];
        let tags = etags.iter().map(String::as_str);
        let list = CompleteMultipartUpload::new(upload.bucket, None, &upload.object, id, tags);
        request.body = Bytes::from(list.body());
        request.timeout = COMPLETE_TIMEOUT;
        let error = match self.ask(&request).await {
            Ok(answer) => match CompleteMultipartUploadResponse::parse(&answer.text) {
                Ok(_) => return Ok(()),
                // It answers 200 before it knows, and says then that it could not.
                Err(_) => Error::Refused { what: request.what, refusal: refusal(200, &answer.text) },
            },
            Err(error) => error,
        };
        // If an answer was lost on the way, the upload is not known any more since it is done.
        if error.refusal().is_some_and(Refusal::is_not_found) && self.is_there(upload, size).await? {
            return Ok(());
        }
        Err(error)
    }

    /// Whether the object is what was sent, by its size and by what was told with it.
    async fn is_there(&self, upload: &Upload<'_>, size: u64) -> Result<bool, Error> {
        let Some(object) = self.head(upload.bucket, &upload.object).await? else { return Ok(false) };
        let its_size = object.header("content-length").and_then(|size| size.parse::<u64>().ok());
        Ok(its_size == Some(size) && object.header(SHA256) == Some(upload.digest.as_str()))
    }
}

/// How large a piece is, for a file of this size.
fn part_bytes(size: u64, min: usize) -> usize {
    usize::try_from(size.div_ceil(PARTS_MAX)).unwrap_or(usize::MAX).max(min)
}

/// The next piece of a file; empty at its end.
async fn part(
    path: &Path,
    file: &mut File,
    bytes_max: usize,
    hash: &mut digest::Context,
) -> Result<Bytes, Error> {
    let mut piece = Vec::with_capacity(bytes_max);
    let mut rest = file.take(bytes_max as u64);
    rest.read_to_end(&mut piece).await.map_err(Error::file(path))?;
    hash.update(&piece);
    Ok(Bytes::from(piece))
}

fn md5(bytes: &[u8]) -> String {
    data_encoding::BASE64.encode(&Md5::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_any_size_has_no_more_parts_than_a_store_takes() {
        for size in [0, 1, 16 << 20, (16 << 20) + 1, 160 << 30, 5 << 40] {
            let part = part_bytes(size, PART_BYTES_MIN) as u64;
            assert!(size.div_ceil(part) <= PARTS_MAX, "{size}: {part}");
            assert!((16 << 20..=5 << 30).contains(&part), "{size}: {part}");
        }
    }
}
