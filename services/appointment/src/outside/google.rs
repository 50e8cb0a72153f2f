//! [`Google`]: a calendar of Google Calendar (API v3), with a refresh token that its owner granted.
//!
//! It is polled. Where Google can reach the stack it also tells by itself that something has changed ([`Google::watch`]): what, the next look says.

use std::collections::BTreeMap;

use calendar::Status;
use calendar::read::Reading;
use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};
use contracts::ambient::Clock;
use db::Secrets;
use http_kit::kit::BuildError;
use reqwest::{Client, Method, RequestBuilder, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use settings::GoogleCalendarSettings;
use tokio::sync::Mutex;

use super::fault::{Whole, client, whole};
use super::{Changes, Channel, Event, Fault, Found};
use crate::domain::local;

/// Most that Google tells at once.
const PAGE: &str = "2500";
const PAGES_MAX: usize = 20;
/// An access token is not used in its last minute.
const SPARE: TimeDelta = TimeDelta::seconds(60);
/// So long is a channel asked for; Google may make it shorter.
const WATCH_LASTS: TimeDelta = TimeDelta::days(7);
/// What an event of ours is told by, where only its maker's programs see it.
const OURS: &str = "healthcareStackUid";

/// A Google calendar.
pub struct Google {
    http: Client,
    settings: GoogleCalendarSettings,
    events: Url,
    clock: Clock,
    secrets: Secrets,
    access: Mutex<Option<Access>>,
}

struct Access {
    token: String,
    until: DateTime<Utc>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    #[serde(default)]
    expires_in: i64,
}

/// A channel, as Google says that it is: `expiration` is milliseconds since 1970, in a text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChannelAnswer {
    resource_id: String,
    #[serde(default)]
    expiration: Option<String>,
}

#[derive(Deserialize)]
struct TokenError {
    error: String,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: ErrorBody,
}

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(default)]
    errors: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    #[serde(default)]
    items: Vec<Item>,
    next_page_token: Option<String>,
    next_sync_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    id: String,
    #[serde(default)]
    etag: Option<String>,
    #[serde(default)]
    status: String,
    #[serde(default)]
    transparency: String,
    start: Option<When>,
    end: Option<When>,
    #[serde(default)]
    extended_properties: Extended,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct When {
    date: Option<NaiveDate>,
    date_time: Option<DateTime<Utc>>,
}

#[derive(Default, Deserialize)]
struct Extended {
    #[serde(default)]
    private: BTreeMap<String, String>,
}

impl When {
    fn instant(&self, reading: &Reading) -> Option<DateTime<Utc>> {
        let midnight = |date: NaiveDate| local::instant_or_next(reading.zone, date.and_time(NaiveTime::MIN));
        self.date_time.or_else(|| self.date.map(midnight))
    }
}

impl Item {
    /// What was changed. What was called off is gone.
    fn found(mut self, reading: &Reading) -> Found {
        if self.status == "cancelled" {
            return Found { href: self.id, etag: None, event: None };
        }
        let instant = |when: &Option<When>| when.as_ref().and_then(|when| when.instant(reading));
        let span = instant(&self.start).zip(instant(&self.end));
        let is_busy = |(from, to): &(DateTime<Utc>, DateTime<Utc>)| {
            self.transparency != "transparent" && from < to && *to > reading.from && *from < reading.before
        };
        let busy = span.filter(is_busy).into_iter().collect();
        let uid = self.extended_properties.private.remove(OURS);
        let event = Event { uid, single: span, busy };
        Found { href: self.id, etag: Some(self.etag.unwrap_or_default()), event: Some(event) }
    }
}

impl Google {
    /// As the settings have it. The secrets are read whenever an access token is asked for, so that new ones are seen.
    pub fn new(
        settings: &GoogleCalendarSettings,
        clock: Clock,
        secrets: Secrets,
    ) -> Result<Self, BuildError> {
        let mut events: Url = settings.url.parse()?;
        let mut path =
            events.path_segments_mut().map_err(|()| "integrations.calendars: the address has no path")?;
        path.pop_if_empty().extend(["calendars", settings.calendar_id.as_str(), "events"]);
        drop(path);
        Ok(Self {
            http: client()?,
            settings: settings.clone(),
            events,
            clock,
            secrets,
            access: Mutex::default(),
        })
    }

    /// The id of an event of ours: 32 of the letters that Google lets ids have.
    pub(super) fn id(uid: &str) -> String {
        uid.replace('-', "")
    }

    pub(super) async fn changes(&self, token: Option<&str>, reading: &Reading) -> Result<Changes, Fault> {
        let mut changes = Changes { is_whole: token.is_none(), ..Changes::default() };
        let time = |instant: DateTime<Utc>| instant.to_rfc3339_opts(SecondsFormat::Secs, true);
        let mut page: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut url = self.events.clone();
            {
                // Each occurrence by itself; and the same questions each time, but for those that a token does not stand.
                let mut query = url.query_pairs_mut();
                query.extend_pairs([("singleEvents", "true"), ("showDeleted", "true"), ("maxResults", PAGE)]);
                match token {
                    Some(token) => query.append_pair("syncToken", token),
                    None => query
                        .extend_pairs([("timeMin", time(reading.from)), ("timeMax", time(reading.before))]),
                };
                if let Some(page) = &page {
                    query.append_pair("pageToken", page);
                }
            }
            let answer = self.ask(&Method::GET, url, None, None).await?;
            match answer.status {
                200 => {}
                410 if token.is_some() => return Err(Fault::TokenRefused),
                _ => return Err(fault(&answer)),
            }
            let list: List = json(&answer.body, "its list of events")?;
            changes.objects.extend(list.items.into_iter().map(|item| item.found(reading)));
            changes.token = list.next_sync_token;
            page = list.next_page_token;
            if page.is_none() {
                return Ok(changes);
            }
        }
        Err(Fault::Endless)
    }

    /// Has Google tell an address of ours, under a token, that something has changed here
    /// (<https://developers.google.com/workspace/calendar/api/guides/push>).
    pub(super) async fn watch(&self, id: &str, token: &str, address: &str) -> Result<Channel, Fault> {
        let mut url = self.events.clone();
        url.path_segments_mut().map_err(|()| Fault::Garbled("an address"))?.push("watch");
        let body = json!({
            "id": id, "type": "web_hook", "address": address, "token": token,
            "params": {"ttl": WATCH_LASTS.num_seconds().to_string()},
        });
        let answer = self.ask(&Method::POST, url, None, Some(&body)).await?;
        if answer.status != 200 {
            return Err(fault(&answer));
        }
        let ChannelAnswer { resource_id, expiration } = json(&answer.body, "its channel")?;
        let until =
            expiration.and_then(|millis| millis.parse().ok()).and_then(DateTime::from_timestamp_millis);
        // Where it does not say until when, it is for as long as was asked for.
        Ok(Channel { resource: resource_id, until: until.unwrap_or_else(|| self.clock.now() + WATCH_LASTS) })
    }

    /// Has Google tell nothing any more on a channel. One that is over already is.
    pub(super) async fn unwatch(&self, id: &str, resource: &str) -> Result<(), Fault> {
        let mut url: Url = self.settings.url.parse().map_err(|_| Fault::Garbled("an address"))?;
        url.path_segments_mut()
            .map_err(|()| Fault::Garbled("an address"))?
            .pop_if_empty()
            .extend(["channels", "stop"]);
        let body = json!({"id": id, "resourceId": resource});
        let answer = self.ask(&Method::POST, url, None, Some(&body)).await?;
        match answer.status {
            200 | 204 | 404 => Ok(()),
            _ => Err(fault(&answer)),
        }
    }

    pub(super) async fn put(
        &self,
        id: &str,
        etag: Option<&str>,
        event: &calendar::Event,
    ) -> Result<Option<String>, Fault> {
        let body = body_of(id, event);
        if etag.is_none() {
            let answer = self.ask(&Method::POST, self.events.clone(), None, Some(&body)).await?;
            match answer.status {
                200 | 201 => return etag_of(&answer),
                // The id was used: of one that was deleted it stays so, and the event comes back by being changed.
                409 => {}
                _ => return Err(fault(&answer)),
            }
        }
        let answer = self.ask(&Method::PATCH, self.at(id)?, etag, Some(&body)).await?;
        match answer.status {
            200 => etag_of(&answer),
            404 | 410 => Err(Fault::Changed),
            _ => Err(fault(&answer)),
        }
    }

    pub(super) async fn delete(&self, id: &str) -> Result<(), Fault> {
        let answer = self.ask(&Method::DELETE, self.at(id)?, None, None).await?;
        match answer.status {
            200 | 204 | 404 | 410 => Ok(()),
            _ => Err(fault(&answer)),
        }
    }

    fn at(&self, id: &str) -> Result<Url, Fault> {
        let mut url = self.events.clone();
        url.path_segments_mut().map_err(|()| Fault::Garbled("an address"))?.push(id);
        Ok(url)
    }

    /// Asks, with another access token if the one that there is does not count any more.
    async fn ask(
        &self,
        method: &Method,
        url: Url,
        etag: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Whole, Fault> {
        let request = |token: &str| -> RequestBuilder {
            let mut request = self.http.request(method.clone(), url.clone()).bearer_auth(token);
            if let Some(etag) = etag.filter(|etag| !etag.is_empty()) {
                request = request.header("if-match", etag);
            }
            match body {
                Some(body) => request.header("content-type", "application/json").body(body.to_string()),
                None => request,
            }
        };
        let answer = whole(request(&self.access(false).await?)).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        whole(request(&self.access(true).await?)).await
    }

    /// An access token (RFC 6749 §6): the one that there is, or a new one.
    async fn access(&self, is_refused: bool) -> Result<String, Fault> {
        let mut access = self.access.lock().await;
        let now = self.clock.now();
        if let Some(access) = access.as_ref().filter(|access| !is_refused && access.until > now) {
            return Ok(access.token.clone());
        }
        let secret = self.secrets.read_text(&self.settings.client_secret)?;
        let refresh = self.secrets.read_text(&self.settings.refresh_token)?;
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", self.settings.client_id.as_str()),
            ("client_secret", secret.as_str()),
            ("refresh_token", refresh.as_str()),
        ];
        let answer = whole(self.http.post(&self.settings.token_url).form(&form)).await?;
        if answer.status != 200 {
            return Err(token_fault(&answer));
        }
        let TokenAnswer { access_token, expires_in } = json(&answer.body, "its access token")?;
        let until = now + TimeDelta::seconds(expires_in.clamp(0, 86_400)) - SPARE;
        *access = Some(Access { token: access_token.clone(), until });
        Ok(access_token)
    }
}

/// An event of ours as Google has it: when, and nothing else of it.
fn body_of(id: &str, event: &calendar::Event) -> Value {
    let time =
        |instant: DateTime<Utc>| json!({"dateTime": instant.to_rfc3339_opts(SecondsFormat::Secs, true)});
    let status = match event.status {
        Status::Confirmed => "confirmed",
        Status::Tentative => "tentative",
        Status::Cancelled => "cancelled",
    };
    json!({
        "id": id, "summary": event.summary, "visibility": "private", "transparency": "opaque", "status": status,
        "start": time(event.starts_at), "end": time(event.ends_at), "sequence": event.sequence,
        "extendedProperties": {"private": {OURS: event.uid}},
    })
}

fn etag_of(answer: &Whole) -> Result<Option<String>, Fault> {
    let item: Item = json(&answer.body, "its event")?;
    Ok(item.etag)
}

fn json<T: DeserializeOwned>(body: &[u8], what: &'static str) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|_| Fault::Garbled(what))
}

/// Google says by a reason what a 403 is about.
fn fault(answer: &Whole) -> Fault {
    let reasons = serde_json::from_slice::<ErrorAnswer>(&answer.body).map(|answer| answer.error.errors);
    let reasons = reasons.unwrap_or_default();
    let is_about = |reason: &str| reasons.iter().any(|said| said.reason == reason);
    match answer.status {
        403 if ["rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"].into_iter().any(is_about) => {
            Fault::NotNow(403, answer.retry_after)
        }
        403 => Fault::Unauthorized("403"),
        _ => answer.fault(),
    }
}

/// What an OAuth server says of a refresh token that was revoked, or of a client that is none any more (RFC 6749 §5.2).
fn token_fault(answer: &Whole) -> Fault {
    let error =
        serde_json::from_slice::<TokenError>(&answer.body).map(|answer| answer.error).unwrap_or_default();
    match error.as_str() {
        "invalid_grant" => Fault::Unauthorized("invalid_grant"),
        "invalid_client" => Fault::Unauthorized("invalid_client"),
        "unauthorized_client" => Fault::Unauthorized("unauthorized_client"),
        _ => answer.fault(),
    }
}
