//! Lists of appointments.

use super::*;

async fn listed(stack: &Arc<TestStack>, query: &str) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/appointments?limit=2{query}{cursor}");
        let page = call(stack, Role::Receptionist, Method::GET, &path, None).await.expect(200).json();
        let items = page["items"].as_array().unwrap();
        ids.extend(items.iter().map(|item| item["appointmentId"].as_str().unwrap().to_owned()));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
    }
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn appointments_are_listed_by_time_and_found_by_who_when_and_status(stack: Arc<TestStack>) {
        clinic(&stack).await;
        patient(&stack, "67890").await;
        provider(&stack, "prov002").await;
        for (id, patient, provider, date, time) in [
            ("late", "12345", "prov001", "2026-01-21", "09:00"),
            ("noon", "67890", "prov001", "2026-01-19", "11:00"),
            ("b", "67890", "prov002", "2026-01-19", "09:00"),
            ("a", "12345", "prov001", "2026-01-19", "09:00"),
            ("night", "12345", "prov002", "2026-01-20", "00:00"),
        ] {
            let body = json!({"appointmentId": id, "patientId": patient, "providerId": provider, "appointmentDate": date, "timeSlot": time});
            let _ = book(&stack, Role::Admin, &body).await.expect(201);
        }
        let _ = cancel(&stack, "noon").await.expect(200);
        for (query, ids) in [
            ("", vec!["a", "b", "noon", "night", "late"]),
            ("&patientId=12345", vec!["a", "night", "late"]),
            ("&providerId=prov001", vec!["a", "noon", "late"]),
            ("&patientId=67890&providerId=prov002", vec!["b"]),
            ("&patientId=nobody", vec![]),
            ("&status=Cancelled", vec!["noon"]),
            ("&status=Scheduled&providerId=prov001", vec!["a", "late"]),
            ("&status=Scheduled&patientId=12345&providerId=prov002", vec!["night"]),
            ("&from=2026-01-20", vec!["night", "late"]),
            ("&to=2026-01-19", vec!["a", "b", "noon"]),
            ("&from=2026-01-20&to=2026-01-20", vec!["night"]),
        ] {
            assert_eq!(listed(&stack, query).await, ids, "{query}");
        }
        let path = "/api/appointments?from=2026-01-21&to=2026-01-19";
        let refused = call(&stack, Role::Admin, Method::GET, path, None).await.expect(400);
        assert_eq!(refused.faults(), ["to"]);
    }
}
