//! Reports on providers and specialities.

use super::schedules::{away, put_provider};
use super::*;

async fn read(stack: &Arc<TestStack>, who: impl Into<Who>, path: &str) -> Reply {
    call(stack, who, Method::GET, path, None).await
}

async fn report(stack: &Arc<TestStack>, id: &str) -> Value {
    let path = format!("/api/providers/{id}/report?from={MONDAY}&to=2026-01-25");
    read(stack, Role::Receptionist, &path).await.expect(200).json()
}

async fn reports(stack: &Arc<TestStack>, query: &str) -> Vec<Value> {
    let path = format!("/api/providers/reports?from={MONDAY}&to=2026-01-25{query}");
    let report = read(stack, Role::Admin, &path).await.expect(200).json();
    report["items"].as_array().unwrap().clone()
}

/// One that took place, one that was missed, one that was called off and one to come, on the Monday; and one the week after.
async fn some(stack: &Arc<TestStack>) {
    clinic(stack).await;
    for (id, time) in [("done", "09:00"), ("missed", "09:30"), ("off", "10:00"), ("open", "11:00")] {
        let _ = book(stack, Role::Admin, &at(id, "12345", "prov001", time)).await.expect(201);
    }
    let mut later = at("later", "12345", "prov001", "09:00");
    later["appointmentDate"] = json!("2026-01-26");
    let _ = book(stack, Role::Admin, &later).await.expect(201);
    let _ = cancel(stack, "off").await.expect(200);
    stack.clock.advance(chrono::TimeDelta::days(4));
    for (id, status) in [("done", "Completed"), ("missed", "NoShow")] {
        let _ = put(stack, Role::Admin, id, &json!({"status": status})).await.expect(200);
    }
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn a_provider_is_reported_on_by_what_became_of_their_hours(stack: Arc<TestStack>) {
        some(&stack).await;
        let told = report(&stack, "prov001").await;
        assert_eq!(told["name"], "Dr. Jane Doe");
        assert_eq!(
            told["statuses"],
            json!({"scheduled": 1, "rescheduled": 0, "confirmed": 0, "checkedIn": 0, "inProgress": 0, "completed": 1, "noShow": 1, "cancelled": 1})
        );
        // Six hours on Monday and three on Wednesday; it was booked on Thursday at ten.
        for (member, value) in [
            ("appointments", json!(4)), ("visits", json!(1)), ("noShowRate", json!(0.5)), ("bookedMinutes", json!(60)), ("offeredMinutes", json!(540)),
            ("utilisation", json!(0.1111)), ("leadHours", json!(95.9)), ("leadHoursMedian", json!(95.8)),
        ] {
            assert_eq!(told[member], value, "{member}");
        }
        assert_eq!((&told["nextFreeSlot"]["slot"]["date"], &told["nextFreeSlot"]["slot"]["timeSlot"]), (&json!(MONDAY), &json!("10:00")));
        assert!(!told.to_string().contains("12345"), "{told}");
    }

    async fn time_off_is_not_offered_even_when_it_is_over_long_since(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = away(&stack, "prov001", MONDAY, MONDAY).await;
        assert_eq!(report(&stack, "prov001").await["offeredMinutes"], 180);
        stack.clock.advance(chrono::TimeDelta::days(60));
        assert_eq!(report(&stack, "prov001").await["offeredMinutes"], 180);
        assert_eq!(reports(&stack, "").await[0]["offeredMinutes"], 180);
        // What the hours are now counts, whatever they were.
        put_provider(&stack, "prov001", &json!({"availability": [{"day": "Friday", "slots": ["09:00-10:00"]}]})).await;
        assert_eq!(report(&stack, "prov001").await["offeredMinutes"], 60);
    }

    async fn without_hours_or_appointments_there_is_no_quotient(stack: Arc<TestStack>) {
        patient(&stack, "12345").await;
        provider_with(&stack, "prov001", json!([])).await;
        for member in ["utilisation", "noShowRate", "leadHours", "leadHoursMedian", "nextFreeSlot"] {
            assert_eq!(report(&stack, "prov001").await[member], Value::Null, "{member}");
        }
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "09:00")).await.expect(201);
        let told = report(&stack, "prov001").await;
        assert_eq!((&told["bookedMinutes"], &told["offeredMinutes"], &told["utilisation"]), (&json!(30), &json!(0), &Value::Null));
    }

    async fn specialities_are_the_sum_of_their_providers(stack: Arc<TestStack>) {
        some(&stack).await;
        for (id, specialization) in [("prov002", "cardiology"), ("prov003", "Neurology")] {
            provider(&stack, id).await;
            put_provider(&stack, id, &json!({"specialization": specialization})).await;
        }
        let _ = book(&stack, Role::Admin, &at("other", "12345", "prov002", "14:00")).await.expect(201);
        let each = reports(&stack, "").await;
        let ids: Vec<_> = each.iter().map(|line| line["providerId"].as_str().unwrap()).collect();
        assert_eq!(ids, ["prov001", "prov002", "prov003"]);
        let both = reports(&stack, "&by=specialization").await;
        let sum = |member: &str| each[0][member].as_u64().unwrap() + each[1][member].as_u64().unwrap();
        assert_eq!(both.len(), 2);
        assert_eq!((&both[0]["providers"], &both[0]["providerId"], &both[1]["specialization"]), (&json!(2), &Value::Null, &json!("Neurology")));
        for member in ["appointments", "visits", "bookedMinutes", "offeredMinutes"] {
            assert_eq!(both[0][member].as_u64(), Some(sum(member)), "{member}");
        }
        // The second has time as soon as the day begins.
        assert_eq!(both[0]["nextFreeSlot"], each[1]["nextFreeSlot"]);
        let hearts = reports(&stack, "&specialization=CARDIOLOGY").await;
        assert_eq!(hearts, each[..2]);
        // Statistics know them too.
        let path = "/api/appointments/statistics?from=2026-01-01&to=2026-12-31&by=specialization";
        let counted = read(&stack, Role::Admin, path).await.expect(200).json();
        let groups: Vec<_> = counted["groups"].as_array().unwrap().iter().map(|group| (group["key"].as_str().unwrap().to_lowercase(), &group["appointments"])).collect();
        assert_eq!(groups, [("cardiology".to_owned(), &json!(6))]);
    }

    async fn a_report_is_a_table_too(stack: Arc<TestStack>) {
        some(&stack).await;
        put_provider(&stack, "prov001", &json!({"name": "=cmd"})).await;
        for path in ["/api/providers/reports", "/api/providers/prov001/report"] {
            let table = read(&stack, Role::Admin, &format!("{path}?from={MONDAY}&to=2026-01-25&format=csv")).await.expect(200);
            assert_eq!(table.header("content-type"), "text/csv; charset=utf-8");
            let lines: Vec<_> = table.text.lines().collect();
            assert_eq!(lines.len(), 2);
            assert!(lines[0].starts_with("providerId,name,specialization,providers,appointments,visits,"), "{}", lines[0]);
            assert!(lines[1].starts_with("\"prov001\",\"'=cmd\",\"Cardiology\",1,4,1,1,0,0,0,0,1,1,0.5,95.9,95.8,60,540,0.1111,"), "{}", lines[1]);
        }
    }

    async fn reports_are_for_staff_of_whom_there_is_and_of_a_year_at_most(stack: Arc<TestStack>) {
        clinic(&stack).await;
        for path in ["/api/providers/reports", "/api/providers/prov001/report"] {
            for who in [Who::patient("12345"), Who::from(Role::Billing)] {
                let _ = read(&stack, who, path).await.expect(403);
            }
            for (query, field) in [("from=2020-01-01&to=2026-01-01", "to"), ("from=2026-01-02&to=2026-01-01", "to"), ("from=soon", "from"), ("by2=x", "by2")] {
                assert_eq!(read(&stack, Role::Admin, &format!("{path}?{query}")).await.expect(400).faults(), [field], "{query}");
            }
        }
        let _ = read(&stack, Role::Admin, "/api/providers/nobody/report").await.expect(404);
        let _ = read(&stack, Role::Admin, "/api/providers/reports?by=patient").await.expect(400);
    }
}
