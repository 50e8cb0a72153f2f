//! What becomes of bills when their patient is erased.

use super::*;

testkit::stack_tests! { services = [patient::SERVICE, billing::SERVICE];
    async fn the_law_keeps_what_was_sent_and_those_who_keep_the_books_see_it(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        register(&stack, "67890").await;
        let _ = BILLS.post(&stack, &bill("draft", "12345", "Draft")).await.expect(201);
        for id in ["issued", "paid", "void"] {
            let _ = BILLS.post(&stack, &bill(id, "12345", "Issued")).await.expect(201);
        }
        let _ = BILLS.post(&stack, &bill("other", "67890", "Issued")).await.expect(201);
        let _ = BILLS.put(&stack, "paid", r#"{"status": "Paid"}"#).await.expect(200);
        let _ = BILLS.delete(&stack, "void").await.expect(200);
        let before = BILLS.get(&stack, "issued").await.expect(200);
        erase(&stack, "12345", ServiceName::BillingService).await;

        let kept = BILLS.get(&stack, "issued").await.expect(200);
        assert_eq!(kept.text, before.text.replace(r#""status":"Issued"}"#, r#""status":"Issued","restricted":true}"#));
        for (who, ids) in [
            (Who::from(Role::Admin), ["draft", "issued", "paid", "void", "other"].map(|id| (id, if id == "draft" { 404 } else { 200 }))),
            (Who::from(Role::Billing), ["draft", "issued", "paid", "void", "other"].map(|id| (id, if id == "draft" { 404 } else { 200 }))),
            (Who::from(Role::Receptionist), ["draft", "issued", "paid", "void", "other"].map(|id| (id, if id == "other" { 200 } else { 404 }))),
            (Who::patient("12345"), ["draft", "issued", "paid", "void", "other"].map(|id| (id, 404))),
        ] {
            for (id, status) in ids {
                let read = BILLS.call(&stack, who.clone(), Method::GET, &format!("/api/bills/{id}"), None).await;
                assert_eq!(read.status, status, "{who:?} {id}");
            }
            let seen = ids.iter().filter(|(_, status)| *status == 200).count();
            let list = BILLS.call(&stack, who.clone(), Method::GET, "/api/bills", None).await.expect(200);
            assert_eq!(list.json()["items"].as_array().unwrap().len(), seen, "{who:?}");
        }
        let issued = BILLS.call(&stack, Role::Billing, Method::GET, "/api/bills?status=Issued&patientId=12345", None).await;
        assert_eq!(issued.json()["items"].as_array().unwrap().len(), 1);
        assert_eq!(BILLS.post(&stack, &bill("draft", "67890", "Draft")).await.expect(409).faults(), ["billId"]);
    }

    async fn a_restricted_bill_can_still_be_paid(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let _ = BILLS.post(&stack, BILL).await.expect(201);
        erase(&stack, "12345", ServiceName::BillingService).await;
        let _ = BILLS.put(&stack, "bill789", r#"{"status": "Paid"}"#).await.expect(200);
        let read = BILLS.get(&stack, "bill789").await.expect(200);
        assert!(read.text.ends_with(r#""status":"Paid","restricted":true}"#), "{}", read.text);
        assert_eq!(BILLS.put(&stack, "bill789", r#"{"restricted": false}"#).await.expect(422).faults(), ["restricted"]);
    }

    async fn nothing_new_is_billed_to_whom_is_erased(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        // The event comes before the patient service itself knows: as for a write that was under way.
        assert!(tell_erased(&stack, ServiceName::BillingService, "evt_1", "12345").await);
        assert_eq!(BILLS.post(&stack, BILL).await.expect(422).faults(), ["patientId"]);
        let _ = BILLS.get(&stack, "bill789").await.expect(404);
    }

    async fn an_event_that_comes_again_has_no_effect(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let _ = BILLS.post(&stack, BILL).await.expect(201);
        assert!(tell_erased(&stack, ServiceName::BillingService, "evt_1", "12345").await);
        let after = BILLS.get(&stack, "bill789").await.expect(200);
        assert!(!tell_erased(&stack, ServiceName::BillingService, "evt_1", "12345").await);
        assert!(tell_erased(&stack, ServiceName::BillingService, "evt_2", "12345").await);
        assert_eq!(BILLS.get(&stack, "bill789").await.expect(200).header("etag"), after.header("etag"));
    }

    async fn all_bills_of_a_patient_with_many_are_restricted(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        for at in 0..120 {
            let _ = BILLS.post(&stack, &bill(&format!("b{at}"), "12345", if at % 3 == 0 { "Draft" } else { "Issued" })).await.expect(201);
        }
        erase(&stack, "12345", ServiceName::BillingService).await;
        let list = BILLS.call(&stack, Role::Billing, Method::GET, "/api/bills?limit=200", None).await.expect(200).json();
        let items = list["items"].as_array().unwrap();
        assert_eq!(items.len(), 80);
        assert!(items.iter().all(|item| item["restricted"] == true));
    }

    async fn bills_written_while_their_patient_is_erased_are_kept_readable_or_refused(stack: Arc<TestStack>) {
        register(&stack, "12345").await;
        let _ = BILLS.post(&stack, BILL).await.expect(201);
        let writers: Vec<_> = (0..4).map(|at| {
            let stack = Arc::clone(&stack);
            tokio::spawn(async move {
                let id = format!("b{at}");
                let created = BILLS.post(&stack, &bill(&id, "12345", "Issued")).await.status;
                let changed = BILLS.put(&stack, "bill789", &format!(r#"{{"insuranceClaim": {{"claimAmount": {}}}}}"#, at + 1)).await;
                assert_eq!(changed.status, 200, "{}", changed.text);
                (id, created)
            })
        }).collect();
        erase(&stack, "12345", ServiceName::BillingService).await;
        for writer in writers {
            let (id, created) = writer.await.unwrap();
            let read = BILLS.get(&stack, &id).await;
            match created {
                201 => assert_eq!(read.expect(200).json()["restricted"], true),
                422 => drop(read.expect(404)),
                other => panic!("{other}"),
            }
        }
        assert_eq!(BILLS.get(&stack, "bill789").await.expect(200).json()["restricted"], true);
    }
}
