//! What outside parties that speak OAuth ask for: revocation (RFC 7009) and introspection (RFC 7662).

use chrono::TimeDelta;
use http_kit::identity::ServiceIdentity;

use super::*;

/// Sends a form, with a token if one is given.
async fn form(stack: &Arc<TestStack>, path: &str, bearer: Option<&str>, fields: &[(&str, &str)]) -> Reply {
    let mut request = stack.request(ServiceName::AuthService, Method::POST, path).form(fields);
    if let Some(token) = bearer {
        request = request.bearer_auth(token);
    }
    send(request).await
}

async fn revoke(stack: &Arc<TestStack>, token: &str) -> Reply {
    form(stack, "/api/auth/revoke", None, &[("token", token), ("client_id", "portal")]).await
}

async fn introspect(stack: &Arc<TestStack>, token: &str) -> Value {
    let bearer = stack.token(Role::Admin);
    let answer = form(stack, "/api/auth/introspect", Some(&bearer), &[("token", token)]).await.expect(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.json()
}

fn not_good() -> Value {
    json!({"active": false})
}

testkit::stack_tests! { services = [auth::SERVICE];
    async fn a_token_of_either_kind_ends_its_session_and_no_other(stack: Arc<TestStack>) {
        let other = login(&stack, "admin", ADMIN_PASSWORD).await;
        let (by_access, by_refresh) = (login(&stack, "admin", ADMIN_PASSWORD).await, login(&stack, "admin", ADMIN_PASSWORD).await);
        for (tokens, token) in [(&by_access, &by_access.access), (&by_refresh, &by_refresh.refresh)] {
            let answer = revoke(&stack, token).await.expect(200);
            assert_eq!(answer.text, r#"{"status":"Revoked"}"#);
            assert!(!is_good(&stack, &tokens.access).await);
            let _ = try_refresh(&stack, &tokens.refresh).await.expect(401);
        }
        assert!(is_good(&stack, &other.access).await);
        let feed = call(&stack, Role::Service, Method::GET, "/internal/revocations?after=0", None).await.expect(200).json();
        assert_eq!(feed["items"].as_array().unwrap().len(), 2, "the others are told");
    }

    async fn a_token_that_is_not_known_is_answered_like_one_that_is(stack: Arc<TestStack>) {
        let tokens = login(&stack, "admin", ADMIN_PASSWORD).await;
        let known = revoke(&stack, &tokens.access).await.expect(200).text;
        let (head, _) = tokens.access.rsplit_once('.').unwrap();
        for token in [&tokens.access, &tokens.refresh, "nonsense", "a.b.c", &format!("{head}.AAAA"), &"x".repeat(9_000)] {
            assert_eq!(revoke(&stack, token).await.expect(200).text, known);
        }
    }

    async fn an_expired_access_token_and_an_old_refresh_token_end_their_session_too(stack: Arc<TestStack>) {
        let first = login(&stack, "admin", ADMIN_PASSWORD).await;
        let second = Tokens::of(&try_refresh(&stack, &first.refresh).await.expect(200));
        let _ = revoke(&stack, &first.refresh).await.expect(200);
        assert!(!is_good(&stack, &second.access).await);
        let tokens = login(&stack, "admin", ADMIN_PASSWORD).await;
        stack.clock.advance(TimeDelta::seconds(601));
        let _ = revoke(&stack, &tokens.access).await.expect(200);
        let _ = try_refresh(&stack, &tokens.refresh).await.expect(401);
    }

    async fn a_good_token_is_told_and_whose_it_is(stack: Arc<TestStack>) {
        let id = create(&stack, "jane.roe", &["billing"]).await;
        let tokens = login(&stack, "jane.roe", PASSWORD).await;
        let told = introspect(&stack, &tokens.access).await;
        let now = stack.clock.now().timestamp();
        let scope = Role::Billing.permissions().to_scope();
        for (member, value) in [
            ("active", json!(true)), ("sub", json!(id)), ("username", json!("jane.roe")), ("scope", json!(scope)), ("token_type", json!("Bearer")),
            ("iat", json!(now)), ("exp", json!(now + 600)), ("aud", json!("healthcare-stack")), ("iss", json!("https://clinic.test")),
        ] {
            assert_eq!(told[member], value, "{member}");
        }
        assert!(told["jti"].is_string() && told["sid"].is_string());
        let refresh = introspect(&stack, &tokens.refresh).await;
        assert_eq!((&refresh["active"], &refresh["sub"], &refresh["sid"]), (&json!(true), &json!(id), &told["sid"]));
        assert_eq!((&refresh["exp"], &refresh["token_type"]), (&json!(now + 86_400), &Value::Null));
        let again = Tokens::of(&try_refresh(&stack, &tokens.refresh).await.expect(200));
        assert_eq!(introspect(&stack, &tokens.refresh).await, not_good(), "used up");
        assert!(is_good(&stack, &again.access).await, "asking is no use of it");
    }

    async fn of_a_token_that_is_not_good_nothing_else_is_told(stack: Arc<TestStack>) {
        let (tokens, expired) = (login(&stack, "admin", ADMIN_PASSWORD).await, login(&stack, "admin", ADMIN_PASSWORD).await);
        let (head, _) = tokens.access.rsplit_once('.').unwrap();
        let key = std::fs::read(stack.database(ServiceName::AuthService).dir().join("secrets/patient-service-identity/key.p8")).unwrap();
        let part = ServiceIdentity::new(
            ServiceName::PatientService, "healthcare-stack", &key, stack.clock.clone(), contracts::ambient::Random::seeded(1),
        ).unwrap();
        for token in ["nonsense", &format!("{head}.AAAA"), &part.token(), &stack.token(Role::Billing)] {
            assert_eq!(introspect(&stack, token).await, not_good());
        }
        let _ = revoke(&stack, &tokens.access).await.expect(200);
        for token in [&tokens.access, &tokens.refresh] {
            assert_eq!(introspect(&stack, token).await, not_good());
        }
        stack.clock.advance(TimeDelta::seconds(600));
        assert_eq!(introspect(&stack, &expired.access).await, not_good());
        assert_eq!(introspect(&stack, &expired.refresh).await["active"], json!(true));
    }

    async fn only_whoever_may_asks_and_only_by_a_form(stack: Arc<TestStack>) {
        let tokens = login(&stack, "admin", ADMIN_PASSWORD).await;
        let fields = [("token", &*tokens.access)];
        let _ = form(&stack, "/api/auth/introspect", None, &fields).await.expect(401);
        let clinician = stack.token(Role::Clinician);
        let _ = form(&stack, "/api/auth/introspect", Some(&clinician), &fields).await.expect(403);
        for path in ["/api/auth/introspect", "/api/auth/revoke"] {
            let refused = call(&stack, Role::Admin, Method::POST, path, Some(json!({"token": tokens.access}))).await.expect(415);
            assert_eq!(refused.json()["detail"], "Send Content-Type: application/x-www-form-urlencoded.");
            let bearer = stack.token(Role::Admin);
            for fields in [&[("token_type_hint", "access_token")][..], &[("token", "a"), ("token", "b")]] {
                assert_eq!(form(&stack, path, Some(&bearer), fields).await.expect(400).faults(), ["token"]);
            }
        }
        assert!(is_good(&stack, &tokens.access).await);
    }
}
