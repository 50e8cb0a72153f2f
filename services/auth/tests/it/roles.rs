//! Roles that a clinic makes for itself: they do what they say and no more, and nobody gives what they do not have.

use super::*;

async fn role(stack: &Arc<TestStack>, name: &str, permissions: &[&str]) -> Reply {
    let body = json!({"role": name, "permissions": permissions});
    call(stack, Role::Admin, Method::POST, "/api/auth/roles", Some(body)).await
}

/// What a token may, as its user is told.
async fn may(stack: &Arc<TestStack>, token: &str) -> Value {
    call_with(stack, token, Method::GET, "/api/auth/me", None).await.expect(200).json()["permissions"].take()
}

async fn at(stack: &Arc<TestStack>, service: ServiceName, token: &str, method: Method, path: &str) -> Reply {
    let request = stack.request(service, method, path).bearer_auth(token);
    send(request.header("content-type", "application/json").body("{}")).await
}

testkit::stack_tests! { services = [auth::SERVICE, patient::SERVICE];
    async fn a_role_made_by_the_api_does_what_it_says_and_no_more(stack: Arc<TestStack>) {
        testkit::patients::register(&stack, "12345").await;
        let made = role(&stack, "lab", &["patients:read"]).await.expect(201);
        assert_eq!(made.json(), json!({"role": "lab", "status": "Created"}));
        assert_eq!((made.header("location"), made.header("etag")), ("/api/auth/roles/lab", "\"v1\""));
        let id = create(&stack, "jane.roe", &["lab"]).await;
        let read = call(&stack, Role::Admin, Method::GET, &format!("/api/auth/users/{id}"), None).await.expect(200);
        assert_eq!(read.json()["roles"], json!(["lab"]));
        let list = call(&stack, Role::Admin, Method::GET, "/api/auth/users", None).await.expect(200).json();
        let mut roles: Vec<_> = list["items"].as_array().unwrap().iter().map(|user| user["roles"].to_string()).collect();
        roles.sort();
        assert_eq!(roles, [r#"["admin"]"#, r#"["lab"]"#]);

        let tokens = login(&stack, "jane.roe", PASSWORD).await;
        let me = call_with(&stack, &tokens.access, Method::GET, "/api/auth/me", None).await.expect(200).json();
        assert_eq!((&me["roles"], &me["permissions"]), (&json!(["lab"]), &json!(["patients:read"])));
        let patients = ServiceName::PatientService;
        let seen = at(&stack, patients, &tokens.access, Method::GET, "/api/patients/12345").await.expect(200);
        assert!(seen.text.contains("John Doe") && seen.json().get("medicalHistory").is_none(), "{}", seen.text);
        for (method, path) in [(Method::PUT, "/api/patients/12345"), (Method::DELETE, "/api/patients/12345"), (Method::POST, "/api/patients")] {
            let _ = at(&stack, patients, &tokens.access, method, path).await.expect(403);
        }
        let _ = at(&stack, ServiceName::AuthService, &tokens.access, Method::GET, "/api/auth/users").await.expect(403);

        let patch = json!({"permissions": ["patients:read", "patients:clinical"]});
        let _ = call(&stack, Role::Admin, Method::PUT, "/api/auth/roles/lab", Some(patch)).await.expect(200);
        let _ = at(&stack, patients, &tokens.access, Method::GET, "/api/patients/12345").await.expect(401);
        let tokens = login(&stack, "jane.roe", PASSWORD).await;
        let seen = at(&stack, patients, &tokens.access, Method::GET, "/api/patients/12345").await.expect(200);
        assert!(seen.json()["medicalHistory"].is_object(), "{}", seen.text);
    }

    async fn a_patient_with_an_office_gives_nobody_what_is_theirs_as_a_patient(stack: Arc<TestStack>) {
        testkit::patients::register(&stack, "own").await;
        testkit::patients::register(&stack, "alice").await;
        let _ = role(&stack, "office", &["users:read", "users:write", "roles:write"]).await.expect(201);
        for (name, roles) in [("own", json!(["patient", "office"])), ("alice", json!(["patient"]))] {
            let body = json!({"username": name, "password": PASSWORD, "roles": roles, "patientId": name});
            let _ = call(&stack, Role::Admin, Method::POST, "/api/auth/users", Some(body)).await.expect(201);
        }
        let (own, alice) = (id_of(&stack, "own").await, id_of(&stack, "alice").await);
        let token = login(&stack, "own", PASSWORD).await.access;
        let spy = json!({"username": "spy", "password": PASSWORD, "roles": ["patient"], "patientId": "alice"});
        for (method, path, body) in [
            (Method::PUT, format!("/api/auth/users/{own}"), json!({"patientId": "alice"})),
            (Method::PUT, format!("/api/auth/users/{alice}/password"), json!({"newPassword": "another good one"})),
            (Method::POST, "/api/auth/users".to_owned(), spy),
            (Method::POST, "/api/auth/roles".to_owned(), json!({"role": "all-seeing", "permissions": ["patients:read"]})),
        ] {
            let refused = call_with(&stack, &token, method.clone(), &path, Some(body)).await;
            assert_eq!((refused.status, refused.json()["code"].as_str()), (403, Some("forbidden")), "{method} {path}: {}", refused.text);
        }
        let seen = at(&stack, ServiceName::PatientService, &token, Method::GET, "/api/patients/own").await;
        assert_eq!(seen.status, 200, "{}", seen.text);
        let _ = at(&stack, ServiceName::PatientService, &token, Method::GET, "/api/patients/alice").await.expect(404);
    }
}

testkit::stack_tests! { services = [auth::SERVICE];
    async fn a_role_is_read_changed_and_deleted_and_its_name_never_used_again(stack: Arc<TestStack>) {
        let _ = role(&stack, "lab", &["patients:read", "records:read"]).await.expect(201);
        let path = "/api/auth/roles/lab";
        let read = call(&stack, Role::PrivacyOfficer, Method::GET, path, None).await.expect(200);
        let shown = json!({"role": "lab", "permissions": ["patients:read", "records:read"], "builtIn": false});
        assert_eq!((read.json(), read.header("etag")), (shown.clone(), "\"v1\""));
        let _ = call(&stack, Role::Admin, Method::PUT, path, Some(shown)).await.expect(200);
        let list = call(&stack, Role::Admin, Method::GET, "/api/auth/roles", None).await.expect(200).json();
        assert_eq!((list["items"].as_array().unwrap().len(), &list["items"][6]["role"]), (7, &json!("lab")));
        let updated = call(&stack, Role::Admin, Method::PUT, path, Some(json!({"permissions": ["bills:read"]}))).await.expect(200);
        assert_eq!((updated.json(), updated.header("etag")), (json!({"role": "lab", "status": "Updated"}), "\"v2\""));
        let deleted = call(&stack, Role::Admin, Method::DELETE, path, None).await.expect(200);
        assert_eq!(deleted.json(), json!({"status": "Deleted", "role": "lab"}));
        for method in [Method::GET, Method::DELETE] {
            let _ = call(&stack, Role::Admin, method, path, None).await.expect(404);
        }
        assert_eq!(role(&stack, "lab", &["bills:read"]).await.expect(409).faults(), ["role"]);
        let body = json!({"username": "jane.roe", "password": PASSWORD, "roles": ["lab"]});
        let refused = call(&stack, Role::Admin, Method::POST, "/api/auth/users", Some(body)).await.expect(422);
        assert_eq!(refused.faults(), ["roles"]);
    }

    async fn a_change_ends_the_sessions_of_whoever_has_the_role_and_of_nobody_else(stack: Arc<TestStack>) {
        let _ = role(&stack, "lab", &["patients:read"]).await.expect(201);
        let _ = role(&stack, "desk", &["bills:read"]).await.expect(201);
        let _ = create(&stack, "jane.roe", &["billing", "lab"]).await;
        let _ = create(&stack, "john.roe", &["desk"]).await;
        let (jane, john) = (login(&stack, "jane.roe", PASSWORD).await, login(&stack, "john.roe", PASSWORD).await);
        let change = |permissions: Value| call(&stack, Role::Admin, Method::PUT, "/api/auth/roles/lab", Some(json!({"permissions": permissions})));
        let _ = change(json!(["patients:read"])).await.expect(200);
        assert!(is_good(&stack, &jane.access).await, "nothing has changed");
        let _ = change(json!(["records:read"])).await.expect(200);
        assert!(!is_good(&stack, &jane.access).await && is_good(&stack, &john.access).await);
        let _ = try_refresh(&stack, &jane.refresh).await.expect(401);
        let jane = login(&stack, "jane.roe", PASSWORD).await;
        let told = may(&stack, &jane.access).await.to_string();
        assert!(told.contains("records:read") && told.contains("bills:write"), "{told}");

        let _ = call(&stack, Role::Admin, Method::DELETE, "/api/auth/roles/lab", None).await.expect(200);
        assert!(!is_good(&stack, &jane.access).await && is_good(&stack, &john.access).await);
        let jane = login(&stack, "jane.roe", PASSWORD).await;
        assert!(!may(&stack, &jane.access).await.to_string().contains("records:read"));
        let id = id_of(&stack, "jane.roe").await;
        let read = call(&stack, Role::Admin, Method::GET, &format!("/api/auth/users/{id}"), None).await.expect(200);
        assert_eq!(read.json()["roles"], json!(["billing"]));
    }

    async fn of_many_who_log_in_while_a_role_changes_nobody_keeps_what_it_was(stack: Arc<TestStack>) {
        let _ = role(&stack, "lab", &["bills:read", "bills:write"]).await.expect(201);
        let _ = create(&stack, "jane.roe", &["lab"]).await;
        for round in 0..3 {
            let (before, after) = if round % 2 == 0 { ("bills:write", "bills:read") } else { ("bills:read", "bills:write") };
            let _ = call(&stack, Role::Admin, Method::PUT, "/api/auth/roles/lab", Some(json!({"permissions": [before]}))).await.expect(200);
            let logins: Vec<_> = (0..4).map(|_| {
                let stack = Arc::clone(&stack);
                tokio::spawn(async move { login(&stack, "jane.roe", PASSWORD).await })
            }).collect();
            let _ = call(&stack, Role::Admin, Method::PUT, "/api/auth/roles/lab", Some(json!({"permissions": [after]}))).await.expect(200);
            for one in logins {
                let token = one.await.unwrap().access;
                if is_good(&stack, &token).await {
                    assert_eq!(may(&stack, &token).await, json!([after]));
                }
            }
        }
    }

    async fn nobody_gives_what_they_do_not_have(stack: Arc<TestStack>) {
        let _ = role(&stack, "helpdesk", &["users:read", "users:write", "roles:write", "patients:read"]).await.expect(201);
        let _ = role(&stack, "auditor", &["records:read"]).await.expect(201);
        let _ = create(&stack, "helper", &["helpdesk"]).await;
        let (admin, jane) = (id_of(&stack, "admin").await, create(&stack, "jane.roe", &["clinician"]).await);
        let helper = login(&stack, "helper", PASSWORD).await.access;
        let own = id_of(&stack, "helper").await;
        let user = |roles: Value| Some(json!({"username": "friend", "password": PASSWORD, "roles": roles}));
        for (method, path, body) in [
            (Method::POST, "/api/auth/roles".to_owned(), Some(json!({"role": "mighty", "permissions": ["patients:read", "records:read"]}))),
            (Method::PUT, "/api/auth/roles/helpdesk".to_owned(), Some(json!({"permissions": ["users:write", "records:delete"]}))),
            (Method::PUT, "/api/auth/roles/auditor".to_owned(), Some(json!({"permissions": ["patients:read"]}))),
            (Method::DELETE, "/api/auth/roles/auditor".to_owned(), None),
            (Method::POST, "/api/auth/users".to_owned(), user(json!(["admin"]))),
            (Method::POST, "/api/auth/users".to_owned(), user(json!(["helpdesk", "auditor"]))),
            (Method::PUT, format!("/api/auth/users/{own}"), Some(json!({"roles": ["helpdesk", "admin"]}))),
            (Method::PUT, format!("/api/auth/users/{jane}"), Some(json!({"roles": ["helpdesk"]}))),
            (Method::PUT, format!("/api/auth/users/{admin}"), Some(json!({"status": "Disabled"}))),
            (Method::PUT, format!("/api/auth/users/{admin}/password"), Some(json!({"newPassword": "another good one"}))),
            (Method::DELETE, format!("/api/auth/users/{jane}"), None),
        ] {
            let refused = call_with(&stack, &helper, method.clone(), &path, body).await;
            assert_eq!((refused.status, refused.json()["code"].as_str()), (403, Some("forbidden")), "{method} {path}: {}", refused.text);
        }
        let _ = login(&stack, "admin", ADMIN_PASSWORD).await;
        let _ = call_with(&stack, &helper, Method::POST, "/api/auth/users", user(json!(["helpdesk"]))).await.expect(201);
        let _ = call_with(&stack, &helper, Method::POST, "/api/auth/roles", Some(json!({"role": "front", "permissions": ["patients:read"]}))).await.expect(201);
    }

    async fn each_bad_role_is_refused_and_not_made(stack: Arc<TestStack>) {
        for (name, permissions, status, field) in [
            ("Lab", json!(["patients:read"]), 422, "role"),
            ("l", json!(["patients:read"]), 422, "role"),
            ("lab/x", json!(["patients:read"]), 422, "role"),
            ("lab", json!([]), 422, "permissions"),
            ("lab", json!(["patients:burn"]), 422, "permissions[0]"),
            ("lab", json!(["patients:read", "internal:call"]), 422, "permissions[1]"),
            ("lab", json!(["revocations:read"]), 422, "permissions[0]"),
            ("lab", json!("patients:read"), 422, "permissions"),
            ("admin", json!(["patients:read"]), 409, "role"),
            ("service", json!(["patients:read"]), 409, "role"),
        ] {
            let body = json!({"role": name, "permissions": permissions});
            let refused = call(&stack, Role::Admin, Method::POST, "/api/auth/roles", Some(body)).await.expect(status);
            assert_eq!(refused.faults(), [field], "{}", refused.text);
        }
        for name in ["admin", "patient"] {
            let path = format!("/api/auth/roles/{name}");
            assert_eq!(call(&stack, Role::Admin, Method::GET, &path, None).await.expect(200).json()["builtIn"], true);
            let _ = call(&stack, Role::Admin, Method::PUT, &path, Some(json!({"permissions": ["patients:read"]}))).await.expect(409);
            let _ = call(&stack, Role::Admin, Method::DELETE, &path, None).await.expect(409);
        }
        for path in ["/api/auth/roles/service", "/api/auth/roles/nothing", "/api/auth/roles/No"] {
            let _ = call(&stack, Role::Admin, Method::GET, path, None).await.expect(404);
        }
        let list = call(&stack, Role::Admin, Method::GET, "/api/auth/roles", None).await.expect(200).json();
        assert_eq!(list["items"].as_array().unwrap().len(), 6);
    }

    async fn who_may_not_make_roles_is_refused_and_a_stale_version_changes_nothing(stack: Arc<TestStack>) {
        let _ = role(&stack, "lab", &["patients:read"]).await.expect(201);
        for who in [Role::Clinician, Role::Receptionist, Role::Billing, Role::PrivacyOfficer, Role::Patient, Role::Service] {
            for (method, path) in [(Method::POST, "/api/auth/roles"), (Method::PUT, "/api/auth/roles/lab"), (Method::DELETE, "/api/auth/roles/lab")] {
                let _ = call(&stack, who, method, path, Some(json!({}))).await.expect(403);
            }
        }
        for method in [Method::PUT, Method::DELETE] {
            let request = stack.request(ServiceName::AuthService, method, "/api/auth/roles/lab").bearer_auth(stack.token(Role::Admin));
            let request = request.header("content-type", "application/json").header("if-match", "\"v7\"");
            let _ = send(request.body(json!({"permissions": ["bills:read"]}).to_string())).await.expect(412);
        }
        let read = call(&stack, Role::Admin, Method::GET, "/api/auth/roles/lab", None).await.expect(200);
        assert_eq!((read.header("etag"), &read.json()["permissions"]), ("\"v1\"", &json!(["patients:read"])));
    }
}
