//! The audit says which user, role and session was changed; and nobody changes any who was logged out a moment before.

use db::{AuditFilter, AuditOutcome, audit_find, on};

use super::*;

/// What the newest entry on an operation is about.
async fn targets(stack: &Arc<TestStack>, operation: &str) -> Vec<String> {
    newest(stack, operation).await.targets.iter().map(ToString::to_string).collect()
}

async fn newest(stack: &Arc<TestStack>, operation: &str) -> db::AuditEntry {
    let filter = AuditFilter { operation: Some(operation.to_owned()), limit: 1, ..AuditFilter::default() };
    let db = stack.database(ServiceName::AuthService).db();
    let newest = audit_find(db, &filter).await.unwrap().remove(0).entry;
    // The next is later: of two entries of one moment in two chains nobody can say which was.
    stack.clock.advance(chrono::TimeDelta::milliseconds(1));
    newest
}

/// The sessions of a user, as they are named in the audit, in its order.
async fn sessions(stack: &Arc<TestStack>, user: &str) -> Vec<String> {
    let path = format!("/api/auth/users/{user}/sessions");
    let list = call(stack, Role::Admin, Method::GET, &path, None).await.expect(200).json();
    let items = list["items"].as_array().unwrap().iter();
    let mut ids: Vec<_> =
        items.map(|one| format!("session:{}", one["sessionId"].as_str().unwrap())).collect();
    ids.sort();
    ids
}

/// A user's session, ended by somebody of whom this process has not heard yet.
async fn end_unheard(stack: &Arc<TestStack>, user: &str) {
    let mut tx = stack.database(ServiceName::AuthService).db().begin().await.unwrap();
    let now = tx.now();
    let ended = on!(tx, |conn| sqlx::query(
        "update session set ended_at = $2 where account_id = $1 and ended_at is null"
    )
    .bind(user)
    .bind(now)
    .execute(conn)
    .await
    .map(|done| done.rows_affected()));
    assert_eq!(ended.unwrap(), 1);
    tx.commit_unaudited().await.unwrap();
}

testkit::stack_tests! { services = [auth::SERVICE];
    async fn an_entry_names_the_users_roles_and_sessions_that_were_changed(stack: Arc<TestStack>) {
        let role = json!({"role": "lab", "permissions": ["patients:read"]});
        let _ = call(&stack, Role::Admin, Method::POST, "/api/auth/roles", Some(role)).await.expect(201);
        assert_eq!(targets(&stack, "create_role").await, ["role:lab"]);
        let id = create(&stack, "jane.roe", &["lab"]).await;
        let user = format!("user:{id}");
        assert_eq!(targets(&stack, "create_user").await, [user.as_str()]);

        for _ in 0..2 {
            let _ = login(&stack, "jane.roe", PASSWORD).await;
        }
        let both = sessions(&stack, &id).await;
        assert_eq!(both.len(), 2);
        let named = [both.clone(), vec![user.clone()]].concat();
        let _ = change(&stack, &id, json!({"roles": ["billing", "lab"]})).await.expect(200);
        assert_eq!(targets(&stack, "update_user").await, named);
        let admin = Role::Admin;
        let _ = login(&stack, "jane.roe", PASSWORD).await;
        let one = sessions(&stack, &id).await;
        assert_eq!(targets(&stack, "login").await, one);
        let _ = call(&stack, admin, Method::PUT, "/api/auth/roles/lab", Some(json!({"permissions": ["bills:read"]}))).await.expect(200);
        assert_eq!(targets(&stack, "update_role").await, ["role:lab".to_owned(), one[0].clone(), user.clone()]);

        for (operation, path) in [("revoke_user_sessions", format!("/api/auth/users/{id}/sessions")), ("revoke_user_session", String::new())] {
            let _ = login(&stack, "jane.roe", PASSWORD).await;
            let one = sessions(&stack, &id).await;
            let session = one[0].trim_start_matches("session:");
            let path = if path.is_empty() { format!("/api/auth/users/{id}/sessions/{session}") } else { path };
            let _ = call(&stack, admin, Method::DELETE, &path, None).await.expect(200);
            assert_eq!(targets(&stack, operation).await, [one[0].clone(), user.clone()]);
        }
        let _ = login(&stack, "jane.roe", PASSWORD).await;
        let one = sessions(&stack, &id).await;
        let path = format!("/api/auth/users/{id}/password");
        let new = json!({"newPassword": "yet another pass phrase"});
        let _ = call(&stack, admin, Method::PUT, &path, Some(new)).await.expect(200);
        assert_eq!(targets(&stack, "set_password").await, [one[0].clone(), user.clone()]);
        let _ = call(&stack, admin, Method::GET, &format!("/api/auth/users/{id}"), None).await.expect(200);
        assert_eq!(targets(&stack, "user_by_id").await, [user.as_str()]);
        let _ = call(&stack, admin, Method::DELETE, "/api/auth/roles/lab", None).await.expect(200);
        assert_eq!(targets(&stack, "delete_role").await, ["role:lab", user.as_str()]);
        let _ = call(&stack, admin, Method::DELETE, &format!("/api/auth/users/{id}"), None).await.expect(200);
        assert_eq!(targets(&stack, "delete_user").await, [user.as_str()]);

        // Each is found by whom it is about.
        let target = Some(user.parse().unwrap());
        let filter = AuditFilter { target, limit: 200, ..AuditFilter::default() };
        let found = audit_find(stack.database(ServiceName::AuthService).db(), &filter).await.unwrap();
        let operations: Vec<_> = found.iter().map(|found| found.entry.operation.as_str()).collect();
        for operation in ["create_user", "update_user", "update_role", "revoke_user_session", "set_password", "delete_role", "delete_user"] {
            assert!(operations.contains(&operation), "{operation}: {operations:?}");
        }
        assert!(!operations.contains(&"create_role"), "{operations:?}");
        for nonsense in ["jane", "user:", "patient:12345", "user:a%20b"] {
            let refused = call(&stack, Role::PrivacyOfficer, Method::GET, &format!("/api/audit?target={nonsense}"), None).await.expect(400);
            assert_eq!(refused.faults(), ["target"]);
        }
    }

    async fn an_entry_on_a_token_that_was_revoked_says_whose_it_was(stack: Arc<TestStack>) {
        let id = create(&stack, "jane.roe", &["billing"]).await;
        for kind in ["access", "refresh"] {
            let tokens = login(&stack, "jane.roe", PASSWORD).await;
            let one = sessions(&stack, &id).await;
            let token = if kind == "access" { tokens.access } else { tokens.refresh };
            let request = stack.request(ServiceName::AuthService, Method::POST, "/api/auth/revoke");
            let request = request.header("content-type", "application/x-www-form-urlencoded");
            let _ = send(request.body(format!("token={token}"))).await.expect(200);
            assert_eq!(newest(&stack, "revoke_token").await.who, id, "{kind}");
            assert_eq!(targets(&stack, "revoke_token").await, [one[0].clone(), format!("user:{id}")], "{kind}");
        }
    }

    async fn whoever_was_logged_out_a_moment_ago_changes_nothing(stack: Arc<TestStack>) {
        let jane = create(&stack, "jane.roe", &["billing"]).await;
        let role = json!({"role": "lab", "permissions": ["bills:read"]});
        let _ = call(&stack, Role::Admin, Method::POST, "/api/auth/roles", Some(role)).await.expect(201);
        let boss = create(&stack, "the.boss", &["admin"]).await;
        let token = login(&stack, "the.boss", PASSWORD).await.access;
        assert!(is_good(&stack, &token).await);
        end_unheard(&stack, &boss).await;
        let user = json!({"username": "a.friend", "password": PASSWORD, "roles": ["admin"]});
        for (method, path, body) in [
            (Method::POST, "/api/auth/users".to_owned(), Some(user)),
            (Method::PUT, format!("/api/auth/users/{jane}"), Some(json!({"roles": ["admin"]}))),
            (Method::PUT, format!("/api/auth/users/{jane}/password"), Some(json!({"newPassword": "another long pass phrase"}))),
            (Method::DELETE, format!("/api/auth/users/{jane}"), None),
            (Method::POST, "/api/auth/roles".to_owned(), Some(json!({"role": "desk", "permissions": ["bills:read"]}))),
            (Method::PUT, "/api/auth/roles/lab".to_owned(), Some(json!({"permissions": ["bills:write"]}))),
            (Method::DELETE, "/api/auth/roles/lab".to_owned(), None),
            (Method::DELETE, format!("/api/auth/users/{jane}/sessions"), None),
            (Method::DELETE, format!("/api/auth/users/{jane}/sessions/ses_1"), None),
            (Method::DELETE, "/api/auth/sessions".to_owned(), None),
            (Method::DELETE, "/api/auth/sessions/ses_1".to_owned(), None),
            (Method::PUT, "/api/auth/me/password".to_owned(), Some(json!({"currentPassword": PASSWORD, "newPassword": "another long pass phrase"}))),
        ] {
            let refused = call_with(&stack, &token, method.clone(), &path, body).await;
            assert_eq!((refused.status, refused.json()["code"].as_str()), (401, Some("unauthenticated")), "{method} {path}: {}", refused.text);
        }
        assert_eq!(newest(&stack, "create_user").await.outcome, AuditOutcome::Refused);
        let list = call(&stack, Role::Admin, Method::GET, "/api/auth/users", None).await.expect(200).json();
        assert_eq!(list["items"].as_array().unwrap().len(), 3);
        let _ = call(&stack, Role::Admin, Method::GET, "/api/auth/roles/lab", None).await.expect(200);
        let _ = login(&stack, "jane.roe", PASSWORD).await;
    }
}
