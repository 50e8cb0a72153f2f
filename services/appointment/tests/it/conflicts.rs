//! What a changed schedule breaks, and what becomes of it.

use super::schedules::{away, back, put_provider};
use super::*;

async fn conflict(stack: &Arc<TestStack>, id: &str) -> Value {
    get(stack, id).await.expect(200).json()["conflict"].clone()
}

async fn in_conflict(stack: &Arc<TestStack>, who: impl Into<Who>, query: &str) -> Vec<String> {
    let path = format!("/api/appointments/conflicts?{query}");
    let reply = call(stack, who, Method::GET, &path, None).await.expect(200).json();
    let line = |item: &Value| {
        let (appointment, offers) = (&item["appointment"], slots_in(&item["offers"]));
        let text = |member: &str| appointment[member].as_str().unwrap().to_owned();
        format!(
            "{} {} {}",
            text("appointmentId"),
            text("conflict"),
            offers.first().cloned().unwrap_or_default()
        )
    };
    reply["items"].as_array().unwrap().iter().map(line).collect()
}

async fn resolve(stack: &Arc<TestStack>, who: impl Into<Who>, id: &str, body: Value) -> Reply {
    call(stack, who, Method::POST, &format!("/api/appointments/{id}/conflict"), Some(&body.to_string())).await
}

/// Booked at nine, ten, eleven and two on the Monday.
async fn booked(stack: &Arc<TestStack>) {
    clinic(stack).await;
    for (id, time) in [("nine", "09:00"), ("ten", "10:00"), ("eleven", "11:00"), ("two", "14:00")] {
        let _ = book(stack, Role::Admin, &at(id, "12345", "prov001", time)).await.expect(201);
    }
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn time_off_makes_conflicts_and_given_back_makes_none(stack: Arc<TestStack>) {
        booked(&stack).await;
        let _ = cancel(&stack, "eleven").await.expect(200);
        let off = away(&stack, "prov001", "2026-01-19T10:00", "2026-01-19T13:00").await;
        until(|| async { conflict(&stack, "ten").await == "TimeOff" }).await;
        for id in ["nine", "eleven", "two"] {
            assert_eq!(conflict(&stack, id).await, Value::Null, "{id}");
        }
        let history = call(&stack, Role::Admin, Method::GET, "/api/appointments/ten/history", None).await.expect(200).json();
        assert_eq!(history["items"][1]["by"], "service:appointment-service");
        assert_eq!(history["items"][1]["changes"], json!([{"field": "conflict", "from": null, "to": "TimeOff"}]));
        assert_eq!(in_conflict(&stack, Role::Receptionist, "").await, [format!("ten TimeOff {MONDAY} 09:30")]);
        back(&stack, "prov001", &off).await;
        until(|| async { conflict(&stack, "ten").await == Value::Null }).await;
        assert!(in_conflict(&stack, Role::Receptionist, "").await.is_empty());
    }

    async fn shortened_hours_and_closed_dates_make_conflicts(stack: Arc<TestStack>) {
        booked(&stack).await;
        provider(&stack, "prov002").await;
        let _ = book(&stack, Role::Admin, &at("other", "12345", "prov002", "16:00")).await.expect(201);
        put_provider(&stack, "prov001", &json!({"availability": [{"day": "Monday", "slots": ["10:00-15:00"]}]})).await;
        until(|| async { conflict(&stack, "nine").await == "OutsideHours" }).await;
        assert_eq!(in_conflict(&stack, Role::Admin, "").await, [format!("nine OutsideHours {MONDAY} 10:30")]);
        put_provider(&stack, "prov001", &json!({"overrides": [{"date": MONDAY, "slots": ["09:00-11:00"]}]})).await;
        until(|| async { conflict(&stack, "two").await == "OutsideHours" }).await;
        let mut all = in_conflict(&stack, Role::Admin, "providerId=prov001").await;
        for line in &mut all {
            line.truncate(line.find(' ').unwrap());
        }
        assert_eq!(all, ["eleven", "two"]);
        assert!(in_conflict(&stack, Role::Admin, "providerId=prov002").await.is_empty());
        let page = call(&stack, Role::Admin, Method::GET, "/api/appointments/conflicts?limit=1", None).await.expect(200).json();
        let rest = in_conflict(&stack, Role::Admin, &format!("cursor={}", page["nextCursor"].as_str().unwrap())).await;
        assert_eq!(rest.len(), 1);
    }

    async fn a_conflict_is_moved_kept_or_cancelled(stack: Arc<TestStack>) {
        booked(&stack).await;
        let _ = away(&stack, "prov001", MONDAY, MONDAY).await;
        until(|| async { in_conflict(&stack, Role::Admin, "").await.len() == 4 }).await;
        let _ = resolve(&stack, Who::patient("12345"), "ten", json!({"resolution": "keep"})).await.expect(403);
        let _ = call(&stack, Who::patient("12345"), Method::GET, "/api/appointments/conflicts", None).await.expect(403);
        let _ = resolve(&stack, Role::Billing, "ten", json!({"resolution": "keep"})).await.expect(403);
        for (body, field) in [
            (json!({"resolution": "move", "timeSlot": "10:00"}), "appointmentDate"),
            (json!({"resolution": "move", "appointmentDate": "2026-01-26"}), "timeSlot"),
            (json!({"resolution": "keep", "timeSlot": "10:00"}), "timeSlot"),
            // To where it is already, it is not moved.
            (json!({"resolution": "move", "appointmentDate": MONDAY, "timeSlot": "10:00", "providerId": "prov001"}), "timeSlot"),
            (json!({"resolution": "move", "appointmentDate": "2026-01-26", "timeSlot": "10:00", "providerId": "nobody"}), "providerId"),
        ] {
            assert_eq!(resolve(&stack, Role::Admin, "ten", body).await.expect(422).faults(), [field]);
        }
        let moved = resolve(&stack, Role::Admin, "ten", json!({"resolution": "move", "appointmentDate": "2026-01-26", "timeSlot": "10:00"})).await.expect(200);
        assert_eq!(moved.json(), json!({"appointmentId": "ten", "status": "Moved"}));
        let shown = get(&stack, "ten").await.expect(200).json();
        assert_eq!((&shown["conflict"], &shown["status"], &shown["appointmentDate"]), (&Value::Null, &json!("Rescheduled"), &json!("2026-01-26")));
        // To where nothing is free, nothing is moved.
        let _ = resolve(&stack, Role::Admin, "nine", json!({"resolution": "move", "appointmentDate": "2026-01-26", "timeSlot": "10:15"})).await.expect(409);
        assert_eq!(resolve(&stack, Role::Receptionist, "nine", json!({"resolution": "keep"})).await.expect(200).json()["status"], "Kept");
        assert_eq!(resolve(&stack, Role::Admin, "two", json!({"resolution": "cancel"})).await.expect(200).json()["status"], "Cancelled");
        assert_eq!(get(&stack, "two").await.expect(200).json()["status"], "Cancelled");
        assert_eq!(resolve(&stack, Role::Admin, "two", json!({"resolution": "keep"})).await.expect(409).json()["code"], "invalid-transition");
        let _ = resolve(&stack, Role::Admin, "nobody", json!({"resolution": "keep"})).await.expect(404);
        // What was kept is not flagged again for the same time off; for another it is.
        put_provider(&stack, "prov001", &json!({"visitTypes": [{"name": "New", "durationMinutes": 60}]})).await;
        let _ = away(&stack, "prov001", "2026-01-26", "2026-01-26").await;
        until(|| async { conflict(&stack, "ten").await == "TimeOff" }).await;
        assert_eq!(conflict(&stack, "nine").await, Value::Null);
        let _ = away(&stack, "prov001", MONDAY, MONDAY).await;
        until(|| async { conflict(&stack, "nine").await == "TimeOff" }).await;
    }

    async fn what_staff_booked_outside_the_hours_is_not_flagged_by_a_change_of_them(stack: Arc<TestStack>) {
        booked(&stack).await;
        assert_eq!(warned(&book(&stack, Role::Admin, &at("noon", "12345", "prov001", "12:30")).await.expect(201)), ["outside-hours"]);
        put_provider(&stack, "prov001", &json!({"availability": [{"day": "Monday", "slots": ["10:00-12:00"]}]})).await;
        until(|| async { conflict(&stack, "two").await == "OutsideHours" }).await;
        assert_eq!(conflict(&stack, "noon").await, Value::Null);
    }

    async fn more_than_fit_into_one_transaction_are_all_looked_at(stack: Arc<TestStack>) {
        patient(&stack, "12345").await;
        provider_with(&stack, "prov001", json!([{"day": "Monday", "slots": ["00:00-24:00"]}])).await;
        for at_time in 0..130 {
            let mut body = at(&format!("apt{at_time}"), "12345", "prov001", &format!("{:02}:{:02}", at_time / 12, at_time % 12 * 5));
            body["durationMinutes"] = json!(5);
            let _ = book(&stack, Role::Admin, &body).await.expect(201);
        }
        let _ = away(&stack, "prov001", MONDAY, MONDAY).await;
        until(|| async { conflict(&stack, "apt129").await == "TimeOff" }).await;
        assert_eq!(in_conflict(&stack, Role::Admin, "limit=200").await.len(), 130);
    }

    async fn a_clinician_sees_the_conflicts_of_those_whom_they_treat(stack: Arc<TestStack>) {
        booked(&stack).await;
        patient(&stack, "67890").await;
        provider(&stack, "prov002").await;
        let _ = book(&stack, Role::Admin, &at("other", "67890", "prov002", "10:00")).await.expect(201);
        for id in ["prov001", "prov002"] {
            let _ = away(&stack, id, "2026-01-19T10:00", "2026-01-19T10:30").await;
        }
        until(|| async { in_conflict(&stack, Role::Admin, "").await.len() == 2 }).await;
        let mine = in_conflict(&stack, Who::clinician("prov002"), "").await;
        assert!(mine.len() == 1 && mine[0].starts_with("other TimeOff"), "{mine:?}");
    }
}
