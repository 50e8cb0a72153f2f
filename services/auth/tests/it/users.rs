//! Users, as administrators see them.

use super::*;

testkit::stack_tests! { services = [auth::SERVICE];
    async fn a_user_is_created_read_changed_and_deleted(stack: Arc<TestStack>) {
        let body = json!({"username": "Jane.Roe", "password": PASSWORD, "roles": ["clinician", "billing"]});
        let created = call(&stack, Role::Admin, Method::POST, "/api/auth/users", Some(body.clone())).await.expect(201);
        let id = created.json()["userId"].as_str().unwrap().to_owned();
        assert_eq!(created.json(), json!({"userId": id, "username": "jane.roe", "status": "Created"}));
        let path = format!("/api/auth/users/{id}");
        assert_eq!((created.header("location"), created.header("etag")), (path.as_str(), "\"v1\""));

        let read = call(&stack, Role::PrivacyOfficer, Method::GET, &path, None).await.expect(200);
        let shown = json!({"userId": id, "username": "jane.roe", "roles": ["clinician", "billing"], "status": "Active"});
        assert_eq!((read.json(), read.header("etag")), (shown, "\"v1\""));
        let _ = change(&stack, &id, read.json()).await.expect(200);

        let updated = change(&stack, &id, json!({"roles": ["receptionist"]})).await.expect(200);
        assert_eq!(updated.json(), json!({"userId": id, "status": "Updated"}));
        let read = call(&stack, Role::Admin, Method::GET, &path, None).await.expect(200);
        assert_eq!((&read.json()["roles"], read.header("etag")), (&json!(["receptionist"]), "\"v3\""));

        let tokens = login(&stack, "jane.roe", PASSWORD).await;
        let deleted = call(&stack, Role::Admin, Method::DELETE, &path, None).await.expect(200);
        assert_eq!(deleted.json(), json!({"status": "Deleted", "userId": id}));
        assert!(!is_good(&stack, &tokens.access).await);
        for method in [Method::GET, Method::DELETE] {
            let _ = call(&stack, Role::Admin, method, &path, None).await.expect(404);
        }
        let _ = change(&stack, &id, json!({})).await.expect(404);
        let _ = try_login(&stack, "jane.roe", PASSWORD).await.expect(401);
        let again = call(&stack, Role::Admin, Method::POST, "/api/auth/users", Some(body)).await.expect(409);
        assert_eq!(again.faults(), ["username"]);
    }

    async fn of_many_who_want_one_name_exactly_one_gets_it(stack: Arc<TestStack>) {
        let all = (0..6).map(|_| {
            let stack = Arc::clone(&stack);
            let body = json!({"username": "jane.roe", "password": PASSWORD, "roles": ["billing"]});
            tokio::spawn(async move { call(&stack, Role::Admin, Method::POST, "/api/auth/users", Some(body)).await.status })
        });
        let mut statuses = Vec::new();
        for one in all.collect::<Vec<_>>() {
            statuses.push(one.await.unwrap());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409, 409, 409]);
    }

    async fn a_repeated_creation_with_the_same_key_has_the_same_answer(stack: Arc<TestStack>) {
        let body = json!({"username": "jane.roe", "password": PASSWORD, "roles": ["billing"]}).to_string();
        let create = || {
            let request = stack.request(ServiceName::AuthService, Method::POST, "/api/auth/users");
            let request = request.bearer_auth(stack.token(Role::Admin)).header("content-type", "application/json");
            send(request.header("idempotency-key", "k-1").body(body.clone()))
        };
        assert_eq!(create().await.expect(201).text, create().await.expect(201).text);
    }

    async fn pages_follow_one_another_and_miss_nobody(stack: Arc<TestStack>) {
        for at in 0..5 {
            stack.clock.advance(chrono::TimeDelta::seconds(at % 2));
            let _ = create(&stack, &format!("user{at}"), &["billing"]).await;
        }
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/api/auth/users?limit=2{cursor}");
            let page = call(&stack, Role::Admin, Method::GET, &path, None).await.expect(200).json();
            seen.extend(page["items"].as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap().to_owned()));
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen.len(), 6);
        assert_eq!(seen.last().unwrap(), "admin");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 6);
        let found = call(&stack, Role::Admin, Method::GET, "/api/auth/users?username=User3", None).await.expect(200).json();
        assert_eq!((found["items"].as_array().unwrap().len(), &found["items"][0]["username"]), (1, &"user3".into()));
        let none = call(&stack, Role::Admin, Method::GET, "/api/auth/users?username=nobody", None).await.expect(200).json();
        assert_eq!(none, json!({"items": [], "nextCursor": null}));
    }

    async fn roles_are_listed_with_what_they_may(stack: Arc<TestStack>) {
        let roles = call(&stack, Role::Admin, Method::GET, "/api/auth/roles", None).await.expect(200).json();
        let names: Vec<_> = roles["items"].as_array().unwrap().iter().map(|role| role["role"].as_str().unwrap()).collect();
        assert_eq!(names, ["admin", "clinician", "receptionist", "billing", "privacy-officer", "patient"]);
        assert!(!roles.to_string().contains("internal:call"));
    }

    async fn disabling_ends_every_session_and_enabling_brings_none_back(stack: Arc<TestStack>) {
        let id = create(&stack, "jane.roe", &["billing"]).await;
        let (one, other) = (login(&stack, "jane.roe", PASSWORD).await, login(&stack, "jane.roe", PASSWORD).await);
        for status in ["Disabled", "Active"] {
            let _ = change(&stack, &id, json!({"status": status})).await.expect(200);
            for tokens in [&one, &other] {
                assert!(!is_good(&stack, &tokens.access).await);
                let _ = try_refresh(&stack, &tokens.refresh).await.expect(401);
            }
        }
        // In the same millisecond as the revocation: it must not be taken for one before it.
        let fresh = login(&stack, "jane.roe", PASSWORD).await;
        assert!(is_good(&stack, &fresh.access).await);
    }

    async fn the_last_administrator_stays_one(stack: Arc<TestStack>) {
        let admin = id_of(&stack, "admin").await;
        for patch in [json!({"roles": ["clinician"]}), json!({"status": "Disabled"})] {
            let refused = change(&stack, &admin, patch).await.expect(409);
            assert_eq!(refused.json()["code"], "invalid-transition");
        }
        let path = format!("/api/auth/users/{admin}");
        let _ = call(&stack, Role::Admin, Method::DELETE, &path, None).await.expect(409);
        let second = create(&stack, "second", &["admin"]).await;
        let _ = change(&stack, &second, json!({"status": "Disabled"})).await.expect(200);
        let _ = call(&stack, Role::Admin, Method::DELETE, &path, None).await.expect(409);
        let _ = change(&stack, &second, json!({"status": "Active"})).await.expect(200);
        let _ = call(&stack, Role::Admin, Method::DELETE, &path, None).await.expect(200);
        let _ = change(&stack, &second, json!({"roles": ["billing"]})).await.expect(409);
    }

    async fn of_two_administrators_who_remove_each_other_one_remains(stack: Arc<TestStack>) {
        for round in 0..4 {
            let admins: Vec<String> = [create(&stack, &format!("left{round}"), &["admin"]).await, create(&stack, &format!("right{round}"), &["admin"]).await].into();
            if round == 0 {
                let first = id_of(&stack, "admin").await;
                let _ = change(&stack, &first, json!({"roles": ["billing"]})).await.expect(200);
            }
            let all: Vec<_> = admins.into_iter().enumerate().map(|(at, id)| {
                let stack = Arc::clone(&stack);
                tokio::spawn(async move {
                    if at == 0 {
                        call(&stack, Role::Admin, Method::DELETE, &format!("/api/auth/users/{id}"), None).await.status
                    } else {
                        change(&stack, &id, json!({"status": "Disabled"})).await.status
                    }
                })
            }).collect();
            let mut statuses = Vec::new();
            for one in all {
                statuses.push(one.await.unwrap());
            }
            statuses.sort_unstable();
            // From the second round on, whoever remained of the round before is there too.
            assert!(if round == 0 { statuses == [200, 409] } else { statuses.contains(&200) }, "{statuses:?}");
        }
    }

    async fn a_stale_if_match_changes_nothing(stack: Arc<TestStack>) {
        let id = create(&stack, "jane.roe", &["billing"]).await;
        for (method, path, body) in [
            (Method::PUT, format!("/api/auth/users/{id}"), json!({"roles": ["clinician"]})),
            (Method::PUT, format!("/api/auth/users/{id}/password"), json!({"newPassword": "another good one"})),
            (Method::DELETE, format!("/api/auth/users/{id}"), json!(null)),
        ] {
            let request = stack.request(ServiceName::AuthService, method, &path).bearer_auth(stack.token(Role::Admin));
            let request = request.header("content-type", "application/json").header("if-match", "\"v7\"");
            let _ = send(request.body(body.to_string())).await.expect(412);
        }
        let _ = login(&stack, "jane.roe", PASSWORD).await;
        let read = call(&stack, Role::Admin, Method::GET, &format!("/api/auth/users/{id}"), None).await.expect(200);
        assert_eq!((read.header("etag"), &read.json()["roles"]), ("\"v1\"", &json!(["billing"])));
    }

    async fn who_may_not_is_refused(stack: Arc<TestStack>) {
        let id = id_of(&stack, "admin").await;
        for role in [Role::Clinician, Role::Receptionist, Role::Billing, Role::Patient, Role::Service] {
            for (method, path) in [
                (Method::GET, "/api/auth/users".to_owned()),
                (Method::POST, "/api/auth/users".to_owned()),
                (Method::GET, "/api/auth/roles".to_owned()),
                (Method::GET, format!("/api/auth/users/{id}")),
                (Method::PUT, format!("/api/auth/users/{id}")),
                (Method::PUT, format!("/api/auth/users/{id}/password")),
                (Method::DELETE, format!("/api/auth/users/{id}")),
            ] {
                let _ = call(&stack, role, method, &path, Some(json!({}))).await.expect(403);
            }
        }
        let _ = call(&stack, Role::PrivacyOfficer, Method::DELETE, &format!("/api/auth/users/{id}"), None).await.expect(403);
    }

    async fn no_file_holds_a_readable_name_password_hash_or_token(stack: Arc<TestStack>) {
        let _ = create(&stack, "jane.roe", &["billing"]).await;
        let tokens = login(&stack, "jane.roe", PASSWORD).await;
        let next = Tokens::of(&try_refresh(&stack, &tokens.refresh).await.expect(200));
        let _ = try_login_from(&stack, "192.0.2.77", "jane.roe", "a wrong guess").await.expect(401);
        let database = stack.database(ServiceName::AuthService);
        let mut files: Vec<_> = std::fs::read_dir(database.dir()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.file_name().is_some_and(|name| name != "secrets"));
        for path in files {
            let content = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).to_lowercase();
            for secret in ["jane.roe", PASSWORD, ADMIN_PASSWORD, "a wrong guess", "argon2", "192.0.2.77", &tokens.refresh, &next.refresh] {
                assert!(!content.contains(&secret.to_lowercase()), "{secret} stands in {}", path.display());
            }
        }
    }
}
