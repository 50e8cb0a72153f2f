//! What is not valid is refused by name and changes nothing.

use super::*;

testkit::stack_tests! { services = [patient::SERVICE, billing::SERVICE];
    async fn each_bad_bill_is_refused_and_changes_nothing(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let long = format!("\"{}\"", "x".repeat(10_240));
        for (from, to, field) in [
            ("100.00", "-100.00", "services[0].amount"),
            ("50.00", "50.005", "services[1].amount"),
            ("50.00", "1e2", "services[1].amount"),
            ("50.00", "\"50.00\"", "services[1].amount"),
            ("50.00", "null", "services[1].amount"),
            ("50.00", "100000000000.01", "services[1].amount"),
            ("150.00", "149.99", "totalAmount"),
            ("150.00", "-150.00", "totalAmount"),
            ("150.00", "150.001", "totalAmount"),
            ("150.00", "null", "totalAmount"),
            ("\"totalAmount\": 150.00,", "", "totalAmount"),
            ("75.00", "150.01", "insuranceClaim.claimAmount"),
            ("75.00", "0", "insuranceClaim.claimAmount"),
            ("75.00", "-1", "insuranceClaim.claimAmount"),
            ("\"HealthInsure\"", "\"\"", "insuranceClaim.insuranceProvider"),
            ("\"HealthInsure\"", &long, "insuranceClaim.insuranceProvider"),
            ("\"claimAmount\"", "\"amount\": 1, \"claimAmount\"", "insuranceClaim.amount"),
            ("\"Consultation\"", "17", "services[0].description"),
            ("\"Consultation\"", "\"\"", "services[0].description"),
            ("\"Consultation\"", "\"a\\u0000b\"", "services[0].description"),
            ("\"Consultation\"", &long, "services[0].description"),
            ("\"srv002\"", &long, "services[1].serviceId"),
            ("\"serviceId\": \"srv002\",", "", "services[1].serviceId"),
            ("\"services\"", "\"colour\": 1, \"services\"", "colour"),
            ("\"services\": [", "\"services\": {}, \"x\": [", "services"),
            ("\"12345\"", "\"67890\"", "patientId"),
            ("\"12345\"", "\"../x\"", "patientId"),
            ("\"12345\"", "null", "patientId"),
            ("\"bill789\"", "\"a/b\"", "billId"),
            ("\"bill789\"", "\"search\"", "billId"),
            ("\"Issued\"", "\"Paid\"", "status"),
            ("\"Issued\"", "\"Void\"", "status"),
            ("\"Issued\"", "\"Sent\"", "status"),
            ("\"status\"", "\"currency\": \"EUR\", \"status\"", "currency"),
        ] {
            let refused = BILLS.post(&stack, &BILL.replacen(from, to, 1)).await.expect(422);
            assert_eq!(refused.header("content-type"), "application/problem+json");
            assert_eq!(refused.faults(), [field], "{from} → {to}: {}", refused.text);
        }
        for body in ["", "{", "nonsense", "{\"billId\":\"a\0\"}"] {
            let _ = BILLS.post(&stack, body).await.expect(400);
        }
        assert_eq!(BILLS.found(&stack, Role::Admin, "").await.len(), 0);
    }

    async fn a_bill_has_one_to_five_hundred_lines(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let body = |lines: usize| {
            let line = r#"{"serviceId":"s","description":"d","amount":0.01}"#;
            let total = format!("{}.{:02}", lines / 100, lines % 100);
            format!(r#"{{"patientId":"12345","services":[{}],"totalAmount":{total}}}"#, vec![line; lines].join(","))
        };
        for lines in [0, 501] {
            assert_eq!(BILLS.post(&stack, &body(lines)).await.expect(422).faults(), ["services"]);
        }
        let _ = BILLS.post(&stack, &body(500)).await.expect(201);
    }

    async fn each_bad_change_is_refused_and_changes_nothing(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let _ = BILLS.post(&stack, BILL).await.expect(201);
        for (patch, field) in [
            (r#"{"totalAmount": 120.00}"#, "totalAmount"),
            (r#"{"totalAmount": null}"#, "totalAmount"),
            (r#"{"services": []}"#, "services"),
            (r#"{"services": null}"#, "services"),
            (r#"{"services": [{"serviceId": "s", "description": "d", "amount": 50}], "totalAmount": 50}"#, "insuranceClaim.claimAmount"),
            (r#"{"services": [{"serviceId": "s", "description": "d", "amount": -1}], "totalAmount": 80}"#, "services[0].amount"),
            (r#"{"insuranceClaim": {"claimAmount": 150.001}}"#, "insuranceClaim.claimAmount"),
            (r#"{"insuranceClaim": {"insuranceProvider": null}}"#, "insuranceClaim.insuranceProvider"),
            (r#"{"billId": "other"}"#, "billId"),
            (r#"{"patientId": "67890"}"#, "patientId"),
            (r#"{"currency": "USD"}"#, "currency"),
            (r#"{"restricted": true}"#, "restricted"),
            (r#"{"status": null}"#, "status"),
            (r#"{"status": 1}"#, "status"),
            (r#"{"colour": "x"}"#, "colour"),
        ] {
            let refused = BILLS.put(&stack, "bill789", patch).await.expect(422);
            assert_eq!(refused.faults(), [field], "{patch}: {}", refused.text);
        }
        let _ = BILLS.put(&stack, "bill789", "[]").await.expect(400);
        let _ = BILLS.put(&stack, "unknown", "{}").await.expect(404);
        let _ = BILLS.delete(&stack, "unknown").await.expect(404);
        assert_eq!(BILLS.get(&stack, "bill789").await.expect(200).header("etag"), "\"v1\"");
    }

    async fn who_may_not_is_told_so_before_anything_else(stack: Arc<TestStack>) {
        let without = stack.request(ServiceName::BillingService, Method::POST, "/api/bills").body("nonsense");
        let _ = testkit::stack::send(without).await.expect(401);
        for role in [Role::Clinician, Role::Receptionist, Role::Patient, Role::PrivacyOfficer, Role::Service] {
            let _ = BILLS.call(&stack, role, Method::POST, "/api/bills", Some("nonsense")).await.expect(403);
        }
        let _ = BILLS.call(&stack, Role::PrivacyOfficer, Method::GET, "/api/bills", None).await.expect(403);
        let _ = BILLS.call(&stack, Role::Admin, Method::POST, "/internal/events", Some("{}")).await.expect(403);
    }
}

testkit::stack_tests! { services = [billing::SERVICE];
    async fn while_the_patient_service_is_down_no_bill_is_created(stack: Arc<TestStack>) {
        let refused = BILLS.post(&stack, BILL).await.expect(503);
        assert_eq!((refused.json()["code"].as_str(), refused.header("retry-after")), (Some("unavailable"), "1"));
        assert_eq!(BILLS.found(&stack, Role::Admin, "").await.len(), 0);
        // What is wrong in any case is told in any case.
        assert_eq!(BILLS.post(&stack, &BILL.replace("75.00", "0")).await.expect(422).faults(), ["insuranceClaim.claimAmount"]);
    }
}
