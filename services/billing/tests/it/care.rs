//! Clinicians see the bills of whom they treat; those who work with bills see them all.

use super::*;

/// Two patients with a bill each, of whom prov001 treats the first.
pub(crate) async fn clinic(stack: &TestStack) {
    for (patient, id) in [("12345", "mine"), ("67890", "other")] {
        register(stack, patient).await;
        let _ = BILLS.post(stack, &bill(id, patient, "Issued")).await.expect(201);
    }
    tell_care(stack, "evt_care", "12345", "prov001").await;
}

pub(crate) async fn read(stack: &TestStack, who: &Who, id: &str) -> testkit::Reply {
    BILLS.call(stack, who.clone(), Method::GET, &format!("/api/bills/{id}"), None).await
}

/// A refusal, without what is of the one request alone.
pub(crate) fn said(reply: &testkit::Reply) -> serde_json::Value {
    let mut said = reply.json();
    said["traceId"].take();
    said
}

testkit::stack_tests! { services = [patient::SERVICE, billing::SERVICE];
    async fn a_clinician_sees_the_bills_of_whom_they_treat_and_no_others(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let doctor = Who::clinician("prov001");
        let _ = read(&stack, &doctor, "mine").await.expect(200);
        assert_eq!(said(&read(&stack, &doctor, "other").await.expect(404)), said(&read(&stack, &doctor, "none").await.expect(404)));
        for (query, ids) in [
            ("", vec!["mine"]), ("patientId=12345", vec!["mine"]), ("patientId=67890", vec![]), ("status=Issued", vec!["mine"]),
            ("status=Paid", vec![]), ("limit=1", vec!["mine"]),
        ] {
            assert_eq!(BILLS.found(&stack, doctor.clone(), query).await, ids, "{query}");
            let list = BILLS.call(&stack, doctor.clone(), Method::GET, &format!("/api/bills?{query}"), None).await.json();
            assert_eq!(list["nextCursor"], serde_json::Value::Null, "{query}");
        }
        for nobody in [Who::clinician("prov002"), Role::Clinician.into()] {
            let _ = read(&stack, &nobody, "mine").await.expect(404);
            assert!(BILLS.found(&stack, nobody, "").await.is_empty());
        }
        for role in [Role::Admin, Role::Billing, Role::Receptionist] {
            assert_eq!(BILLS.found(&stack, role, "").await, ["other", "mine"]);
        }
        let both = Who { roles: vec![Role::Clinician, Role::Patient], patient_id: Some("67890".to_owned()), ..Who::clinician("prov001") };
        assert_eq!(BILLS.found(&stack, both, "").await, ["other", "mine"]);
    }

    async fn what_the_law_keeps_of_an_erased_patient_is_no_clinicians(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let doctor = Who::clinician("prov001");
        erase(&stack, "12345", ServiceName::BillingService).await;
        let _ = read(&stack, &doctor, "mine").await.expect(404);
        tell_care(&stack, "evt_late", "12345", "prov001").await;
        let _ = read(&stack, &doctor, "mine").await.expect(404);
        assert!(BILLS.found(&stack, doctor, "").await.is_empty());
        let _ = read(&stack, &Role::Billing.into(), "mine").await.expect(200);
    }

    async fn in_an_emergency_the_patients_bills_are_open_too(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let doctor = Who::clinician("prov001");
        tell_glass(&stack, "67890").await;
        let _ = read(&stack, &doctor, "other").await.expect(200);
        assert_eq!(BILLS.found(&stack, doctor.clone(), "").await, ["other", "mine"]);
        stack.clock.advance(chrono::TimeDelta::hours(1));
        let _ = read(&stack, &doctor, "other").await.expect(404);
    }
}
