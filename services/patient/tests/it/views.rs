//! Minimum necessary: who does not treat a patient is not shown their medical history, and changes none of it.

use super::*;

const WITHOUT: [Role; 3] = [Role::Receptionist, Role::Billing, Role::Service];

/// Reads a patient, with one more header.
async fn read_with(stack: &Arc<TestStack>, who: impl Into<Who>, name: &str, value: &str) -> Reply {
    let request = stack.request(ServiceName::PatientService, Method::GET, "/api/patients/12345");
    testkit::stack::send(request.bearer_auth(stack.token(who)).header(name, value)).await
}

async fn read(stack: &Arc<TestStack>, who: impl Into<Who>, path: &str) -> Reply {
    PATIENTS.call(stack, who, Method::GET, path, None).await.expect(200)
}

testkit::stack_tests! { services = [patient::SERVICE];
    async fn the_front_desk_and_billing_are_shown_no_medical_history(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        for role in WITHOUT {
            for path in ["/api/patients/12345", "/api/patients", "/api/patients?name=john&dob=1980-01-01"] {
                let seen = read(&stack, role, path).await;
                assert!(seen.text.contains("John Doe"), "{role} {path}: {}", seen.text);
                for hidden in ["medicalHistory", "allergies", "Penicillin", "Diabetes"] {
                    assert!(!seen.text.contains(hidden), "{role} {path}: {}", seen.text);
                }
            }
        }
    }

    async fn who_treats_them_guards_them_or_is_them_is_shown_all(stack: Arc<TestStack>) {
        treated(&stack).await;
        for who in [Role::Admin.into(), Who::clinician("prov001"), Role::PrivacyOfficer.into(), Who::patient("12345")] {
            for path in ["/api/patients/12345", "/api/patients"] {
                let seen = read(&stack, who.clone(), path).await;
                assert!(seen.text.contains("Penicillin") && seen.text.contains("Diabetes"), "{who:?}: {}", seen.text);
            }
        }
    }

    async fn a_patient_who_works_at_the_front_desk_is_shown_their_own_history_alone(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        let _ = register(&stack, "67890").await.expect(201);
        let both = Who { roles: vec![Role::Patient, Role::Receptionist], ..Who::patient("12345") };
        let list = read(&stack, both.clone(), "/api/patients").await.json();
        let shown = list["items"].as_array().unwrap().iter().filter(|item| item.get("medicalHistory").is_some());
        assert_eq!(shown.map(|item| item["patientId"].as_str().unwrap()).collect::<Vec<_>>(), ["12345"]);
        let other = read(&stack, both, "/api/patients/67890").await;
        assert!(other.json().get("medicalHistory").is_none(), "{}", other.text);
    }

    async fn a_change_keeps_what_was_not_shown(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        let seen = read(&stack, Role::Receptionist, "/api/patients/12345").await;
        // The whole of what they see, with one thing changed, under the tag that they have.
        let changed = seen.text.replace("John Doe", "Jane Roe");
        let request = stack
            .request(ServiceName::PatientService, Method::PUT, "/api/patients/12345")
            .bearer_auth(stack.token(Role::Receptionist))
            .header("if-match", seen.header("etag"))
            .header("content-type", "application/json")
            .body(changed);
        let answer = testkit::stack::send(request).await.expect(200);
        assert_eq!(answer.text, r#"{"patientId":"12345","status":"Updated"}"#);
        let kept = PATIENTS.get(&stack, "12345").await.expect(200).json();
        assert_eq!(kept["name"], "Jane Roe");
        assert_eq!(kept["medicalHistory"], serde_json::json!({"allergies": ["Penicillin"], "chronicConditions": ["Diabetes"]}));
    }

    async fn what_is_not_shown_cannot_be_changed_and_a_refusal_tells_nothing(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        for patch in [
            r#"{"name": "Jane Roe", "medicalHistory": {"allergies": []}}"#,
            r#"{"medicalHistory": {"allergies": ["Penicillin"], "chronicConditions": ["Diabetes"]}}"#,
            r#"{"medicalHistory": {}}"#,
            r#"{"medicalHistory": null}"#,
            r#"{"medical\u0048istory": null}"#,
        ] {
            let mut refusals = Vec::new();
            for id in ["12345", "nobody"] {
                let path = format!("/api/patients/{id}");
                let refused = PATIENTS.call(&stack, Role::Receptionist, Method::PUT, &path, Some(patch)).await.expect(403);
                assert_eq!(refused.faults(), ["medicalHistory"], "{patch}: {}", refused.text);
                refusals.push(refused.text);
            }
            assert_eq!(refusals[0], refusals[1], "whether there is such a patient, and what is wrong with them, shows");
        }
        assert_eq!(PATIENTS.get(&stack, "12345").await.expect(200).header("etag"), "\"v1\"");
        let _ = join(&stack, Role::Admin, "12345", "prov001").await.expect(200);
        let _ = PATIENTS.call(&stack, Who::clinician("prov001"), Method::PUT, "/api/patients/12345", Some(r#"{"medicalHistory": null}"#)).await.expect(200);
        let cleared = PATIENTS.get(&stack, "12345").await.expect(200).json();
        assert_eq!(cleared["medicalHistory"], serde_json::json!({"allergies": [], "chronicConditions": []}));
    }

    async fn the_copy_of_one_who_was_shown_more_is_not_confirmed_to_one_who_is_shown_less(stack: Arc<TestStack>) {
        treated(&stack).await;
        let doctor = || Who::clinician("prov001");
        let (whole, necessary) = ("\"v1\"", "\"v1-necessary\"");
        for (who, etag, status) in [
            (doctor(), whole, 304), (doctor(), necessary, 200),
            (Role::Receptionist.into(), whole, 200), (Role::Receptionist.into(), necessary, 304),
        ] {
            let is_shown = who.provider_id.is_some();
            let answer = read_with(&stack, who, "if-none-match", etag).await.expect(status);
            assert_eq!(answer.header("etag"), if is_shown { whole } else { necessary });
        }
    }
}
