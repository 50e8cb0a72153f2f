//! Tokens that we did not issue, or not so.

use chrono::TimeDelta;
use contracts::permission::Permission;
use data_encoding::BASE64URL_NOPAD;
use http_kit::identity::{generate_key, public_jwk};
use jsonwebtoken::{Algorithm, EncodingKey, Header};

use super::*;

fn secret(stack: &TestStack, secret: &str, key: &str) -> Vec<u8> {
    let dir = stack.database(ServiceName::AuthService).dir();
    std::fs::read(dir.join("secrets").join(secret).join(key)).unwrap()
}

fn part(token: &str, at: usize) -> Value {
    serde_json::from_slice(&BASE64URL_NOPAD.decode(token.split('.').nth(at).unwrap().as_bytes()).unwrap())
        .unwrap()
}

fn sign(header: &Header, claims: &Value, key: &EncodingKey) -> String {
    jsonwebtoken::encode(header, claims, key).unwrap()
}

fn header(kid: Option<&str>) -> Header {
    Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::EdDSA) }
}

testkit::stack_tests! { services = [auth::SERVICE];
    async fn the_published_keys_check_what_is_issued(stack: Arc<TestStack>) {
        let keys = get(&stack, "/.well-known/jwks.json").await.expect(200).json();
        let expected = public_jwk("test", &secret(&stack, "signing-keys", "test.p8")).unwrap();
        assert_eq!(keys, json!({"keys": [expected]}));
        assert!(keys["keys"][0]["d"].is_null());
        let tokens = login(&stack, "admin", ADMIN_PASSWORD).await;
        assert_eq!((&part(&tokens.access, 0)["alg"], &part(&tokens.access, 0)["kid"]), (&"EdDSA".into(), &"test".into()));
        let claims = part(&tokens.access, 1);
        for member in ["iss", "aud", "sub", "sid", "jti", "iat", "iat_ms", "exp", "name", "roles", "scope"] {
            assert!(!claims[member].is_null(), "{member}");
        }
        assert!(!claims["scope"].as_str().unwrap().contains(Permission::InternalCall.as_str()));
    }

    async fn a_token_that_was_not_issued_here_is_good_for_nothing(stack: Arc<TestStack>) {
        let tokens = login(&stack, "admin", ADMIN_PASSWORD).await;
        let claims = part(&tokens.access, 1);
        let with = |member: &str, value: Value| { let mut claims = claims.clone(); claims[member] = value; claims };
        let ours = EncodingKey::from_ed_der(&secret(&stack, "signing-keys", "test.p8"));
        let service = EncodingKey::from_ed_der(&secret(&stack, "auth-service-identity", "key.p8"));
        let foreign = generate_key("test").unwrap().0;
        let (foreign, foreign_jwk) = (EncodingKey::from_ed_der(&foreign), public_jwk("test", &foreign).unwrap());
        let public = BASE64URL_NOPAD.decode(public_jwk("test", &secret(&stack, "signing-keys", "test.p8")).unwrap().x.unwrap().as_bytes()).unwrap();
        let now = stack.clock.now();
        let later = (now + TimeDelta::seconds(6)).timestamp_millis();

        assert!(is_good(&stack, &sign(&header(Some("test")), &claims, &ours)).await, "the matrix begins from a good token");
        let none = |alg: &str| {
            let head = BASE64URL_NOPAD.encode(json!({"alg": alg, "typ": "JWT", "kid": "test"}).to_string().as_bytes());
            format!("{head}.{}.", BASE64URL_NOPAD.encode(claims.to_string().as_bytes()))
        };
        let hs256 = Header { kid: Some("test".to_owned()), ..Header::new(Algorithm::HS256) };
        let embedded = {
            let head = json!({"alg": "EdDSA", "kid": "test", "jwk": foreign_jwk, "jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/"});
            let signed = sign(&header(Some("test")), &claims, &foreign);
            let (_, rest) = signed.split_once('.').unwrap();
            format!("{}.{rest}", BASE64URL_NOPAD.encode(head.to_string().as_bytes()))
        };
        for (what, token) in [
            ("alg none", none("none")),
            ("alg None", none("None")),
            ("HS256 with the public key", sign(&hs256, &claims, &EncodingKey::from_secret(&public))),
            ("a foreign key", sign(&header(Some("test")), &claims, &foreign)),
            ("a foreign key that it brings along", embedded),
            ("no kid", sign(&header(None), &claims, &ours)),
            ("an unknown kid", sign(&header(Some("other")), &claims, &ours)),
            ("a kid that is a path", sign(&header(Some("../signing-keys/test")), &claims, &ours)),
            ("another service's kid", sign(&header(Some("patient-service")), &claims, &ours)),
            ("another audience", sign(&header(Some("test")), &with("aud", json!("other")), &ours)),
            ("another issuer", sign(&header(Some("test")), &with("iss", json!("https://other.test")), &ours)),
            ("no audience", sign(&header(Some("test")), &with("aud", Value::Null), &ours)),
            ("expired", sign(&header(Some("test")), &with("exp", json!(now.timestamp())), &ours)),
            ("no expiry", sign(&header(Some("test")), &with("exp", Value::Null), &ours)),
            ("from the future", sign(&header(Some("test")), &with("iat_ms", json!(later)), &ours)),
            ("a service's, signed by auth", sign(&header(Some("test")), &with("sub", json!("service:auth-service")), &ours)),
            ("a user's, signed by a service", sign(&header(Some("auth-service")), &claims, &service)),
            ("a user's, signed by a service as issuer", sign(&header(Some("auth-service")), &with("iss", json!("auth-service")), &service)),
            ("another claim under the same signature", {
                let (head, signature) = (tokens.access.split('.').next().unwrap(), tokens.access.rsplit('.').next().unwrap());
                format!("{head}.{}.{signature}", BASE64URL_NOPAD.encode(with("sub", json!("usr_other")).to_string().as_bytes()))
            }),
        ] {
            assert!(!is_good(&stack, &token).await, "{what}");
            // Whatever only time or audience is wrong with still names a session of ours: what counts at logout is who signed it for whom.
            if what != "expired" && what != "from the future" {
                let _ = post(&stack, "/api/auth/logout", json!({"token": token})).await.expect(401);
            }
        }
        assert!(is_good(&stack, &tokens.access).await);
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
