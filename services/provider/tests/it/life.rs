//! A provider's life here: added, read, changed, removed.

use super::*;

testkit::stack_tests! { services = [provider::SERVICE];
    async fn the_documents_provider_is_added_read_changed_and_removed(stack: Arc<TestStack>) {
        let created = PROVIDERS.post(&stack, JANE).await.expect(201);
        assert_eq!(created.text, r#"{"providerId":"prov001","status":"Created"}"#);
        assert_eq!((created.header("location"), created.header("etag")), ("/api/providers/prov001", "\"v1\""));

        let read = PROVIDERS.get(&stack, "prov001").await.expect(200);
        let mut shown = read.json();
        assert_eq!(shown["timeZone"], "Europe/Berlin");
        shown.as_object_mut().unwrap().remove("timeZone");
        assert_eq!(shown, serde_json::from_str::<serde_json::Value>(JANE).unwrap());

        let mut whole: serde_json::Value = serde_json::from_str(JANE).unwrap();
        whole.as_object_mut().unwrap().remove("providerId");
        let updated =
            PROVIDERS.put(&stack, "prov001", &whole.to_string()).await.expect(200);
        assert_eq!(updated.text, r#"{"providerId":"prov001","status":"Updated"}"#);
        assert_eq!(updated.header("etag"), "\"v2\"");

        let deleted = PROVIDERS.delete(&stack, "prov001").await.expect(200);
        assert_eq!(deleted.text, r#"{"status":"Deleted","providerId":"prov001"}"#);
        for method in [Method::GET, Method::DELETE] {
            let _ = PROVIDERS.call(&stack, Role::Admin, method, "/api/providers/prov001", None).await.expect(404);
        }
        let _ = PROVIDERS.put(&stack, "prov001", "{}").await.expect(404);
    }

    async fn a_provider_without_an_id_is_given_one(stack: Arc<TestStack>) {
        let body = JANE.replace("\"providerId\": \"prov001\",", "");
        let created = PROVIDERS.post(&stack, &body).await.expect(201);
        let id = created.json()["providerId"].as_str().unwrap().to_owned();
        assert!(id.starts_with("prov_"), "{id}");
        let _ = PROVIDERS.call(&stack, Role::Admin, Method::GET, created.header("location"), None).await.expect(200);
    }

    async fn an_id_once_used_is_never_used_again(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        assert_eq!(add(&stack, "prov001").await.expect(409).faults(), ["providerId"]);
        let _ = PROVIDERS.delete(&stack, "prov001").await.expect(200);
        let _ = add(&stack, "prov001").await.expect(409);
    }

    async fn of_many_who_want_one_id_exactly_one_gets_it(stack: Arc<TestStack>) {
        PROVIDERS.gives_an_id_once(&stack, JANE).await;
    }

    async fn changes_made_at_once_all_count(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        let mut all = Vec::new();
        for at in 0..6 {
            let stack = Arc::clone(&stack);
            all.push(tokio::spawn(async move {
                let patch = if at % 2 == 0 { r#"{"name": "Dr. Jane Roe"}"# } else { r#"{"availability": []}"# };
                let _ = PROVIDERS.put(&stack, "prov001", patch).await.expect(200);
            }));
        }
        for one in all {
            one.await.unwrap();
        }
        let read = PROVIDERS.get(&stack, "prov001").await.expect(200);
        assert_eq!(read.header("etag"), "\"v7\"");
        assert_eq!((&read.json()["name"], &read.json()["availability"]), (&"Dr. Jane Roe".into(), &serde_json::json!([])));
    }

    async fn a_stale_if_match_changes_nothing(stack: Arc<TestStack>) {
        let _ = PROVIDERS.post(&stack, JANE).await.expect(201);
        PROVIDERS.heeds_if_match(&stack, "prov001", r#"{"name": "Dr. Jane Roe"}"#).await;
    }

    async fn a_repeated_post_with_the_same_key_has_the_same_answer(stack: Arc<TestStack>) {
        let without_id = JANE.replace("\"providerId\": \"prov001\",", "");
        let other = without_id.replace("Jane", "Jill");
        PROVIDERS.remembers_an_idempotency_key(&stack, &without_id, &other).await;
    }

    async fn hours_and_time_zone_are_shown_exactly_as_they_were_put(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        let patch = r#"{"availability":[{"day":"Sunday","slots":["18:00-24:00","00:00-06:00","06:00-18:00"]},{"day":"Monday","slots":[]}],"timeZone":"America/Argentina/Buenos_Aires"}"#;
        let _ = PROVIDERS.put(&stack, "prov001", patch).await.expect(200);
        let read = PROVIDERS.call(&stack, Role::Patient, Method::GET, "/api/providers/prov001", None).await.expect(200);
        let patch: serde_json::Value = serde_json::from_str(patch).unwrap();
        for member in ["availability", "timeZone"] {
            assert_eq!(read.json()[member], patch[member]);
        }
    }

    async fn a_removal_is_told_to_those_who_hold_something_of_theirs(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        let db = stack.database(ServiceName::ProviderService).db().clone();
        assert_eq!(db::outbox_backlog(&db).await.unwrap().rows, 0);
        let _ = PROVIDERS.delete(&stack, "prov001").await.expect(200);
        // Nobody takes it in: neither of the subscribers runs here.
        assert_eq!(db::outbox_backlog(&db).await.unwrap().rows, 2);
    }

    async fn no_file_holds_a_readable_name_or_contact(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        stack.database(ServiceName::ProviderService).no_file_holds(&["jane", "+1234567890", "example.com", "cardiology", "09:00-12:00"]);
    }
}
