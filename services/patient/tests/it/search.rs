//! Finding patients, and paging.

use super::*;

testkit::stack_tests! { services = [patient::SERVICE];
    async fn patients_are_found_by_name_birth_date_phone_and_mail(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        for query in [
            "name=john", "name=DOE", "name=joh", "name=john+doe", "name=doe+joh", "name=joh&dob=1980-01-01",
            "phone=%2B1234567890", "email=JohnDoe%40example.com", "name=doe&dob=1980-01-01&email=johndoe%40example.com",
        ] {
            assert_eq!(PATIENTS.found(&stack, Role::Receptionist, query).await, ["12345"], "{query}");
        }
        for query in ["name=jo", "name=jane", "name=john+smith", "name=john&dob=1980-01-02", "phone=%2B1234567890&dob=1980-01-02", "name=john&phone=%2B1234567899"] {
            assert!(PATIENTS.found(&stack, Role::Receptionist, query).await.is_empty(), "{query}");
        }
    }

    async fn a_changed_name_is_found_and_the_old_one_is_not(stack: Arc<TestStack>) {
        let _ = register(&stack, "12345").await.expect(201);
        let _ = PATIENTS.put(&stack, "12345", r#"{"name":"Jane Roe"}"#).await.expect(200);
        assert_eq!(PATIENTS.found(&stack, Role::Receptionist, "name=roe").await, ["12345"]);
        assert!(PATIENTS.found(&stack, Role::Receptionist, "name=doe").await.is_empty());
    }

    async fn pages_follow_one_another_and_miss_nobody(stack: Arc<TestStack>) {
        for at in 0..7 {
            stack.clock.advance(chrono::TimeDelta::seconds(at % 2));
            let _ = register(&stack, &format!("p{at}")).await.expect(201);
        }
        for filter in ["", "&name=john"] {
            assert_eq!(PATIENTS.paged(&stack, filter).await, ["p6", "p5", "p4", "p3", "p2", "p1", "p0"], "{filter}");
        }
    }

    async fn bad_queries_are_refused_by_name(stack: Arc<TestStack>) {
        for (query, field) in [
            ("limit=0", "limit"), ("limit=201", "limit"), ("limit=x", "limit"), ("cursor=x", "cursor"),
            ("dob=2024-02-30", "dob"), ("dob=1980-01-01", "dob"), ("phone=12", "phone"), ("email=x", "email"), ("surname=x", "surname"),
        ] {
            let refused = PATIENTS.call(&stack, Role::Admin, Method::GET, &format!("/api/patients?{query}"), None).await.expect(400);
            assert_eq!(refused.faults(), [field], "{query}");
        }
    }
}
