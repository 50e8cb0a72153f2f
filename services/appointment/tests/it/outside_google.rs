//! A Google calendar, by a fake that keeps to the shapes and errors that Google documents (Calendar API v3: `events` list, insert, patch, delete, "Synchronize
//! resources efficiently", "Handle API errors"; OAuth 2.0 token endpoint).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use chrono::TimeDelta;
use settings::{CalendarSettings, GoogleCalendarSettings, SecretRef};

use super::outside::{look, run_with, standing};
use super::*;

const CALENDAR: &str = "dr.doe@example.com";

/// A calendar at Google.
#[derive(Default)]
pub(crate) struct Google {
    /// Events by id, with the number of the change that made each what it is.
    events: BTreeMap<String, (u64, Value)>,
    changes: u64,
    /// Sync tokens from before are not taken any more.
    expired_before: u64,
    /// The refresh token was revoked.
    is_revoked: bool,
    /// So many calls are refused for their rate.
    limited: u32,
    access_token: u32,
    pub(crate) asked: Vec<String>,
    /// Channels, as they were asked for, that tell of changes.
    pub(crate) channels: Vec<Value>,
    /// What whoever asks for a channel is told instead.
    pub(crate) no_channels: Option<(u16, &'static str)>,
    /// When channels end.
    pub(crate) channels_end: i64,
}

pub(crate) type Fake = Arc<Mutex<Google>>;

pub(crate) fn within(fake: &Fake) -> std::sync::MutexGuard<'_, Google> {
    fake.lock().unwrap_or_else(PoisonError::into_inner)
}

fn error(status: u16, reason: &str) -> Response {
    let body = json!({"error": {"errors": [{"domain": "global", "reason": reason, "message": "Quetzalcoatl"}], "code": status, "message": "Quetzalcoatl"}});
    answer(status, &body)
}

fn answer(status: u16, body: &Value) -> Response {
    let headers = [("content-type", "application/json; charset=UTF-8")];
    (StatusCode::from_u16(status).unwrap(), headers, body.to_string()).into_response()
}

impl Google {
    /// What every call is refused for, if it is.
    fn refuse(&mut self, headers: &HeaderMap, call: String) -> Option<Response> {
        self.asked.push(call);
        let bearer = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if bearer != format!("Bearer access-{}", self.access_token) {
            return Some(error(401, "authError"));
        }
        if self.limited > 0 {
            self.limited -= 1;
            return Some(error(403, "rateLimitExceeded"));
        }
        None
    }

    /// Writes an event as somebody would.
    pub(crate) fn write(&mut self, id: &str, changes: &Value) -> Value {
        self.changes += 1;
        let (at, event) = self
            .events
            .entry(id.to_owned())
            .or_insert((0, json!({"kind": "calendar#event", "id": id, "status": "confirmed"})));
        *at = self.changes;
        for (name, value) in changes.as_object().unwrap() {
            event[name] = value.clone();
        }
        event["etag"] = json!(format!("\"{}\"", self.changes));
        event.clone()
    }

    pub(crate) fn there(&self) -> Vec<&Value> {
        self.events.values().map(|(_, event)| event).filter(|event| event["status"] != "cancelled").collect()
    }
}

async fn token(State(fake): State<Fake>, body: String) -> Response {
    let mut google = within(&fake);
    for part in
        ["grant_type=refresh_token", "refresh_token=granted", "client_id=client", "client_secret=secret"]
    {
        assert!(body.contains(part), "{body}");
    }
    if google.is_revoked {
        let body =
            json!({"error": "invalid_grant", "error_description": "Token has been expired or revoked."});
        return answer(400, &body);
    }
    google.access_token += 1;
    let token = format!("access-{}", google.access_token);
    answer(
        200,
        &json!({"access_token": token, "expires_in": 3599, "scope": "calendar", "token_type": "Bearer"}),
    )
}

async fn list(State(fake): State<Fake>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let url: reqwest::Url = format!("http://fake/?{}", query.unwrap_or_default()).parse().unwrap();
    let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    let mut google = within(&fake);
    let since = query.get("syncToken").map(|token| token.parse::<u64>().unwrap());
    if let Some(refused) =
        google.refuse(&headers, format!("list {}", if since.is_some() { "changes" } else { "all" }))
    {
        return refused;
    }
    assert_eq!((query["singleEvents"].as_str(), query["showDeleted"].as_str()), ("true", "true"));
    if since.is_some_and(|since| since < google.expired_before) {
        return error(410, "fullSyncRequired");
    }
    // A token and a range together are a bad request.
    assert!(since.is_none() || !query.contains_key("timeMin"));
    let items: Vec<_> = google
        .events
        .values()
        .filter(|(at, _)| since.is_none_or(|since| *at > since))
        .map(|(_, event)| event.clone())
        .collect();
    // One a page.
    let page: usize = query.get("pageToken").map_or(0, |page| page.parse().unwrap());
    let mut said =
        json!({"kind": "calendar#events", "items": items.iter().skip(page).take(1).collect::<Vec<_>>()});
    if page + 1 < items.len() {
        said["nextPageToken"] = json!((page + 1).to_string());
    } else {
        said["nextSyncToken"] = json!(google.changes.to_string());
    }
    answer(200, &said)
}

async fn insert(State(fake): State<Fake>, headers: HeaderMap, body: String) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap();
    let mut google = within(&fake);
    if let Some(refused) = google.refuse(&headers, "insert".to_owned()) {
        return refused;
    }
    let id = body["id"].as_str().unwrap();
    assert!(id.len() >= 5 && id.bytes().all(|byte| matches!(byte, b'a'..=b'v' | b'0'..=b'9')), "{id}");
    if google.events.contains_key(id) {
        return error(409, "duplicate");
    }
    answer(200, &google.write(id, &body))
}

async fn change(
    State(fake): State<Fake>,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap();
    let mut google = within(&fake);
    if let Some(refused) = google.refuse(&headers, "patch".to_owned()) {
        return refused;
    }
    let Some((_, event)) = google.events.get(&id) else { return error(404, "notFound") };
    if headers.get("if-match").is_some_and(|etag| etag.to_str().unwrap() != event["etag"]) {
        return error(412, "conditionNotMet");
    }
    answer(200, &google.write(&id, &body))
}

async fn delete(
    State(fake): State<Fake>,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let mut google = within(&fake);
    if let Some(refused) = google.refuse(&headers, "delete".to_owned()) {
        return refused;
    }
    match google.events.get(&id).map(|(_, event)| event["status"].clone()) {
        None => error(404, "notFound"),
        Some(status) if status == "cancelled" => error(410, "deleted"),
        Some(_) => {
            google.write(&id, &json!({"status": "cancelled"}));
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

async fn watch(State(fake): State<Fake>, headers: HeaderMap, body: String) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap();
    let mut google = within(&fake);
    if let Some(refused) = google.refuse(&headers, "watch".to_owned()) {
        return refused;
    }
    if let Some((status, reason)) = google.no_channels {
        return error(status, reason);
    }
    assert_eq!((&body["type"], &body["params"]), (&json!("web_hook"), &json!({"ttl": "604800"})));
    let id = body["id"].clone();
    google.channels.push(body);
    let channel = json!({
        "kind": "api#channel", "id": id, "resourceId": "o3hgv1538sdjfh", "expiration": google.channels_end.to_string(),
        "resourceUri": "https://www.googleapis.com/calendar/v3/calendars/events",
    });
    answer(200, &channel)
}

async fn stop(State(fake): State<Fake>, headers: HeaderMap, body: String) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap();
    let mut google = within(&fake);
    if let Some(refused) = google.refuse(&headers, "stop".to_owned()) {
        return refused;
    }
    assert_eq!(body["resourceId"], "o3hgv1538sdjfh");
    google.channels.retain(|channel| channel["id"] != body["id"]);
    StatusCode::NO_CONTENT.into_response()
}

pub(crate) async fn google(stack: &Arc<TestStack>, port: u16) -> Fake {
    let channels_end = (stack.clock.now() + TimeDelta::days(7)).timestamp_millis();
    let fake = Fake::new(Mutex::new(Google { channels_end, ..Google::default() }));
    let events = "/calendar/v3/calendars/{calendar}/events";
    let router = Router::new()
        .route("/token", post(token))
        .route("/calendar/v3/calendars/{calendar}/events/watch", post(watch))
        .route("/calendar/v3/channels/stop", post(stop))
        .route(events, get(list).post(insert))
        .route("/calendar/v3/calendars/{calendar}/events/{event}", patch(change).delete(delete))
        .with_state(Arc::clone(&fake));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    for (key, value) in [("client-secret", "secret"), ("refresh-token", "granted")] {
        let _ = stack.secret(ServiceName::AppointmentService, "google", key, value.as_bytes());
    }
    fake
}

pub(crate) fn settings(port: u16) -> CalendarSettings {
    let secret = |key: &str| SecretRef { secret: "google".to_owned(), key: key.to_owned() };
    CalendarSettings {
        name: "work".to_owned(),
        provider_id: Some("prov001".to_owned()),
        poll_seconds: 60,
        caldav: None,
        google: Some(GoogleCalendarSettings {
            calendar_id: CALENDAR.to_owned(),
            client_id: "client".to_owned(),
            client_secret: secret("client-secret"),
            refresh_token: secret("refresh-token"),
            url: format!("http://127.0.0.1:{port}/calendar/v3"),
            token_url: format!("http://127.0.0.1:{port}/token"),
        }),
    }
}

/// Each test on both engines, with a port for Google.
macro_rules! google_tests {
    ($(async fn $name:ident($stack:ident: Arc<TestStack>, $fake:ident: Fake) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn test($stack: Arc<TestStack>, $fake: Fake) $body

            fn run(engine: db::Engine) {
                let port = testkit::smtp::free_port();
                run_with(engine, &settings(port), move |stack| async move {
                    clinic(&stack).await;
                    let fake = google(&stack, port).await;
                    test(stack, fake).await;
                });
            }

            #[test]
            fn sqlite() {
                run(db::Engine::Sqlite);
            }

            #[test]
            fn postgres() {
                run(db::Engine::Postgres);
            }
        }
    )*};
}

pub(crate) use google_tests;

pub(crate) fn when(time: &str) -> Value {
    json!({"dateTime": format!("2026-01-19T{time}:00+01:00"), "timeZone": "Europe/Berlin"})
}

google_tests! {
    async fn appointments_and_a_google_calendar_follow_each_other(stack: Arc<TestStack>, fake: Fake) {
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        assert_eq!(look(&stack, "Ok").await["kind"], "Google");
        let (id, event) = {
            let google = within(&fake);
            let event = google.there()[0].clone();
            (event["id"].as_str().unwrap().to_owned(), event)
        };
        assert_eq!((&event["summary"], &event["visibility"], &event["start"]["dateTime"]), (&json!("Appointment"), &json!("private"), &json!("2026-01-19T09:00:00Z")));
        let uid = event["extendedProperties"]["private"]["healthcareStackUid"].as_str().unwrap().to_owned();
        assert_eq!(uid.replace('-', ""), id);
        for word in ["12345", "prov001", "apt1"] {
            assert!(!event.to_string().contains(word), "{word}");
        }
        // Moved here, then there.
        let _ = put(&stack, Role::Admin, "apt1", &json!({"timeSlot": "11:00"})).await.expect(200);
        look(&stack, "Ok").await;
        assert_eq!(within(&fake).there()[0]["start"]["dateTime"], "2026-01-19T10:00:00Z");
        within(&fake).write(&id, &json!({"start": when("09:00"), "end": when("09:30")}));
        look(&stack, "Ok").await;
        let moved = call(&stack, Role::Admin, Method::GET, "/api/appointments/apt1", None).await.expect(200);
        assert_eq!((&moved.json()["timeSlot"], &moved.json()["status"]), (&json!("09:00"), &json!("Rescheduled")));
        // What was written here is no change there.
        let asked = within(&fake).asked.len();
        look(&stack, "Ok").await;
        assert_eq!(within(&fake).asked[asked..], ["list changes"]);
        // Deleted there it comes back, although its id is used; cancelled here it goes.
        within(&fake).write(&id, &json!({"status": "cancelled"}));
        look(&stack, "Ok").await;
        assert_eq!(call(&stack, Role::Admin, Method::GET, "/api/appointments/apt1", None).await.json()["conflict"], "OutsideDeletion");
        assert_eq!(within(&fake).there().len(), 1);
        let _ = cancel(&stack, "apt1").await.expect(200);
        look(&stack, "Ok").await;
        assert!(within(&fake).there().is_empty());
    }

    async fn nobody_is_booked_over_what_stands_at_google(stack: Arc<TestStack>, fake: Fake) {
        {
            let mut google = within(&fake);
            google.write("lunch1", &json!({"summary": "Quetzalcoatl", "start": when("10:00"), "end": when("11:00")}));
            google.write("free01", &json!({"transparency": "transparent", "start": when("09:00"), "end": when("12:00")}));
            google.write("allday", &json!({"start": {"date": "2026-01-21"}, "end": {"date": "2026-01-22"}}));
        }
        look(&stack, "Ok").await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:30")).await.expect(409);
        let mut wednesday = at("apt1", "12345", "prov001", "10:30");
        wednesday["appointmentDate"] = json!("2026-01-21");
        let _ = book(&stack, Role::Admin, &wednesday).await.expect(409);
        within(&fake).write("lunch1", &json!({"status": "cancelled"}));
        look(&stack, "Ok").await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:30")).await.expect(201);
        // Its token is too old: all of it is read again, and what went meanwhile is gone.
        {
            let mut google = within(&fake);
            google.expired_before = u64::MAX;
            google.events.remove("allday");
        }
        look(&stack, "Ok").await;
        let asked = within(&fake).asked.clone();
        let last: Vec<_> = asked.iter().rev().take_while(|asked| *asked != "list changes").cloned().collect();
        assert!(last.contains(&"list all".to_owned()), "{asked:?}");
        let _ = put(&stack, Role::Admin, "apt1", &json!({"appointmentDate": "2026-01-21"})).await.expect(200);
    }

    async fn whoever_asks_too_often_waits_and_a_revoked_grant_is_shown_as_such(stack: Arc<TestStack>, fake: Fake) {
        look(&stack, "Ok").await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        within(&fake).limited = 1;
        let limited = look(&stack, "Unreachable").await;
        assert_eq!((&limited["error"], &limited["pending"]), (&json!("The calendar's server does not serve us now (403)."), &json!(1)));
        assert_eq!(look(&stack, "Ok").await["pending"], 0);
        let _ = put(&stack, Role::Admin, "apt1", &json!({"timeSlot": "11:00"})).await.expect(200);
        // The owner takes the grant back: no token counts any more.
        {
            let mut google = within(&fake);
            google.is_revoked = true;
            google.access_token += 1;
        }
        let revoked = look(&stack, "CredentialRevoked").await;
        assert_eq!((&revoked["error"], &revoked["pending"]), (&json!("The calendar's server does not take our credentials any more (invalid_grant)."), &json!(1)));
        within(&fake).is_revoked = false;
        look(&stack, "Ok").await;
        assert_eq!((standing(&stack).await["pending"].clone(), within(&fake).there()[0]["start"]["dateTime"].clone()), (json!(0), json!("2026-01-19T10:00:00Z")));
    }
}
