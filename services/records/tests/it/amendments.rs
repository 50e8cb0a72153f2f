//! What patients ask to have amended in their records, and what comes of it.

use serde_json::Value;

use super::break_glass::break_glass;
use super::*;

const REQUEST: &str = r#"{"text": "The left hand.", "reason": "It was mistyped."}"#;
const DENIAL: &str = r#"{"decision": "Denied", "reason": "So says the X-ray."}"#;
const ACCEPTANCE: &str = r#"{"decision": "Accepted", "reason": "So it is."}"#;
const DISAGREEMENT: &str = r#"{"text": "The X-ray was of somebody else."}"#;
const OF_RECORD: &str = "/api/records/rec001/amendments";
const ALL: &str = "/api/records/amendments";

async fn post(stack: &TestStack, who: &Who, path: &str, body: &str) -> testkit::Reply {
    call(stack, who, Method::POST, path, Some(body)).await
}

/// Two patients with a record each.
async fn patients(stack: &TestStack) {
    super::break_glass::patients(stack).await;
}

/// Asks, as the patient, for what is theirs; gives the path of the amendment.
async fn asked(stack: &TestStack) -> String {
    let asked = post(stack, &Who::patient("12345"), OF_RECORD, REQUEST).await.expect(201).json();
    format!("{OF_RECORD}/{}", asked["amendmentId"].as_str().unwrap())
}

async fn items(stack: &TestStack, who: &Who, path: &str) -> Vec<Value> {
    read(stack, who, path).await.expect(200).json()["items"].as_array().cloned().unwrap()
}

testkit::stack_tests! { services = [patient::SERVICE, records::SERVICE];
    async fn a_patient_asks_and_the_record_shows_it_with_the_day_by_which_it_is_answered(stack: Arc<TestStack>) {
        patients(&stack).await;
        let patient = Who::patient("12345");
        let asked = post(&stack, &patient, OF_RECORD, REQUEST).await.expect(201);
        assert_eq!((&asked.json()["status"], &asked.json()["dueBy"]), (&"Requested".into(), &"2026-03-16T09:00:00Z".into()));
        let one = items(&stack, &patient, OF_RECORD).await.remove(0);
        assert_eq!((&one["text"], &one["reason"], &one["status"]), (&"The left hand.".into(), &"It was mistyped.".into(), &"Requested".into()));
        assert_eq!((&one["requestedAt"], &one["dueBy"], &one["patientId"]), (&"2026-01-15T09:00:00Z".into(), &"2026-03-16T09:00:00Z".into(), &"12345".into()));
        // The record is as it was, with what was asked beside it: for whoever keeps a copy, another version.
        let shown = read(&stack, &Role::Admin.into(), "/api/records/rec001").await.expect(200);
        assert_eq!((&shown.json()["diagnosis"], &shown.json()["amendments"]), (&"Flu".into(), &serde_json::json!([one])));
        assert_eq!((shown.header("etag"), asked.header("etag")), ("\"v2\"", "\"v2\""));
        let listed = RECORDS.call(&stack, Role::Admin, Method::GET, "/api/records?patientId=12345", None).await.expect(200).json();
        assert_eq!(listed["items"][0]["amendments"][0], one);
        let untouched = read(&stack, &Role::Admin.into(), "/api/records/other").await.expect(200);
        assert!(!untouched.text.contains("amendments"), "{}", untouched.text);
    }

    async fn what_was_right_is_accepted_and_what_was_not_is_denied_with_the_reason(stack: Arc<TestStack>) {
        patients(&stack).await;
        tell_care(&stack, "evt_1", "12345", "prov001").await;
        let (one, other) = (asked(&stack).await, asked(&stack).await);
        stack.clock.advance(chrono::TimeDelta::days(3));
        let doctor = Who::clinician("prov001");
        let accepted = post(&stack, &doctor, &format!("{one}/decision"), ACCEPTANCE).await.expect(200);
        assert_eq!((&accepted.json()["status"], accepted.header("etag")), (&"Accepted".into(), "\"v4\""));
        let denied = post(&stack, &Role::PrivacyOfficer.into(), &format!("{other}/decision"), DENIAL).await.expect(200);
        assert_eq!(denied.json()["status"], "Denied");

        let told = items(&stack, &Who::patient("12345"), OF_RECORD).await;
        let of = |path: &str| told.iter().find(|it| path.ends_with(it["amendmentId"].as_str().unwrap())).unwrap();
        assert_eq!((&of(&one)["status"], &of(&other)["status"]), (&"Accepted".into(), &"Denied".into()));
        let decision = &of(&other)["decision"];
        assert_eq!((&decision["reason"], &decision["userId"], &decision["decidedAt"]), (&"So says the X-ray.".into(), &"usr_privacy-officer".into(), &"2026-01-18T09:00:00Z".into()));
        // It is said once.
        for body in [ACCEPTANCE, DENIAL] {
            let again = post(&stack, &doctor, &format!("{other}/decision"), body).await.expect(409);
            assert_eq!(again.json()["code"], "invalid-transition");
        }
    }

    async fn who_disagrees_with_a_denial_is_heard_once_and_it_is_shown_with_the_record(stack: Arc<TestStack>) {
        patients(&stack).await;
        let (patient, officer) = (Who::patient("12345"), Role::PrivacyOfficer.into());
        let one = asked(&stack).await;
        let path = format!("{one}/disagreement");
        let _ = post(&stack, &patient, &path, DISAGREEMENT).await.expect(409);
        let _ = post(&stack, &officer, &format!("{one}/decision"), DENIAL).await.expect(200);
        assert_eq!(post(&stack, &patient, &path, r#"{"text": " "}"#).await.expect(422).faults(), ["text"]);
        let _ = post(&stack, &Who::patient("67890"), &path, DISAGREEMENT).await.expect(404);
        let _ = post(&stack, &patient, &path, DISAGREEMENT).await.expect(200);
        let _ = post(&stack, &patient, &path, DISAGREEMENT).await.expect(409);
        let shown = read(&stack, &officer, "/api/records/rec001").await.expect(200).json();
        let shown = &shown["amendments"][0];
        assert_eq!((&shown["status"], &shown["disagreement"]["text"]), (&"Denied".into(), &"The X-ray was of somebody else.".into()));

        let accepted = asked(&stack).await;
        let _ = post(&stack, &officer, &format!("{accepted}/decision"), ACCEPTANCE).await.expect(200);
        let _ = post(&stack, &patient, &format!("{accepted}/disagreement"), DISAGREEMENT).await.expect(409);
    }

    async fn of_others_records_nobody_asks_sees_or_decides_anything(stack: Arc<TestStack>) {
        patients(&stack).await;
        tell_care(&stack, "evt_1", "67890", "prov002").await;
        let one = asked(&stack).await;
        let (stranger, doctor) = (Who::patient("67890"), Who::clinician("prov002"));
        let _ = post(&stack, &stranger, OF_RECORD, REQUEST).await.expect(404);
        let _ = post(&stack, &doctor, &format!("{one}/decision"), ACCEPTANCE).await.expect(404);
        for who in [&stranger, &doctor] {
            let _ = read(&stack, who, OF_RECORD).await.expect(404);
            for query in ["", "?open=true", "?patientId=12345"] {
                assert!(items(&stack, who, &format!("{ALL}{query}")).await.is_empty(), "{query}");
            }
        }
        // Another record's path leads to no amendment, be they both there.
        let wrong = one.replace("rec001", "other");
        let _ = post(&stack, &Role::PrivacyOfficer.into(), &format!("{wrong}/decision"), ACCEPTANCE).await.expect(404);
        for who in [Role::Clinician, Role::Receptionist, Role::Billing, Role::Service] {
            let _ = post(&stack, &who.into(), OF_RECORD, REQUEST).await.expect(403);
        }
        for who in [Who::patient("12345"), Role::Receptionist.into(), Role::Billing.into(), Role::Service.into()] {
            let _ = post(&stack, &who, &format!("{one}/decision"), ACCEPTANCE).await.expect(403);
        }
    }

    async fn nobody_decides_on_what_is_in_their_own_record(stack: Arc<TestStack>) {
        patients(&stack).await;
        tell_care(&stack, "evt_1", "12345", "prov001").await;
        let one = asked(&stack).await;
        let themselves = Who { patient_id: Some("12345".to_owned()), ..Who::clinician("prov001") };
        let refused = post(&stack, &themselves, &format!("{one}/decision"), ACCEPTANCE).await.expect(403);
        assert!(refused.text.contains("your own record"), "{}", refused.text);
        assert_eq!(items(&stack, &themselves, OF_RECORD).await[0]["status"], "Requested");
    }

    async fn what_waits_for_an_answer_is_listed_with_what_is_due_first(stack: Arc<TestStack>) {
        patients(&stack).await;
        let (officer, doctor) = (Role::PrivacyOfficer.into(), Who::clinician("prov001"));
        let mut ids = Vec::new();
        for (record, patient) in [("rec001", "12345"), ("other", "67890"), ("rec001", "12345")] {
            let path = format!("/api/records/{record}/amendments");
            let asked = post(&stack, &Who::patient(patient), &path, REQUEST).await.expect(201).json();
            ids.push(asked["amendmentId"].as_str().unwrap().to_owned());
            stack.clock.advance(chrono::TimeDelta::days(1));
        }
        let found = async |who: &Who, query: &str| {
            let items = items(&stack, who, &format!("{ALL}?{query}")).await;
            items.iter().map(|item| item["amendmentId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(found(&officer, "").await, ids);
        let first = read(&stack, &officer, &format!("{ALL}?limit=2")).await.expect(200).json();
        let next = format!("limit=2&cursor={}", first["nextCursor"].as_str().unwrap());
        assert_eq!(found(&officer, &next).await, ids[2..]);

        let _ = post(&stack, &officer, &format!("{OF_RECORD}/{}/decision", ids[0]), DENIAL).await.expect(200);
        assert_eq!((found(&officer, "open=true").await, found(&officer, "open=false").await), (ids[1..].to_vec(), ids[..1].to_vec()));
        assert_eq!(found(&officer, "open=true&patientId=12345").await, ids[2..]);
        assert_eq!(found(&Who::patient("12345"), "").await, [ids[0].clone(), ids[2].clone()]);
        // To a clinician, of whom they treat; in an emergency too.
        assert!(found(&doctor, "").await.is_empty());
        tell_care(&stack, "evt_1", "67890", "prov001").await;
        assert_eq!(found(&doctor, "open=true").await, ids[1..2]);
        let _ = break_glass(&stack, &doctor, "12345", super::break_glass::REASON).await.expect(201);
        assert_eq!(found(&doctor, "open=true").await, ids[1..]);
        for bad in ["open=maybe", "patientId=..", "limit=0", "status=Requested"] {
            let _ = read(&stack, &officer, &format!("{ALL}?{bad}")).await.expect(400);
        }
    }

    async fn each_bad_request_is_refused_and_changes_nothing(stack: Arc<TestStack>) {
        patients(&stack).await;
        let (patient, officer) = (Who::patient("12345"), Role::PrivacyOfficer.into());
        let long = format!(r#"{{"text": "{}", "reason": " "}}"#, "x".repeat(4_001));
        assert_eq!(post(&stack, &patient, OF_RECORD, &long).await.expect(422).faults(), ["text", "reason"]);
        let _ = post(&stack, &patient, "/api/records/none/amendments", REQUEST).await.expect(404);
        assert!(items(&stack, &officer, ALL).await.is_empty());

        let one = asked(&stack).await;
        for body in [r#"{"decision": "Denied"}"#, r#"{"decision": "Denied", "reason": ""}"#] {
            assert_eq!(post(&stack, &officer, &format!("{one}/decision"), body).await.expect(422).faults(), ["reason"]);
        }
        let body = r#"{"decision": "Perhaps", "reason": "Who knows."}"#;
        assert_eq!(post(&stack, &officer, &format!("{one}/decision"), body).await.expect(422).faults(), ["decision"]);
        let _ = post(&stack, &officer, &format!("{OF_RECORD}/amd_none/decision"), DENIAL).await.expect(404);
        let stale = stack.request(ServiceName::MedicalRecordsService, Method::POST, &format!("{one}/decision"));
        let stale = stale.bearer_auth(stack.token(Role::PrivacyOfficer)).header("if-match", "\"v1\"");
        let _ = testkit::stack::send(stale.header("content-type", "application/json").body(DENIAL)).await.expect(412);
        assert_eq!(items(&stack, &officer, OF_RECORD).await[0]["status"], "Requested");
    }

    async fn a_change_of_the_record_leaves_its_amendments_alone(stack: Arc<TestStack>) {
        patients(&stack).await;
        let _ = asked(&stack).await;
        let _ = RECORDS.put(&stack, "rec001", r#"{"treatment": "More rest"}"#).await.expect(200);
        let read = RECORDS.get(&stack, "rec001").await.expect(200);
        assert_eq!(read.json()["amendments"].as_array().unwrap().len(), 1);
        // What GET shows may come back as it is, and not otherwise.
        let _ = RECORDS.put(&stack, "rec001", &read.text).await.expect(200);
        assert_eq!(RECORDS.put(&stack, "rec001", r#"{"amendments": []}"#).await.expect(422).faults(), ["amendments"]);
    }

    async fn a_record_has_fifty_at_most_also_when_many_ask_at_once(stack: Arc<TestStack>) {
        patients(&stack).await;
        for _ in 0..48 {
            let _ = asked(&stack).await;
        }
        let all: Vec<_> = (0..6).map(|_| {
            let stack = Arc::clone(&stack);
            tokio::spawn(async move { post(&stack, &Who::patient("12345"), OF_RECORD, REQUEST).await.status })
        }).collect();
        let mut statuses = Vec::new();
        for one in all {
            statuses.push(one.await.unwrap());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 201, 409, 409, 409, 409]);
        assert_eq!(items(&stack, &Role::Admin.into(), OF_RECORD).await.len(), 50);
    }

    async fn a_repeated_request_with_the_same_key_asks_once(stack: Arc<TestStack>) {
        patients(&stack).await;
        let keyed = async || {
            let request = stack.request(ServiceName::MedicalRecordsService, Method::POST, OF_RECORD);
            let request = request.bearer_auth(stack.token(Who::patient("12345"))).header("idempotency-key", "k-1");
            testkit::stack::send(request.header("content-type", "application/json").body(REQUEST)).await.expect(201).text
        };
        assert_eq!(keyed().await, keyed().await);
        assert_eq!(items(&stack, &Role::Admin.into(), OF_RECORD).await.len(), 1);
    }

    async fn they_go_with_their_record_and_with_their_patient(stack: Arc<TestStack>) {
        patients(&stack).await;
        let _ = asked(&stack).await;
        let theirs = "/api/records/other/amendments";
        let _ = post(&stack, &Who::patient("67890"), theirs, REQUEST).await.expect(201);
        let _ = RECORDS.delete(&stack, "rec001").await.expect(200);
        let officer = Role::PrivacyOfficer.into();
        assert_eq!(items(&stack, &officer, ALL).await.len(), 1);
        let _ = read(&stack, &officer, OF_RECORD).await.expect(404);
        erase(&stack, "67890", ServiceName::MedicalRecordsService).await;
        assert!(items(&stack, &officer, ALL).await.is_empty());
    }

    async fn no_file_holds_a_readable_word_of_an_amendment(stack: Arc<TestStack>) {
        patients(&stack).await;
        let (patient, officer) = (Who::patient("12345"), Role::PrivacyOfficer.into());
        let one = asked(&stack).await;
        let _ = post(&stack, &officer, &format!("{one}/decision"), DENIAL).await.expect(200);
        let _ = post(&stack, &patient, &format!("{one}/disagreement"), DISAGREEMENT).await.expect(200);
        stack.database(ServiceName::MedicalRecordsService).no_file_holds(&["left hand", "mistyped", "x-ray", "somebody else"]);
    }
}
