//! Finding providers, and paging.

use super::*;

async fn found(stack: &Arc<TestStack>, query: &str) -> Vec<String> {
    let list =
        call(stack, Role::Patient, Method::GET, &format!("/api/providers?{query}"), None).await.expect(200);
    let items = list.json()["items"].as_array().cloned().unwrap();
    items.iter().map(|item| item["providerId"].as_str().unwrap().to_owned()).collect()
}

testkit::stack_tests! { services = [provider::SERVICE];
    async fn providers_are_found_by_name_and_specialization(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        for query in [
            "name=jane", "name=DOE", "name=jan", "name=dr+doe", "specialization=cardiology", "specialization=CARDIOLOGY",
            "name=jane+doe&specialization=Cardiology",
        ] {
            assert_eq!(found(&stack, query).await, ["prov001"], "{query}");
        }
        for query in ["name=ja", "name=john", "name=cardiology", "specialization=cardio", "specialization=jane"] {
            assert!(found(&stack, query).await.is_empty(), "{query}");
        }
    }

    async fn what_has_changed_is_found_as_it_is_and_what_is_removed_is_not(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        let patch = r#"{"specialization":"Kinderheilkunde Übergewicht"}"#;
        let _ = call(&stack, Role::Admin, Method::PUT, "/api/providers/prov001", Some(patch)).await.expect(200);
        assert_eq!(found(&stack, "specialization=kinderheilkunde+%C3%BCbergewicht").await, ["prov001"]);
        assert!(found(&stack, "specialization=cardiology").await.is_empty());
        let _ = call(&stack, Role::Admin, Method::DELETE, "/api/providers/prov001", None).await.expect(200);
        assert!(found(&stack, "name=jane").await.is_empty());
        assert!(found(&stack, "").await.is_empty());
    }

    async fn pages_follow_one_another_and_miss_nobody(stack: Arc<TestStack>) {
        for at in 0..7 {
            stack.clock.advance(chrono::TimeDelta::seconds(at % 2));
            let _ = add(&stack, &format!("p{at}")).await.expect(201);
        }
        for filter in ["", "&name=jane", "&specialization=cardiology"] {
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                let path = format!("/api/providers?limit=3{filter}{cursor}");
                let page = call(&stack, Role::Admin, Method::GET, &path, None).await.expect(200).json();
                for item in page["items"].as_array().unwrap() {
                    seen.push(item["providerId"].as_str().unwrap().to_owned());
                }
                match page["nextCursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(seen, ["p6", "p5", "p4", "p3", "p2", "p1", "p0"], "{filter}");
        }
    }

    async fn bad_queries_are_refused_by_name(stack: Arc<TestStack>) {
        for (query, field) in [
            ("limit=0", "limit"), ("limit=201", "limit"), ("limit=x", "limit"), ("cursor=x", "cursor"), ("name=--", "name"),
            ("name=a+b+c+d+e+f+g", "name"), ("specialization=", "specialization"), ("specialization=a%00", "specialization"),
            ("day=Monday", "day"),
        ] {
            let refused = call(&stack, Role::Admin, Method::GET, &format!("/api/providers?{query}"), None).await.expect(400);
            assert_eq!(refused.faults(), [field], "{query}");
        }
    }
}
