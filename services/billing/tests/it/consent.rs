//! What a patient does not share is not there for whom they do not share it with, be they billing itself.

use testkit::patients::{deny, share_again};

use super::care::{clinic, read, said};
use super::*;

async fn until_status(stack: &TestStack, who: &Who, status: u16) {
    for _ in 0..200 {
        if read(stack, who, "mine").await.status == status {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("it did not come about");
}

testkit::stack_tests! { services = [patient::SERVICE, billing::SERVICE];
    async fn bills_that_are_kept_from_billing_are_not_there_for_it(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let clerk = Who::from(Role::Billing);
        let consent = deny(&stack, "12345", r#"{"role": "billing"}"#, r#"["bills"]"#).await;
        until_status(&stack, &clerk, 404).await;
        assert_eq!(said(&read(&stack, &clerk, "mine").await), said(&read(&stack, &clerk, "none").await));
        for method in [Method::PUT, Method::DELETE] {
            let body = (method == Method::PUT).then_some(r#"{"status": "Paid"}"#);
            let _ = BILLS.call(&stack, clerk.clone(), method, "/api/bills/mine", body).await.expect(404);
        }
        for (query, ids) in [("", vec!["other"]), ("patientId=12345", vec![]), ("status=Issued", vec!["other"]), ("limit=1", vec!["other"])] {
            assert_eq!(BILLS.found(&stack, clerk.clone(), query).await, ids, "{query}");
            let list = BILLS.call(&stack, clerk.clone(), Method::GET, &format!("/api/bills?{query}"), None).await.json();
            assert_eq!(list["nextCursor"], serde_json::Value::Null, "{query}");
        }
        // What was done is billed all the same.
        let _ = BILLS.call(&stack, clerk.clone(), Method::POST, "/api/bills", Some(&bill("new", "12345", "Issued"))).await.expect(201);
        for who in [Role::Admin.into(), Role::Receptionist.into(), Who::clinician("prov001"), Who::patient("12345")] {
            let _ = read(&stack, &who, "mine").await.expect(200);
            assert!(BILLS.found(&stack, who.clone(), "status=Issued").await.contains(&"mine".to_owned()), "{who:?}");
        }
        share_again(&stack, "12345", &consent).await;
        until_status(&stack, &clerk, 200).await;
        assert_eq!(BILLS.found(&stack, clerk, "patientId=12345").await, ["new", "mine"]);
    }

    async fn a_clinician_who_treats_sees_no_bills_that_are_kept_from_them_but_in_an_emergency(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let doctor = Who::clinician("prov001");
        let _ = deny(&stack, "12345", r#"{"provider": "prov001"}"#, r#"["bills"]"#).await;
        until_status(&stack, &doctor, 404).await;
        for query in ["", "status=Issued", "patientId=12345"] {
            assert!(BILLS.found(&stack, doctor.clone(), query).await.is_empty(), "{query}");
        }
        tell_glass(&stack, "12345").await;
        let _ = read(&stack, &doctor, "mine").await.expect(200);
        for query in ["", "status=Issued", "patientId=12345"] {
            assert_eq!(BILLS.found(&stack, doctor.clone(), query).await, ["mine"], "{query}");
        }
    }
}
