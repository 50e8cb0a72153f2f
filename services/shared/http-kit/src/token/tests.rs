use contracts::permission::{Permission, Role};

use super::*;

mod parts {
    use chrono::TimeZone;
    use contracts::ambient::Random;
    use contracts::auth::{Jwk, JwkSet};
    use settings::ServiceName;

    use super::*;
    use crate::identity::{ServiceIdentity, generate_key};

    const AUDIENCE: &str = "healthcare-stack";

    fn clock() -> Clock {
        Clock::set_to(chrono::Utc.with_ymd_and_hms(2026, 1, 15, 10, 0, 0).unwrap())
    }

    fn verifier(identities: Vec<Jwk>) -> Verifier {
        let keys = KeyRing::fixed(&JwkSet::default(), &JwkSet { keys: identities });
        Verifier::new("https://clinic.test", AUDIENCE, keys, Arc::default(), clock())
    }

    fn identity(part: impl Into<Part>, pkcs8: &[u8]) -> ServiceIdentity {
        ServiceIdentity::new(part, AUDIENCE, pkcs8, clock(), Random::seeded(1)).unwrap()
    }

    #[tokio::test]
    async fn a_part_may_have_several_keys_while_one_takes_the_place_of_another() {
        let (old, old_jwk) = generate_key("patient-service").unwrap();
        let (new, new_jwk) = generate_key("patient-service.2").unwrap();
        let (_, other_jwk) = generate_key("billing-service").unwrap();
        let verifier = verifier(vec![old_jwk, new_jwk, other_jwk.clone()]);
        for key in [&old, &new] {
            let caller = verifier.verify(&identity(ServiceName::PatientService, key).token()).await.unwrap();
            let may = Part::from(ServiceName::PatientService).permissions();
            assert_eq!((&*caller.user, caller.permissions), ("service:patient-service", may));
        }
        let before = self::verifier(vec![other_jwk]);
        let unknown = before.verify(&identity(ServiceName::PatientService, &old).token()).await;
        assert_eq!(unknown.unwrap_err(), TokenError::Invalid);
    }

    #[tokio::test]
    async fn the_gateway_may_follow_revocations_and_nothing_else() {
        let (key, jwk) = generate_key("api-gateway").unwrap();
        let caller = verifier(vec![jwk]).verify(&identity(Part::Gateway, &key).token()).await.unwrap();
        assert_eq!(caller.permissions.iter().collect::<Vec<_>>(), [Permission::RevocationsRead]);
        assert_eq!((&*caller.user, caller.reach()), ("service:api-gateway", Reach::Nobody));
    }

    #[test]
    fn each_part_may_what_it_asks_for_and_all_together_what_the_role_of_services_may() {
        let services = ServiceName::ALL.into_iter().map(|service| Part::from(service).permissions());
        assert_eq!(services.reduce(Permissions::and), Some(Role::Service.permissions()));
        assert!(Part::all().all(|part| part.permissions().contains(Permission::RevocationsRead)));
    }

    #[tokio::test]
    async fn a_stolen_key_of_notifications_reads_no_record_and_no_patient_and_tells_nobody_anything() {
        let (key, jwk) = generate_key("notification-service").unwrap();
        let token = testkit::thief::token(ServiceName::NotificationService, &key, AUDIENCE, clock().now());
        let caller = verifier(vec![jwk]).verify(&token).await.unwrap();
        let may: Vec<_> = caller.permissions.iter().collect();
        assert_eq!(
            may,
            [
                Permission::ProvidersRead,
                Permission::ContactsCollect,
                Permission::AnswersTell,
                Permission::RevocationsRead
            ]
        );
        assert_eq!(caller.roles, [Role::Service]);
    }

    #[tokio::test]
    async fn a_stolen_key_gives_its_part_no_more_than_it_has() {
        let (key, jwk) = generate_key("api-gateway").unwrap();
        let verifier = verifier(vec![jwk]);
        let signing = EncodingKey::from_ed_der(&key);
        let now = clock().now().timestamp();
        let claims = |part: &str| Claims {
            iss: part.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: format!("service:{part}"),
            sid: None,
            jti: "tok_1".to_owned(),
            iat: now,
            iat_ms: Some(now * 1000),
            exp: now + 60,
            name: None,
            roles: vec!["admin".to_owned()],
            scope: "records:read internal:call revocations:read".to_owned(),
            grants: vec![Grant { role: "lab".to_owned(), scope: "records:read".to_owned() }],
            only_enrols: false,
            patient_id: None,
            provider_id: None,
        };
        let caller = verifier.verify(&claims("api-gateway").sign(&signing, "api-gateway")).await.unwrap();
        assert_eq!(caller.permissions.iter().collect::<Vec<_>>(), [Permission::RevocationsRead]);
        assert!(caller.roles.is_empty() && caller.made.is_empty());
        for (part, kid) in
            [("auth-service", "api-gateway"), ("auth-service", "auth-service"), ("api-gateway", "x")]
        {
            let refused = verifier.verify(&claims(part).sign(&signing, kid)).await;
            assert_eq!(refused.unwrap_err(), TokenError::Invalid, "{part} {kid}");
        }
    }
}

mod of_other_issuers {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256};
    use chrono::TimeZone;
    use contracts::auth::{Jwk, JwkSet};
    use data_encoding::BASE64URL_NOPAD;
    use serde_json::{Value, json};

    use super::*;
    use crate::identity::generate_key;

    const ISSUER: &str = "https://login.example";

    fn text(bytes: &[u8]) -> String {
        BASE64URL_NOPAD.encode(bytes)
    }

    /// A token as somebody else's software makes it: without what ours has beside the standard's claims.
    fn token(algorithm: &str, kid: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
        let part = |value: Value| text(value.to_string().as_bytes());
        let head = part(json!({"alg": algorithm, "kid": kid, "typ": "at+jwt"}));
        let claims = part(json!({
            "iss": ISSUER, "aud": ["clinic", "portal"], "sub": "usr_1", "iat": 1_000, "exp": 2_000, "scope": "patients:read openid",
        }));
        let signed = format!("{head}.{claims}");
        let signature = text(&sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn verifier(keys: Vec<Jwk>) -> Verifier {
        let clock = Clock::set_to(chrono::Utc.timestamp_opt(1_500, 0).unwrap());
        let keys = KeyRing::fixed(&JwkSet { keys }, &JwkSet::default());
        Verifier::new(ISSUER, "clinic", keys, Arc::default(), clock)
    }

    struct Rsa(RsaKeyPair, Jwk);

    impl Rsa {
        fn generate() -> Self {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            let public = pair.public_key();
            let jwk = Jwk {
                kty: "RSA".to_owned(),
                kid: "r1".to_owned(),
                n: Some(text(public.modulus().big_endian_without_leading_zero())),
                e: Some(text(public.exponent().big_endian_without_leading_zero())),
                ..Jwk::default()
            };
            Self(pair, jwk)
        }

        fn sign(&self, message: &[u8]) -> Vec<u8> {
            let mut signature = vec![0; self.0.public_modulus_len()];
            self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
            signature
        }
    }

    struct P256(EcdsaKeyPair, Jwk);

    impl P256 {
        fn generate() -> Self {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
            let point = pair.public_key().as_ref().to_vec();
            let jwk = Jwk {
                kty: "EC".to_owned(),
                crv: Some("P-256".to_owned()),
                alg: Some("ES256".to_owned()),
                usage: Some("sig".to_owned()),
                kid: "e1".to_owned(),
                x: Some(text(&point[1..33])),
                y: Some(text(&point[33..])),
                ..Jwk::default()
            };
            Self(pair, jwk)
        }

        fn sign(&self, message: &[u8]) -> Vec<u8> {
            self.0.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
        }
    }

    #[tokio::test]
    async fn tokens_by_rsa_and_p_256_are_good() {
        let (rsa, p256) = (Rsa::generate(), P256::generate());
        let verifier = verifier(vec![rsa.1.clone(), p256.1.clone()]);
        for token in [
            token("RS256", "r1", |message| rsa.sign(message)),
            token("ES256", "e1", |message| p256.sign(message)),
        ] {
            let caller = verifier.verify(&token).await.unwrap();
            assert_eq!((&*caller.user, caller.issued_at_ms), ("usr_1", 1_000_000));
            assert_eq!(caller.permissions.iter().collect::<Vec<_>>(), [Permission::PatientsRead]);
        }
    }

    /// A key is used with its own algorithm, whatever a token says: else a public key would be a shared secret (RFC 8725 §2.1).
    #[tokio::test]
    async fn the_token_does_not_choose_the_algorithm() {
        let (rsa, p256) = (Rsa::generate(), P256::generate());
        let verifier = verifier(vec![rsa.1.clone(), p256.1.clone()]);
        let public = rsa.0.public_key().as_der().unwrap();
        let hmac = |message: &[u8]| {
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, public.as_ref());
            aws_lc_rs::hmac::sign(&key, message).as_ref().to_vec()
        };
        for (what, token) in [
            ("an HMAC with the public key", token("HS256", "r1", hmac)),
            ("no signature", token("none", "r1", |_| Vec::new())),
            ("another name for what signed it", token("RS512", "r1", |message| rsa.sign(message))),
            ("the other key's", token("ES256", "r1", |message| p256.sign(message))),
            ("the other key's under its own name", token("RS256", "e1", |message| rsa.sign(message))),
        ] {
            assert_eq!(verifier.verify(&token).await.unwrap_err(), TokenError::Invalid, "{what}");
        }
    }

    #[tokio::test]
    async fn keys_that_are_not_understood_or_not_for_signatures_are_passed_over() {
        let (rsa, p256) = (Rsa::generate(), P256::generate());
        let strange: JwkSet = serde_json::from_value(json!({"keys": [
            {"kty": "AKP", "alg": "ML-DSA-44", "kid": "m1", "pub": "AAAA"},
            {"kty": "oct", "kid": "o1", "k": "AAAA"},
            {"kty": "OKP", "kid": "x1", "crv": "X25519", "x": "AAAA"},
            {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        ]}))
        .unwrap();
        let for_encryption = Jwk { kid: "r2".to_owned(), usage: Some("enc".to_owned()), ..rsa.1.clone() };
        let for_another = Jwk { kid: "r3".to_owned(), alg: Some("PS256".to_owned()), ..rsa.1.clone() };
        let mut keys = strange.keys;
        keys.extend([for_encryption, for_another, rsa.1.clone(), p256.1.clone()]);
        let verifier = verifier(keys);
        assert!(verifier.verify(&token("RS256", "r1", |message| rsa.sign(message))).await.is_ok());
        for kid in ["m1", "o1", "x1", "broken", "r2", "r3"] {
            let refused = verifier.verify(&token("RS256", kid, |message| rsa.sign(message))).await;
            assert_eq!(refused.unwrap_err(), TokenError::Invalid, "{kid}");
        }
    }

    #[tokio::test]
    async fn with_its_key_a_token_goes_though_it_was_good_before() {
        let ((one, one_jwk), (two, two_jwk)) = (generate_key("k1").unwrap(), generate_key("k2").unwrap());
        let verifier = verifier(vec![one_jwk, two_jwk.clone()]);
        let sign = |key: &[u8]| {
            let pair = aws_lc_rs::signature::Ed25519KeyPair::from_pkcs8(key).unwrap();
            move |message: &[u8]| pair.sign(message).as_ref().to_vec()
        };
        let (one, two) = (token("EdDSA", "k1", sign(&one)), token("EdDSA", "k2", sign(&two)));
        let kept = verifier.verify(&one).await.unwrap();
        let _ = verifier.verify(&two).await.unwrap();
        assert!(matches!(verifier.recall(&one), Some(Ok(_))));
        verifier.replace_keys(&JwkSet { keys: vec![two_jwk] });
        assert!(verifier.recall(&one).is_none() && verifier.again(&kept).is_none());
        assert_eq!(verifier.verify(&one).await.unwrap_err(), TokenError::Invalid);
        let _ = verifier.verify(&two).await.unwrap();
        assert!(matches!(verifier.recall(&two), Some(Ok(_))));
    }
}

mod silence {
    use std::time::Duration;

    use contracts::ambient::Random;
    use contracts::auth::JwkSet;
    use settings::ServiceName;

    use super::*;
    use crate::identity::{ServiceIdentity, generate_key};

    /// A person, a part, and who checks their tokens.
    fn scene() -> (Verifier, String, String) {
        let clock = Clock::set_to(chrono::DateTime::from_timestamp(1_768_467_600, 0).unwrap());
        let ((user, user_jwk), (part, part_jwk)) =
            (generate_key("auth-1").unwrap(), generate_key("patient-service").unwrap());
        let keys = KeyRing::fixed(&JwkSet { keys: vec![user_jwk] }, &JwkSet { keys: vec![part_jwk] });
        let revoked = Arc::new(RevocationList::followed(Duration::from_secs(30)));
        let verifier = Verifier::new("i", "a", keys, revoked, clock.clone());
        let now = clock.now().timestamp();
        let claims: Claims = serde_json::from_value(serde_json::json!({
            "iss": "i", "aud": "a", "sub": "usr_1", "sid": "ses_1", "iat": now, "exp": now + 600
        }))
        .unwrap();
        let person = claims.sign(&EncodingKey::from_ed_der(&user), "auth-1");
        let identity =
            ServiceIdentity::new(ServiceName::PatientService, "a", &part, clock, Random::seeded(1)).unwrap();
        (verifier, person, identity.token())
    }

    #[tokio::test]
    async fn before_it_is_known_who_was_logged_out_no_person_is_let_in_and_parts_are() {
        let (verifier, person, part) = scene();
        assert_eq!(verifier.verify(&person).await.unwrap_err(), TokenError::Unread);
        let part = verifier.verify(&part).await.unwrap();
        assert_eq!(verifier.permits_change(&part), Ok(()));
        verifier.revocations().hear(&[], &verifier.clock);
        assert!(verifier.verify(&person).await.is_ok());
    }

    #[tokio::test]
    async fn when_that_is_long_ago_people_read_and_change_nothing_and_parts_go_on() {
        let (verifier, person, part) = scene();
        verifier.revocations().hear(&[], &verifier.clock);
        let (person, part) = (verifier.verify(&person).await.unwrap(), verifier.verify(&part).await.unwrap());
        assert_eq!(verifier.permits_change(&person), Ok(()));
        verifier.revocations().set_stale_after(Duration::ZERO);
        assert_eq!(verifier.again(&person), Some(Ok(())));
        assert_eq!(verifier.permits_change(&person), Err(TokenError::Stale));
        assert_eq!(verifier.permits_change(&part), Ok(()));
    }
}
