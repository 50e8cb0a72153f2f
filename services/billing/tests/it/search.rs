//! Listing bills, and paging.

use super::*;

testkit::stack_tests! { services = [patient::SERVICE, billing::SERVICE];
    async fn bills_are_found_by_patient_and_status(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        register(&stack, "67890").await;
        for (id, patient, status) in
            [("a", "12345", "Issued"), ("b", "12345", "Draft"), ("c", "67890", "Issued"), ("d", "67890", "Draft")]
        {
            stack.clock.advance(chrono::TimeDelta::seconds(1));
            let _ = BILLS.post(&stack, &bill(id, patient, status)).await.expect(201);
        }
        let _ = BILLS.put(&stack, "c", r#"{"status": "Paid"}"#).await.expect(200);
        let _ = BILLS.delete(&stack, "d").await.expect(200);
        for (query, ids) in [
            ("", vec!["c", "b", "a"]),
            ("patientId=12345", vec!["b", "a"]),
            ("patientId=67890", vec!["c"]),
            ("patientId=nobody", vec![]),
            ("status=Issued", vec!["a"]),
            ("status=Paid", vec!["c"]),
            ("status=Void", vec![]),
            ("patientId=12345&status=Draft", vec!["b"]),
            ("patientId=12345&status=Paid", vec![]),
        ] {
            assert_eq!(BILLS.found(&stack, Role::Billing, query).await, ids, "{query}");
        }
    }

    async fn pages_follow_one_another_and_miss_nothing(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        for at in 0..7 {
            stack.clock.advance(chrono::TimeDelta::seconds(at % 2));
            let _ = BILLS.post(&stack, &bill(&format!("b{at}"), "12345", "Issued")).await.expect(201);
        }
        for filter in ["", "&patientId=12345", "&status=Issued", "&patientId=12345&status=Issued"] {
            assert_eq!(BILLS.paged(&stack, filter).await, ["b6", "b5", "b4", "b3", "b2", "b1", "b0"], "{filter}");
        }
    }

    async fn bad_queries_are_refused_by_name(stack: Arc<TestStack>) {
        // ["2026-01-15T08:00:00Z","\u0000"] and ["+262000-01-01T00:00:00Z","b"]
        let nul = "cursor=WyIyMDI2LTAxLTE1VDA4OjAwOjAwWiIsIlx1MDAwMCJd";
        let far = "cursor=WyIrMjYyMDAwLTAxLTAxVDAwOjAwOjAwWiIsImIiXQ";
        for (query, field) in [
            ("limit=0", "limit"), ("limit=201", "limit"), ("limit=x", "limit"), ("cursor=x", "cursor"),
            (nul, "cursor"), (far, "cursor"), ("patientId=..%2F", "patientId"), ("patientId=%00", "patientId"),
            ("status=issued", "status"), ("colour=x", "colour"),
        ] {
            let refused = BILLS.call(&stack, Role::Admin, Method::GET, &format!("/api/bills?{query}"), None).await.expect(400);
            assert_eq!(refused.faults(), [field], "{query}");
        }
    }
}
