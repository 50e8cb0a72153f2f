//! Clinicians see the appointments with them and of whom they treat, and book for nobody else.

use super::*;

pub(crate) async fn list(stack: &Arc<TestStack>, who: &Who, query: &str) -> Vec<String> {
    let path = format!("/api/appointments?{query}");
    let list = call(stack, who.clone(), Method::GET, &path, None).await.expect(200).json();
    let items = list["items"].as_array().cloned().unwrap();
    items.iter().map(|item| item["appointmentId"].as_str().unwrap().to_owned()).collect()
}

pub(crate) async fn read(stack: &Arc<TestStack>, who: &Who, path: &str) -> Reply {
    call(stack, who.clone(), Method::GET, &format!("/api/appointments/{path}"), None).await
}

/// Tells of records that were opened in an emergency, or shut, as the relay does.
async fn tell_glass(stack: &Arc<TestStack>, event: &str, kind: &str, until: &str) {
    let event = json!({
        "id": event, "occurredAt": "2026-01-15T09:00:00Z", "type": format!("glass.{kind}.v1"),
        "data": {"grantId": "grant_1", "patientId": "67890", "userId": "usr_prov001", "until": until},
    });
    let _ = call(stack, Role::Service, Method::POST, "/internal/events", Some(&event.to_string()))
        .await
        .expect(200);
}

/// That somebody sees what they ask to change, and must treat the patient for it.
fn needs_treating(refused: Reply) {
    let refused = refused.expect(403).json();
    assert_eq!(refused["code"], "forbidden");
    assert!(refused["detail"].as_str().unwrap().contains("treats the patient"), "{refused}");
}

/// A refusal, without what is of the one request alone.
pub(crate) fn said(reply: &Reply) -> Value {
    let mut said = reply.json();
    said["traceId"].take();
    said
}

/// Two patients with an appointment each, with a provider each.
pub(crate) async fn two(stack: &Arc<TestStack>) {
    clinic(stack).await;
    patient(stack, "67890").await;
    provider(stack, "prov002").await;
    let _ = book(stack, Role::Admin, &at("mine", "12345", "prov001", "10:00")).await.expect(201);
    let _ = book(stack, Role::Admin, &at("other", "67890", "prov002", "11:00")).await.expect(201);
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn a_clinician_sees_whom_they_treat_and_the_others_are_not_there(stack: Arc<TestStack>) {
        two(&stack).await;
        let doctor = Who::clinician("prov001");
        let _ = read(&stack, &doctor, "mine").await.expect(200);
        let (other, unknown) = (read(&stack, &doctor, "other").await.expect(404), read(&stack, &doctor, "none").await.expect(404));
        assert_eq!(said(&other), said(&unknown));
        let _ = read(&stack, &doctor, "other/history").await.expect(404);
        let _ = put(&stack, doctor.clone(), "other", &json!({"status": "Confirmed"})).await.expect(404);
        let _ = call(&stack, doctor.clone(), Method::DELETE, "/api/appointments/other", None).await.expect(404);
        for (query, ids) in [
            ("", vec!["mine"]), ("patientId=12345", vec!["mine"]), ("patientId=67890", vec![]), ("providerId=prov001", vec!["mine"]),
            ("providerId=prov002", vec![]), ("status=Scheduled", vec!["mine"]), ("status=Cancelled", vec![]), ("limit=1", vec!["mine"]),
        ] {
            assert_eq!(list(&stack, &doctor, query).await, ids, "{query}");
        }
        for who in [Role::Admin, Role::Receptionist, Role::Billing] {
            assert_eq!(list(&stack, &who.into(), "").await, ["mine", "other"]);
        }
        // Who is no provider treats nobody.
        assert!(list(&stack, &Role::Clinician.into(), "").await.is_empty());
        let _ = read(&stack, &Role::Clinician.into(), "mine").await.expect(404);
    }

    async fn a_clinician_sees_all_appointments_of_whom_they_treat_and_sends_them_to_others(stack: Arc<TestStack>) {
        two(&stack).await;
        let (doctor, colleague) = (Who::clinician("prov001"), Who::clinician("prov002"));
        let _ = read(&stack, &colleague, "mine").await.expect(404);
        let _ = book(&stack, doctor.clone(), &at("sent", "12345", "prov002", "14:00")).await.expect(201);
        assert_eq!(list(&stack, &doctor, "").await, ["mine", "sent"]);
        assert_eq!(list(&stack, &colleague, "").await, ["mine", "other", "sent"]);
        let _ = read(&stack, &colleague, "mine").await.expect(200);
    }

    async fn nobody_comes_to_see_a_patient_by_booking_for_them(stack: Arc<TestStack>) {
        two(&stack).await;
        let doctor = Who::clinician("prov001");
        for patient in ["67890", "nobody"] {
            let refused = book(&stack, doctor.clone(), &at("new", patient, "prov001", "14:00")).await.expect(422);
            assert_eq!(refused.faults(), ["patientId"]);
        }
        assert_eq!(list(&stack, &doctor, "").await, ["mine"]);
    }

    async fn what_was_with_them_stays_theirs_to_see_and_not_to_plan_anew(stack: Arc<TestStack>) {
        two(&stack).await;
        let doctor = Who::clinician("prov001");
        stack.clock.advance(chrono::TimeDelta::days(60));
        let _ = read(&stack, &doctor, "mine").await.expect(200);
        assert_eq!(list(&stack, &doctor, "").await, ["mine"]);
        let again = json!({"appointmentDate": "2026-04-20"});
        needs_treating(put(&stack, doctor.clone(), "mine", &again).await);
        needs_treating(call(&stack, doctor.clone(), Method::DELETE, "/api/appointments/mine", None).await);
        let _ = book(&stack, doctor, &at("new", "12345", "prov001", "14:00")).await.expect(422);
    }

    async fn who_cancels_the_last_that_is_with_them_sees_it_and_may_say_so_again(stack: Arc<TestStack>) {
        two(&stack).await;
        let doctor = Who::clinician("prov001");
        for _ in 0..2 {
            let _ = call(&stack, doctor.clone(), Method::DELETE, "/api/appointments/mine", None).await.expect(200);
        }
        assert_eq!(read(&stack, &doctor, "mine").await.expect(200).json()["status"], "Cancelled");
        needs_treating(put(&stack, doctor, "mine", &json!({"status": "Scheduled"})).await);
    }

    async fn a_cancelled_appointment_lets_nobody_see_the_rest(stack: Arc<TestStack>) {
        two(&stack).await;
        let _ = book(&stack, Role::Admin, &at("sent", "12345", "prov002", "14:00")).await.expect(201);
        let colleague = Who::clinician("prov002");
        let _ = read(&stack, &colleague, "mine").await.expect(200);
        let _ = cancel(&stack, "sent").await.expect(200);
        let _ = read(&stack, &colleague, "mine").await.expect(404);
        let _ = read(&stack, &colleague, "sent").await.expect(200);
    }

    async fn in_an_emergency_the_patients_appointments_are_open_too_until_it_is_over_or_shut(stack: Arc<TestStack>) {
        two(&stack).await;
        let doctor = Who::clinician("prov001");
        tell_glass(&stack, "evt_1", "broken", "2026-01-15T10:00:00Z").await;
        let _ = read(&stack, &doctor, "other").await.expect(200);
        assert_eq!(list(&stack, &doctor, "").await, ["mine", "other"]);
        let _ = read(&stack, &Who::clinician("prov003"), "other").await.expect(404);
        tell_glass(&stack, "evt_2", "shut", "2026-01-15T09:00:00Z").await;
        let _ = read(&stack, &doctor, "other").await.expect(404);
        // The event of before comes once more, and late.
        tell_glass(&stack, "evt_3", "broken", "2026-01-15T10:00:00Z").await;
        let _ = read(&stack, &doctor, "other").await.expect(404);
    }

    async fn breaking_the_glass_books_moves_and_cancels_nothing(stack: Arc<TestStack>) {
        two(&stack).await;
        let doctor = Who::clinician("prov001");
        tell_glass(&stack, "evt_1", "broken", "2026-01-15T10:00:00Z").await;
        let _ = read(&stack, &doctor, "other").await.expect(200);
        for provider in ["prov001", "prov002"] {
            needs_treating(book(&stack, doctor.clone(), &at("new", "67890", provider, "14:00")).await);
        }
        for change in [
            json!({"providerId": "prov001"}), json!({"appointmentDate": "2026-11-09"}), json!({"timeSlot": "14:00"}), json!({"status": "Cancelled"}),
            json!({"status": "NoShow"}), json!({"reason": "Flu"}), json!({}),
        ] {
            needs_treating(put(&stack, doctor.clone(), "other", &change).await);
        }
        needs_treating(call(&stack, doctor.clone(), Method::DELETE, "/api/appointments/other", None).await);
        let other = get(&stack, "other").await.json();
        assert_eq!((&other["providerId"], &other["status"], &other["appointmentDate"]), (&"prov002".into(), &"Scheduled".into(), &MONDAY.into()));

        // Who comes to treat the patient meanwhile may.
        let _ = book(&stack, Role::Receptionist, &at("sent", "67890", "prov001", "14:00")).await.expect(201);
        let _ = put(&stack, doctor.clone(), "other", &json!({"status": "Confirmed"})).await.expect(200);
        let _ = cancel(&stack, "sent").await.expect(200);
        needs_treating(put(&stack, doctor.clone(), "sent", &json!({"timeSlot": "15:00"})).await);
        tell_glass(&stack, "evt_2", "shut", "2026-01-15T09:00:00Z").await;
        let _ = read(&stack, &doctor, "other").await.expect(404);
        assert_eq!(list(&stack, &doctor, "").await, ["mine", "sent"]);
    }

    async fn what_was_once_with_them_they_do_not_plan_anew_by_breaking_the_glass(stack: Arc<TestStack>) {
        two(&stack).await;
        let doctor = Who::clinician("prov002");
        stack.clock.advance(chrono::TimeDelta::days(60));
        let glass = json!({
            "id": "evt_1", "occurredAt": "2026-03-16T09:00:00Z", "type": "glass.broken.v1",
            "data": {"grantId": "grant_1", "patientId": "67890", "userId": "usr_prov002", "until": "2026-03-16T10:00:00Z"},
        });
        let _ = call(&stack, Role::Service, Method::POST, "/internal/events", Some(&glass.to_string())).await.expect(200);
        needs_treating(put(&stack, doctor, "other", &json!({"appointmentDate": "2026-04-20"})).await);
    }

    async fn an_erased_patient_leaves_nobody_who_treats_them(stack: Arc<TestStack>) {
        two(&stack).await;
        let db = stack.database(ServiceName::AppointmentService).db();
        let carers = async || db::carers_of(&mut db.read().await.unwrap(), "12345", 5).await.unwrap();
        assert_eq!(carers().await, ["prov001"]);
        let _ = stack.call(ServiceName::PatientService, Role::Admin, Method::DELETE, "/api/patients/12345", None).await.expect(200);
        until(|| async { get(&stack, "mine").await.status == 404 }).await;
        assert!(carers().await.is_empty());
    }
}
