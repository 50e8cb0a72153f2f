use super::*;

#[test]
fn a_patient_who_works_here_sees_others_only_where_their_work_lets_them() {
    let own = PatientId::trusted("p1".to_owned());
    let both = Caller {
        roles: vec![Role::Patient, Role::Receptionist],
        patient_id: Some(own.clone()),
        ..Caller::nobody()
    };
    let reach = |permission| Caller::acting_by(Arc::new(both.clone()), permission).reach();
    assert_eq!(reach(Permission::PatientsRead), Reach::Everyone);
    assert_eq!(reach(Permission::RecordsRead), Reach::Only(own));
}

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
            assert_eq!(
                (&*caller.user, caller.permissions),
                ("service:patient-service", Role::Service.permissions())
            );
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
            iat_ms: now * 1000,
            exp: now + 60,
            name: None,
            roles: vec!["admin".to_owned()],
            scope: "records:read internal:call revocations:read".to_owned(),
            patient_id: None,
            provider_id: None,
        };
        let caller = verifier.verify(&claims("api-gateway").sign(&signing, "api-gateway")).await.unwrap();
        assert_eq!(caller.permissions.iter().collect::<Vec<_>>(), [Permission::RevocationsRead]);
        assert!(caller.roles.is_empty());
        for (part, kid) in
            [("auth-service", "api-gateway"), ("auth-service", "auth-service"), ("api-gateway", "x")]
        {
            let refused = verifier.verify(&claims(part).sign(&signing, kid)).await;
            assert_eq!(refused.unwrap_err(), TokenError::Invalid, "{part} {kid}");
        }
    }
}
