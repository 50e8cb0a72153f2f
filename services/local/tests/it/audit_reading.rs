//! The audit of all services, read as one: by whoever watches over privacy, and by the patient.

use std::collections::BTreeSet;
use std::sync::Arc;

use contracts::permission::Role;
use reqwest::Method;
use settings::ServiceName;
use testkit::TestStack;
use testkit::stack::Who;

use crate::audit::{Known, PATIENT, calls};

testkit::stack_tests! {
    services = [
        auth::SERVICE, patient::SERVICE, provider::SERVICE, appointment::SERVICE, billing::SERVICE,
        records::SERVICE, notification::SERVICE
    ];

    async fn the_audit_of_all_services_is_read_as_one_page_by_page(stack: Arc<TestStack>) {
        let mut known = Known::default();
        for (at, call) in calls().iter().take_while(|call| call.operation.id != "login").enumerate() {
            // Some of them happen at the same instant.
            stack.clock.advance(chrono::TimeDelta::milliseconds(i64::from(at % 4 == 0)));
            known.learn(call, &call.send(&stack, &known).await);
        }
        let auth = ServiceName::AuthService;
        let officer = |path: String| {
            let stack = Arc::clone(&stack);
            async move { stack.call(auth, Role::PrivacyOfficer, Method::GET, &path, None).await.expect(200).json() }
        };
        let whole = officer("/api/audit?limit=200&userId=usr_caller".to_owned()).await;
        let whole = whole["items"].as_array().unwrap().clone();
        let services: BTreeSet<_> = whole.iter().map(|event| event["service"].as_str().unwrap()).collect();
        assert_eq!(services.len(), 6, "all but auth: {services:?}");
        let (mut pages, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = officer(format!("/api/audit?limit=3&userId=usr_caller{cursor}")).await;
            pages.extend(page["items"].as_array().unwrap().clone());
            let Some(next) = page["nextCursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(pages, whole);
        let times: Vec<_> = whole.iter().map(|event| event["at"].as_str().unwrap()).collect();
        assert!(times.is_sorted_by(|one, other| one >= other), "{times:?}");

        for (query, count) in [
            ("patientId=12345&operation=patient_by_id&userId=usr_caller", 1),
            ("patientId=12346", 0),
            ("operation=create_record&outcome=Done", 1),
            ("operation=create_record&outcome=Refused", 0),
            ("until=2026-01-15T00:00:00Z", 0),
            ("from=2027-01-15T00:00:00Z", 0),
        ] {
            let found = officer(format!("/api/audit?{query}")).await;
            // The last look at the patient is the officer's own.
            let found = found["items"].as_array().unwrap().iter().filter(|event| event["operation"] != "list_audit").count();
            assert_eq!(found, count, "{query}");
        }
        for query in ["operation=%00", "userId=%00", "patientId=a%20b", "outcome=Other", "limit=0", "cursor=x", "from=soon"] {
            let _ = stack.call(auth, Role::PrivacyOfficer, Method::GET, &format!("/api/audit?{query}"), None).await.expect(400);
        }
        let _ = stack.call(auth, Role::Clinician, Method::GET, "/api/audit", None).await.expect(403);
    }

    async fn patients_see_who_has_seen_their_data_and_nobody_elses(stack: Arc<TestStack>) {
        for call in calls().iter().filter(|call| ["register_patient", "create_record", "list_patients"].contains(&call.operation.id)) {
            assert!(call.send(&stack, &Known::default()).await.status < 300);
        }
        let auth = ServiceName::AuthService;
        let path = "/api/patients/12345/accesses";
        let own = stack.call(auth, Who::patient(PATIENT), Method::GET, path, None).await.expect(200);
        let own: BTreeSet<_> = own.json()["items"].as_array().unwrap().iter().map(|access| {
            assert!(access["roles"].is_array() && access.get("address").is_none() && access.get("subjects").is_none());
            (access["operation"].as_str().unwrap().to_owned(), access["who"].as_str().unwrap().to_owned())
        }).collect();
        let expected = [
            ("register_patient", "usr_caller"),
            ("list_patients", "usr_caller"),
            ("create_record", "usr_caller"),
            ("patient_by_id", "service:medical-records-service"),
        ];
        assert_eq!(own, expected.map(|(operation, who)| (operation.to_owned(), who.to_owned())).into_iter().collect());
        let staff = Who { roles: vec![Role::Receptionist], ..Who::patient(PATIENT) };
        let _ = stack.call(auth, staff, Method::GET, path, None).await.expect(404);
        let _ = stack.call(auth, Role::PrivacyOfficer, Method::GET, path, None).await.expect(200);
        for other in [Who::patient("p9"), Who::from(Role::Clinician), Who::from(Role::Receptionist)] {
            let _ = stack.call(auth, other, Method::GET, path, None).await.expect(404);
        }
    }
}
