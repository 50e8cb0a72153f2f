//! Logging in and out.

use super::*;

testkit::stack_tests! { services = [auth::SERVICE];
    async fn a_login_answers_as_the_document_says(stack: Arc<TestStack>) {
        let answer = try_login(&stack, "Admin", ADMIN_PASSWORD).await.expect(200);
        let members: Vec<_> = answer.json().as_object().unwrap().keys().cloned().collect();
        assert_eq!(members, ["token", "refreshToken", "status", "expiresIn"]);
        assert_eq!((&answer.json()["status"], &answer.json()["expiresIn"]), (&"Authenticated".into(), &600.into()));
        assert_eq!(answer.header("cache-control"), "no-store");

        let me = call_with(&stack, &Tokens::of(&answer).access, Method::GET, "/api/auth/me", None).await.expect(200).json();
        assert_eq!((&me["username"], &me["roles"]), (&"admin".into(), &json!(["admin"])));
        assert!(me["permissions"].as_array().unwrap().contains(&"users:write".into()));
    }

    async fn unknown_disabled_and_wrong_look_alike(stack: Arc<TestStack>) {
        let disabled = create(&stack, "disabled", &["billing"]).await;
        let _ = change(&stack, &disabled, json!({"status": "Disabled"})).await.expect(200);
        let deleted = create(&stack, "deleted", &["billing"]).await;
        let _ = call(&stack, Role::Admin, Method::DELETE, &format!("/api/auth/users/{deleted}"), None).await.expect(200);
        let wrong = try_login(&stack, "admin", "wrong").await.expect(401);
        assert_eq!(wrong.json()["code"], "invalid-credentials");
        for name in ["disabled", "deleted", "nobody", "no such name!", "Jürgen", "a\u{0}b"] {
            let refused = try_login(&stack, name, PASSWORD).await.expect(401);
            assert_eq!((&refused.text, &refused.headers["content-type"]), (&wrong.text, &wrong.headers["content-type"]), "{name}");
        }
    }

    async fn a_logout_ends_access_and_refresh(stack: Arc<TestStack>) {
        let (tokens, other) = (login(&stack, "admin", ADMIN_PASSWORD).await, login(&stack, "admin", ADMIN_PASSWORD).await);
        assert!(is_good(&stack, &tokens.access).await);
        for _ in 0..2 {
            let answer = post(&stack, "/api/auth/logout", json!({"token": tokens.access})).await.expect(200);
            assert_eq!(answer.text, r#"{"status":"Logged out"}"#);
            assert!(!is_good(&stack, &tokens.access).await);
        }
        let _ = try_refresh(&stack, &tokens.refresh).await.expect(401);
        assert!(is_good(&stack, &other.access).await, "another session of the same user goes on");
        let _ = try_refresh(&stack, &other.refresh).await.expect(200);
    }

    async fn an_expired_token_logs_out_too(stack: Arc<TestStack>) {
        let tokens = login(&stack, "admin", ADMIN_PASSWORD).await;
        stack.clock.advance(chrono::TimeDelta::seconds(601));
        assert!(!is_good(&stack, &tokens.access).await);
        let _ = post(&stack, "/api/auth/logout", json!({"token": tokens.access})).await.expect(200);
        let _ = try_refresh(&stack, &tokens.refresh).await.expect(401);
    }

    async fn a_token_of_a_session_that_is_not_remembered_is_revoked_all_the_same(stack: Arc<TestStack>) {
        let token = stack.token(Role::Billing);
        assert!(is_good(&stack, &token).await);
        let _ = post(&stack, "/api/auth/logout", json!({"token": token})).await.expect(200);
        assert!(!is_good(&stack, &token).await);
        let _ = post(&stack, "/api/auth/logout", json!({"token": token})).await.expect(200);
    }

    async fn garbage_logs_nobody_out(stack: Arc<TestStack>) {
        let tokens = login(&stack, "admin", ADMIN_PASSWORD).await;
        let (head, signature) = tokens.access.rsplit_once('.').unwrap();
        let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
        for token in ["", "x", "a.b.c", &forged, &tokens.refresh, &"x".repeat(9_000)] {
            let refused = post(&stack, "/api/auth/logout", json!({"token": token})).await.expect(401);
            assert_eq!(refused.json()["code"], "unauthenticated");
        }
        assert!(is_good(&stack, &tokens.access).await);
    }

    async fn a_login_at_the_moment_of_disabling_gives_no_good_token(stack: Arc<TestStack>) {
        let id = create(&stack, "jane.roe", &["clinician"]).await;
        for _ in 0..5 {
            let _ = change(&stack, &id, json!({"status": "Active"})).await.expect(200);
            let (one, other) = (Arc::clone(&stack), Arc::clone(&stack));
            let logins = tokio::spawn(async move {
                let mut tokens = Vec::new();
                for _ in 0..3 {
                    let answer = try_login(&one, "jane.roe", PASSWORD).await;
                    if answer.status == 200 {
                        tokens.push(Tokens::of(&answer));
                    }
                }
                tokens
            });
            let id = id.clone();
            let disable = tokio::spawn(async move { change(&other, &id, json!({"status": "Disabled"})).await.expect(200) });
            let _ = disable.await.unwrap();
            for tokens in logins.await.unwrap() {
                assert!(!is_good(&stack, &tokens.access).await);
                let _ = try_refresh(&stack, &tokens.refresh).await.expect(401);
            }
        }
    }
}
