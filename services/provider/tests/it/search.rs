//! Finding providers, and paging.

use super::*;

testkit::stack_tests! { services = [provider::SERVICE];
    async fn providers_are_found_by_name_and_specialization(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        for query in [
            "name=jane", "name=DOE", "name=jan", "name=dr+doe", "specialization=cardiology", "specialization=CARDIOLOGY",
            "name=jane+doe&specialization=Cardiology",
        ] {
            assert_eq!(PROVIDERS.found(&stack, Role::Patient, query).await, ["prov001"], "{query}");
        }
        for query in ["name=ja", "name=john", "name=cardiology", "specialization=cardio", "specialization=jane"] {
            assert!(PROVIDERS.found(&stack, Role::Patient, query).await.is_empty(), "{query}");
        }
    }

    async fn what_has_changed_is_found_as_it_is_and_what_is_removed_is_not(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        let patch = r#"{"specialization":"Kinderheilkunde Übergewicht"}"#;
        let _ = PROVIDERS.put(&stack, "prov001", patch).await.expect(200);
        assert_eq!(PROVIDERS.found(&stack, Role::Patient, "specialization=kinderheilkunde+%C3%BCbergewicht").await, ["prov001"]);
        assert!(PROVIDERS.found(&stack, Role::Patient, "specialization=cardiology").await.is_empty());
        let _ = PROVIDERS.delete(&stack, "prov001").await.expect(200);
        assert!(PROVIDERS.found(&stack, Role::Patient, "name=jane").await.is_empty());
        assert!(PROVIDERS.found(&stack, Role::Patient, "").await.is_empty());
    }

    async fn pages_follow_one_another_and_miss_nobody(stack: Arc<TestStack>) {
        for at in 0..7 {
            stack.clock.advance(chrono::TimeDelta::seconds(at % 2));
            let _ = add(&stack, &format!("p{at}")).await.expect(201);
        }
        for filter in ["", "&name=jane", "&specialization=cardiology"] {
            assert_eq!(PROVIDERS.paged(&stack, filter).await, ["p6", "p5", "p4", "p3", "p2", "p1", "p0"], "{filter}");
        }
    }

    async fn bad_queries_are_refused_by_name(stack: Arc<TestStack>) {
        for (query, field) in [
            ("limit=0", "limit"), ("limit=201", "limit"), ("limit=x", "limit"), ("cursor=x", "cursor"), ("name=--", "name"),
            ("name=a+b+c+d+e+f+g", "name"), ("specialization=", "specialization"), ("specialization=a%00", "specialization"),
            ("day=Monday", "day"),
        ] {
            let refused = PROVIDERS.call(&stack, Role::Admin, Method::GET, &format!("/api/providers?{query}"), None).await.expect(400);
            assert_eq!(refused.faults(), [field], "{query}");
        }
    }
}
