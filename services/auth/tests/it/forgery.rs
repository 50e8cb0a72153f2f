//! Tokens that we did not issue, or not so.

use contracts::permission::Permission;
use http_kit::identity::public_jwk;
use testkit::forgery::{Forger, Forgery, Trap, claims, header};

use super::*;

fn secret(stack: &TestStack, secret: &str, key: &str) -> Vec<u8> {
    let dir = stack.database(ServiceName::AuthService).dir();
    std::fs::read(dir.join("secrets").join(secret).join(key)).unwrap()
}

testkit::stack_tests! { services = [auth::SERVICE];
    async fn the_published_keys_check_what_is_issued(stack: Arc<TestStack>) {
        let keys = get(&stack, "/.well-known/jwks.json").await.expect(200).json();
        let expected = public_jwk("test", &secret(&stack, "signing-keys", "test.p8")).unwrap();
        assert_eq!(keys, json!({"keys": [expected]}));
        assert!(keys["keys"][0]["d"].is_null());
        let tokens = login(&stack, "admin", ADMIN_PASSWORD).await;
        assert_eq!((&header(&tokens.access)["alg"], &header(&tokens.access)["kid"]), (&"EdDSA".into(), &"test".into()));
        let claims = claims(&tokens.access);
        for member in ["iss", "aud", "sub", "sid", "jti", "iat", "iat_ms", "exp", "name", "roles", "scope"] {
            assert!(!claims[member].is_null(), "{member}");
        }
        assert!(!claims["scope"].as_str().unwrap().contains(Permission::InternalCall.as_str()));
    }

    async fn a_token_that_was_not_issued_here_is_good_for_nothing(stack: Arc<TestStack>) {
        let (tokens, trap) = (login(&stack, "admin", ADMIN_PASSWORD).await, Trap::set());
        let (signing_key, service) = (secret(&stack, "signing-keys", "test.p8"), secret(&stack, "auth-service-identity", "key.p8"));
        let forger = Forger {
            token: &tokens.access, signing_key: &signing_key, kid: "test", service: (&service, "auth-service"),
            now: stack.clock.now(), elsewhere: trap.address(),
        };
        assert!(is_good(&stack, &forger.genuine()).await, "the matrix begins from a good token");
        for Forgery { what, token, is_signed_here } in forger.forgeries() {
            assert!(!is_good(&stack, &token).await, "{what}");
            // Whatever only time is wrong with still names a session of ours: what counts at logout is who signed it for whom.
            if !is_signed_here {
                let _ = post(&stack, "/api/auth/logout", json!({"token": token})).await.expect(401);
            }
        }
        assert!(is_good(&stack, &tokens.access).await);
        assert_eq!(trap.heard(), 0, "nobody fetches a key from where a token says that it is");
    }

    async fn a_services_own_token_belongs_to_no_session(stack: Arc<TestStack>) {
        let identity = http_kit::identity::ServiceIdentity::new(
            ServiceName::PatientService, "healthcare-stack", &secret(&stack, "patient-service-identity", "key.p8"),
            stack.clock.clone(), contracts::ambient::Random::seeded(1),
        ).unwrap();
        let token = identity.token();
        let me = call_with(&stack, &token, Method::GET, "/api/auth/me", None).await.expect(200).json();
        assert_eq!((&me["userId"], &me["username"]), (&"service:patient-service".into(), &Value::Null));
        let _ = post(&stack, "/api/auth/logout", json!({"token": token})).await.expect(401);
    }
}

async fn get(stack: &Arc<TestStack>, path: &str) -> Reply {
    send(stack.request(ServiceName::AuthService, Method::GET, path)).await
}
