//! A bill's life: created, read, changed, paid, taken back.

use super::*;

testkit::stack_tests! { services = [patient::SERVICE, billing::SERVICE];
    async fn the_documents_bill_is_created_read_changed_and_deleted(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let created = BILLS.post(&stack, BILL).await.expect(201);
        assert_eq!(created.text, r#"{"billId":"bill789","status":"Created"}"#);
        assert_eq!((created.header("location"), created.header("etag")), ("/api/bills/bill789", "\"v1\""));
        let read = BILLS.get(&stack, "bill789").await.expect(200);
        assert_eq!(
            read.text,
            concat!(
                r#"{"billId":"bill789","patientId":"12345","services":["#,
                r#"{"serviceId":"srv001","description":"Consultation","amount":100.00},"#,
                r#"{"serviceId":"srv002","description":"Lab Tests","amount":50.00}],"#,
                r#""insuranceClaim":{"insuranceProvider":"HealthInsure","claimAmount":75.00},"#,
                r#""totalAmount":150.00,"currency":"EUR","status":"Issued"}"#,
            )
        );

        let patch = r#"{
            "services": [{"serviceId": "srv001", "description": "Consultation", "amount": 120.00}],
            "totalAmount": 120.00
        }"#;
        let updated = BILLS.put(&stack, "bill789", patch).await.expect(200);
        assert_eq!(updated.text, r#"{"billId":"bill789","status":"Updated"}"#);
        let read = BILLS.get(&stack, "bill789").await.expect(200);
        assert_eq!(read.header("etag"), "\"v2\"");
        assert_eq!(
            read.text,
            concat!(
                r#"{"billId":"bill789","patientId":"12345","services":["#,
                r#"{"serviceId":"srv001","description":"Consultation","amount":120.00}],"#,
                r#""insuranceClaim":{"insuranceProvider":"HealthInsure","claimAmount":75.00},"#,
                r#""totalAmount":120.00,"currency":"EUR","status":"Issued"}"#,
            )
        );

        for _ in 0..2 {
            let deleted = BILLS.delete(&stack, "bill789").await.expect(200);
            assert_eq!(deleted.text, r#"{"status":"Deleted","billId":"bill789"}"#);
            let read = BILLS.get(&stack, "bill789").await.expect(200);
            assert_eq!((read.json()["status"].as_str(), read.header("etag")), (Some("Void"), "\"v3\""));
        }
    }

    async fn a_draft_is_really_deleted_and_its_id_stays_taken(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let _ = BILLS.post(&stack, &bill("bill789", "12345", "Draft")).await.expect(201);
        assert_eq!(BILLS.delete(&stack, "bill789").await.expect(200).text, r#"{"status":"Deleted","billId":"bill789"}"#);
        let _ = BILLS.get(&stack, "bill789").await.expect(404);
        let _ = BILLS.delete(&stack, "bill789").await.expect(404);
        let _ = BILLS.put(&stack, "bill789", "{}").await.expect(404);
        assert_eq!(BILLS.post(&stack, BILL).await.expect(409).faults(), ["billId"]);
    }

    async fn a_bill_goes_from_draft_to_paid_and_then_stays_as_it_is(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let _ = BILLS.post(&stack, &bill("bill789", "12345", "Draft")).await.expect(201);
        let too_early = BILLS.put(&stack, "bill789", r#"{"status": "Paid"}"#).await.expect(409);
        assert_eq!(too_early.json()["code"], "invalid-transition");
        assert_eq!(too_early.json()["detail"], "A bill that is Draft cannot become Paid.");
        let _ = BILLS.put(&stack, "bill789", r#"{"status": "Issued"}"#).await.expect(200);
        let _ = BILLS.put(&stack, "bill789", r#"{"status": "Draft"}"#).await.expect(409);
        let _ = BILLS.put(&stack, "bill789", r#"{"status": "Paid"}"#).await.expect(200);

        for patch in [r#"{"status": "Void"}"#, r#"{"status": "Issued"}"#, r#"{"insuranceClaim": null}"#] {
            assert_eq!(BILLS.put(&stack, "bill789", patch).await.expect(409).json()["code"], "invalid-transition");
        }
        assert_eq!(BILLS.delete(&stack, "bill789").await.expect(409).json()["code"], "invalid-transition");
        let read = BILLS.get(&stack, "bill789").await.expect(200);
        assert_eq!(read.header("etag"), "\"v3\"");
        // As it is, it may be sent again.
        for body in [read.text.as_str(), "{}", r#"{"status": "Paid"}"#] {
            assert_eq!(BILLS.put(&stack, "bill789", body).await.expect(200).header("etag"), "\"v3\"");
        }
    }

    async fn a_void_bill_stays_void(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let _ = BILLS.post(&stack, &bill("bill789", "12345", "Draft")).await.expect(201);
        let _ = BILLS.put(&stack, "bill789", r#"{"status": "Void"}"#).await.expect(200);
        for patch in [r#"{"status": "Issued"}"#, r#"{"insuranceClaim": null}"#] {
            let _ = BILLS.put(&stack, "bill789", patch).await.expect(409);
        }
        assert_eq!(BILLS.delete(&stack, "bill789").await.expect(200).header("etag"), "\"v2\"");
        assert_eq!(BILLS.get(&stack, "bill789").await.expect(200).json()["status"], "Void");
    }

    async fn what_is_left_out_the_server_adds(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let body = r#"{"patientId":"12345","services":[{"serviceId":"s","description":"d","amount":0.1}],"totalAmount":0.10}"#;
        let created = BILLS.post(&stack, body).await.expect(201);
        let id = created.json()["billId"].as_str().unwrap().to_owned();
        assert!(id.starts_with("bill_"));
        let read = BILLS.get(&stack, &id).await.expect(200);
        assert_eq!((&read.json()["status"], &read.json()["insuranceClaim"]), (&"Issued".into(), &().into()));
        // A claim can be added and cleared.
        let claim = r#"{"insuranceClaim": {"insuranceProvider": "HealthInsure", "claimAmount": 0.1}}"#;
        let _ = BILLS.put(&stack, &id, claim).await.expect(200);
        assert!(BILLS.get(&stack, &id).await.text.contains(r#""claimAmount":0.10}"#));
        let _ = BILLS.put(&stack, &id, r#"{"insuranceClaim": null}"#).await.expect(200);
        assert!(!BILLS.get(&stack, &id).await.text.contains("insuranceClaim"));
    }

    async fn money_comes_out_to_the_cent_as_it_went_in(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        // As floats: 0.1 + 0.2 ≠ 0.3, 0.29 × 100 = 28.999…, 4.35 × 100 = 434.999…, and the large one loses its cents.
        for (at, (amounts, total)) in [
            (["0.1", "0.2"], "0.30"),
            (["0.29", "4.35"], "4.64"),
            (["90071992547.41", "0"], "90071992547.41"),
            (["99999999999.99", "0.01"], "100000000000.00"),
            (["0", "0.00"], "0.00"),
        ].into_iter().enumerate() {
            let line = |amount| format!(r#"{{"serviceId":"s","description":"d","amount":{amount}}}"#);
            let lines = amounts.map(line).join(",");
            let id = format!("b{at}");
            let body = format!(r#"{{"billId":"{id}","patientId":"12345","services":[{lines}],"totalAmount":{total}}}"#);
            let _ = BILLS.post(&stack, &body).await.expect(201);
            let read = BILLS.get(&stack, &id).await.expect(200).text;
            assert!(read.contains(&format!(r#""totalAmount":{total},"#)), "{read}");
            // Merged into itself it is still the same.
            assert_eq!(BILLS.put(&stack, &id, &read).await.expect(200).header("etag"), "\"v1\"");
        }
    }

    async fn of_many_who_want_one_id_exactly_one_gets_it(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        BILLS.gives_an_id_once(&stack, BILL).await;
    }

    async fn changes_made_at_once_all_count(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let _ = BILLS.post(&stack, BILL).await.expect(201);
        let patches = [
            r#"{"insuranceClaim": {"insuranceProvider": "Other"}}"#,
            r#"{"services": [{"serviceId": "s", "description": "d", "amount": 80}], "totalAmount": 80}"#,
            r#"{"insuranceClaim": {"claimAmount": 60}}"#,
        ];
        let all = patches.map(|patch| {
            let stack = Arc::clone(&stack);
            tokio::spawn(async move { BILLS.put(&stack, "bill789", patch).await.expect(200) })
        });
        for one in all {
            let _ = one.await.unwrap();
        }
        let read = BILLS.get(&stack, "bill789").await.expect(200);
        assert_eq!(read.header("etag"), "\"v4\"");
        assert!(read.text.contains(r#""insuranceClaim":{"insuranceProvider":"Other","claimAmount":60.00},"totalAmount":80.00"#));
    }

    async fn of_a_payment_and_a_deletion_at_once_one_wins(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        for at in 0..5 {
            let id = format!("bill{at}");
            let _ = BILLS.post(&stack, &bill(&id, "12345", "Issued")).await.expect(201);
            let (paid, deleted) = tokio::join!(BILLS.put(&stack, &id, r#"{"status": "Paid"}"#), BILLS.delete(&stack, &id));
            let status = BILLS.get(&stack, &id).await.expect(200).json()["status"].clone();
            match (paid.status, deleted.status) {
                (200, 409) => assert_eq!(status, "Paid"),
                (409, 200) => assert_eq!(status, "Void"),
                both => panic!("{both:?}"),
            }
        }
    }

    async fn a_stale_if_match_changes_nothing(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let _ = BILLS.post(&stack, BILL).await.expect(201);
        BILLS.heeds_if_match(&stack, "bill789", r#"{"status": "Paid"}"#).await;
    }

    async fn a_repeated_post_with_the_same_key_has_the_same_answer(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let without_id = BILL.replace("\"billId\": \"bill789\",", "");
        let other = without_id.replace("Consultation", "X-ray");
        BILLS.remembers_an_idempotency_key(&stack, &without_id, &other).await;
    }

    async fn a_patient_sees_their_own_bills_alone(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        register(&stack, "67890").await;
        let _ = BILLS.post(&stack, &bill("mine", "12345", "Issued")).await.expect(201);
        let _ = BILLS.post(&stack, &bill("other", "67890", "Issued")).await.expect(201);
        let as_patient = |path: &'static str| BILLS.call(&stack, Who::patient("12345"), Method::GET, path, None);
        let _ = as_patient("/api/bills/mine").await.expect(200);
        let _ = as_patient("/api/bills/other").await.expect(404);
        for (query, ids) in [("", vec!["mine"]), ("?patientId=12345", vec!["mine"]), ("?patientId=67890", vec![]), ("?status=Paid", vec![])] {
            let list = BILLS.call(&stack, Who::patient("12345"), Method::GET, &format!("/api/bills{query}"), None).await.expect(200);
            let items = list.json()["items"].as_array().cloned().unwrap();
            assert_eq!(items.iter().map(|item| item["billId"].as_str().unwrap()).collect::<Vec<_>>(), ids, "{query}");
        }
        let _ = BILLS.call(&stack, Role::Patient, Method::GET, "/api/bills/mine", None).await.expect(404);
        let none = BILLS.call(&stack, Role::Patient, Method::GET, "/api/bills", None).await.expect(200);
        assert_eq!(none.text, r#"{"items":[],"nextCursor":null}"#);
        let _ = BILLS.call(&stack, Who::patient("12345"), Method::DELETE, "/api/bills/mine", None).await.expect(403);
    }

    async fn no_file_holds_a_readable_word_of_a_bill(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let _ = BILLS.post(&stack, BILL).await.expect(201);
        stack.database(ServiceName::BillingService).no_file_holds(&["consultation", "lab tests", "healthinsure", "srv001", "issued", "150.00"]);
    }
}
