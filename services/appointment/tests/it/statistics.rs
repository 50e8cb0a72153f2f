//! Appointments, counted.

use super::*;

async fn statistics(stack: &Arc<TestStack>, who: impl Into<Who>, query: &str) -> Reply {
    let path = format!("/api/appointments/statistics?from=2026-01-01&to=2026-12-31{query}");
    call(stack, who, Method::GET, &path, None).await
}

async fn some(stack: &Arc<TestStack>) {
    clinic(stack).await;
    for (id, time) in
        [("done", "09:00"), ("missed", "09:30"), ("off", "10:00"), ("late", "10:30"), ("open", "11:00")]
    {
        let mut body = at(id, "12345", "prov001", time);
        body["visitType"] = json!("=cmd");
        let _ = book(stack, Role::Admin, &body).await.expect(201);
    }
    let _ =
        call(stack, Who::patient("12345"), Method::DELETE, "/api/appointments/off", None).await.expect(200);
    stack.clock.advance(chrono::TimeDelta::days(3));
    stack.clock.advance(chrono::TimeDelta::hours(12));
    let _ = cancel(stack, "late").await.expect(200);
    for (id, status) in [("done", "Completed"), ("missed", "NoShow")] {
        let _ = put(stack, Role::Admin, id, &json!({"status": status})).await.expect(200);
    }
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn appointments_are_counted_by_how_they_ended(stack: Arc<TestStack>) {
        some(&stack).await;
        for (by, key) in [("day", MONDAY), ("week", "2026-W04"), ("month", "2026-01"), ("provider", "prov001"), ("visitType", "=cmd")] {
            let report = statistics(&stack, Role::Receptionist, &format!("&by={by}")).await.expect(200).json();
            assert_eq!((report["groups"].as_array().unwrap().len(), &report["groups"][0]["key"]), (1, &json!(key)), "{by}");
            for counts in [&report["total"], &report["groups"][0]] {
                for (member, count) in [
                    ("appointments", 5), ("open", 1), ("completed", 1), ("noShows", 1), ("cancelled", 2), ("cancelledByPatient", 1),
                    ("cancelledByClinic", 1), ("cancelledByProvider", 0), ("cancelledLate", 1), ("bookedMinutes", 60),
                ] {
                    assert_eq!(counts[member], count, "{by} {member}");
                }
                assert_eq!(counts["noShowRate"], 0.5);
                assert_eq!(counts["leadHours"], 96.0);
            }
            assert!(!report.to_string().contains("12345"));
        }
    }

    async fn a_report_is_a_table_or_a_picture_too(stack: Arc<TestStack>) {
        some(&stack).await;
        let table = statistics(&stack, Role::Admin, "&by=visitType&format=csv").await.expect(200);
        assert_eq!(table.header("content-type"), "text/csv; charset=utf-8");
        assert!(table.text.lines().nth(1).unwrap().starts_with("\"'=cmd\",5,1,0,1,1,2,1,0,1,1,0.5,96,60"), "{}", table.text);
        let picture = statistics(&stack, Role::Admin, "&format=svg").await.expect(200);
        assert_eq!(picture.header("content-type"), "image/svg+xml");
        assert!(picture.text.starts_with("<svg ") && picture.text.contains(MONDAY));
    }

    async fn it_is_for_staff_and_of_a_year_at_most(stack: Arc<TestStack>) {
        for who in [Who::patient("12345"), Who::from(Role::Billing)] {
            let _ = statistics(&stack, who, "").await.expect(403);
        }
        let path = "/api/appointments/statistics?from=2020-01-01&to=2029-12-31";
        assert_eq!(call(&stack, Role::Admin, Method::GET, path, None).await.expect(400).faults(), ["to"]);
        let of_late = call(&stack, Role::Admin, Method::GET, "/api/appointments/statistics", None).await.expect(200).json();
        assert_eq!((&of_late["from"], &of_late["to"]), (&json!("2025-12-16"), &json!("2026-01-15")));
        let _ = statistics(&stack, Role::Admin, "&by=patient").await.expect(400);
        assert_eq!(statistics(&stack, Role::Admin, "").await.expect(200).json()["groups"], json!([]));
    }
}
