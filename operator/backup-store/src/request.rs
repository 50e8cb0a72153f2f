//! A request: signed anew for each attempt, bounded in time, tried again for what passes by itself. And the questions that are one request.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, Url};
use rusty_s3::actions::ListObjectsV2;
use rusty_s3::{Bucket, Method, signing};

use crate::error::Refusal;
use crate::{Error, Store, xml};

/// For what is small. The rest says how long it may take.
pub(crate) const TIMEOUT: Duration = Duration::from_mins(1);
/// A signature is good for so long: as far as a store's clock may be from ours.
const SIGNED_FOR_SECONDS: u64 = 900;
/// A list of a thousand objects has half of this.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Answers of a thousand objects each. Nobody keeps more backups than that; a folder with more is somebody else's.
const PAGES_MAX: usize = 100;
/// Of a store's own words, so many characters are shown.
const WORDS_MAX: usize = 300;

/// A request to be made.
pub(crate) struct Request<'a> {
    /// For people: "listing backups".
    pub(crate) what: String,
    pub(crate) bucket: &'a Bucket,
    pub(crate) method: Method,
    /// None: the bucket itself.
    pub(crate) object: Option<&'a str>,
    pub(crate) query: Vec<(&'static str, String)>,
    /// By their names in small letters.
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    pub(crate) timeout: Duration,
}

impl<'a> Request<'a> {
    pub(crate) fn new(
        what: impl Into<String>,
        method: Method,
        bucket: &'a Bucket,
        object: Option<&'a str>,
    ) -> Self {
        Self {
            what: what.into(),
            bucket,
            method,
            object,
            query: Vec::new(),
            headers: Vec::new(),
            body: Bytes::new(),
            timeout: TIMEOUT,
        }
    }
}

/// How an attempt ended that brought nothing.
pub(crate) enum Failure {
    /// It may be tried again; not before so long, if the store said so.
    Passing(Error, Option<Duration>),
    Final(Error),
}

impl Failure {
    pub(crate) fn passing(what: &str, why: impl Into<String>) -> Self {
        Self::Passing(Error::Unreachable { what: what.to_owned(), why: why.into() }, None)
    }
}

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// A header's text, if it is there.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// An object of a list.
pub(crate) struct Listed {
    pub(crate) object: String,
}

/// An upload in parts that was begun and not ended.
pub(crate) struct Begun {
    pub(crate) object: String,
    pub(crate) id: String,
    pub(crate) at: String,
}

impl Store {
    /// Makes a request until it is answered for good.
    pub(crate) async fn ask(&self, request: &Request<'_>) -> Result<Answer, Error> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let failure = match self.open(request).await {
                Ok(response) => match whole(&request.what, response).await {
                    Ok(answer) => return Ok(answer),
                    Err(failure) => failure,
                },
                Err(failure) => failure,
            };
            self.pause(failure, attempts).await?;
        }
    }

    /// Waits as long as it is right after this many attempts. If it is not to be tried again, that is the error.
    pub(crate) async fn pause(&self, failure: Failure, attempts: u32) -> Result<(), Error> {
        let (error, wished) = match failure {
            Failure::Passing(error, wished) => (error, wished),
            Failure::Final(error) => return Err(error),
        };
        let Some(pause) = self.patience.pause(attempts) else { return Err(error) };
        let pause = wished.map_or(pause, |wished| wished.clamp(pause, self.patience.longest.max(pause)));
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Makes a request once. The body of the answer is still to come.
    pub(crate) async fn open(&self, request: &Request<'_>) -> Result<Response, Failure> {
        let what = &request.what;
        let mut builder =
            self.http.request(method(request.method), self.sign(request)).timeout(request.timeout);
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        // Without its address: that has the signature in it.
        let response = builder.body(request.body.clone()).send().await;
        let response = response.map_err(|error| Failure::passing(what, chain(&error.without_url())))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let retry_after = header(response.headers(), RETRY_AFTER.as_str()).and_then(|it| it.parse().ok());
        let text = whole(what, response).await.map(|answer| answer.text).unwrap_or_default();
        let refusal = refusal(status.as_u16(), &text);
        let passes = refusal.passes();
        let error = Error::Refused { what: what.clone(), refusal };
        if passes {
            Err(Failure::Passing(error, retry_after.map(Duration::from_secs)))
        } else {
            Err(Failure::Final(error))
        }
    }

    fn sign(&self, request: &Request<'_>) -> Url {
        let url = match request.object {
            Some(object) => request.bucket.object_url(object),
            None => request.bucket.base_url().clone(),
        };
        let now = Timestamp::from_second(self.clock.now().timestamp()).unwrap_or_default();
        let mut query: Vec<_> = request.query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        query.sort_unstable();
        let mut headers: Vec<_> =
            request.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        headers.sort_unstable();
        signing::sign(
            &now,
            request.method,
            url,
            self.credentials.key(),
            self.credentials.secret(),
            self.credentials.token(),
            request.bucket.region(),
            SIGNED_FOR_SECONDS,
            query.into_iter(),
            headers.into_iter(),
        )
    }

    /// Every object whose name begins so.
    pub(crate) async fn list(&self, bucket: &Bucket, prefix: &str) -> Result<Vec<Listed>, Error> {
        let mut listed = Vec::new();
        let mut from = None;
        for _ in 0..PAGES_MAX {
            let what = format!("listing {}", Self::shown(bucket, prefix));
            let mut request = Request::new(what, Method::Get, bucket, None);
            request.query = vec![
                ("list-type", "2".to_owned()),
                ("encoding-type", "url".to_owned()),
                ("prefix", prefix.to_owned()),
            ];
            request.query.extend(from.take().map(|from| ("continuation-token", from)));
            let answer = self.ask(&request).await?;
            let page = ListObjectsV2::parse_response(&answer.text).map_err(|error| {
                Error::Unusable(format!("{}: the answer is no list: {error}", request.what))
            })?;
            listed.extend(page.contents.into_iter().map(|found| Listed { object: found.key }));
            match page.next_continuation_token {
                Some(token) => from = Some(token),
                None => return Ok(listed),
            }
        }
        Err(Error::Unusable(format!("{} holds too many objects for backups", Self::shown(bucket, prefix))))
    }

    /// Uploads in parts that were begun and not ended, of objects whose names begin so: the first thousand.
    pub(crate) async fn begun(&self, bucket: &Bucket, prefix: &str) -> Result<Vec<Begun>, Error> {
        let what = format!("listing unfinished uploads to {}", Self::shown(bucket, prefix));
        let mut request = Request::new(what, Method::Get, bucket, None);
        request.query = vec![("uploads", String::new()), ("prefix", prefix.to_owned())];
        let answer = self.ask(&request).await?;
        let uploads = xml::each(&answer.text, "Upload").filter_map(|upload| {
            Some(Begun {
                object: xml::text(upload, "Key")?,
                id: xml::text(upload, "UploadId")?,
                at: xml::text(upload, "Initiated")?,
            })
        });
        // Not every store heeds the prefix.
        Ok(uploads.filter(|upload| upload.object.starts_with(prefix)).collect())
    }

    /// Deletes an object. One that is not there is deleted already.
    pub(crate) async fn delete(&self, bucket: &Bucket, object: &str) -> Result<(), Error> {
        let what = format!("deleting {}", Self::shown(bucket, object));
        let deleted = self.ask(&Request::new(what, Method::Delete, bucket, Some(object))).await;
        gone(deleted)
    }

    /// Gives an upload up. Its parts go with it.
    pub(crate) async fn abort(&self, bucket: &Bucket, object: &str, id: &str) -> Result<(), Error> {
        let what = format!("giving up the upload of {}", Self::shown(bucket, object));
        let mut request = Request::new(what, Method::Delete, bucket, Some(object));
        request.query = vec![("uploadId", id.to_owned())];
        gone(self.ask(&request).await)
    }

    /// What is known of an object, if it is there.
    pub(crate) async fn head(&self, bucket: &Bucket, object: &str) -> Result<Option<Answer>, Error> {
        let what = format!("looking at {}", Self::shown(bucket, object));
        match self.ask(&Request::new(what, Method::Head, bucket, Some(object))).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.refusal().is_some_and(Refusal::is_not_found) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A small object's text.
    pub(crate) async fn text(&self, bucket: &Bucket, object: &str) -> Result<String, Error> {
        let what = format!("reading {}", Self::shown(bucket, object));
        Ok(self.ask(&Request::new(what, Method::Get, bucket, Some(object))).await?.text)
    }

    /// Whether a bucket keeps what is overwritten and deleted.
    pub(crate) async fn is_versioned(&self, bucket: &Bucket) -> Result<bool, Error> {
        let what = format!("asking whether bucket {} keeps old versions", bucket.name());
        let mut request = Request::new(what, Method::Get, bucket, None);
        request.query = vec![("versioning", String::new())];
        match self.ask(&request).await {
            Ok(answer) => Ok(xml::text(&answer.text, "Status").is_some_and(|status| status == "Enabled")),
            // A store that knows no versions keeps none.
            Err(error)
                if error.refusal().is_some_and(|it| it.status == 501 || it.code == "NotImplemented") =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

fn gone(outcome: Result<Answer, Error>) -> Result<(), Error> {
    match outcome {
        Err(error) if !error.refusal().is_some_and(Refusal::is_not_found) => Err(error),
        _ => Ok(()),
    }
}

/// An answer to its end.
async fn whole(what: &str, mut response: Response) -> Result<Answer, Failure> {
    let mut body = Vec::new();
    let headers = response.headers().clone();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_BYTES_MAX => body.extend_from_slice(&chunk),
            Ok(Some(_)) => {
                return Err(Failure::Final(Error::Unusable(format!("{what}: the answer is too long"))));
            }
            Ok(None) => return Ok(Answer { headers, text: String::from_utf8_lossy(&body).into_owned() }),
            Err(error) => return Err(Failure::passing(what, chain(&error.without_url()))),
        }
    }
}

/// A store's words, as far as they are some.
pub(crate) fn refusal(status: u16, text: &str) -> Refusal {
    let word = |name: &str| -> String {
        let text = xml::text(text, name).unwrap_or_default();
        text.chars().filter(|char| !char.is_control()).take(WORDS_MAX).collect()
    };
    Refusal { status, code: word("Code"), message: word("Message") }
}

/// An error and what is behind it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

const fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Head => reqwest::Method::HEAD,
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Delete => reqwest::Method::DELETE,
    }
}
