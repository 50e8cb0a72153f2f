//! Enrolling, replacing and removing a second factor, by its owner and by an administrator.

use super::*;

testkit::stack_tests! { services = [auth::SERVICE];
    async fn a_token_is_not_enough_to_enrol(stack: Arc<TestStack>) {
        let _ = create(&stack, "jane.roe", &["billing"]).await;
        let tokens = login(&stack, "jane.roe", PASSWORD).await;
        for (body, fault) in [
            (json!({"currentPassword": "wrong"}), "currentPassword"),
            (json!({"currentPassword": ""}), "currentPassword"),
            (json!({"currentPassword": PASSWORD, "code": ""}), "code"),
        ] {
            assert_eq!(post_with(&stack, &tokens.access, OWN, body).await.expect(422).faults(), [fault]);
        }
        for _ in 0..9 {
            let _ = post_with(&stack, &tokens.access, OWN, json!({"currentPassword": "wrong"})).await.expect(422);
        }
        let locked = post_with(&stack, &tokens.access, OWN, json!({"currentPassword": PASSWORD})).await.expect(422);
        assert_eq!(locked.faults(), ["currentPassword"], "tries are counted");
        let _ = call(&stack, Role::Billing, Method::POST, OWN, Some(json!({"currentPassword": PASSWORD}))).await.expect(404);
        let _ = call(&stack, Role::Service, Method::GET, OWN, None).await.expect(404);
    }

    async fn what_is_offered_is_nothing_until_a_code_of_it_comes_in_time(stack: Arc<TestStack>) {
        let _ = create(&stack, "jane.roe", &["billing"]).await;
        let tokens = login(&stack, "jane.roe", PASSWORD).await;
        let confirm = |code: String| post_with(&stack, &tokens.access, CONFIRM, json!({"code": code}));
        assert_eq!(confirm("123456".to_owned()).await.expect(409).json()["code"], "invalid-transition");
        let first = offer(&stack, &tokens.access).await;
        assert_eq!(own(&stack, &tokens.access).await["status"], "None");
        let _ = login(&stack, "jane.roe", PASSWORD).await;
        for bad in [wrong_code(&stack, &first), "no code".to_owned(), "ABCD-EFGH-IJKL-MNOP".to_owned()] {
            assert_eq!(confirm(bad).await.expect(422).faults(), ["code"]);
        }
        let second = offer(&stack, &tokens.access).await;
        assert_eq!(confirm(code(&stack, &first)).await.expect(422).faults(), ["code"], "another was offered in its place");
        stack.clock.advance(TimeDelta::minutes(15));
        let tokens = login(&stack, "jane.roe", PASSWORD).await;
        let late = post_with(&stack, &tokens.access, CONFIRM, json!({"code": code(&stack, &second)})).await;
        assert_eq!(late.expect(409).json()["code"], "invalid-transition");
        let jane = enrol(&stack, tokens).await;
        let again = post_with(&stack, &jane.tokens.access, CONFIRM, json!({"code": code(&stack, &jane.app)})).await;
        let _ = again.expect(409);
    }

    async fn what_was_offered_to_one_session_is_nothing_to_another(stack: Arc<TestStack>) {
        let _ = create(&stack, "jane.roe", &["billing"]).await;
        let (owner, thief) = (login(&stack, "jane.roe", PASSWORD).await, login(&stack, "jane.roe", PASSWORD).await);
        let offered = offer(&stack, &owner.access).await;
        let confirm = |token: &str| {
            let (token, body) = (token.to_owned(), json!({"code": code(&stack, &offered)}));
            let stack = Arc::clone(&stack);
            async move { post_with(&stack, &token, CONFIRM, body).await }
        };
        assert_eq!(confirm(&thief.access).await.expect(409).json()["code"], "invalid-transition");
        assert!(is_good(&stack, &owner.access).await);
        let _ = confirm(&owner.access).await.expect(200);
    }

    async fn a_code_of_what_was_offered_is_guessed_five_times_at_most(stack: Arc<TestStack>) {
        let _ = create(&stack, "jane.roe", &["billing"]).await;
        let tokens = login(&stack, "jane.roe", PASSWORD).await;
        let offered = offer(&stack, &tokens.access).await;
        let wrong = wrong_code(&stack, &offered);
        let guesses = (0..20).map(|_| post_with(&stack, &tokens.access, CONFIRM, json!({"code": wrong})));
        let statuses: Vec<_> = futures_util::future::join_all(guesses).await.iter().map(|reply| reply.status).collect();
        let of = |status: u16| statuses.iter().filter(|one| **one == status).count();
        assert_eq!((of(422), of(409)), (5, 15), "{statuses:?}");
        let right = post_with(&stack, &tokens.access, CONFIRM, json!({"code": code(&stack, &offered)})).await;
        let _ = right.expect(409);
        let _ = enrol(&stack, tokens).await;
    }

    async fn what_is_shown_once_is_kept_for_no_repetition(stack: Arc<TestStack>) {
        let _ = create(&stack, "jane.roe", &["billing"]).await;
        let tokens = login(&stack, "jane.roe", PASSWORD).await;
        let keyed = async |path: &str, body: Value| {
            let request = stack.request(ServiceName::AuthService, Method::POST, path).bearer_auth(&tokens.access);
            let request = request.header("idempotency-key", "once").header("content-type", "application/json");
            testkit::stack::send(request.body(body.to_string())).await
        };
        let ask = json!({"currentPassword": PASSWORD});
        let first = keyed(OWN, ask.clone()).await.expect(201).json();
        let second = keyed(OWN, ask).await.expect(201).json();
        assert_ne!(first["secret"], second["secret"], "another, and not the same again");
        let body = json!({"code": code(&stack, &app(&second))});
        let _ = keyed(CONFIRM, body.clone()).await.expect(200);
        let again = keyed(CONFIRM, body).await;
        assert!(!again.expect(409).text.contains("recoveryCodes"));
    }

    async fn another_takes_the_place_of_one_by_its_code_and_not_before_it_is_confirmed(stack: Arc<TestStack>) {
        let jane = enrolled(&stack, "jane.roe").await;
        let token = jane.tokens.access.as_str();
        let ask = |code: Value| post_with(&stack, token, OWN, json!({"currentPassword": PASSWORD, "code": code}));
        assert_eq!(ask(Value::Null).await.expect(422).faults(), ["code"]);
        assert_eq!(ask(json!(wrong_code(&stack, &jane.app))).await.expect(422).faults(), ["code"]);
        let used = code(&stack, &jane.app);
        let next = app(&ask(json!(used)).await.expect(201).json());
        assert_eq!(ask(json!(used)).await.expect(422).faults(), ["code"], "it is used up");
        let _ = login_with(&stack, "jane.roe", &code(&stack, &next)).await.expect(401);
        later(&stack);
        let elsewhere = Tokens::of(&login_with(&stack, "jane.roe", &code(&stack, &jane.app)).await.expect(200));
        let _ = post_with(&stack, token, CONFIRM, json!({"code": code(&stack, &next)})).await.expect(200);
        assert!(is_good(&stack, token).await && !is_good(&stack, &elsewhere.access).await);
        later(&stack);
        for old in [code(&stack, &jane.app), jane.recovery[0].clone()] {
            let _ = login_with(&stack, "jane.roe", &old).await.expect(401);
        }
        let _ = login_with(&stack, "jane.roe", &code(&stack, &next)).await.expect(200);
    }

    async fn one_may_remove_ones_own_by_a_code(stack: Arc<TestStack>) {
        let jane = enrolled(&stack, "jane.roe").await;
        let elsewhere = Tokens::of(&login_with(&stack, "jane.roe", &jane.recovery[0]).await.expect(200));
        let token = jane.tokens.access.as_str();
        let remove = |password: &str, code: Value| {
            post_with(&stack, token, REMOVE, json!({"currentPassword": password, "code": code}))
        };
        assert_eq!(remove(PASSWORD, Value::Null).await.expect(422).faults(), ["code"]);
        assert_eq!(remove(PASSWORD, json!(wrong_code(&stack, &jane.app))).await.expect(422).faults(), ["code"]);
        assert_eq!(remove("wrong", json!(code(&stack, &jane.app))).await.expect(422).faults(), ["currentPassword"]);
        let removed = remove(PASSWORD, json!(code(&stack, &jane.app))).await.expect(200);
        assert_eq!(removed.text, r#"{"status":"Removed"}"#);
        assert!(is_good(&stack, token).await && !is_good(&stack, &elsewhere.access).await);
        let _ = login(&stack, "jane.roe", PASSWORD).await;
        let _ = remove(PASSWORD, Value::Null).await.expect(409);
    }

    async fn an_administrator_takes_it_from_whoever_has_lost_it_and_that_is_in_the_audit(stack: Arc<TestStack>) {
        let jane = enrolled(&stack, "jane.roe").await;
        let id = id_of(&stack, "jane.roe").await;
        let path = format!("/api/auth/users/{id}/second-factor");
        let admin = login(&stack, "admin", ADMIN_PASSWORD).await;
        let seen = call(&stack, Role::PrivacyOfficer, Method::GET, &path, None).await.expect(200).json();
        assert_eq!((&seen["status"], &seen["recoveryCodesLeft"]), (&json!("Active"), &json!(10)));
        let _ = call(&stack, Role::PrivacyOfficer, Method::DELETE, &path, None).await.expect(403);
        let _ = call_with(&stack, &jane.tokens.access, Method::GET, &path, None).await.expect(403);

        let reset = call_with(&stack, &admin.access, Method::DELETE, &path, None).await.expect(200);
        assert_eq!(reset.text, r#"{"status":"Removed"}"#);
        assert!(!is_good(&stack, &jane.tokens.access).await);
        let _ = try_refresh(&stack, &jane.tokens.refresh).await.expect(401);
        let tokens = login(&stack, "jane.roe", PASSWORD).await;
        assert_eq!(own(&stack, &tokens.access).await["recoveryCodesLeft"], 0);
        let _ = call_with(&stack, &admin.access, Method::DELETE, &path, None).await.expect(200);
        assert!(is_good(&stack, &tokens.access).await, "there was none any more");

        let audit = call(&stack, Role::Service, Method::GET, "/internal/audit?operation=reset_second_factor&limit=10", None).await.expect(200).json();
        let outcomes: Vec<_> = audit["items"].as_array().unwrap().iter()
            .map(|entry| (entry["username"].as_str().unwrap_or_default(), entry["outcome"].as_str().unwrap())).collect();
        assert_eq!(outcomes, [("admin", "Done"), ("admin", "Done"), ("", "Refused")]);
        let targets = audit["items"][0]["targets"].as_array().unwrap();
        assert!(targets.contains(&json!({"kind": "user", "id": id})), "whose it was: {targets:?}");
    }

    async fn nobody_takes_their_own_nor_that_of_whoever_may_more(stack: Arc<TestStack>) {
        let admin = login(&stack, "admin", ADMIN_PASSWORD).await;
        let id = id_of(&stack, "admin").await;
        let path = format!("/api/auth/users/{id}/second-factor");
        let refused = call_with(&stack, &admin.access, Method::DELETE, &path, None).await.expect(409);
        assert_eq!(refused.json()["code"], "invalid-transition");
        let body = json!({"role": "helpdesk", "permissions": ["users:read", "users:write"]});
        let _ = call_with(&stack, &admin.access, Method::POST, "/api/auth/roles", Some(body)).await.expect(201);
        let _ = create(&stack, "help.desk", &["helpdesk"]).await;
        let desk = login(&stack, "help.desk", PASSWORD).await;
        let _ = call_with(&stack, &desk.access, Method::DELETE, &path, None).await.expect(403);
        for path in ["/api/auth/users/usr_nobody/second-factor"] {
            let _ = call_with(&stack, &admin.access, Method::GET, path, None).await.expect(404);
            let _ = call_with(&stack, &admin.access, Method::DELETE, path, None).await.expect(404);
        }
    }

    async fn a_login_at_the_moment_of_enrolling_comes_to_no_session_without_a_code(stack: Arc<TestStack>) {
        for round in 0..3 {
            let name = format!("jane.{round}");
            let _ = create(&stack, &name, &["billing"]).await;
            let tokens = login(&stack, &name, PASSWORD).await;
            let app = offer(&stack, &tokens.access).await;
            let (one, first) = (Arc::clone(&stack), code(&stack, &app));
            let logins = tokio::spawn(async move {
                let mut begun = Vec::new();
                for _ in 0..4 {
                    let answer = try_login(&one, &name, PASSWORD).await;
                    if answer.status == 200 {
                        begun.push(Tokens::of(&answer));
                    }
                }
                begun
            });
            let _ = post_with(&stack, &tokens.access, CONFIRM, json!({"code": first})).await.expect(200);
            for begun in logins.await.unwrap() {
                assert!(!is_good(&stack, &begun.access).await);
                let _ = try_refresh(&stack, &begun.refresh).await.expect(401);
            }
        }
    }

    async fn with_the_user_it_goes_and_no_file_ever_holds_a_secret_or_a_code(stack: Arc<TestStack>) {
        let jane = enrolled(&stack, "jane.roe").await;
        let secret = jane.app.text().to_lowercase();
        let codes: Vec<_> = jane.recovery.iter().flat_map(|code| [code.to_lowercase(), code.replace('-', "").to_lowercase()]).collect();
        let words: Vec<_> = codes.iter().chain([&secret]).map(String::as_str).collect();
        let database = stack.database(ServiceName::AuthService);
        database.no_file_holds(&words);
        let id = id_of(&stack, "jane.roe").await;
        let _ = call(&stack, Role::Admin, Method::DELETE, &format!("/api/auth/users/{id}"), None).await.expect(200);
        let mut tx = database.db().read().await.unwrap();
        for table in ["select count(*) from second_factor", "select count(*) from recovery_code"] {
            let rows: i64 = db::on!(tx, |conn| sqlx::query_scalar(table).fetch_one(conn).await).unwrap();
            assert_eq!(rows, 0, "{table}");
        }
    }
}
