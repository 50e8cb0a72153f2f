//! The list of those who are excluded: taken in part by part, and who of the providers stands on it.

use serde_json::{Value, json};

use super::*;

const HEADER: &str = "LASTNAME,FIRSTNAME,MIDNAME,BUSNAME,GENERAL,SPECIALTY,UPIN,NPI,DOB,ADDRESS,CITY,STATE,ZIP,EXCLTYPE,EXCLDATE,REINDATE,WAIVERDATE,WVRSTATE\r\n";
const BY_NPI: &str = "SMITH,JOHN,,,PHYSICIAN,CARDIOLOGY,,1234567893,19600102,1 ELM ST,ALBANY,NY,10001,1128a1,20200120,00000000,00000000,\r\n";
const BY_NAME: &str =
    "DOE,JANE,Q,,NURSE,,,0000000000,19700102,2 ELM ST,ALBANY,NY,10001,1128b4,20210120,00000000,00000000,\r\n";
const NOBODY: &str = "ROE,RICHARD,,,NURSE,,,0000000000,19700102,2 ELM ST,ALBANY,NY,10001,1128b4,20210120,00000000,00000000,\r\n";

async fn put(stack: &Arc<TestStack>, edition: &str, (part, parts): (u32, u32), rows: &str) -> Reply {
    let body = json!({"edition": edition, "part": part, "parts": parts, "csv": format!("{HEADER}{rows}")})
        .to_string();
    PROVIDERS.call(stack, Role::Admin, Method::PUT, "/api/providers/exclusions", Some(&body)).await
}

async fn get(stack: &Arc<TestStack>, path: &str) -> Value {
    PROVIDERS.call(stack, Role::Admin, Method::GET, path, None).await.expect(200).json()
}

async fn matches(stack: &Arc<TestStack>) -> Vec<Value> {
    let page = get(stack, "/api/providers/exclusions/matches").await;
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|item| item["matches"].as_array().unwrap().clone())
        .collect()
}

async fn stop(stack: &Arc<TestStack>) -> Value {
    let path = "/internal/schedules/prov001";
    PROVIDERS.call(stack, Role::Service, Method::GET, path, None).await.expect(200).json()["notBookable"]
        .clone()
}

async fn review(stack: &Arc<TestStack>, exclusion: &Value, decision: &str) -> Reply {
    let body = json!({"exclusionId": exclusion, "decision": decision, "note": "Compared the day of birth."})
        .to_string();
    PROVIDERS
        .call(stack, Role::Admin, Method::POST, "/api/providers/prov001/exclusion-review", Some(&body))
        .await
}

testkit::stack_tests! { services = [provider::SERVICE];
    async fn a_list_counts_once_all_of_its_parts_are_here(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        let first = put(&stack, "2026-01-10", (1, 2), NOBODY).await.expect(200);
        assert_eq!(first.text, r#"{"edition":"2026-01-10","parts":2,"partsReceived":1,"rows":1,"isCurrent":false}"#);
        let _ = put(&stack, "2026-01-10", (1, 2), NOBODY).await.expect(200);
        assert!(matches(&stack).await.is_empty());
        let last = put(&stack, "2026-01-10", (2, 2), BY_NAME).await.expect(200).json();
        assert_eq!((&last["partsReceived"], &last["rows"], &last["isCurrent"]), (&2.into(), &2.into(), &true.into()));
        assert_eq!(matches(&stack).await.len(), 1);
        // While the next one comes, this one counts.
        let _ = put(&stack, "2026-02-10", (1, 2), NOBODY).await.expect(200);
        assert_eq!(matches(&stack).await.len(), 1);
        assert_eq!(get(&stack, "/api/providers/exclusions").await["items"].as_array().unwrap().len(), 2);
        let _ = put(&stack, "2026-02-10", (2, 2), NOBODY).await.expect(200);
        assert!(matches(&stack).await.is_empty());
        let lists = get(&stack, "/api/providers/exclusions").await;
        assert_eq!((lists["items"].as_array().unwrap().len(), &lists["items"][0]["edition"]), (1, &"2026-02-10".into()));
        assert_eq!(put(&stack, "2026-01-10", (1, 1), BY_NAME).await.expect(422).faults(), ["edition"]);
    }

    async fn who_is_found_by_their_npi_takes_no_bookings_at_once(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        let _ = put(&stack, "2026-01-10", (1, 1), BY_NPI).await.expect(200);
        assert_eq!(stop(&stack).await, Value::Null);
        let npi = r#"{"kind": "npi", "number": "1234567893"}"#;
        let _ = PROVIDERS.call(&stack, Role::Admin, Method::POST, "/api/providers/prov001/credentials", Some(npi)).await.expect(201);
        assert_eq!(stop(&stack).await, "excluded");
        let found = matches(&stack).await;
        assert_eq!((&found[0]["matchedBy"], &found[0]["entry"]["npi"], &found[0]["entry"]["lastName"]), (&"npi".into(), &"1234567893".into(), &"SMITH".into()));
        assert_eq!(get(&stack, "/api/providers/compliance?code=Excluded").await["items"][0]["providerId"], "prov001");
        // Once they are reinstated, they are on no list any more.
        let _ = put(&stack, "2026-02-10", (1, 1), &BY_NPI.replace("00000000,00000000", "20260201,00000000")).await.expect(200);
        assert_eq!(stop(&stack).await, Value::Null);
    }

    async fn who_has_somebodys_name_takes_none_once_somebody_says_that_it_is_they(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        let _ = put(&stack, "2026-01-10", (1, 1), &format!("{BY_NAME}{NOBODY}")).await.expect(200);
        let found = matches(&stack).await;
        assert_eq!((found.len(), &found[0]["matchedBy"], &found[0]["decision"]), (1, &"name".into(), &Value::Null));
        assert_eq!(get(&stack, "/api/providers/compliance?code=ExclusionMatch").await["items"][0]["findings"][0]["exclusionId"], found[0]["exclusionId"]);
        assert_eq!(stop(&stack).await, Value::Null);
        assert_eq!(review(&stack, &"0".repeat(32).into(), "Confirmed").await.expect(422).faults(), ["exclusionId"]);
        let _ = review(&stack, &found[0]["exclusionId"], "Confirmed").await.expect(200);
        assert_eq!(stop(&stack).await, "excluded");
        let _ = review(&stack, &found[0]["exclusionId"], "Dismissed").await.expect(200);
        assert_eq!(stop(&stack).await, Value::Null);
        assert!(get(&stack, "/api/providers/compliance?code=ExclusionMatch").await["items"].as_array().unwrap().is_empty());
        // What was found goes on with the next list.
        let _ = put(&stack, "2026-02-10", (1, 1), BY_NAME).await.expect(200);
        assert_eq!(matches(&stack).await[0]["decision"], "Dismissed");
    }

    async fn what_is_no_list_is_refused_and_nobody_else_may(stack: Arc<TestStack>) {
        for (body, fields) in [
            (json!({"edition": "2026-01-10", "part": 1, "parts": 1, "csv": "a,b\n"}), vec!["csv"]),
            (json!({"edition": "soon", "part": 3, "parts": 2, "csv": HEADER}), vec!["edition", "part"]),
            (json!({"edition": "2026-01-10", "part": 1, "parts": 201, "csv": HEADER}), vec!["parts"]),
        ] {
            let refused = PROVIDERS.call(&stack, Role::Admin, Method::PUT, "/api/providers/exclusions", Some(&body.to_string())).await;
            assert_eq!(refused.expect(422).faults(), fields, "{body}");
        }
        assert!(get(&stack, "/api/providers/exclusions").await["items"].as_array().unwrap().is_empty());
        for (method, path) in [
            (Method::PUT, "/api/providers/exclusions"), (Method::GET, "/api/providers/exclusions"), (Method::GET, "/api/providers/exclusions/matches"),
            (Method::POST, "/api/providers/prov001/exclusion-review"),
        ] {
            let _ = PROVIDERS.call(&stack, Role::Clinician, method, path, Some("{}")).await.expect(403);
        }
    }
}
