//! What is not valid is refused by name and changes nothing.

use super::*;

testkit::stack_tests! { services = [provider::SERVICE];
    async fn each_bad_addition_is_refused_and_changes_nothing(stack: Arc<TestStack>) {
        let long = "x".repeat(10_240);
        for (from, to, field) in [
            ("\"prov001\"", "\"../x\"", "providerId"),
            ("\"prov001\"", "\"slots\"", "providerId"),
            ("\"Dr. Jane Doe\"", "17", "name"),
            ("\"Dr. Jane Doe\"", "\"\"", "name"),
            ("\"Dr. Jane Doe\"", "\"Jane\\u0000Doe\"", "name"),
            ("\"Dr. Jane Doe\"", &format!("\"{long}\""), "name"),
            ("\"name\": \"Dr. Jane Doe\",", "", "name"),
            ("\"Cardiology\"", "null", "specialization"),
            ("janedoe@example.com", "janedoe", "contactInfo.email"),
            ("\"phone\": \"+1234567890\", \"email\": \"janedoe@example.com\"", "", "contactInfo"),
            ("\"name\"", "\"surname\": 1, \"name\"", "surname"),
            ("\"name\"", "\"timeZone\": \"Berlin\", \"name\"", "timeZone"),
            ("Monday", "monday", "availability[0].day"),
            ("Wednesday", "Monday", "availability[1].day"),
            ("\"day\": \"Wednesday\",", "\"day\": \"Wednesday\", \"room\": 1,", "availability[1].room"),
            ("[\"09:00-12:00\"]", "\"09:00-12:00\"", "availability[1].slots"),
            ("[\"09:00-12:00\"]", "[\"9-12\"]", "availability[1].slots[0]"),
            ("[\"09:00-12:00\"]", "[\"12:00-09:00\"]", "availability[1].slots[0]"),
            ("[\"09:00-12:00\"]", "[\"22:00-25:00\"]", "availability[1].slots[0]"),
            ("14:00-17:00", "11:00-17:00", "availability[0].slots[1]"),
        ] {
            let body = JANE.replacen(from, to, 1);
            let refused = PROVIDERS.post(&stack, &body).await.expect(422);
            assert_eq!(refused.header("content-type"), "application/problem+json");
            assert_eq!(refused.faults(), [field], "{}", refused.text);
        }
        for body in ["", "{", "nonsense"] {
            let _ = PROVIDERS.post(&stack, body).await.expect(400);
        }
        let list = PROVIDERS.call(&stack, Role::Admin, Method::GET, "/api/providers", None).await.expect(200);
        assert_eq!(list.json()["items"].as_array().unwrap().len(), 0);
    }

    async fn each_bad_change_is_refused_and_changes_nothing(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        for (patch, field) in [
            (r#"{"name": null}"#, "name"),
            (r#"{"timeZone": null}"#, "timeZone"),
            (r#"{"timeZone": "Europe/Atlantis"}"#, "timeZone"),
            (r#"{"providerId": "other"}"#, "providerId"),
            (r#"{"contactInfo": {"phone": null, "email": null}}"#, "contactInfo"),
            (r#"{"availability": [{"day": "Monday", "slots": ["09:00-09:00"]}]}"#, "availability[0].slots[0]"),
        ] {
            let refused = PROVIDERS.put(&stack, "prov001", patch).await.expect(422);
            assert_eq!(refused.faults(), [field], "{}", refused.text);
        }
        let read = PROVIDERS.get(&stack, "prov001").await.expect(200);
        assert_eq!(read.header("etag"), "\"v1\"");
        let _ = PROVIDERS.put(&stack, "prov001", &read.text).await.expect(200);
    }

    async fn only_who_may_write_providers_does(stack: Arc<TestStack>) {
        for role in [Role::Clinician, Role::Receptionist, Role::Billing, Role::Patient, Role::Service] {
            let _ = PROVIDERS.call(&stack, role, Method::POST, "/api/providers", Some("nonsense")).await.expect(403);
        }
        let _ = PROVIDERS.call(&stack, Role::PrivacyOfficer, Method::GET, "/api/providers", None).await.expect(403);
        let without = stack.request(ServiceName::ProviderService, Method::GET, "/api/providers");
        let _ = testkit::stack::send(without).await.expect(401);
    }
}
