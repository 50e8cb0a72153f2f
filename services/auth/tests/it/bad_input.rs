//! What is not valid is refused by name and changes nothing.

use super::*;

async fn count(stack: &Arc<TestStack>) -> usize {
    let list = call(stack, Role::Admin, Method::GET, "/api/auth/users", None).await.expect(200);
    list.json()["items"].as_array().unwrap().len()
}

testkit::stack_tests! { services = [auth::SERVICE];
    async fn each_bad_login_names_its_field(stack: Arc<TestStack>) {
        let long = "x".repeat(10_240);
        for (body, field) in [
            (json!({"password": "x"}), "username"),
            (json!({"username": "x"}), "password"),
            (json!({"username": 1, "password": "x"}), "username"),
            (json!({"username": "x", "password": null}), "password"),
            (json!({"username": "", "password": "x"}), "username"),
            (json!({"username": "x", "password": ""}), "password"),
            (json!({"username": long, "password": "x"}), "username"),
            (json!({"username": "x", "password": long}), "password"),
            (json!({"username": "x", "password": "x", "remember": true}), "remember"),
        ] {
            assert_eq!(post(&stack, "/api/auth/login", body).await.expect(422).faults(), [field]);
        }
        for (path, body, field) in [
            ("/api/auth/refresh", json!({}), "refreshToken"),
            ("/api/auth/refresh", json!({"refreshToken": ""}), "refreshToken"),
            ("/api/auth/refresh", json!({"refreshToken": "x".repeat(513)}), "refreshToken"),
            ("/api/auth/logout", json!({}), "token"),
            ("/api/auth/logout", json!({"token": 1}), "token"),
        ] {
            assert_eq!(post(&stack, path, body).await.expect(422).faults(), [field]);
        }
        for body in ["", "{", "nonsense"] {
            let request = stack.request(ServiceName::AuthService, Method::POST, "/api/auth/login");
            let _ = send(request.header("content-type", "application/json").body(body)).await.expect(400);
        }
        let request = stack.request(ServiceName::AuthService, Method::POST, "/api/auth/login");
        let form = request.header("content-type", "application/x-www-form-urlencoded").body("username=admin");
        let _ = send(form).await.expect(415);
        let _ = call(&stack, Role::Admin, Method::GET, "/api/auth/login", None).await.expect(405);
        let _ = login(&stack, "admin", ADMIN_PASSWORD).await;
    }

    async fn each_bad_user_is_refused_and_not_created(stack: Arc<TestStack>) {
        let good = json!({"username": "jane.roe", "password": PASSWORD, "roles": ["clinician"]});
        for (member, value, field) in [
            ("username", json!("ab"), "username"),
            ("username", json!("jane roe"), "username"),
            ("username", json!("jane\u{0}roe"), "username"),
            ("username", json!("x".repeat(10_240)), "username"),
            ("username", json!(17), "username"),
            ("password", json!("short"), "password"),
            ("password", json!("password1234"), "password"),
            ("password", json!("x".repeat(10_240)), "password"),
            ("password", json!("jane.roe1234"), "password"),
            ("roles", json!([]), "roles"),
            ("roles", json!("admin"), "roles"),
            ("roles", json!(["root"]), "roles"),
            ("roles", json!(["Root!"]), "roles[0]"),
            ("roles", json!(["service"]), "roles"),
            ("roles", json!(["patient"]), "patientId"),
            ("patientId", json!("../x"), "patientId"),
            ("providerId", json!("a b"), "providerId"),
            ("userId", json!("usr_mine"), "userId"),
        ] {
            let mut body = good.clone();
            body[member] = value;
            let refused = call(&stack, Role::Admin, Method::POST, "/api/auth/users", Some(body)).await.expect(422);
            assert_eq!(refused.header("content-type"), "application/problem+json");
            assert_eq!(refused.faults(), [field], "{}", refused.text);
        }
        assert_eq!(count(&stack).await, 1);
    }

    async fn each_bad_change_is_refused_and_changes_nothing(stack: Arc<TestStack>) {
        let id = create(&stack, "jane.roe", &["clinician"]).await;
        for (patch, field) in [
            (json!({"userId": "usr_other"}), "userId"),
            (json!({"username": "other"}), "username"),
            (json!({"username": null}), "username"),
            (json!({"roles": null}), "roles"),
            (json!({"roles": []}), "roles"),
            (json!({"roles": ["clinician", "service"]}), "roles"),
            (json!({"roles": ["patient"]}), "patientId"),
            (json!({"status": "Gone"}), "status"),
            (json!({"status": null}), "status"),
            (json!({"password": PASSWORD}), "password"),
        ] {
            assert_eq!(change(&stack, &id, patch.clone()).await.expect(422).faults(), [field], "{patch}");
        }
        let _ = change(&stack, &id, json!([])).await.expect(400);
        let _ = change(&stack, "usr_none", json!({})).await.expect(404);
        let read = call(&stack, Role::Admin, Method::GET, &format!("/api/auth/users/{id}"), None).await.expect(200);
        assert_eq!(read.header("etag"), "\"v1\"");
    }

    async fn bad_queries_are_refused_by_name(stack: Arc<TestStack>) {
        for (query, field) in [
            ("limit=0", "limit"), ("limit=201", "limit"), ("limit=x", "limit"), ("cursor=x", "cursor"),
            ("username=a%20b", "username"), ("role=admin", "role"),
        ] {
            let refused = call(&stack, Role::Admin, Method::GET, &format!("/api/auth/users?{query}"), None).await.expect(400);
            assert_eq!(refused.faults(), [field], "{query}");
        }
    }
}
