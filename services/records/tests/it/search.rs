//! Listing records, and paging.

use super::*;

testkit::stack_tests! { services = [patient::SERVICE, records::SERVICE];
    async fn records_are_found_by_patient_and_days(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        register(&stack, "67890").await;
        for (id, patient, date) in [
            ("b", "12345", "2024-08-01"), ("a", "12345", "2024-08-03"), ("c", "67890", "2024-08-02"),
            ("old", "67890", "1900-01-01"), ("gone", "12345", "2024-08-01"),
        ] {
            let _ = RECORDS.post(&stack, &record(id, patient, date)).await.expect(201);
        }
        let _ = RECORDS.delete(&stack, "gone").await.expect(200);
        for (query, ids) in [
            ("", vec!["a", "c", "b", "old"]),
            ("patientId=12345", vec!["a", "b"]),
            ("patientId=nobody", vec![]),
            ("from=2024-08-02", vec!["a", "c"]),
            ("to=2024-08-02", vec!["c", "b", "old"]),
            ("from=2024-08-02&to=2024-08-02", vec!["c"]),
            ("from=2024-08-03&to=2024-08-01", vec![]),
            ("patientId=12345&from=2024-08-01&to=2024-08-01", vec!["b"]),
        ] {
            assert_eq!(RECORDS.found(&stack, Role::PrivacyOfficer, query).await, ids, "{query}");
        }
        // A record that is put on another day is found there.
        let _ = RECORDS.put(&stack, "b", r#"{"date": "2024-09-01"}"#).await.expect(200);
        assert_eq!(RECORDS.found(&stack, Role::PrivacyOfficer, "from=2024-08-03").await, ["b", "a"]);
    }

    async fn pages_follow_one_another_and_miss_nothing(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        for at in 0..7 {
            let _ = RECORDS.post(&stack, &record(&format!("r{at}"), "12345", &format!("2024-08-0{}", 1 + at / 2))).await.expect(201);
        }
        for filter in ["", "&patientId=12345", "&from=2024-08-01&to=2024-08-04"] {
            assert_eq!(RECORDS.paged(&stack, filter).await, ["r6", "r5", "r4", "r3", "r2", "r1", "r0"], "{filter}");
        }
    }

    async fn bad_queries_are_refused_by_name(stack: Arc<TestStack>) {
        // ["2024-08-01","\u0000"] and ["-262000-01-01","r"]
        let (nul, far) = ("cursor=WyIyMDI0LTA4LTAxIiwiXHUwMDAwIl0", "cursor=WyItMjYyMDAwLTAxLTAxIiwiciJd");
        for (query, field) in [
            ("limit=0", "limit"), ("limit=201", "limit"), ("limit=x", "limit"), ("cursor=x", "cursor"),
            (nul, "cursor"), (far, "cursor"), ("patientId=..%2F", "patientId"), ("patientId=%00", "patientId"),
            ("from=2024-02-30", "from"), ("to=today", "to"), ("colour=x", "colour"),
        ] {
            let refused = RECORDS.call(&stack, Role::Admin, Method::GET, &format!("/api/records?{query}"), None).await.expect(400);
            assert_eq!(refused.faults(), [field], "{query}");
        }
    }
}
