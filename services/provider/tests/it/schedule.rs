//! Places, kinds of visits, dates with other hours, and time off.

use serde_json::{Value, json};
use testkit::stack::Who;

use super::*;

const TIME_OFF: &str = "/api/providers/prov001/time-off";

async fn time_off(
    stack: &Arc<TestStack>,
    who: impl Into<Who>,
    method: Method,
    path: &str,
    body: Option<&str>,
) -> Reply {
    stack.call(ServiceName::ProviderService, who, method, path, body).await
}

fn schedule() -> Value {
    json!({
        "locations": [{"locationId": "mitte", "name": "Praxis Mitte", "address": "Torstraße 1, Berlin"},
                      {"locationId": "nyc", "name": "New York", "timeZone": "America/New_York"}],
        "availability": [{"day": "Monday", "slots": ["09:00-12:00"], "locationId": "mitte"}, {"day": "Monday", "slots": ["14:00-17:00"]}],
        "visitTypes": [{"name": "New patient", "durationMinutes": 60, "bufferBeforeMinutes": 5, "bufferAfterMinutes": 10}],
        "overrides": [{"date": "2026-02-02", "slots": []}, {"date": "2026-02-03", "slots": ["10:00-11:00"], "locationId": "nyc"}],
        "languages": ["de", "pt-BR"],
        "taxonomyCode": "207RC0000X"
    })
}

testkit::stack_tests! { services = [provider::SERVICE];
    async fn a_schedule_is_shown_as_it_was_put_and_goes_member_by_member(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        let before = PROVIDERS.get(&stack, "prov001").await.expect(200).json();
        let _ = PROVIDERS.put(&stack, "prov001", &schedule().to_string()).await.expect(200);
        let shown = PROVIDERS.get(&stack, "prov001").await.expect(200).json();
        for (member, value) in schedule().as_object().unwrap() {
            assert_eq!(&shown[member], value, "{member}");
        }
        let away = json!({
            "locations": null, "visitTypes": null, "overrides": null, "languages": [], "taxonomyCode": null,
            "availability": before["availability"]
        });
        let _ = PROVIDERS.put(&stack, "prov001", &away.to_string()).await.expect(200);
        assert_eq!(PROVIDERS.get(&stack, "prov001").await.expect(200).json(), before);
    }

    async fn providers_are_found_by_code_language_and_place(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        let _ = add(&stack, "prov002").await.expect(201);
        let _ = PROVIDERS.put(&stack, "prov001", &schedule().to_string()).await.expect(200);
        for query in [
            "taxonomyCode=207RC0000X", "language=DE", "language=pt", "language=pt-br", "location=mitte", "location=new+york",
            "location=torstrasse", "specialization=cardiology&language=de&location=mit", "name=jane&taxonomyCode=207RC0000X",
        ] {
            assert_eq!(PROVIDERS.found(&stack, Role::Patient, query).await, ["prov001"], "{query}");
        }
        for query in ["taxonomyCode=207Q00000X", "language=en", "language=pt-PT", "location=hamburg", "specialization=surgery&language=de"] {
            assert!(PROVIDERS.found(&stack, Role::Patient, query).await.is_empty(), "{query}");
        }
        for (query, field) in [("taxonomyCode=cardio", "taxonomyCode"), ("language=german", "language"), ("location=--", "location")] {
            let refused = PROVIDERS.call(&stack, Role::Admin, Method::GET, &format!("/api/providers?{query}"), None).await.expect(400);
            assert_eq!(refused.faults(), [field]);
        }
    }

    async fn time_off_is_taken_seen_and_given_back(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        let body = r#"{"from": "2026-02-01", "to": "2026-02-05", "reason": "skiing"}"#;
        let created = time_off(&stack, Role::Receptionist, Method::POST, TIME_OFF, Some(body)).await.expect(201);
        let id = created.json()["timeOffId"].as_str().unwrap().to_owned();
        assert_eq!(created.header("location"), format!("{TIME_OFF}/{id}"));
        let own = r#"{"from": "2026-01-20T13:00", "to": "2026-01-20T17:30"}"#;
        let _ = time_off(&stack, Who::clinician("prov001"), Method::POST, TIME_OFF, Some(own)).await.expect(201);
        let list = time_off(&stack, Role::Admin, Method::GET, TIME_OFF, None).await.expect(200).json();
        assert_eq!(list["items"][1], json!({"timeOffId": id, "from": "2026-02-01", "to": "2026-02-05", "reason": "skiing"}));
        assert_eq!(list["items"][0]["from"], "2026-01-20T13:00");
        // Why is no patient's business.
        let shown = time_off(&stack, Role::Patient, Method::GET, TIME_OFF, None).await.expect(200);
        assert!(!shown.text.contains("skiing") && shown.text.contains("2026-02-05"), "{}", shown.text);
        for who in [Who::clinician("prov002"), Who::patient("12345")] {
            let _ = time_off(&stack, who.clone(), Method::POST, TIME_OFF, Some(body)).await.expect(403);
            let _ = time_off(&stack, who, Method::DELETE, &format!("{TIME_OFF}/{id}"), None).await.expect(403);
        }
        let other = format!("/api/providers/prov002/time-off/{id}");
        let _ = time_off(&stack, Role::Admin, Method::DELETE, &other, None).await.expect(404);
        let _ = time_off(&stack, Role::Admin, Method::DELETE, &format!("{TIME_OFF}/{id}"), None).await.expect(200);
        let _ = time_off(&stack, Role::Admin, Method::DELETE, &format!("{TIME_OFF}/{id}"), None).await.expect(404);
        let list = time_off(&stack, Role::Admin, Method::GET, TIME_OFF, None).await.expect(200).json();
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
        let _ = time_off(&stack, Role::Admin, Method::POST, "/api/providers/nobody/time-off", Some(body)).await.expect(404);
        let bad = r#"{"from": "2026-02-05", "to": "2026-02-01"}"#;
        assert_eq!(time_off(&stack, Role::Admin, Method::POST, TIME_OFF, Some(bad)).await.expect(422).faults(), ["to"]);
        // The removed one's is gone, and no file says why anybody was away.
        let _ = PROVIDERS.delete(&stack, "prov001").await.expect(200);
        let _ = time_off(&stack, Role::Admin, Method::GET, TIME_OFF, None).await.expect(404);
        stack.database(ServiceName::ProviderService).no_file_holds(&["skiing"]);
    }

    async fn there_is_room_for_so_much_time_off_and_what_is_long_over_makes_some(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        let take = async |day: usize| {
            let date = chrono::NaiveDate::from_ymd_opt(2026, 1, 1).unwrap() + chrono::TimeDelta::days(i64::try_from(day).unwrap());
            let body = json!({"from": date.to_string(), "to": date.to_string()}).to_string();
            time_off(&stack, Role::Admin, Method::POST, TIME_OFF, Some(&body)).await
        };
        for day in 0..contracts::schedules::TIME_OFF_MAX as usize {
            let _ = take(day).await.expect(201);
        }
        assert_eq!(take(300).await.expect(409).json()["code"], "invalid-transition");
        stack.clock.advance(chrono::TimeDelta::days(370));
        let _ = take(400).await.expect(201);
    }

    async fn what_changes_the_schedule_is_told_and_nothing_else(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        let db = stack.database(ServiceName::ProviderService).db().clone();
        let told = async || db::outbox_backlog(&db).await.unwrap().rows;
        let _ = PROVIDERS.put(&stack, "prov001", r#"{"name": "Dr. Jane Roe", "languages": ["de"]}"#).await.expect(200);
        assert_eq!(told().await, 0);
        let _ = PROVIDERS.put(&stack, "prov001", r#"{"availability": []}"#).await.expect(200);
        assert_eq!(told().await, 1);
        let _ = time_off(&stack, Role::Admin, Method::POST, TIME_OFF, Some(r#"{"from": "2026-02-01", "to": "2026-02-05"}"#)).await.expect(201);
        assert_eq!(told().await, 2);
        let schedule = time_off(&stack, Role::Service, Method::GET, "/internal/schedules/prov001", None).await.expect(200).json();
        assert_eq!((&schedule["version"], schedule["timeOff"].as_array().unwrap().len()), (&json!(2), 1));
        let all = time_off(&stack, Role::Service, Method::GET, "/internal/schedules?language=de", None).await.expect(200).json();
        assert_eq!(all["items"], json!([schedule]));
    }
}
