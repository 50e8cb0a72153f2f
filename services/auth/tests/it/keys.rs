//! Which keys a stack has, and who may see it.

use super::*;

const PATH: &str = "/api/admin/keys";

testkit::stack_tests! { services = [patient::SERVICE, provider::SERVICE, auth::SERVICE];
    async fn whoever_looks_after_keys_sees_what_each_service_wraps_under_and_what_signs(stack: Arc<TestStack>) {
        let patient = json!({"name": "Ann Lee", "dob": "1980-01-01", "contactInfo": {"phone": "+1234567890"}}).to_string();
        for _ in 0..3 {
            let registered =
                stack.call(ServiceName::PatientService, Role::Admin, Method::POST, "/api/patients", Some(&patient));
            let _ = registered.await.expect(201);
        }
        let kek = stack.database(ServiceName::PatientService).db().vault().kek_id().await.unwrap();
        let told = call(&stack, Role::Admin, Method::GET, PATH, None).await.expect(200);
        assert_eq!(told.header("cache-control"), "no-store");
        let told = told.json();
        let of = |name: &str| {
            let services = told["services"].as_array().unwrap();
            services.iter().find(|service| service["service"] == name).unwrap_or_else(|| panic!("{name}: {told}"))
        };
        let patients = of("patient-service");
        assert_eq!((&patients["provider"], &patients["current"]), (&json!("Secret"), &json!(kek)));
        assert_eq!(patients["keys"][0]["kekId"], json!(kek));
        // Theirs, the index's, and that of the day whose events wait.
        assert!(patients["keys"][0]["dataKeys"].as_u64().unwrap() >= 4, "{patients}");
        assert_eq!((&of("auth-service")["answered"], &of("provider-service")["answered"]), (&json!(true), &json!(true)));
        // Whoever does not answer is nobody without keys.
        assert_eq!(*of("billing-service"), json!({"service": "billing-service", "answered": false, "keys": []}));
        assert_eq!(told["services"].as_array().unwrap().len(), 7);
        assert_eq!(told["signingKeys"], json!([{"kid": "test", "algorithm": "EdDSA", "state": "Signing"}]));
        // Names of keys, and no key.
        let text = told.to_string();
        for secret in ["a test's key-encryption key", &data_encoding::BASE64.encode(b"a test's key-encryption key: 32B")] {
            assert!(!text.contains(secret), "{text}");
        }
    }

    async fn nobody_else_sees_them(stack: Arc<TestStack>) {
        let _ = call(&stack, Role::PrivacyOfficer, Method::GET, PATH, None).await.expect(200);
        for role in [Role::Clinician, Role::Receptionist, Role::Billing, Role::Patient, Role::Service] {
            let _ = call(&stack, role, Method::GET, PATH, None).await.expect(403);
        }
        let _ = send(stack.request(ServiceName::AuthService, Method::GET, PATH)).await.expect(401);
        // What each service tells of itself is for services alone.
        for role in [Role::Admin, Role::PrivacyOfficer] {
            let _ = call(&stack, role, Method::GET, "/internal/keys", None).await.expect(403);
        }
    }
}
