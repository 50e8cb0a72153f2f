//! [`CalDav`]: a calendar collection on a `CalDAV` server (RFC 4791), kept in step by `sync-collection` (RFC 6578).

use calendar::read::Reading;
use calendar::{Calendar, MEDIA_TYPE};
use db::Secrets;
use http_kit::kit::BuildError;
use reqwest::{Client, Method, RequestBuilder, Url};
use settings::{CalDavSettings, SecretRef};

use super::fault::{Whole, client, whole};
use super::multistatus::{self, Multistatus};
use super::{Changes, Event, Fault, Found};

const NAME: &str = "Appointments";
/// Objects that are asked for at once.
const FETCHED_AT_ONCE: usize = 50;
/// Parts in which a server tells what has changed (RFC 6578 §3.6).
const PARTS_MAX: usize = 100;
const XML: &str = "application/xml; charset=utf-8";

/// A calendar collection.
pub struct CalDav {
    http: Client,
    collection: Url,
    username: String,
    password: SecretRef,
    secrets: Secrets,
}

impl CalDav {
    /// As the settings have it. The password is read whenever something is asked, so that a new one is seen.
    pub fn new(settings: &CalDavSettings, secrets: Secrets) -> Result<Self, BuildError> {
        let mut collection: Url = settings.url.parse()?;
        // What stands in it is named after its last slash.
        if !collection.path().ends_with('/') {
            collection.set_path(&format!("{}/", collection.path()));
        }
        let CalDavSettings { username, password, .. } = settings.clone();
        Ok(Self { http: client()?, collection, username, password, secrets })
    }

    fn request(&self, method: &[u8], url: Url) -> Result<RequestBuilder, Fault> {
        let method = Method::from_bytes(method).map_err(|_| Fault::Garbled("a method"))?;
        let password = self.secrets.read_text(&self.password)?;
        Ok(self.http.request(method, url).basic_auth(&self.username, Some(password.as_str())))
    }

    async fn report(&self, body: String) -> Result<Whole, Fault> {
        let request = self.request(b"REPORT", self.collection.clone())?;
        whole(request.header("content-type", XML).header("depth", "0").body(body)).await
    }

    /// What has changed since the token was told; without one, all that there is.
    pub(super) async fn changes(&self, token: Option<&str>) -> Result<Changes, Fault> {
        let mut changes = Changes { is_whole: token.is_none(), ..Changes::default() };
        let mut token = token.map(str::to_owned);
        for _ in 0..PARTS_MAX {
            let part = self.sync_collection(token.as_deref().unwrap_or_default()).await?;
            let mut is_last = true;
            for response in part.responses {
                let Some(href) = self.path(&response.href) else {
                    // Of the collection itself it is said that there is more.
                    is_last &= response.status != Some(507);
                    continue;
                };
                let gone = matches!(response.status, Some(404 | 410));
                match (response.etag, gone) {
                    (Some(etag), false) => changes.add(href, Some(etag)),
                    (_, true) => changes.add(href, None),
                    (None, false) => {}
                }
            }
            let next = part.next.ok_or(Fault::Garbled("what has changed has no sync-token"))?;
            let is_stuck = token.as_ref() == Some(&next);
            changes.token = Some(next.clone());
            if is_last || is_stuck {
                return Ok(changes);
            }
            token = Some(next);
        }
        Err(Fault::Endless)
    }

    async fn sync_collection(&self, token: &str) -> Result<Multistatus, Fault> {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
             <sync-collection xmlns=\"DAV:\"><sync-token>{}</sync-token><sync-level>1</sync-level>\
             <prop><getetag/></prop></sync-collection>",
            quick_xml::escape::escape(token)
        );
        let answer = self.report(body).await?;
        match answer.status {
            207 => multistatus::parse(&answer.body).map_err(|_| Fault::Garbled("it is no multistatus")),
            // The precondition DAV:valid-sync-token, for which servers have several statuses.
            400 | 403 | 409 | 410 | 412 if !token.is_empty() => Err(Fault::TokenRefused),
            403 => Err(Fault::Unauthorized("403")),
            _ => Err(answer.fault()),
        }
    }

    /// The objects at these places, those that are still there (`calendar-multiget`, RFC 4791 §7.9).
    pub(super) async fn fetch(&self, hrefs: &[String], reading: &Reading) -> Result<Vec<Found>, Fault> {
        let mut found = Vec::with_capacity(hrefs.len());
        for hrefs in hrefs.chunks(FETCHED_AT_ONCE) {
            let mut asked = String::new();
            for href in hrefs {
                asked.extend(["<D:href>", &quick_xml::escape::escape(href.as_str()), "</D:href>"]);
            }
            let body = format!(
                "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
                 <C:calendar-multiget xmlns:D=\"DAV:\" xmlns:C=\"urn:ietf:params:xml:ns:caldav\">\
                 <D:prop><D:getetag/><C:calendar-data/></D:prop>{asked}</C:calendar-multiget>"
            );
            let answer = self.report(body).await?;
            if answer.status != 207 {
                return Err(answer.fault());
            }
            let read =
                multistatus::parse(&answer.body).map_err(|_| Fault::Garbled("it is no multistatus"))?;
            for response in read.responses {
                let href = self.path(&response.href).filter(|href| hrefs.contains(href));
                if let (Some(href), Some(etag), Some(data)) = (href, response.etag, response.data) {
                    found.push(Found { href, etag: Some(etag), event: Some(Event::of(&data, reading)) });
                }
            }
        }
        Ok(found)
    }

    /// Where an event of ours is.
    pub(super) fn href(&self, uid: &str) -> String {
        format!("{}{uid}.ics", self.collection.path())
    }

    pub(super) async fn put(
        &self,
        href: &str,
        etag: Option<&str>,
        event: calendar::Event,
    ) -> Result<Option<String>, Fault> {
        let calendar = Calendar {
            name: Some(NAME.to_owned()),
            method: None,
            refresh_minutes: None,
            events: vec![event],
        };
        let request = self.request(b"PUT", self.at(href)?)?.header("content-type", MEDIA_TYPE);
        let request = match etag {
            Some(etag) => request.header("if-match", etag),
            None => request.header("if-none-match", "*"),
        };
        let answer = whole(request.body(calendar.to_text())).await?;
        match answer.status {
            200 | 201 | 204 => Ok(answer.etag),
            // Gone meanwhile: that is a change, too.
            404 | 410 if etag.is_some() => Err(Fault::Changed),
            _ => Err(answer.fault()),
        }
    }

    pub(super) async fn delete(&self, href: &str) -> Result<(), Fault> {
        let answer = whole(self.request(b"DELETE", self.at(href)?)?).await?;
        match answer.status {
            200 | 202 | 204 | 404 | 410 => Ok(()),
            _ => Err(answer.fault()),
        }
    }

    fn at(&self, href: &str) -> Result<Url, Fault> {
        self.collection.join(href).map_err(|_| Fault::Garbled("an address"))
    }

    /// The path of what stands in the collection; `None` for the collection itself, and for what is elsewhere.
    fn path(&self, href: &str) -> Option<String> {
        let url = self.collection.join(href).ok()?;
        let is_within = url.origin() == self.collection.origin()
            && url.path().len() > self.collection.path().len()
            && url.path().starts_with(self.collection.path());
        is_within.then(|| url.path().to_owned())
    }
}

impl Changes {
    /// Whatever is told of an object last is so.
    fn add(&mut self, href: String, etag: Option<String>) {
        self.objects.push(Found { href, etag, event: None });
    }
}
