//! Appointments as the two who meet are told of them: at once, and before they begin.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;

use super::*;

pub(crate) const STARTS: &str = "2026-01-20T09:00:00Z";

/// A patient and a provider, both with mail and phone.
pub(crate) async fn clinic(stack: &Arc<TestStack>) {
    let contact = |name: &str| json!({"email": format!("{name}@example.com"), "phone": "+1234567890"});
    let patient = json!({"patientId": "12345", "name": "John Doe", "dob": "1980-01-01", "contactInfo": contact("johndoe")});
    let provider = json!({
        "providerId": "prov001", "name": "Dr. Jane Doe", "specialization": "Cardiology", "contactInfo": contact("janedoe"),
    });
    for (service, path, body) in [
        (ServiceName::PatientService, "/api/patients", patient),
        (ServiceName::ProviderService, "/api/providers", provider),
    ] {
        let _ =
            stack.call(service, Role::Admin, Method::POST, path, Some(&body.to_string())).await.expect(201);
    }
}

/// Tells what happened to the appointment apt001, of which this is the version.
pub(crate) async fn tell(stack: &Arc<TestStack>, what: &str, version: i64, starts_at: &str) -> Reply {
    let planned = json!({
        "version": version, "startsAt": starts_at, "durationMinutes": 30, "timeZone": "Europe/Berlin",
        "status": "Scheduled", "isOpen": what != "cancelled" && what != "missed", "hasConflict": what == "conflicting",
        "somethingNew": true,
    });
    let name = match what {
        "conflicting" | "confirmed" | "missed" => "changed",
        what => what,
    };
    let event = json!({
        "id": format!("evt_{what}_{version}"), "occurredAt": "2026-01-15T09:00:00Z", "type": format!("appointment.{name}.v1"),
        "data": {"appointmentId": "apt001", "patientId": "12345", "providerId": "prov001", "planned": planned},
    });
    call(stack, Role::Service, Method::POST, "/internal/events", Some(&event.to_string())).await.expect(200)
}

/// Each that tells of the appointment, oldest first: type, to whom, where it stands and when it is sent.
pub(crate) async fn told(stack: &Arc<TestStack>, query: &str) -> Vec<String> {
    let mut told: Vec<_> = listed(stack, &format!("appointmentId=apt001{query}")).await;
    told.sort_by_key(|item| (item["sendAt"].to_string(), item["type"].to_string(), item["to"].to_string()));
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    told.iter()
        .map(|item| [&item["type"], &item["to"], &item["status"], &item["sendAt"]].map(text).join(" "))
        .collect()
}

/// Waits until this is so.
pub(crate) async fn until_told(stack: &Arc<TestStack>, query: &str, expected: &[&str]) {
    let mut last = Vec::new();
    for _ in 0..2_400 {
        last = told(stack, query).await;
        if last == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(last, expected);
}

testkit::stack_tests! { services = [patient::SERVICE, provider::SERVICE, notification::SERVICE];
    async fn both_are_told_of_a_booking_and_reminded_a_day_and_two_hours_before(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = tell(&stack, "booked", 1, STARTS).await;
        assert_eq!(told(&stack, "").await, [
            "creation janedoe@example.com Sent 2026-01-15T09:00:00Z",
            "creation johndoe@example.com Sent 2026-01-15T09:00:00Z",
            "reminder janedoe@example.com Scheduled 2026-01-19T09:00:00Z",
            "reminder johndoe@example.com Scheduled 2026-01-19T09:00:00Z",
            "reminder janedoe@example.com Scheduled 2026-01-20T07:00:00Z",
            "reminder johndoe@example.com Scheduled 2026-01-20T07:00:00Z",
        ]);
        let creation = &listed(&stack, "type=creation&to=johndoe@example.com").await[0];
        let text = "An appointment was booked for Tuesday, January 20, 2026 at 10:00 AM (Europe/Berlin) with Dr. Jane Doe.";
        assert_eq!((&creation["body"], &creation["appointmentId"], &creation["channel"]), (&json!(text), &json!("apt001"), &json!("Email")));
        let reminder = &listed(&stack, "status=Scheduled&type=reminder&patientId=12345").await[0];
        let read = get(&stack, &format!("/api/notifications/{}", reminder["notificationId"].as_str().unwrap())).await.expect(200).json();
        assert_eq!(&read, reminder);
        assert!(!reminder.to_string().contains("John"), "{reminder}");

        stack.clock.advance(TimeDelta::days(4));
        until_told(&stack, "&to=johndoe@example.com&type=reminder", &[
            "reminder johndoe@example.com Sent 2026-01-19T09:00:00Z",
            "reminder johndoe@example.com Scheduled 2026-01-20T07:00:00Z",
        ]).await;
        // The id is the one it was planned under.
        let sent = listed(&stack, "status=Sent&type=reminder&to=johndoe@example.com").await;
        let ids: Vec<_> = listed(&stack, "type=reminder&to=johndoe@example.com").await.iter().map(|item| item["notificationId"].clone()).collect();
        assert!(ids.contains(&sent[0]["notificationId"]));
    }

    async fn a_move_moves_the_reminders_and_a_cancellation_withdraws_them(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = tell(&stack, "booked", 1, STARTS).await;
        let _ = tell(&stack, "rescheduled", 2, "2026-01-21T09:00:00Z").await;
        assert_eq!(told(&stack, "&status=Scheduled&to=johndoe@example.com").await, [
            "reminder johndoe@example.com Scheduled 2026-01-20T09:00:00Z",
            "reminder johndoe@example.com Scheduled 2026-01-21T07:00:00Z",
        ]);
        assert_eq!(told(&stack, "&type=change").await.len(), 2);
        // To the old time and back: nothing of what was withdrawn stands in the way.
        let _ = tell(&stack, "rescheduled", 3, STARTS).await;
        assert_eq!(told(&stack, "&status=Scheduled").await.len(), 4);
        let _ = tell(&stack, "confirmed", 4, STARTS).await;
        assert_eq!(told(&stack, "&status=Scheduled").await.len(), 4);
        let _ = tell(&stack, "cancelled", 5, STARTS).await;
        assert!(told(&stack, "&status=Scheduled").await.is_empty());
        assert_eq!(told(&stack, "&type=cancellation&status=Sent").await.len(), 2);
        stack.clock.advance(TimeDelta::days(7));
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(told(&stack, "&type=reminder&status=Sent").await.is_empty());
    }

    async fn events_out_of_order_and_twice_leave_what_is_newest(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = tell(&stack, "cancelled", 3, STARTS).await;
        let _ = tell(&stack, "rescheduled", 2, "2026-01-21T09:00:00Z").await;
        for _ in 0..2 {
            let _ = tell(&stack, "booked", 1, STARTS).await;
        }
        assert_eq!(told(&stack, "").await, [
            "cancellation janedoe@example.com Sent 2026-01-15T09:00:00Z",
            "cancellation johndoe@example.com Sent 2026-01-15T09:00:00Z",
        ]);
    }

    async fn of_the_past_nobody_is_told_and_of_what_is_near_nobody_is_reminded_late(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = tell(&stack, "booked", 1, "2026-01-15T08:00:00Z").await;
        assert!(told(&stack, "").await.is_empty());
        let _ = tell(&stack, "rescheduled", 2, "2026-01-15T12:00:00Z").await;
        assert_eq!(told(&stack, "&type=reminder&to=johndoe@example.com").await, ["reminder johndoe@example.com Scheduled 2026-01-15T10:00:00Z"]);
    }

    async fn what_an_outage_made_late_is_dropped_and_the_last_reminder_goes_out_alone(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = tell(&stack, "booked", 1, STARTS).await;
        // Nothing ran from before the first reminder until an hour after the second was due.
        stack.clock.advance(TimeDelta::days(4) + TimeDelta::hours(23));
        until_told(&stack, "&type=reminder&to=johndoe@example.com", &[
            "reminder johndoe@example.com Withdrawn 2026-01-19T09:00:00Z",
            "reminder johndoe@example.com Sent 2026-01-20T07:00:00Z",
        ]).await;
        let _ = tell(&stack, "rescheduled", 2, "2026-01-22T09:00:00Z").await;
        stack.clock.advance(TimeDelta::days(3));
        until_told(&stack, "&type=reminder&to=johndoe@example.com&status=Withdrawn", &[
            "reminder johndoe@example.com Withdrawn 2026-01-19T09:00:00Z",
            "reminder johndoe@example.com Withdrawn 2026-01-21T09:00:00Z",
            "reminder johndoe@example.com Withdrawn 2026-01-22T07:00:00Z",
        ]).await;
    }

    async fn a_reminder_goes_to_the_address_that_is_known_when_it_is_sent(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = tell(&stack, "booked", 1, STARTS).await;
        let moved = r#"{"contactInfo": {"email": "new@example.com"}}"#;
        let _ = stack.call(ServiceName::PatientService, Role::Admin, Method::PUT, "/api/patients/12345", Some(moved)).await.expect(200);
        stack.clock.advance(TimeDelta::days(4));
        until_told(&stack, "&to=new@example.com", &["reminder new@example.com Sent 2026-01-19T09:00:00Z"]).await;
    }

    async fn what_is_to_be_resolved_both_are_told_and_reminded_of_when_it_is(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = tell(&stack, "booked", 1, STARTS).await;
        let _ = tell(&stack, "conflicting", 2, STARTS).await;
        assert_eq!(told(&stack, "&type=conflict&status=Sent").await.len(), 2);
        assert!(told(&stack, "&status=Scheduled").await.is_empty());
        let _ = tell(&stack, "confirmed", 3, STARTS).await;
        assert_eq!(told(&stack, "&status=Scheduled").await.len(), 4);
        let _ = tell(&stack, "missed", 4, STARTS).await;
        assert!(told(&stack, "&status=Scheduled").await.is_empty());
    }

    async fn of_an_erased_patient_nothing_is_planned_any_more(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = tell(&stack, "booked", 1, STARTS).await;
        let erased = r#"{"id": "evt_9", "occurredAt": "2026-01-15T09:00:00Z", "type": "patient.erased.v1", "data": {"patientId": "12345"}}"#;
        let _ = call(&stack, Role::Service, Method::POST, "/internal/events", Some(erased)).await.expect(200);
        let _ = tell(&stack, "rescheduled", 2, "2026-01-21T09:00:00Z").await;
        assert!(listed(&stack, "").await.is_empty());
    }

    async fn two_that_make_ready_at_once_send_each_once(stack: Arc<TestStack>) {
        use notification::store::due::{Due, Ready, scheduled_claim, scheduled_note};

        clinic(&stack).await;
        let _ = tell(&stack, "booked", 1, STARTS).await;
        let test = stack.database(ServiceName::NotificationService);
        // Another instance, whose clock is ahead.
        let db = test.db();
        test.clock().advance(TimeDelta::days(4));
        let due = scheduled_claim(db, 16).await.unwrap();
        assert_eq!(due.len(), 2);
        assert!(scheduled_claim(db, 16).await.unwrap().is_empty());
        // Whoever claimed them died: a minute later somebody else does, and what the dead one notes counts no more.
        test.clock().advance(TimeDelta::seconds(60));
        let again = scheduled_claim(db, 16).await.unwrap();
        let ids = |due: &[Due]| due.iter().map(|due| due.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&again), ids(&due));
        let mut tx = db.begin().await.unwrap();
        let send = Ready::Send(due[0].channel, due[0].waiting.content.clone());
        assert!(scheduled_note(&mut tx, db, &[(&due[0], &send, true)]).await.unwrap().is_empty());
        tx.rollback().await.unwrap();
        // Cancelled while it is being made ready: it is not sent.
        let _ = tell(&stack, "cancelled", 2, STARTS).await;
        let mut tx = db.begin().await.unwrap();
        for due in &again {
            let send = Ready::Send(due.channel, due.waiting.content.clone());
            assert!(scheduled_note(&mut tx, db, &[(due, &send, true)]).await.unwrap().is_empty());
        }
        tx.commit().await.unwrap();
        assert!(told(&stack, "&status=Queued").await.is_empty());
    }
}

testkit::stack_tests! { services = [notification::SERVICE];
    async fn while_it_is_not_known_where_they_are_reached_the_event_is_to_come_again(stack: Arc<TestStack>) {
        let event = json!({
            "id": "evt_1", "occurredAt": "2026-01-15T09:00:00Z", "type": "appointment.booked.v1",
            "data": {"appointmentId": "apt001", "patientId": "12345", "providerId": "prov001", "planned": {
                "version": 1, "startsAt": STARTS, "durationMinutes": 30, "timeZone": "Europe/Berlin", "status": "Scheduled", "isOpen": true}},
        });
        let _ = call(&stack, Role::Service, Method::POST, "/internal/events", Some(&event.to_string())).await.expect(503);
    }
}
