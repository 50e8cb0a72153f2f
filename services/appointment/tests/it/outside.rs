//! Appointments and a calendar outside, kept in step both ways: with a real Radicale, and with servers that answer anything.

use appointment::jobs::outside::calendars_settle;
use appointment::store::outside::calendars_kept;
use appointment::store::outside_event::{OutsideEvent, event_keep, events_known};
use appointment::store::state::changes;
use appointment::store::waitlist::freed_next;
use chrono::TimeDelta;
use contracts::id::ProviderId;
use settings::{CalDavSettings, CalendarSettings, SecretRef, ServiceSettings};
use testkit::Radicale;
use testkit::contents::held;
use testkit::patients::erase;
use testkit::smtp::free_port;

use super::*;

const SERVICES: &[http_kit::Service] = &[appointment::SERVICE, patient::SERVICE, provider::SERVICE];
pub(crate) const CALENDARS: &str = "/api/appointments/calendars";
const PASSWORD: &str = "correct horse";

/// A calendar of the provider's on this port.
pub(crate) fn caldav(port: u16) -> CalendarSettings {
    CalendarSettings {
        name: "work".to_owned(),
        provider_id: Some("prov001".to_owned()),
        poll_seconds: 60,
        caldav: Some(CalDavSettings {
            url: Radicale::url(port),
            username: "clinic".to_owned(),
            password: SecretRef { secret: "caldav".to_owned(), key: "password".to_owned() },
        }),
        google: None,
    }
}

/// A stack that is kept in step with this.
pub(crate) fn run_with<T>(
    engine: db::Engine,
    calendar: &CalendarSettings,
    test: impl FnOnce(Arc<TestStack>) -> T,
) where
    T: Future<Output = ()> + Send + 'static,
{
    let settings = |settings: &mut ServiceSettings| {
        settings.integrations.calendars = vec![calendar.clone()];
        settings.integrations.public_url = Some("https://clinic.example/".to_owned());
    };
    testkit::stack::run_with(engine, SERVICES, settings, test);
}

/// Each test on both engines, with a port for its calendar server.
macro_rules! calendar_tests {
    ($(async fn $name:ident($stack:ident: Arc<TestStack>, $port:ident: u16) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn test($stack: Arc<TestStack>, $port: u16) $body

            fn run(engine: db::Engine) {
                let port = free_port();
                run_with(engine, &caldav(port), move |stack| test(stack, port));
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

fn knows_password(stack: &Arc<TestStack>, password: &str) {
    let _ = stack.secret(ServiceName::AppointmentService, "caldav", "password", password.as_bytes());
}

async fn server(stack: &Arc<TestStack>, port: u16) -> Radicale {
    let server = Radicale::start(port, PASSWORD).await;
    knows_password(stack, PASSWORD);
    server
}

pub(crate) async fn standing(stack: &Arc<TestStack>) -> Value {
    call(stack, Role::Admin, Method::GET, CALENDARS, None).await.expect(200).json()["items"][0].clone()
}

/// Later, when the calendar was looked at: how it stands, once that is so.
pub(crate) async fn look(stack: &Arc<TestStack>, state: &str) -> Value {
    // Longer than anybody waits who has failed.
    stack.clock.advance(TimeDelta::minutes(20));
    let now = stack.clock.now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    for _ in 0..300 {
        let standing = standing(stack).await;
        let is_looked_at = state != "Ok" || standing["lastSyncAt"] == now.as_str();
        if standing["state"] == state && is_looked_at {
            return standing;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{state}, {now}: {}", standing(stack).await);
}

/// A line of a text: what stands behind a name.
fn line<'a>(text: &'a str, name: &str) -> &'a str {
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found.unwrap_or_else(|| panic!("{name}: {text}")).trim()
}

/// The name of our only event there, and its text.
async fn ours(server: &Radicale) -> (String, String) {
    let uid = line(&server.text().await, "UID").to_owned();
    let name = format!("{uid}.ics");
    let text = server.call(Method::GET, &name, None).await.expect(200).text;
    (name, text)
}

/// What a program makes of an event when its owner drags it elsewhere.
async fn drag(server: &Radicale, from: &str, to: [&str; 2]) {
    let (name, text) = ours(server).await;
    assert!(text.contains(&format!("DTSTART:{from}")), "{text}");
    let ends = line(&text, "DTEND").to_owned();
    let text = text.replace(&format!("DTSTART:{from}"), &format!("DTSTART:{}", to[0]));
    let text = text.replace(&format!("DTEND:{ends}"), &format!("DTEND:{}", to[1]));
    let put = server.call(Method::PUT, &name, Some(&text.replace("\r\n", "\n"))).await;
    assert!(put.status < 300, "{} {}", put.status, put.text);
}

fn event(uid: &str, lines: &str) -> String {
    format!(
        "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//EN\nBEGIN:VEVENT\nUID:{uid}\nDTSTAMP:20260101T000000Z\nSUMMARY:Quetzalcoatl\n{lines}\nEND:VEVENT\nEND:VCALENDAR\n"
    )
}

async fn enter(server: &Radicale, uid: &str, lines: &str) {
    let put = server.call(Method::PUT, &format!("{uid}.ics"), Some(&event(uid, lines))).await;
    assert!(put.status < 300, "{} {}", put.status, put.text);
}

async fn free(stack: &Arc<TestStack>, day: &str) -> Vec<String> {
    let path = format!("/api/providers/prov001/slots?from={day}&to={day}&durationMinutes=60");
    slots_in(&call(stack, Role::Admin, Method::GET, &path, None).await.expect(200).json()["items"])
}

async fn history(stack: &Arc<TestStack>, id: &str) -> Vec<String> {
    let path = format!("/api/appointments/{id}/history");
    let items = call(stack, Role::Admin, Method::GET, &path, None).await.expect(200).json()["items"].clone();
    let text =
        |item: &Value| format!("{} by {}", item["action"].as_str().unwrap(), item["by"].as_str().unwrap());
    items.as_array().unwrap().iter().map(text).collect()
}

calendar_tests! {
    async fn what_is_booked_moved_and_cancelled_here_is_so_there(stack: Arc<TestStack>, port: u16) {
        clinic(&stack).await;
        provider(&stack, "prov002").await;
        let server = server(&stack, port).await;
        let mut visit = at("apt-visible", "12345", "prov001", "10:00");
        visit["reason"] = json!("Knee pain");
        let _ = book(&stack, Role::Admin, &visit).await.expect(201);
        let _ = book(&stack, Role::Admin, &at("elsewhere", "12345", "prov002", "14:00")).await.expect(201);
        assert_eq!(standing(&stack).await["pending"], 1);
        let standing = look(&stack, "Ok").await;
        assert_eq!((&standing["pending"], &standing["error"], &standing["kind"]), (&json!(0), &Value::Null, &json!("CalDAV")));
        let (name, text) = ours(&server).await;
        for expected in ["DTSTART:20260119T090000Z", "DTEND:20260119T093000Z", "SUMMARY:Appointment", "CLASS:PRIVATE", "SEQUENCE:0", "STATUS:CONFIRMED"] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        for word in ["12345", "prov001", "apt-visible", "Knee", "John", "Jane", "Cardiology"] {
            assert!(!server.text().await.contains(word), "{word}");
        }
        assert_eq!(server.text().await.matches("BEGIN:VEVENT").count(), 1);

        let _ = put(&stack, Role::Admin, "apt-visible", &json!({"timeSlot": "11:00"})).await.expect(200);
        look(&stack, "Ok").await;
        let (moved_name, moved) = ours(&server).await;
        assert_eq!((moved_name, line(&moved, "DTSTART"), line(&moved, "SEQUENCE")), (name, "20260119T100000Z", "1"));
        let _ = cancel(&stack, "apt-visible").await.expect(200);
        look(&stack, "Ok").await;
        assert!(!server.text().await.contains("BEGIN:VEVENT"));
        // With another provider it is not there any more, and one who comes to this provider is.
        let _ = put(&stack, Role::Admin, "elsewhere", &json!({"providerId": "prov001"})).await.expect(200);
        look(&stack, "Ok").await;
        assert_eq!(line(&server.text().await, "DTSTART"), "20260119T130000Z");
        erase(&stack, "12345", ServiceName::AppointmentService).await;
        look(&stack, "Ok").await;
        assert!(!server.text().await.contains("BEGIN:VEVENT"));
    }

    async fn what_is_moved_there_is_moved_here_and_then_nothing_more(stack: Arc<TestStack>, port: u16) {
        clinic(&stack).await;
        let server = server(&stack, port).await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        look(&stack, "Ok").await;
        drag(&server, "20260119T090000Z", ["20260119T100000Z", "20260119T104500Z"]).await;
        look(&stack, "Ok").await;
        let moved = get(&stack, "apt1").await.expect(200);
        let body = moved.json();
        assert_eq!((&body["timeSlot"], &body["durationMinutes"], &body["status"]), (&json!("11:00"), &json!(45), &json!("Rescheduled")));
        assert_eq!(history(&stack, "apt1").await, ["Created by usr_admin", "Rescheduled by calendar:work"]);
        let (_, text) = ours(&server).await;
        assert_eq!((line(&text, "DTSTART"), line(&text, "SEQUENCE")), ("20260119T100000Z", "1"));
        // What was written here is no change there, nor the other way round; nor is what only its owner sees.
        let titled = text.replace("SUMMARY:Appointment", "SUMMARY:Mine").replace("\r\n", "\n");
        let name = format!("{}.ics", line(&text, "UID"));
        assert!(server.call(Method::PUT, &name, Some(&titled)).await.status < 300);
        let there = server.call(Method::GET, &name, None).await;
        for _ in 0..3 {
            look(&stack, "Ok").await;
        }
        assert_eq!(server.call(Method::GET, &name, None).await.header("etag"), there.header("etag"));
        assert_eq!(get(&stack, "apt1").await.header("etag"), moved.header("etag"));
    }

    async fn what_cannot_be_moved_and_what_is_deleted_there_stands_here_and_somebody_is_told(stack: Arc<TestStack>, port: u16) {
        clinic(&stack).await;
        patient(&stack, "67890").await;
        let server = server(&stack, port).await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        look(&stack, "Ok").await;
        let _ = book(&stack, Role::Admin, &at("other", "67890", "prov001", "11:00")).await.expect(201);
        // Before the other one is there, somebody drags the first one over it.
        drag(&server, "20260119T090000Z", ["20260119T101500Z", "20260119T104500Z"]).await;
        look(&stack, "Ok").await;
        let body = get(&stack, "apt1").await.expect(200).json();
        assert_eq!((&body["timeSlot"], &body["conflict"]), (&json!("10:00"), &json!("OutsideMove")));
        assert_eq!(history(&stack, "apt1").await, ["Created by usr_admin", "ConflictRaised by calendar:work"]);
        assert!(server.text().await.contains("DTSTART:20260119T090000Z"));
        let _ = put(&stack, Role::Admin, "apt1", &json!({"timeSlot": "09:00"})).await.expect(200);
        assert_eq!(get(&stack, "apt1").await.json()["conflict"], Value::Null);

        let _ = cancel(&stack, "other").await.expect(200);
        look(&stack, "Ok").await;
        let (name, _) = ours(&server).await;
        assert!(server.call(Method::DELETE, &name, None).await.status < 300);
        look(&stack, "Ok").await;
        let body = get(&stack, "apt1").await.expect(200).json();
        assert_eq!((&body["status"], &body["conflict"]), (&json!("Rescheduled"), &json!("OutsideDeletion")));
        assert_eq!(ours(&server).await.0, name);
        let _ = cancel(&stack, "apt1").await.expect(200);
        look(&stack, "Ok").await;
        assert!(!server.text().await.contains("BEGIN:VEVENT"));
    }

    async fn nobody_is_booked_when_the_provider_is_busy_elsewhere(stack: Arc<TestStack>, port: u16) {
        clinic(&stack).await;
        let server = server(&stack, port).await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "14:30")).await.expect(201);
        enter(&server, "weekly", "DTSTART;TZID=Europe/Berlin:20260112T140000\nDURATION:PT1H\nRRULE:FREQ=WEEKLY").await;
        enter(&server, "day", "DTSTART;VALUE=DATE:20260121").await;
        enter(&server, "nothing", "DTSTART:20260119T080000Z\nDTEND:20260119T110000Z\nTRANSP:TRANSPARENT").await;
        look(&stack, "Ok").await;
        let monday = |times: &[&str]| -> Vec<String> { times.iter().map(|time| format!("{MONDAY} {time}")).collect() };
        assert_eq!(free(&stack, MONDAY).await, monday(&["09:00", "10:00", "11:00", "15:00", "16:00"]));
        assert!(free(&stack, "2026-01-21").await.is_empty());
        // The week in which the clocks are set forward it is at two, too.
        assert!(!free(&stack, "2026-03-30").await.contains(&"2026-03-30 14:00".to_owned()));
        let refused = book(&stack, Role::Admin, &at("apt2", "12345", "prov001", "14:00")).await.expect(409);
        assert_eq!(refused.json()["code"], "appointment-overlap");
        let _ = book(&stack, Role::Admin, &at("apt2", "12345", "prov001", "09:00")).await.expect(201);
        let _ = put(&stack, Role::Admin, "apt2", &json!({"timeSlot": "13:45"})).await.expect(409);
        assert_eq!(get(&stack, "apt1").await.json()["conflict"], "OutsideEvent");
        for (place, content) in stack.database(ServiceName::AppointmentService).contents() {
            assert_eq!(held(&content, &["quetzalcoatl", "weekly.ics"]), Vec::<&str>::new(), "{place}");
        }
        let gone = server.call(Method::DELETE, "weekly.ics", None).await;
        assert!(gone.status < 300);
        look(&stack, "Ok").await;
        assert_eq!(get(&stack, "apt1").await.json()["conflict"], Value::Null);
        assert_eq!(history(&stack, "apt1").await, ["Created by usr_admin", "ConflictRaised by calendar:work", "Updated by calendar:work"]);
        let _ = put(&stack, Role::Admin, "apt2", &json!({"timeSlot": "13:45"})).await.expect(200);
    }

    async fn who_waits_is_offered_what_becomes_free_there_and_who_listens_is_told(stack: Arc<TestStack>, port: u16) {
        clinic(&stack).await;
        let server = server(&stack, port).await;
        let change = async || {
            let db = stack.database(ServiceName::AppointmentService).db();
            changes(&mut db.read().await.unwrap(), &ProviderId::parse("prov001").unwrap()).await.unwrap()
        };
        let before = change().await;
        enter(&server, "day", "DTSTART;VALUE=DATE:20260119").await;
        look(&stack, "Ok").await;
        assert!(free(&stack, MONDAY).await.is_empty());
        let busy = change().await;
        assert!(busy > before, "{busy}");
        // What is known already is no news.
        look(&stack, "Ok").await;
        assert_eq!(change().await, busy);
        let list = "/api/appointments/waitlist";
        let body = json!({"patientId": "12345", "providerId": "prov001", "from": MONDAY, "to": MONDAY}).to_string();
        let _ = call(&stack, Role::Admin, Method::POST, list, Some(&body)).await.expect(201);
        // It has been looked whether there is a time already: there is none.
        let is_looked = async || freed_next(&mut stack.database(ServiceName::AppointmentService).db().read().await.unwrap()).await.unwrap().is_none();
        until(is_looked).await;
        assert!(server.call(Method::DELETE, "day.ics", None).await.status < 300);
        look(&stack, "Ok").await;
        assert!(change().await > busy);
        until(|| async { call(&stack, Role::Admin, Method::GET, list, None).await.json()["items"][0]["status"] == "Offered" }).await;
    }

    async fn with_a_calendar_that_is_taken_out_of_the_settings_go_the_conflicts_that_its_events_made(stack: Arc<TestStack>, port: u16) {
        clinic(&stack).await;
        let server = server(&stack, port).await;
        for (id, time) in [("apt1", "14:30"), ("apt2", "15:30"), ("apt3", "09:00")] {
            let _ = book(&stack, Role::Admin, &at(id, "12345", "prov001", time)).await.expect(201);
        }
        enter(&server, "meeting", "DTSTART;TZID=Europe/Berlin:20260119T140000\nDURATION:PT3H").await;
        look(&stack, "Ok").await;
        for (id, conflict) in [("apt1", json!("OutsideEvent")), ("apt2", json!("OutsideEvent")), ("apt3", Value::Null)] {
            assert_eq!(get(&stack, id).await.json()["conflict"], conflict, "{id}");
        }
        let keep = r#"{"resolution": "keep"}"#;
        let _ = call(&stack, Role::Admin, Method::POST, "/api/appointments/apt2/conflict", Some(keep)).await.expect(200);
        let db = stack.database(ServiceName::AppointmentService).db();
        let calendars = calendars_kept(&mut db.read().await.unwrap()).await.unwrap();
        calendars_settle(db, &[]).await.unwrap();
        assert_eq!(get(&stack, "apt1").await.json()["conflict"], Value::Null);
        assert_eq!(history(&stack, "apt1").await, ["Created by usr_admin", "ConflictRaised by calendar:work", "Updated by calendar:work"]);
        assert_eq!(history(&stack, "apt3").await, ["Created by usr_admin"]);
        let listed = call(&stack, Role::Admin, Method::GET, "/api/appointments/conflicts", None).await.expect(200).json();
        assert_eq!(listed["items"], json!([]));
        assert!(free(&stack, MONDAY).await.contains(&format!("{MONDAY} 16:00")));
        // What was kept for an event that is gone is news when there is another.
        calendars_settle(db, &calendars).await.unwrap();
        look(&stack, "Ok").await;
        for id in ["apt1", "apt2"] {
            assert_eq!(get(&stack, id).await.json()["conflict"], "OutsideEvent", "{id}");
        }
    }

    async fn who_comes_after_a_worker_that_was_killed_knows_what_it_wrote(stack: Arc<TestStack>, port: u16) {
        clinic(&stack).await;
        let server = server(&stack, port).await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        look(&stack, "Ok").await;
        // Now what changes is told since then, and what was written here is no news any more.
        look(&stack, "Ok").await;
        let version = get(&stack, "apt1").await.header("etag").to_owned();
        let db = stack.database(ServiceName::AppointmentService).db();
        // Killed after the event was written there, and before that was noted.
        let mut tx = db.read().await.unwrap();
        let known = events_known(&mut tx, "work").await.unwrap();
        drop(tx);
        let event = known.into_values().next().unwrap();
        let mut tx = db.begin().await.unwrap();
        event_keep(&mut tx, "work", &OutsideEvent { etag: None, version: 0, ..event }).await.unwrap();
        tx.commit().await.unwrap();
        // It is found when it is written again: then all is looked at.
        let _ = put(&stack, Role::Admin, "apt1", &json!({"reason": "Knee"})).await.expect(200);
        assert_eq!(look(&stack, "Ok").await["pending"], 1);
        assert_eq!(look(&stack, "Ok").await["pending"], 0);
        // All that was known is lost; meanwhile the appointment is moved.
        let calendars = calendars_kept(&mut db.read().await.unwrap()).await.unwrap();
        calendars_settle(db, &[]).await.unwrap();
        let _ = put(&stack, Role::Admin, "apt1", &json!({"timeSlot": "11:00"})).await.expect(200);
        calendars_settle(db, &calendars).await.unwrap();
        assert_eq!(look(&stack, "Ok").await["pending"], 0);
        assert_eq!((server.text().await.matches("BEGIN:VEVENT").count(), line(&server.text().await, "DTSTART")), (1, "20260119T100000Z"));
        let kept = get(&stack, "apt1").await;
        assert_eq!((kept.json()["conflict"].clone(), kept.json()["timeSlot"].clone()), (Value::Null, json!("11:00")));
        assert_eq!(history(&stack, "apt1").await, ["Created by usr_admin", "Updated by usr_admin", "Rescheduled by usr_admin"]);
        assert_eq!((version.as_str(), kept.header("etag")), ("\"v1\"", "\"v3\""));
    }

    async fn an_outage_delays_and_loses_nothing_and_a_revoked_credential_is_shown_as_such(stack: Arc<TestStack>, port: u16) {
        clinic(&stack).await;
        let mut server = server(&stack, port).await;
        for (id, time) in [("apt1", "09:00"), ("apt2", "09:30")] {
            let _ = book(&stack, Role::Admin, &at(id, "12345", "prov001", time)).await.expect(201);
        }
        look(&stack, "Ok").await;
        server.stop();
        let _ = cancel(&stack, "apt1").await.expect(200);
        let _ = put(&stack, Role::Admin, "apt2", &json!({"timeSlot": "10:00"})).await.expect(200);
        let _ = book(&stack, Role::Admin, &at("apt3", "12345", "prov001", "11:00")).await.expect(201);
        let standing = look(&stack, "Unreachable").await;
        assert_eq!((&standing["pending"], &standing["error"]), (&json!(3), &json!("The calendar's server does not answer.")));
        server.go_on().await;
        assert_eq!(look(&stack, "Ok").await["pending"], 0);
        let mut starts: Vec<_> = server.text().await.lines().filter_map(|line| line.strip_prefix("DTSTART:").map(str::to_owned)).collect();
        starts.sort();
        assert_eq!(starts, ["20260119T090000Z", "20260119T100000Z"]);

        server.set_password("another");
        let _ = cancel(&stack, "apt3").await.expect(200);
        let standing = look(&stack, "CredentialRevoked").await;
        assert_eq!(standing["pending"], 1);
        assert!(!standing.to_string().contains(PASSWORD));
        knows_password(&stack, "another");
        assert_eq!(look(&stack, "Ok").await["pending"], 0);
        assert_eq!(server.text().await.matches("BEGIN:VEVENT").count(), 1);
    }
}
