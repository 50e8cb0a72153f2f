//! Invitations by mail, as calendar programs take them in: at a real mail server, and read by somebody else's reader.

use icalendar::{Component, EventStatus};
use settings::{MailSettings, MailTls};
use testkit::SmtpServer;
use testkit::smtp::{Mail, Part, free_port};

use super::reminders::{STARTS, clinic};
use super::*;

const SERVICES: &[http_kit::Service] =
    &[patient::SERVICE, provider::SERVICE, appointment::SERVICE, notification::SERVICE];
const UID: &str = "0b1d0c2e-6f3a-8b1c-9d2e-3f4a5b6c7d8e";

fn server(port: u16, from: &str) -> MailSettings {
    MailSettings {
        host: "127.0.0.1".to_owned(),
        port,
        tls: MailTls::None,
        from: from.to_owned(),
        username: None,
        password: None,
        dkim: None,
    }
}

fn run<T>(engine: db::Engine, test: fn(Arc<TestStack>, [u16; 2]) -> T)
where
    T: Future<Output = ()> + Send + 'static,
{
    let ports = [free_port(), free_port()];
    let settings = |settings: &mut settings::ServiceSettings| {
        let integrations = &mut settings.integrations;
        integrations.mail = Some(server(ports[0], "Clinic Müller <no-reply@clinic.example>"));
        integrations.mail_fallback = vec![server(ports[1], "relay@clinic.example")];
    };
    testkit::stack::run_with(engine, SERVICES, settings, move |stack| test(stack, ports));
}

/// Each test on both engines, with ports for two mail servers.
macro_rules! invitation_tests {
    ($(async fn $name:ident($stack:ident: Arc<TestStack>, $ports:ident: [u16; 2]) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn test($stack: Arc<TestStack>, $ports: [u16; 2]) $body

            #[test]
            fn sqlite() {
                run(db::Engine::Sqlite, test);
            }

            #[test]
            fn postgres() {
                run(db::Engine::Postgres, test);
            }
        }
    )*};
}

/// Tells what happened to the appointment apt001, of which this is the version.
pub(crate) async fn tell(stack: &Arc<TestStack>, what: &str, version: i64, also: Value) {
    let mut planned = serde_json::json!({
        "version": version, "startsAt": STARTS, "durationMinutes": 30, "timeZone": "Europe/Berlin", "status": "Scheduled",
        "isOpen": what != "cancelled", "hasConflict": what == "changed", "calendarUid": UID,
    });
    let mut data =
        serde_json::json!({"appointmentId": "apt001", "patientId": "12345", "providerId": "prov001"});
    for (name, value) in also.as_object().unwrap() {
        let to = if name == "providerId" { &mut data } else { &mut planned };
        to[name] = value.clone();
    }
    data["planned"] = planned;
    let event = serde_json::json!({
        "id": format!("evt_{what}_{version}"), "occurredAt": "2026-01-15T09:00:00Z", "type": format!("appointment.{what}.v1"), "data": data,
    });
    let _ = call(stack, Role::Service, Method::POST, "/internal/events", Some(&event.to_string()))
        .await
        .expect(200);
}

/// What somebody got, once it is this many, the oldest first.
async fn got(server: &SmtpServer, who: &str, count: usize) -> Vec<Mail> {
    let theirs = || -> Vec<Mail> { server.mails().into_iter().filter(|mail| mail.to == [who]).collect() };
    for _ in 0..2_400 {
        if theirs().len() >= count {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    let theirs = theirs();
    assert_eq!(theirs.len(), count, "{:?}", theirs.iter().map(|mail| &mail.raw).collect::<Vec<_>>());
    theirs
}

/// The part for calendar programs.
fn part(mail: &Mail) -> &Part {
    assert!(mail.header("content-type").starts_with("multipart/alternative"), "{}", mail.raw);
    let types: Vec<_> = mail.parts.iter().map(|part| part.media_type.as_str()).collect();
    assert_eq!(types, ["text/plain", "text/calendar"]);
    &mail.parts[1]
}

/// What the part asks for, twice the same; and its event.
fn invited(mail: &Mail) -> (String, icalendar::Event) {
    let part = part(mail);
    let calendar: icalendar::Calendar = part.body.parse().unwrap();
    let method = calendar.property_value("METHOD").unwrap().to_owned();
    assert_eq!(part.parameters["method"], method);
    let events: Vec<_> = calendar.events().collect();
    assert_eq!(events.len(), 1);
    (method, events[0].clone())
}

/// What it asks for, of which, in which version, and whether that takes place.
fn said(mail: &Mail) -> (String, String, u32, EventStatus) {
    let (method, event) = invited(mail);
    let status = event.get_status().unwrap();
    (method, event.get_uid().unwrap().to_owned(), event.get_sequence().unwrap(), status)
}

fn request(uid: &str, sequence: u32) -> (String, String, u32, EventStatus) {
    ("REQUEST".to_owned(), uid.to_owned(), sequence, EventStatus::Confirmed)
}

fn cancel(uid: &str, sequence: u32) -> (String, String, u32, EventStatus) {
    ("CANCEL".to_owned(), uid.to_owned(), sequence, EventStatus::Cancelled)
}

async fn appointments(stack: &Arc<TestStack>, method: Method, path: &str, body: Option<Value>) -> Reply {
    let (service, path) = (ServiceName::AppointmentService, format!("/api/appointments{path}"));
    let body = body.map(|body| body.to_string());
    stack.call(service, Role::Receptionist, method, &path, body.as_deref()).await
}

/// The feed of the provider, as it is now: the UID of its only appointment, and its SEQUENCE.
async fn in_feed(stack: &Arc<TestStack>, url: &str) -> (String, u32) {
    let request = stack.request(ServiceName::AppointmentService, Method::GET, url);
    let feed: icalendar::Calendar = testkit::stack::send(request).await.expect(200).text.parse().unwrap();
    let event = feed.events().next().unwrap();
    (event.get_uid().unwrap().to_owned(), event.get_sequence().unwrap())
}

invitation_tests! {
    async fn from_booking_to_cancellation_it_is_one_event_and_the_feeds(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        clinic(&stack).await;
        let visit = serde_json::json!({
            "appointmentId": "apt001", "patientId": "12345", "providerId": "prov001", "appointmentDate": "2026-01-20", "timeSlot": "10:00",
            "reason": "Knee pain",
        });
        let _ = appointments(&stack, Method::POST, "", Some(visit)).await.expect(201);
        let _ = got(&server, "johndoe@example.com", 1).await;
        let feed = appointments(&stack, Method::POST, "/feeds", Some(serde_json::json!({"providerId": "prov001"}))).await.expect(201).json();
        let feed = feed["url"].as_str().unwrap();
        let (uid, booked) = in_feed(&stack, feed).await;
        let to_eleven = serde_json::json!({"timeSlot": "11:00"});
        let _ = appointments(&stack, Method::PUT, "/apt001", Some(to_eleven)).await.expect(200);
        let _ = got(&server, "johndoe@example.com", 2).await;
        let moved = in_feed(&stack, feed).await;
        let _ = appointments(&stack, Method::DELETE, "/apt001", None).await.expect(200);
        let cancelled = in_feed(&stack, feed).await;
        assert!(booked < moved.1 && moved.1 < cancelled.1 && moved.0 == uid && cancelled.0 == uid);

        let mails = got(&server, "johndoe@example.com", 3).await;
        assert_eq!(mails.iter().map(said).collect::<Vec<_>>(), [request(&uid, booked), request(&uid, moved.1), cancel(&uid, cancelled.1)]);
        let hours: Vec<_> = mails.iter().map(|mail| invited(mail).1.property_value("DTSTART").unwrap().to_owned()).collect();
        assert_eq!(hours, ["20260120T090000Z", "20260120T100000Z", "20260120T100000Z"]);
        for mail in &mails {
            for told in ["Knee", "apt001", "12345", "prov001", "Jane", "Cardiology"] {
                assert!(!part(mail).body.contains(told), "{told} in {}", part(mail).body);
            }
        }
        let providers = server.mails().into_iter().filter(|mail| mail.to == ["janedoe@example.com"] && mail.parts.len() == 2);
        assert!(providers.map(|mail| said(&mail).1).all(|theirs| theirs == uid));
    }

    async fn an_invitation_is_what_programs_take_in(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        clinic(&stack).await;
        tell(&stack, "booked", 1, serde_json::json!({})).await;
        let mail = &got(&server, "johndoe@example.com", 1).await[0];
        assert!(mail.body.contains("Tuesday, January 20, 2026 at 10:00 AM"), "{}", mail.body);
        assert_eq!(part(mail).parameters["charset"], "utf-8");
        let unfolded = part(mail).body.replace("\r\n", "\n").replace("\n ", "");
        let lines: Vec<_> = unfolded.lines().collect();
        assert_eq!(lines, [
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "PRODID:-//Healthcare Stack//Calendar//EN",
            "CALSCALE:GREGORIAN",
            "METHOD:REQUEST",
            "BEGIN:VEVENT",
            "UID:0b1d0c2e-6f3a-8b1c-9d2e-3f4a5b6c7d8e",
            "SEQUENCE:0",
            "DTSTAMP:20260115T090000Z",
            "LAST-MODIFIED:20260115T090000Z",
            "DTSTART:20260120T090000Z",
            "DTEND:20260120T093000Z",
            "STATUS:CONFIRMED",
            "SUMMARY:Appointment",
            "CLASS:PRIVATE",
            "ORGANIZER;CN=\"Clinic Müller\":mailto:no-reply@clinic.example",
            "ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED;RSVP=FALSE:mailto:johndoe@example.com",
            "END:VEVENT",
            "END:VCALENDAR",
        ]);
        // Neither of the two learns the other's address by it.
        let theirs = &got(&server, "janedoe@example.com", 1).await[0];
        assert!(!theirs.raw.contains("johndoe") && !mail.raw.contains("janedoe"));
    }

    async fn what_came_late_or_twice_takes_nothing_back(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        clinic(&stack).await;
        tell(&stack, "cancelled", 3, serde_json::json!({})).await;
        tell(&stack, "rescheduled", 2, serde_json::json!({})).await;
        tell(&stack, "booked", 1, serde_json::json!({})).await;
        tell(&stack, "cancelled", 3, serde_json::json!({})).await;
        // Mail that comes after it says that there is no more before.
        let _ = send(&stack, "email", MAIL).await.expect(201);
        let mails = got(&server, "johndoe@example.com", 2).await;
        assert_eq!(said(&mails[0]), cancel(UID, 2));
        assert_eq!(mails[1].parts.len(), 1);
    }

    async fn who_is_no_longer_asked_is_told_so_but_not_in_a_mailbox_that_keeps_it(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        clinic(&stack).await;
        for (id, email) in [("prov002", "other@example.com"), ("prov003", "Other@example.com")] {
            let body = serde_json::json!({"providerId": id, "name": "Dr. Other", "specialization": "Cardiology", "contactInfo": {"email": email}});
            let (service, path) = (ServiceName::ProviderService, "/api/providers");
            let _ = stack.call(service, Role::Admin, Method::POST, path, Some(&body.to_string())).await.expect(201);
        }
        tell(&stack, "booked", 1, serde_json::json!({})).await;
        let _ = got(&server, "janedoe@example.com", 1).await;
        tell(&stack, "rescheduled", 2, serde_json::json!({"providerId": "prov002", "formerProviderId": "prov001"})).await;
        let former = got(&server, "janedoe@example.com", 2).await;
        assert_eq!(former.iter().map(said).collect::<Vec<_>>(), [request(UID, 0), cancel(UID, 1)]);
        assert_eq!(said(&got(&server, "other@example.com", 1).await[0]), request(UID, 1));
        // To a colleague at the same mailbox, whose calendar keeps it.
        tell(&stack, "rescheduled", 3, serde_json::json!({"providerId": "prov003", "formerProviderId": "prov002"})).await;
        assert_eq!(said(&got(&server, "Other@example.com", 1).await[0]), request(UID, 2));
        let shared = got(&server, "other@example.com", 2).await;
        assert_eq!(shared[1].parts.len(), 1);
    }

    async fn what_changes_no_calendar_goes_without(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        clinic(&stack).await;
        // From an appointment service of the version before this one.
        tell(&stack, "booked", 1, serde_json::json!({"calendarUid": null})).await;
        let _ = got(&server, "johndoe@example.com", 1).await;
        tell(&stack, "changed", 2, serde_json::json!({})).await;
        let mails = got(&server, "johndoe@example.com", 2).await;
        assert!(mails.iter().all(|mail| mail.parts.len() == 1 && mail.header("content-type").starts_with("text/plain")));
    }

    async fn who_organizes_stays_the_same_when_another_server_is_asked(stack: Arc<TestStack>, ports: [u16; 2]) {
        let second = SmtpServer::start(ports[1]);
        clinic(&stack).await;
        tell(&stack, "booked", 1, serde_json::json!({})).await;
        let mail = &got(&second, "johndoe@example.com", 1).await[0];
        assert_eq!(mail.header("from"), "relay@clinic.example");
        let (_, event) = invited(mail);
        let organizer = &event.properties()["ORGANIZER"];
        assert_eq!(organizer.value(), "mailto:no-reply@clinic.example");
        assert_eq!(organizer.params()["SENT-BY"].value(), "mailto:relay@clinic.example");
    }
}
