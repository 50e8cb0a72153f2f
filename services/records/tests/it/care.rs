//! Clinicians see the records of whom they treat, and of nobody else.

use db::{Seeker, Standing};
use serde_json::json;

use super::break_glass::{PATH, REASON, break_glass, entries_of};
use super::*;

/// Two patients with a record each, and two providers.
async fn clinic(stack: &TestStack) {
    for (patient, record_id) in [("12345", "mine"), ("67890", "other")] {
        register(stack, patient).await;
        let _ = RECORDS.post(stack, &record(record_id, patient, "2024-08-01")).await.expect(201);
    }
    for provider in ["prov001", "prov002"] {
        let body = json!({
            "providerId": provider, "name": "Dr. Jane Doe", "specialization": "Cardiology",
            "contactInfo": {"phone": "+1234567890"},
        });
        let (service, path) = (ServiceName::ProviderService, "/api/providers");
        let _ =
            stack.call(service, Role::Admin, Method::POST, path, Some(&body.to_string())).await.expect(201);
    }
}

async fn appointment(stack: &TestStack, method: Method, path: &str, body: Option<serde_json::Value>) {
    let body = body.map(|body| body.to_string());
    let service = ServiceName::AppointmentService;
    let reply = stack.call(service, Role::Admin, method, path, body.as_deref()).await;
    assert!(matches!(reply.status, 200 | 201), "{}", reply.text);
}

/// The patient 12345 is to come to prov001 on the Thursday that it is, at ten.
async fn booked(stack: &TestStack) {
    let body = json!({
        "appointmentId": "apt1", "patientId": "12345", "providerId": "prov001",
        "appointmentDate": "2026-01-15", "timeSlot": "10:00",
    });
    appointment(stack, Method::POST, "/api/appointments", Some(body)).await;
}

/// Waits until somebody gets this answer to the record of 12345.
async fn until_status(stack: &TestStack, who: &Who, status: u16) {
    until(|| async { read(stack, who, "/api/records/mine").await.status == status }).await;
}

/// A call of any service.
async fn of(
    stack: &TestStack,
    service: ServiceName,
    who: &Who,
    method: Method,
    path: &str,
    body: &str,
) -> testkit::Reply {
    let body = Some(body).filter(|body| !body.is_empty());
    stack.call(service, who.clone(), method, path, body).await
}

/// A refusal, without what is of the one request alone.
pub(crate) fn said(reply: &testkit::Reply) -> serde_json::Value {
    let mut said = reply.json();
    said["traceId"].take();
    said
}

testkit::stack_tests! { services = [patient::SERVICE, provider::SERVICE, appointment::SERVICE, records::SERVICE];
    async fn a_clinician_sees_whom_they_treat_and_nobody_else_is_there(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let doctor = Who::clinician("prov001");
        let _ = read(&stack, &doctor, "/api/records/mine").await.expect(404);
        booked(&stack).await;
        until_status(&stack, &doctor, 200).await;

        for method in [Method::GET, Method::PUT] {
            let body = (method == Method::PUT).then_some(r#"{"diagnosis": "Cold"}"#);
            let other = call(&stack, &doctor, method.clone(), "/api/records/other", body).await.expect(404);
            let unknown = call(&stack, &doctor, method, "/api/records/nothing", body).await.expect(404);
            assert_eq!(said(&other), said(&unknown));
        }
        for (patient, id) in [("67890", "new1"), ("nobody", "new2")] {
            let body = record(id, patient, "2024-08-01");
            let refused = call(&stack, &doctor, Method::POST, "/api/records", Some(&body)).await.expect(422);
            assert_eq!(refused.faults(), ["patientId"]);
        }
        for (query, ids) in [("", vec!["mine"]), ("patientId=12345", vec!["mine"]), ("patientId=67890", vec![]), ("limit=1", vec!["mine"])] {
            assert_eq!(RECORDS.found(&stack, doctor.clone(), query).await, ids, "{query}");
            let list = read(&stack, &doctor, &format!("/api/records?{query}")).await.json();
            assert_eq!(list["nextCursor"], serde_json::Value::Null, "{query}");
        }
        let _ = call(&stack, &doctor, Method::PUT, "/api/records/mine", Some(r#"{"treatment": "More rest"}"#)).await.expect(200);
        let new = record("new3", "12345", "2024-08-02");
        let _ = call(&stack, &doctor, Method::POST, "/api/records", Some(&new)).await.expect(201);
        assert_eq!(RECORDS.found(&stack, doctor, "").await, ["new3", "mine"]);
    }

    async fn who_treats_nobody_sees_nothing_and_who_runs_the_clinic_sees_all(stack: Arc<TestStack>) {
        clinic(&stack).await;
        booked(&stack).await;
        until_status(&stack, &Who::clinician("prov001"), 200).await;
        for who in [Who::clinician("prov002"), Role::Clinician.into()] {
            let _ = read(&stack, &who, "/api/records/mine").await.expect(404);
            assert!(RECORDS.found(&stack, who, "").await.is_empty());
        }
        for who in [Role::Admin, Role::PrivacyOfficer] {
            assert_eq!(RECORDS.found(&stack, who, "").await, ["other", "mine"]);
            let _ = read(&stack, &who.into(), "/api/records/other").await.expect(200);
        }
        // A clinician who is treated here too sees their own beside those of whom they treat.
        let both = Who {
            roles: vec![Role::Clinician, Role::Patient],
            patient_id: Some("67890".to_owned()),
            ..Who::clinician("prov001")
        };
        assert_eq!(RECORDS.found(&stack, both.clone(), "").await, ["other", "mine"]);
        let _ = read(&stack, &both, "/api/records/other").await.expect(200);
        let _ = call(&stack, &both, Method::PUT, "/api/records/other", Some(r#"{"diagnosis": "Cold"}"#)).await.expect(404);
    }

    async fn care_ends_when_the_appointment_is_moved_to_somebody_else_or_cancelled(stack: Arc<TestStack>) {
        clinic(&stack).await;
        booked(&stack).await;
        let (one, other) = (Who::clinician("prov001"), Who::clinician("prov002"));
        until_status(&stack, &one, 200).await;
        appointment(&stack, Method::PUT, "/api/appointments/apt1", Some(json!({"providerId": "prov002"}))).await;
        until_status(&stack, &other, 200).await;
        let _ = read(&stack, &one, "/api/records/mine").await.expect(404);
        appointment(&stack, Method::DELETE, "/api/appointments/apt1", None).await;
        until_status(&stack, &other, 404).await;
    }

    async fn of_an_emergency_that_was_none_nothing_is_left_whatever_was_tried_in_it(stack: Arc<TestStack>) {
        use ServiceName::{AppointmentService as Appointments, PatientService as Patients};
        clinic(&stack).await;
        booked(&stack).await;
        let (doctor, other) = (Who::clinician("prov001"), Who::clinician("prov002"));
        until_status(&stack, &doctor, 200).await;
        let granted = break_glass(&stack, &other, "12345", REASON).await.expect(201).json();
        let grant = granted["grantId"].as_str().unwrap();
        let seen = [(Patients, "/api/patients/12345"), (Appointments, "/api/appointments/apt1"), (ServiceName::MedicalRecordsService, "/api/records/mine")];
        for (service, path) in seen {
            until(|| async { of(&stack, service, &other, Method::GET, path, "").await.status == 200 }).await;
        }
        let booking = r#"{"patientId": "12345", "providerId": "prov002", "appointmentDate": "2026-11-09", "timeSlot": "10:00"}"#;
        for (service, method, path, body) in [
            (Patients, Method::PUT, "/api/patients/12345/care-team/prov002", "{}"),
            (Patients, Method::DELETE, "/api/patients/12345/care-team/prov001", ""),
            (Patients, Method::PUT, "/api/patients/12345", r#"{"contactInfo": {"email": "somebody@example.com"}}"#),
            (Appointments, Method::POST, "/api/appointments", booking),
            (Appointments, Method::PUT, "/api/appointments/apt1", r#"{"providerId": "prov002"}"#),
            (Appointments, Method::DELETE, "/api/appointments/apt1", ""),
        ] {
            let refused = of(&stack, service, &other, method, path, body).await.expect(403);
            assert_eq!(refused.json()["code"], "forbidden", "{path}");
        }
        // Later than whatever was read before: of two entries of one moment in two chains nobody can say which was the later.
        stack.clock.advance(chrono::TimeDelta::milliseconds(1));
        let _ = read(&stack, &other, "/api/records/mine").await.expect(200);
        let seen_by = &entries_of(&stack, "get_record_by_id").await[0].entry;
        assert_eq!((seen_by.who.as_str(), seen_by.reason.clone()), ("usr_prov002", Some(format!("break-glass {grant}"))));

        let (review, finding) = (format!("{PATH}/{grant}/review"), Some(r#"{"finding": "NotJustified"}"#));
        let _ = call(&stack, &Role::PrivacyOfficer.into(), Method::POST, &review, finding).await.expect(200);
        let _ = read(&stack, &other, "/api/records/mine").await.expect(404);
        for (service, path) in seen {
            until(|| async { of(&stack, service, &other, Method::GET, path, "").await.status == 404 }).await;
            let _ = of(&stack, service, &doctor, Method::GET, path, "").await.expect(200);
        }
        assert!(RECORDS.found(&stack, other, "").await.is_empty());
        let kept = of(&stack, Appointments, &Role::Admin.into(), Method::GET, "/api/appointments/apt1", "").await.expect(200).json();
        assert_eq!((&kept["providerId"], &kept["status"]), (&"prov001".into(), &"Scheduled".into()));
    }

    async fn care_goes_on_for_a_month_after_the_visit(stack: Arc<TestStack>) {
        clinic(&stack).await;
        booked(&stack).await;
        let doctor = Who::clinician("prov001");
        until_status(&stack, &doctor, 200).await;
        stack.clock.advance(chrono::TimeDelta::days(29));
        let _ = read(&stack, &doctor, "/api/records/mine").await.expect(200);
        stack.clock.advance(chrono::TimeDelta::days(2));
        let _ = read(&stack, &doctor, "/api/records/mine").await.expect(404);
        assert!(RECORDS.found(&stack, doctor, "").await.is_empty());
    }

    async fn what_was_booked_by_a_version_that_told_nobody_is_told_after_the_update(stack: Arc<TestStack>) {
        clinic(&stack).await;
        booked(&stack).await;
        let doctor = Who::clinician("prov001");
        until_status(&stack, &doctor, 200).await;
        let (records, appointments) = (ServiceName::MedicalRecordsService, ServiceName::AppointmentService);
        for (service, statement) in [(records, "delete from care"), (appointments, "update appointment set care_told = 0")] {
            let mut tx = stack.database(service).db().begin().await.unwrap();
            db::on!(tx, |conn| sqlx::query(statement).execute(conn).await.map(drop)).unwrap();
            tx.commit().await.unwrap();
        }
        let _ = read(&stack, &doctor, "/api/records/mine").await.expect(404);
        let db = stack.database(appointments).db();
        assert!(::appointment::jobs::care::tell(db).await.unwrap());
        assert!(!::appointment::jobs::care::tell(db).await.unwrap());
        until_status(&stack, &doctor, 200).await;
    }

    async fn nothing_is_kept_of_whose_care_is_told_after_they_were_erased(stack: Arc<TestStack>) {
        tell_care(&stack, "evt_1", "12345", "prov001").await;
        let db = stack.database(ServiceName::MedicalRecordsService).db();
        let seeker = Seeker { user: "usr_1", provider: Some("prov001"), names: "" };
        let stands = async || db::standing(&mut db.read().await.unwrap(), seeker, "12345").await.unwrap();
        assert_eq!(stands().await, Standing { treats: true, ..Standing::default() });
        assert!(tell_erased(&stack, ServiceName::MedicalRecordsService, "evt_2", "12345").await);
        assert_eq!(stands().await, Standing::default());
        tell_care(&stack, "evt_3", "12345", "prov001").await;
        assert_eq!(stands().await, Standing::default());
    }
}
