//! Finding patients, and paging.

use super::*;

async fn found(stack: &Arc<TestStack>, query: &str) -> Vec<String> {
    let list = call(stack, Role::Receptionist, Method::GET, &format!("/api/patients?{query}"), None)
        .await
        .expect(200);
    let items = list.json()["items"].as_array().cloned().unwrap();
    items.iter().map(|item| item["patientId"].as_str().unwrap().to_owned()).collect()
}

testkit::stack_tests! { services = [patient::SERVICE];
    async fn patients_are_found_by_name_birth_date_phone_and_mail(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        for query in [
            "name=john", "name=DOE", "name=joh", "name=john+doe", "name=doe+joh", "dob=1980-01-01",
            "phone=%2B1234567890", "email=JohnDoe%40example.com", "name=doe&dob=1980-01-01&email=johndoe%40example.com",
        ] {
            assert_eq!(found(&stack, query).await, ["12345"], "{query}");
        }
        for query in ["name=jo", "name=jane", "name=john+smith", "dob=1980-01-02", "name=john&phone=%2B1234567899"] {
            assert!(found(&stack, query).await.is_empty(), "{query}");
        }
    }

    async fn a_changed_name_is_found_and_the_old_one_is_not(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        let _ = call(&stack, Role::Admin, Method::PUT, "/api/patients/12345", Some(r#"{"name":"Jane Roe"}"#)).await.expect(200);
        assert_eq!(found(&stack, "name=roe").await, ["12345"]);
        assert!(found(&stack, "name=doe").await.is_empty());
    }

    async fn pages_follow_one_another_and_miss_nobody(stack: Arc<TestStack>) {
        for at in 0..7 {
            stack.clock.advance(chrono::TimeDelta::seconds(at % 2));
            let _ = register(&stack, &format!("p{at}")).await.expect(201);
        }
        for filter in ["", "&name=john"] {
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                let path = format!("/api/patients?limit=3{filter}{cursor}");
                let page = call(&stack, Role::Admin, Method::GET, &path, None).await.expect(200).json();
                for item in page["items"].as_array().unwrap() {
                    seen.push(item["patientId"].as_str().unwrap().to_owned());
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
            ("limit=0", "limit"), ("limit=201", "limit"), ("limit=x", "limit"), ("cursor=x", "cursor"),
            ("dob=2024-02-30", "dob"), ("phone=12", "phone"), ("email=x", "email"), ("surname=x", "surname"),
        ] {
            let refused = call(&stack, Role::Admin, Method::GET, &format!("/api/patients?{query}"), None).await.expect(400);
            assert_eq!(refused.faults(), [field], "{query}");
        }
    }
}
