//! Clinicians see whom they treat, and nobody else; who that is, beside appointments, a care team says.

use super::*;

async fn get(stack: &Arc<TestStack>, who: &Who, path: &str) -> Reply {
    PATIENTS.call(stack, who.clone(), Method::GET, path, None).await
}

async fn leave(stack: &Arc<TestStack>, who: impl Into<Who>, patient: &str, provider: &str) -> Reply {
    let path = format!("/api/patients/{patient}/care-team/{provider}");
    PATIENTS.call(stack, who, Method::DELETE, &path, None).await
}

/// Tells of something as the relay of a service does.
async fn tell(stack: &Arc<TestStack>, id: &str, kind: &str, data: &str) {
    let event = format!(
        r#"{{"id": "{id}", "occurredAt": "2026-01-15T08:00:00Z", "type": "{kind}", "data": {data}}}"#
    );
    let _ =
        PATIENTS.call(stack, Role::Service, Method::POST, "/internal/events", Some(&event)).await.expect(200);
}

/// A refusal, without what is of the one request alone.
fn said(reply: &Reply) -> serde_json::Value {
    let mut said = reply.json();
    said["traceId"].take();
    said
}

testkit::stack_tests! { services = [patient::SERVICE];
    async fn a_clinician_sees_and_finds_whom_they_treat_and_the_others_are_not_there(stack: Arc<TestStack>) {
        treated(&stack).await;
        let _ = register(&stack, "67890").await.expect(201);
        let doctor = Who::clinician("prov001");
        assert!(get(&stack, &doctor, "/api/patients/12345").await.expect(200).text.contains("Penicillin"));
        for path in ["/api/patients/", "/api/patients/%/care-team"] {
            let of = |id: &str| if path.contains('%') { path.replace('%', id) } else { format!("{path}{id}") };
            let (other, unknown) = (get(&stack, &doctor, &of("67890")).await.expect(404), get(&stack, &doctor, &of("nobody")).await.expect(404));
            assert_eq!(said(&other), said(&unknown));
        }
        let change = Some(r#"{"name": "Jane Roe"}"#);
        let _ = PATIENTS.call(&stack, doctor.clone(), Method::PUT, "/api/patients/67890", change).await.expect(404);
        let _ = PATIENTS.call(&stack, doctor.clone(), Method::PUT, "/api/patients/12345", change).await.expect(200);
        for query in ["", "limit=1", "name=jan&dob=1980-01-01", "phone=%2B1234567890&dob=1980-01-01", "email=johndoe@example.com"] {
            assert_eq!(PATIENTS.found(&stack, doctor.clone(), query).await, ["12345"], "{query}");
            let page = get(&stack, &doctor, &format!("/api/patients?{query}")).await.json();
            assert_eq!(page["nextCursor"], serde_json::Value::Null, "{query}");
        }
        assert!(PATIENTS.found(&stack, doctor, "name=john").await.is_empty());
        for role in [Role::Admin, Role::Receptionist, Role::Billing, Role::PrivacyOfficer] {
            assert_eq!(PATIENTS.found(&stack, role, "").await.len(), 2);
        }
        for nobody in [Who::clinician("prov002"), Role::Clinician.into()] {
            assert!(PATIENTS.found(&stack, nobody, "").await.is_empty());
        }
    }

    async fn who_is_in_a_care_team_brings_others_in_until_a_day_and_takes_them_out(stack: Arc<TestStack>) {
        treated(&stack).await;
        let (doctor, colleague) = (Who::clinician("prov001"), Who::clinician("prov002"));
        // Nobody lets themselves in.
        let _ = join(&stack, colleague.clone(), "12345", "prov002").await.expect(404);
        let path = "/api/patients/12345/care-team/prov002";
        let joined = PATIENTS.call(&stack, doctor.clone(), Method::PUT, path, Some(r#"{"until": "2026-01-20"}"#)).await.expect(200);
        assert_eq!(joined.text, r#"{"patientId":"12345","providerId":"prov002","status":"Joined"}"#);
        let team = get(&stack, &colleague, "/api/patients/12345/care-team").await.expect(200).json();
        assert_eq!(team["items"], serde_json::json!([{"providerId": "prov001"}, {"providerId": "prov002", "until": "2026-01-20"}]));
        stack.clock.advance(chrono::TimeDelta::days(5));
        let _ = get(&stack, &colleague, "/api/patients/12345").await.expect(200);
        stack.clock.advance(chrono::TimeDelta::days(1));
        let _ = get(&stack, &colleague, "/api/patients/12345").await.expect(404);
        let _ = get(&stack, &doctor, "/api/patients/12345").await.expect(200);

        let _ = join(&stack, doctor.clone(), "12345", "prov002").await.expect(200);
        let _ = get(&stack, &colleague, "/api/patients/12345").await.expect(200);
        for _ in 0..2 {
            let left = leave(&stack, Role::Receptionist, "12345", "prov002").await.expect(200);
            assert_eq!(left.json()["status"], "Left");
        }
        let _ = get(&stack, &colleague, "/api/patients/12345").await.expect(404);
        let team = get(&stack, &doctor, "/api/patients/12345/care-team").await.expect(200).json();
        assert_eq!(team["items"], serde_json::json!([{"providerId": "prov001"}]));
    }

    async fn who_registers_a_patient_treats_them(stack: Arc<TestStack>) {
        let doctor = Who::clinician("prov001");
        let registered = PATIENTS.call(&stack, doctor.clone(), Method::POST, "/api/patients", Some(JOHN)).await.expect(201);
        let _ = get(&stack, &doctor, registered.header("location")).await.expect(200);
        let _ = PATIENTS.call(&stack, Role::Receptionist, Method::POST, "/api/patients", Some(&john("67890"))).await.expect(201);
        let team = get(&stack, &Role::Admin.into(), "/api/patients/67890/care-team").await.expect(200);
        assert_eq!(team.text, r#"{"items":[],"nextCursor":null}"#);
    }

    async fn no_clinician_learns_who_is_there_by_registering_them(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        let by = async |who: Who, id: &str| PATIENTS.call(&stack, who, Method::POST, "/api/patients", Some(&john(id))).await;
        let doctor = Who::clinician("prov001");
        let (taken, free) = (by(doctor.clone(), "12345").await.expect(403), by(doctor.clone(), "67890").await.expect(403));
        assert_eq!((said(&taken), taken.faults()), (said(&free), vec!["patientId".to_owned()]));
        // Who sees everybody is told what is taken: it is no news to them.
        let _ = by(Role::Receptionist.into(), "12345").await.expect(409);
        let desk = Who { roles: vec![Role::Clinician, Role::Receptionist], ..doctor };
        let _ = by(desk, "67890").await.expect(201);
    }

    async fn appointments_and_emergencies_let_them_see_too(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        let doctor = Who::clinician("prov001");
        let _ = get(&stack, &doctor, "/api/patients/12345").await.expect(404);
        let glass = |until: &str| format!(r#"{{"grantId": "grant_1", "patientId": "12345", "userId": "usr_prov001", "until": "{until}"}}"#);
        tell(&stack, "evt_1", "glass.broken.v1", &glass("2026-01-15T10:00:00Z")).await;
        let _ = get(&stack, &doctor, "/api/patients/12345").await.expect(200);
        tell(&stack, "evt_2", "glass.shut.v1", &glass("2026-01-15T09:00:00Z")).await;
        let _ = get(&stack, &doctor, "/api/patients/12345").await.expect(404);
        let care = r#"{"care": [{"source": "appointment:a", "version": 1, "patientId": "12345", "providerId": "prov001", "until": "2026-02-15T10:00:00Z"}]}"#;
        tell(&stack, "evt_3", "care.told.v1", care).await;
        let _ = get(&stack, &doctor, "/api/patients/12345").await.expect(200);
    }

    async fn breaking_the_glass_makes_nobody_treat_and_changes_nothing_that_would_outlast_it(stack: Arc<TestStack>) {
        treated(&stack).await;
        let (doctor, other) = (Who::clinician("prov001"), Who::clinician("prov002"));
        let glass = |grant: &str, user: &str, until: &str| format!(r#"{{"grantId": "{grant}", "patientId": "12345", "userId": "{user}", "until": "{until}"}}"#);
        tell(&stack, "evt_1", "glass.broken.v1", &glass("grant_1", "usr_prov002", "2026-01-15T10:00:00Z")).await;
        let _ = get(&stack, &other, "/api/patients/12345").await.expect(200);
        let _ = get(&stack, &other, "/api/patients/12345/care-team").await.expect(200);
        let contact = r#"{"contactInfo": {"email": "somebody@example.com"}}"#;
        let _ = PATIENTS.call(&stack, other.clone(), Method::DELETE, "/api/patients/12345", None).await.expect(403);
        for refused in [
            join(&stack, other.clone(), "12345", "prov002").await,
            join(&stack, other.clone(), "12345", "prov003").await,
            leave(&stack, other.clone(), "12345", "prov001").await,
            PATIENTS.call(&stack, other.clone(), Method::PUT, "/api/patients/12345", Some(contact)).await,
        ] {
            let refused = refused.expect(403).json();
            assert_eq!(refused["code"], "forbidden");
            assert!(refused["detail"].as_str().unwrap().contains("treats the patient"), "{refused}");
        }
        // As a patient they record consents, and their own.
        let both = Who { roles: vec![Role::Clinician, Role::Patient], patient_id: Some("67890".to_owned()), ..other.clone() };
        let consent = r#"{"who": {"provider": "prov001"}, "what": ["clinical"]}"#;
        for (who, status) in [(other.clone(), 403), (both, 404)] {
            let _ = PATIENTS.call(&stack, who, Method::POST, "/api/patients/12345/consents", Some(consent)).await.expect(status);
        }
        // Who treats the patient is not bound by having broken the glass too.
        tell(&stack, "evt_2", "glass.broken.v1", &glass("grant_2", "usr_prov001", "2026-01-15T10:00:00Z")).await;
        let _ = join(&stack, doctor.clone(), "12345", "prov003").await.expect(200);
        let _ = PATIENTS.call(&stack, doctor.clone(), Method::PUT, "/api/patients/12345", Some(r#"{"name": "Jane Roe"}"#)).await.expect(200);

        tell(&stack, "evt_3", "glass.shut.v1", &glass("grant_1", "usr_prov002", "2026-01-15T09:00:00Z")).await;
        let _ = get(&stack, &other, "/api/patients/12345").await.expect(404);
        let _ = join(&stack, other, "12345", "prov002").await.expect(404);
        let team = get(&stack, &doctor, "/api/patients/12345/care-team").await.expect(200).json();
        assert_eq!(team["items"], serde_json::json!([{"providerId": "prov001"}, {"providerId": "prov003"}]));
        assert!(get(&stack, &doctor, "/api/patients/12345").await.expect(200).text.contains("johndoe@example.com"));
    }

    async fn a_team_has_so_many_places_and_a_last_day_is_not_past(stack: Arc<TestStack>) {
        treated(&stack).await;
        for at in 1..50 {
            let _ = join(&stack, Role::Admin, "12345", &format!("more{at}")).await.expect(200);
        }
        let refused = join(&stack, Role::Admin, "12345", "onemore").await.expect(409);
        assert_eq!(refused.json()["code"], "invalid-transition");
        let _ = join(&stack, Role::Admin, "12345", "more7").await.expect(200);
        let _ = leave(&stack, Role::Admin, "12345", "more7").await.expect(200);
        let _ = join(&stack, Role::Admin, "12345", "onemore").await.expect(200);
        for until in ["2026-01-14", "never"] {
            let body = format!(r#"{{"until": "{until}"}}"#);
            let path = "/api/patients/12345/care-team/prov001";
            let refused = PATIENTS.call(&stack, Role::Admin, Method::PUT, path, Some(&body)).await.expect(422);
            assert_eq!(refused.faults(), ["until"]);
        }
        for role in [Role::Billing, Role::PrivacyOfficer, Role::Patient, Role::Service] {
            let _ = join(&stack, role, "12345", "prov009").await.expect(403);
            let _ = leave(&stack, role, "12345", "prov001").await.expect(403);
        }
        let _ = join(&stack, Role::Admin, "nobody", "prov001").await.expect(404);
    }

    async fn of_an_erased_patient_no_team_is_left(stack: Arc<TestStack>) {
        treated(&stack).await;
        let _ = PATIENTS.delete(&stack, "12345").await.expect(200);
        let _ = join(&stack, Role::Admin, "12345", "prov001").await.expect(404);
        let db = stack.database(ServiceName::PatientService).db();
        assert!(db::carers_of(&mut db.read().await.unwrap(), "12345", 5).await.unwrap().is_empty());
    }
}
