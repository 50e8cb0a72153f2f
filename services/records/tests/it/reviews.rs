//! What was opened in an emergency is told, listed and reviewed.

use super::break_glass::{PATH, REASON, break_glass, patients};
use super::*;

async fn listed(stack: &TestStack, query: &str) -> Vec<serde_json::Value> {
    let officer = Role::PrivacyOfficer.into();
    let list = read(stack, &officer, &format!("{PATH}?{query}")).await.expect(200).json();
    list["items"].as_array().cloned().unwrap()
}

async fn review(stack: &TestStack, who: &Who, grant: &str, body: &str) -> testkit::Reply {
    call(stack, who, Method::POST, &format!("{PATH}/{grant}/review"), Some(body)).await
}

async fn granted(stack: &TestStack, who: &Who, patient: &str) -> String {
    let granted = break_glass(stack, who, patient, REASON).await.expect(201).json();
    granted["grantId"].as_str().unwrap().to_owned()
}

testkit::stack_tests! { services = [patient::SERVICE, records::SERVICE];
    async fn it_is_open_until_somebody_else_has_reviewed_it(stack: Arc<TestStack>) {
        patients(&stack).await;
        let (doctor, officer) = (Who::clinician("prov001"), Role::PrivacyOfficer.into());
        let one = granted(&stack, &doctor, "12345").await;
        stack.clock.advance(chrono::TimeDelta::minutes(1));
        let two = granted(&stack, &doctor, "67890").await;
        let ids = |list: Vec<serde_json::Value>| list.iter().map(|item| item["grantId"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!(ids(listed(&stack, "status=Open").await), [two.as_str(), one.as_str()]);
        assert_eq!(ids(listed(&stack, "patientId=12345&status=Open").await), [one.as_str()]);
        let first = &listed(&stack, "patientId=12345").await[0];
        assert_eq!((&first["userId"], &first["reason"], &first["status"]), (&"usr_prov001".into(), &REASON.into(), &"Open".into()));
        assert_eq!((&first["brokenAt"], &first["until"]), (&"2026-01-15T09:00:00Z".into(), &"2026-01-15T10:00:00Z".into()));

        let done = review(&stack, &officer, &one, r#"{"finding": "Justified", "note": "The ward confirmed it."}"#).await.expect(200);
        assert_eq!(done.text, format!(r#"{{"grantId":"{one}","status":"Reviewed"}}"#));
        assert_eq!(ids(listed(&stack, "status=Open").await), [two.as_str()]);
        assert_eq!(ids(listed(&stack, "status=Reviewed").await), [one.as_str()]);
        assert_eq!(ids(listed(&stack, "").await), [two.as_str(), one.as_str()]);
        let reviewed = &listed(&stack, "status=Reviewed&patientId=12345").await[0]["review"];
        assert_eq!((&reviewed["finding"], &reviewed["note"], &reviewed["userId"]), (&"Justified".into(), &"The ward confirmed it.".into(), &"usr_privacy-officer".into()));
        let again = review(&stack, &officer, &one, r#"{"finding": "NotJustified"}"#).await.expect(409);
        assert_eq!(again.json()["code"], "invalid-transition");
        // What was right goes on.
        let _ = read(&stack, &doctor, "/api/records/rec001").await.expect(200);
    }

    async fn what_was_not_right_is_shut_at_once(stack: Arc<TestStack>) {
        patients(&stack).await;
        let doctor = Who::clinician("prov001");
        let grant = granted(&stack, &doctor, "12345").await;
        let _ = read(&stack, &doctor, "/api/records/rec001").await.expect(200);
        stack.clock.advance(chrono::TimeDelta::minutes(5));
        let _ = review(&stack, &Role::PrivacyOfficer.into(), &grant, r#"{"finding": "NotJustified"}"#).await.expect(200);
        let _ = read(&stack, &doctor, "/api/records/rec001").await.expect(404);
        assert_eq!(listed(&stack, "").await[0]["until"], "2026-01-15T09:05:00Z");
    }

    async fn nobody_reviews_what_they_opened_themselves(stack: Arc<TestStack>) {
        patients(&stack).await;
        let admin = Role::Admin.into();
        let grant = granted(&stack, &admin, "12345").await;
        let refused = review(&stack, &admin, &grant, r#"{"finding": "Justified"}"#).await.expect(403);
        assert_eq!(refused.json()["code"], "forbidden");
        assert_eq!(listed(&stack, "status=Open").await.len(), 1);
    }

    async fn a_review_names_a_grant_and_a_finding(stack: Arc<TestStack>) {
        patients(&stack).await;
        let officer = Role::PrivacyOfficer.into();
        let _ = review(&stack, &officer, "grant_x", r#"{"finding": "Justified"}"#).await.expect(404);
        let grant = granted(&stack, &Who::clinician("prov001"), "12345").await;
        for (body, field) in [("{}", "finding"), (r#"{"finding": "Maybe"}"#, "finding"), (r#"{"finding": "Justified", "note": ""}"#, "note"), (r#"{"finding": "Justified", "colour": 1}"#, "colour")] {
            assert_eq!(review(&stack, &officer, &grant, body).await.expect(422).faults(), [field], "{body}");
        }
        for (query, field) in [("status=Half", "status"), ("patientId=..%2F", "patientId"), ("limit=0", "limit"), ("cursor=x", "cursor")] {
            let refused = read(&stack, &officer, &format!("{PATH}?{query}")).await.expect(400);
            assert_eq!(refused.faults(), [field], "{query}");
        }
    }

    async fn the_pages_of_the_list_miss_nothing(stack: Arc<TestStack>) {
        patients(&stack).await;
        let mut grants = Vec::new();
        for at in 0..5 {
            grants.insert(0, granted(&stack, &Who::clinician(&format!("prov{at}")), "12345").await);
            stack.clock.advance(chrono::TimeDelta::seconds(1));
        }
        for filter in ["", "&status=Open", "&patientId=12345"] {
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = read(&stack, &Role::PrivacyOfficer.into(), &format!("{PATH}?limit=2{filter}{cursor}")).await.expect(200).json();
                seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["grantId"].as_str().unwrap().to_owned()));
                let Some(next) = page["nextCursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            assert_eq!(seen, grants, "{filter}");
        }
    }

    async fn after_six_years_it_is_gone(stack: Arc<TestStack>) {
        patients(&stack).await;
        let _ = granted(&stack, &Who::clinician("prov001"), "12345").await;
        let db = stack.database(ServiceName::MedicalRecordsService).db();
        let forget = async || {
            let mut tx = db.begin().await.unwrap();
            records::store::break_glass::break_glass_forget(&mut tx).await.unwrap();
            tx.commit().await.unwrap();
        };
        stack.clock.advance(chrono::TimeDelta::days(6 * 365));
        forget().await;
        assert_eq!(listed(&stack, "").await.len(), 1);
        stack.clock.advance(chrono::TimeDelta::days(60));
        forget().await;
        assert!(listed(&stack, "").await.is_empty());
    }
}

/// A mailbox of who watches over privacy, where the stack names one.
fn with_officer(settings: &mut settings::ServiceSettings) {
    settings.access.privacy_officer = Some("privacy@clinic.example".to_owned());
}

const SERVICES: &[http_kit::Service] =
    &[patient::SERVICE, provider::SERVICE, records::SERVICE, notification::SERVICE];

/// Who treats the patient and who watches over privacy are written to, once, and not whoever did it.
async fn are_told(stack: Arc<TestStack>) {
    patients(&stack).await;
    for (provider, mail) in [("prov001", "jane"), ("prov002", "paul"), ("prov003", "mary")] {
        let body = format!(
            r#"{{"providerId": "{provider}", "name": "Dr. Jane Doe", "specialization": "Cardiology", "contactInfo": {{"email": "{mail}@example.com"}}}}"#
        );
        let (service, path) = (ServiceName::ProviderService, "/api/providers");
        let _ = stack.call(service, Role::Admin, Method::POST, path, Some(&body)).await.expect(201);
    }
    tell_care(&stack, "evt_1", "12345", "prov001").await;
    tell_care(&stack, "evt_2", "67890", "prov002").await;
    let grant = granted(&stack, &Who::clinician("prov003"), "12345").await;
    let told = async || {
        let (service, path) = (ServiceName::NotificationService, "/api/notifications");
        let list = stack.call(service, Role::Admin, Method::GET, path, None).await.expect(200).json();
        list["items"].as_array().cloned().unwrap()
    };
    until(|| async { told().await.len() >= 2 }).await;
    let told = told().await;
    let mut to: Vec<_> = told.iter().map(|letter| letter["to"].as_str().unwrap()).collect();
    to.sort_unstable();
    assert_eq!(to, ["jane@example.com", "privacy@clinic.example"]);
    for letter in &told {
        let text = letter["body"].as_str().unwrap();
        assert!(text.contains(&grant) && text.contains("usr_prov003"), "{text}");
        assert!(!text.contains("12345") && !text.contains("Unconscious"), "{text}");
        assert_eq!(letter["patientId"], "12345");
    }
}

mod who_treats_them_and_who_watches_over_privacy_are_told {
    use super::*;

    #[test]
    fn sqlite() {
        testkit::stack::run_with(db::Engine::Sqlite, SERVICES, with_officer, are_told);
    }

    #[test]
    fn postgres() {
        testkit::stack::run_with(db::Engine::Postgres, SERVICES, with_officer, are_told);
    }
}
