//! A whole login, from the list of providers to the logout.

use super::*;

with_providers! {
    async fn somebody_whom_the_provider_knows_logs_in_and_out(scene: Scene) {
        let stack = &scene.stack;
        let list = send(stack.request(ServiceName::AuthService, Method::GET, "/api/auth/oidc")).await.expect(200);
        assert_eq!(list.json(), json!({"items": [{"name": "staff", "displayName": "All of staff"}], "nextCursor": null}));

        let (started, back) = scene.visit("jane").await;
        for (name, value) in [
            ("response_type", "code"), ("client_id", "healthcare-stack"), ("redirect_uri", "http://127.0.0.1:9/login"),
            ("scope", "openid profile"), ("code_challenge_method", "S256"),
        ] {
            assert_eq!(started.says(name), value, "{name}");
        }
        assert_eq!(back.says("state"), started.says("state"));
        let answer = finish(stack, &started, &back).await.expect(200);
        assert_eq!((answer.json()["status"].as_str(), answer.header("cache-control")), (Some("Authenticated"), "no-store"));

        let tokens = Tokens::of(&answer);
        let told = me(stack, &tokens.access).await;
        assert_eq!((&told["username"], &told["roles"]), (&json!("staff.jane"), &json!(["clinician"])));
        let entry = last_entry(stack).await;
        assert_eq!((&entry["userId"], &entry["username"], &entry["outcome"]), (&told["userId"], &json!("staff.jane"), &json!("Done")));
        assert!(entry["reason"].as_str().unwrap().starts_with("staff: the account usr_"), "{entry}");

        let again = Tokens::of(&try_refresh(stack, &tokens.refresh).await.expect(200));
        let _ = post(stack, "/api/auth/logout", json!({"token": again.access})).await.expect(200);
        assert!(!is_good(stack, &again.access).await && !is_good(stack, &tokens.access).await);
        let _ = try_refresh(stack, &again.refresh).await.expect(401);
    }

    async fn whoever_comes_again_is_the_same_and_nobody_else_is(scene: Scene) {
        let stack = &scene.stack;
        let first = me(stack, &scene.tokens("jane").await.access).await;
        let second = me(stack, &scene.tokens("jane").await.access).await;
        let other = me(stack, &scene.tokens("joe").await.access).await;
        assert_eq!(first, second);
        assert_ne!(first["userId"], other["userId"]);
        assert_eq!((&other["username"], &other["roles"]), (&json!("staff.joe"), &json!(["admin"])));
        assert!(last_entry(stack).await["reason"].as_str().unwrap().contains("is made"));
    }

    async fn a_key_that_the_provider_changes_is_found(scene: Scene) {
        let _ = scene.tokens("jane").await;
        scene.provider.rotate("k2");
        // What was asked a moment ago is not asked again at once.
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        let _ = scene.tokens("jane").await;
    }

    async fn a_secret_that_is_changed_is_read_anew_and_until_then_it_is_our_fault(scene: Scene) {
        let stack = &scene.stack;
        let secret = |text: &[u8]| stack.secret(ServiceName::AuthService, "outside", "client-secret", text);
        let _ = secret(b"another");
        let told = scene.log_in("jane").await.expect(503).json();
        assert_eq!(told["detail"], "The identity provider does not answer as it should.");
        let _ = secret(CLIENT_SECRET.as_bytes());
        let _ = scene.tokens("jane").await;
    }

    async fn a_browser_comes_back_where_it_is_expected_and_nowhere_else(scene: Scene) {
        let begin = |uri: &str| post(&scene.stack, "/api/auth/oidc/staff/start", json!({"redirectUri": uri}));
        let started = Started::of(&begin("https://clinic.test/login").await.expect(200));
        assert_eq!(started.says("redirect_uri"), "https://clinic.test/login");
        for bad in ["https://clinic.test/login/", "https://clinic.test/login?x=1", "https://evil.test/login", ""] {
            assert_eq!(begin(bad).await.expect(422).faults(), ["redirectUri"], "{bad}");
        }
        for path in ["start", "finish", "second-factor"] {
            let body = match path {
                "start" => json!({}),
                "finish" => json!({"flow": "x", "code": "x", "state": "x"}),
                _ => json!({"flow": "x", "code": "x"}),
            };
            let _ = post(&scene.stack, &format!("/api/auth/oidc/nobody/{path}"), body).await.expect(404);
        }
    }
}

#[test]
fn a_provider_that_takes_secrets_in_the_body_alone_gets_it_there() {
    with_provider(
        Engine::Sqlite,
        "client_secret_post",
        |_| {},
        |scene| async move {
            let _ = scene.tokens("jane").await;
        },
    );
}
