//! What is offered to who waits for it, as they are told of it.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;

use super::*;
use crate::reminders::{STARTS, clinic};
use notification::domain::visit::Visit;

/// Tells of an offer that ends then.
async fn offer(stack: &Arc<TestStack>, event: &str, until: &str) {
    of_offer(stack, event, "offered", (0, until, STARTS)).await;
}

/// Tells what became of an offer of this time, which ends then, as of the entry's version.
async fn of_offer(
    stack: &Arc<TestStack>,
    event: &str,
    what: &str,
    (version, until, starts_at): (i64, &str, &str),
) {
    let event = json!({
        "id": event, "occurredAt": "2026-01-15T09:00:00Z", "type": format!("waitlist.{what}.v1"),
        "data": {"waitlistId": "wait_1", "version": version, "patientId": "12345", "providerId": "prov001", "until": until,
            "offered": {"startsAt": starts_at, "durationMinutes": 30, "timeZone": "Europe/Berlin"}},
    });
    let _ = call(stack, Role::Service, Method::POST, "/internal/events", Some(&event.to_string()))
        .await
        .expect(200);
}

async fn wish(stack: &Arc<TestStack>, wish: &str) {
    let path = "/api/notifications/preferences/12345";
    let _ = call(stack, Role::Receptionist, Method::PUT, path, Some(wish)).await.expect(200);
}

/// To whom, where it stands and why.
async fn told(stack: &Arc<TestStack>) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let items = listed(stack, "type=waitlist&patientId=12345").await;
    items.iter().map(|item| [&item["to"], &item["status"], &item["error"]].map(text).join(" ")).collect()
}

async fn until_told(stack: &Arc<TestStack>, expected: &[&str]) {
    let mut last = Vec::new();
    for _ in 0..2_400 {
        last = told(stack).await;
        if last == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(last, expected);
}

testkit::stack_tests! { services = [patient::SERVICE, provider::SERVICE, notification::SERVICE];
    async fn whom_something_is_offered_is_told_once_what_and_until_when(stack: Arc<TestStack>) {
        clinic(&stack).await;
        offer(&stack, "evt_1", "2026-01-15T09:30:00Z").await;
        offer(&stack, "evt_2", "2026-01-15T09:30:00Z").await;
        assert_eq!(told(&stack).await, ["johndoe@example.com Sent -"]);
        let item = &listed(&stack, "type=waitlist").await[0];
        let text = "An appointment that you wait for is free on Tuesday, January 20, 2026 at 10:00 AM (Europe/Berlin) with Dr. Jane Doe. \
                    It is held for you until 10:30 AM. Please tell the clinic whether you take it.";
        assert_eq!((&item["body"], &item["appointmentId"]), (&json!(text), &Value::Null));
        // Offered again later, it is told again.
        stack.clock.advance(TimeDelta::hours(1));
        offer(&stack, "evt_3", "2026-01-15T10:30:00Z").await;
        assert_eq!(told(&stack).await.len(), 2);
    }

    async fn an_offer_that_has_ended_is_told_to_nobody(stack: Arc<TestStack>) {
        clinic(&stack).await;
        offer(&stack, "evt_1", "2026-01-15T08:30:00Z").await;
        assert!(told(&stack).await.is_empty());
        // It is ten in the morning in Berlin: the offer ends in quiet hours.
        wish(&stack, r#"{"quietHours": {"from": "09:00", "to": "11:00"}, "language": "de"}"#).await;
        offer(&stack, "evt_2", "2026-01-15T09:30:00Z").await;
        assert_eq!(told(&stack).await, ["johndoe@example.com Scheduled -"]);
        stack.clock.advance(TimeDelta::minutes(30));
        until_told(&stack, &["johndoe@example.com Withdrawn Its time has passed."]).await;
    }

    async fn what_is_told_after_quiet_hours_is_what_still_stands(stack: Arc<TestStack>) {
        clinic(&stack).await;
        wish(&stack, r#"{"quietHours": {"from": "09:00", "to": "10:15"}, "language": "de"}"#).await;
        offer(&stack, "evt_1", "2026-01-15T09:30:00Z").await;
        assert_eq!(told(&stack).await, ["johndoe@example.com Scheduled -"]);
        stack.clock.advance(TimeDelta::minutes(15));
        until_told(&stack, &["johndoe@example.com Sent -"]).await;
        let body = listed(&stack, "type=waitlist").await[0]["body"].as_str().unwrap().to_owned();
        assert!(body.contains("bis 10:30 Uhr für Sie reserviert"), "{body}");
    }

    async fn who_took_it_or_does_not_wish_it_is_not_told(stack: Arc<TestStack>) {
        clinic(&stack).await;
        wish(&stack, r#"{"quietHours": {"from": "09:00", "to": "10:15"}}"#).await;
        offer(&stack, "evt_1", "2026-01-15T09:30:00Z").await;
        let _ = crate::reminders::tell(&stack, "booked", 1, STARTS).await;
        assert_eq!(told(&stack).await, ["johndoe@example.com Withdrawn The offer was taken."]);
        wish(&stack, r#"{"optOuts": [{"type": "change"}]}"#).await;
        offer(&stack, "evt_2", "2026-01-15T09:40:00Z").await;
        assert_eq!(told(&stack).await.len(), 1);
    }

    async fn what_is_not_open_any_more_after_quiet_hours_is_not_told(stack: Arc<TestStack>) {
        clinic(&stack).await;
        wish(&stack, r#"{"quietHours": {"from": "09:00", "to": "10:15"}}"#).await;
        let (until, over) = ("2026-01-15T09:30:00Z", "johndoe@example.com Withdrawn The offer is not open any more.");
        of_offer(&stack, "evt_1", "offered", (2, until, STARTS)).await;
        assert_eq!(told(&stack).await, ["johndoe@example.com Scheduled -"]);
        of_offer(&stack, "evt_2", "offer-ended", (3, until, STARTS)).await;
        assert_eq!(told(&stack).await, [over]);
        // Another time, which is held for less long, is told; that the first one ended, heard of once more, does not end it.
        let (sooner, until_then) = ("2026-01-15T09:20:00Z", "2026-01-15T09:20:00Z");
        of_offer(&stack, "evt_3", "offered", (4, until_then, sooner)).await;
        of_offer(&stack, "evt_4", "offer-ended", (3, until, STARTS)).await;
        assert_eq!(told(&stack).await, ["johndoe@example.com Scheduled -", over]);
        // One that ended before anybody heard of it is not told at all.
        of_offer(&stack, "evt_6", "offer-ended", (6, "2026-01-15T09:40:00Z", STARTS)).await;
        of_offer(&stack, "evt_5", "offered", (5, "2026-01-15T09:40:00Z", STARTS)).await;
        stack.clock.advance(TimeDelta::minutes(15));
        until_told(&stack, &["johndoe@example.com Sent -", over]).await;
    }

    async fn whoever_reads_all_that_was_noted_can_read_offers_too(stack: Arc<TestStack>) {
        clinic(&stack).await;
        of_offer(&stack, "evt_1", "offered", (2, "2026-01-15T09:30:00Z", STARTS)).await;
        let _ = crate::reminders::tell(&stack, "booked", 1, "2026-01-21T09:00:00Z").await;
        let db = stack.database(ServiceName::NotificationService).db();
        let mut tx = db.read().await.unwrap();
        let all = db::sql!("select appointment_id, patient_id, body from told_appointment order by appointment_id");
        let rows: Vec<(String, String, Vec<u8>)> = db::on!(tx, |conn| sqlx::query_as(all).fetch_all(conn).await).unwrap();
        let mut noted = Vec::new();
        for (name, patient, body) in &rows {
            let place = db::Place { table: "told_appointment", column: "body", row: name };
            let visit: Visit = db.vault().open_json(&db::Subject::Patient(patient), place, body).await.unwrap();
            noted.push(format!("{name} {} {}", visit.id, visit.version));
        }
        assert_eq!(noted, ["apt001 apt001 1", "offer:wait_1 wait_1 2"]);
    }

    async fn an_offer_that_does_not_arrive_goes_no_other_way_once_it_is_not_open(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let until = "2026-01-15T09:30:00Z";
        of_offer(&stack, "evt_1", "offered", (2, until, STARTS)).await;
        of_offer(&stack, "evt_2", "offered", (4, "2026-01-15T09:40:00Z", "2026-01-21T09:00:00Z")).await;
        of_offer(&stack, "evt_3", "offer-ended", (5, until, STARTS)).await;
        assert_eq!(told(&stack).await, ["johndoe@example.com Sent -"; 2]);
        let db = stack.database(ServiceName::NotificationService).db();
        let mut tx = db.read().await.unwrap();
        let now = tx.now();
        let worth = db::sql!("select count(*) from notification where kind = 'waitlist' and send_until > $1");
        let worth: i64 = db::on!(tx, |conn| sqlx::query_scalar(worth).bind(now).fetch_one(conn).await).unwrap();
        assert_eq!(worth, 1);
    }

    async fn what_staff_write_of_the_waitlist_is_in_nobodys_way(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let written = r#"{"to": "johndoe@example.com", "subject": "x", "body": "y", "type": "waitlist", "patientId": "12345"}"#;
        let _ = send(&stack, "email", written).await.expect(201);
        let db = stack.database(ServiceName::NotificationService).db();
        let mut tx = db.begin().await.unwrap();
        // Its server takes it later.
        let queued = "update notification set status = 'Queued', sent_at = null, next_attempt_at = expires_at";
        db::on!(tx, |conn| sqlx::query(queued).execute(conn).await.map(drop)).unwrap();
        tx.commit().await.unwrap();
        let _ = crate::reminders::tell(&stack, "booked", 1, STARTS).await;
        assert_eq!(told(&stack).await, ["johndoe@example.com Queued -"]);
    }

    async fn of_an_erased_patient_no_offer_is_told(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let erased = r#"{"id": "evt_9", "occurredAt": "2026-01-15T09:00:00Z", "type": "patient.erased.v1", "data": {"patientId": "12345"}}"#;
        let _ = call(&stack, Role::Service, Method::POST, "/internal/events", Some(erased)).await.expect(200);
        offer(&stack, "evt_1", "2026-01-15T09:30:00Z").await;
        assert!(listed(&stack, "type=waitlist").await.is_empty());
    }
}

testkit::stack_tests! { services = [patient::SERVICE, provider::SERVICE, appointment::SERVICE, notification::SERVICE];
    async fn who_declines_in_quiet_hours_is_not_told_of_it_afterwards(stack: Arc<TestStack>) {
        clinic(&stack).await;
        wish(&stack, r#"{"quietHours": {"from": "09:00", "to": "10:15"}}"#).await;
        let service = ServiceName::AppointmentService;
        let ask = async |method, path: &str, body: Option<Value>| {
            let body = body.map(|body| body.to_string());
            stack.call(service, Role::Receptionist, method, path, body.as_deref()).await
        };
        let hours = json!({"availability": [{"day": "Tuesday", "slots": ["10:00-11:00"]}]}).to_string();
        let provider = ServiceName::ProviderService;
        let _ = stack.call(provider, Role::Admin, Method::PUT, "/api/providers/prov001", Some(&hours)).await.expect(200);
        for (id, time) in [("apt001", "10:00"), ("apt002", "10:30")] {
            let body = json!({"appointmentId": id, "patientId": "12345", "providerId": "prov001", "appointmentDate": "2026-01-20", "timeSlot": time});
            let _ = ask(Method::POST, "/api/appointments", Some(body)).await.expect(201);
        }
        let entry = json!({"patientId": "12345", "providerId": "prov001", "from": "2026-01-20", "to": "2026-01-20"});
        let entry = ask(Method::POST, "/api/appointments/waitlist", Some(entry)).await.expect(201).json();
        let path = format!("/api/appointments/waitlist/{}", entry["waitlistId"].as_str().unwrap());
        let _ = ask(Method::DELETE, "/api/appointments/apt001", None).await.expect(200);
        until_told(&stack, &["johndoe@example.com Scheduled -"]).await;
        let _ = ask(Method::POST, &format!("{path}/decline"), None).await.expect(200);
        until_told(&stack, &["johndoe@example.com Withdrawn The offer is not open any more."]).await;
    }
}
