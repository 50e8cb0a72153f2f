//! Changing and setting passwords, and what becomes of their hashes.

use auth::domain::user::{Account, PasswordHash};
use auth::store::account::{account_find, account_rehash};
use contracts::id::UserId;

use super::*;

const NEW: &str = "a new and better one";

testkit::stack_tests! { services = [auth::SERVICE];
    async fn whoever_changes_their_password_stays_and_their_other_sessions_end(stack: Arc<TestStack>) {
        let _ = create(&stack, "jane.roe", &["billing"]).await;
        let (here, elsewhere) = (login(&stack, "jane.roe", PASSWORD).await, login(&stack, "jane.roe", PASSWORD).await);
        let body = json!({"currentPassword": PASSWORD, "newPassword": NEW});
        let changed = call_with(&stack, &here.access, Method::PUT, "/api/auth/me/password", Some(body)).await.expect(200);
        assert_eq!(changed.text, r#"{"status":"Password changed"}"#);
        assert!(is_good(&stack, &here.access).await && !is_good(&stack, &elsewhere.access).await);
        let _ = try_refresh(&stack, &here.refresh).await.expect(200);
        let _ = try_refresh(&stack, &elsewhere.refresh).await.expect(401);
        let _ = try_login(&stack, "jane.roe", PASSWORD).await.expect(401);
        let _ = login(&stack, "jane.roe", NEW).await;
    }

    async fn a_wrong_present_password_changes_nothing_and_is_counted(stack: Arc<TestStack>) {
        let _ = create(&stack, "jane.roe", &["billing"]).await;
        let tokens = login(&stack, "jane.roe", PASSWORD).await;
        let change = |current: &str| {
            let body = json!({"currentPassword": current, "newPassword": NEW});
            let (stack, token) = (Arc::clone(&stack), tokens.access.clone());
            async move { call_with(&stack, &token, Method::PUT, "/api/auth/me/password", Some(body)).await }
        };
        for _ in 0..10 {
            assert_eq!(change("wrong").await.expect(422).faults(), ["currentPassword"]);
        }
        assert_eq!(change(PASSWORD).await.expect(422).faults(), ["currentPassword"]);
        stack.clock.advance(chrono::TimeDelta::minutes(1));
        let _ = login(&stack, "jane.roe", PASSWORD).await;
    }

    async fn an_administrator_sets_a_password_and_every_session_ends(stack: Arc<TestStack>) {
        let id = create(&stack, "jane.roe", &["billing"]).await;
        let tokens = login(&stack, "jane.roe", PASSWORD).await;
        let path = format!("/api/auth/users/{id}/password");
        let _ = call(&stack, Role::Admin, Method::PUT, &path, Some(json!({"newPassword": NEW}))).await.expect(200);
        assert!(!is_good(&stack, &tokens.access).await);
        let _ = login(&stack, "jane.roe", NEW).await;
        let _ = call(&stack, Role::Admin, Method::PUT, "/api/auth/users/usr_none/password", Some(json!({"newPassword": NEW}))).await.expect(404);
    }

    async fn the_policy_is_kept_whoever_sets_a_password(stack: Arc<TestStack>) {
        let id = create(&stack, "jane.roe", &["billing"]).await;
        let tokens = login(&stack, "jane.roe", PASSWORD).await;
        for bad in ["short", "password1234", "jane.roejane.roe", "", &"x1".repeat(200)] {
            let body = json!({"currentPassword": PASSWORD, "newPassword": bad});
            let refused = call_with(&stack, &tokens.access, Method::PUT, "/api/auth/me/password", Some(body)).await.expect(422);
            assert_eq!(refused.faults(), ["newPassword"]);
            let path = format!("/api/auth/users/{id}/password");
            let refused = call(&stack, Role::Admin, Method::PUT, &path, Some(json!({"newPassword": bad}))).await.expect(422);
            assert_eq!(refused.faults(), ["newPassword"]);
        }
        let _ = login(&stack, "jane.roe", PASSWORD).await;
    }

    async fn who_is_no_user_has_no_password(stack: Arc<TestStack>) {
        let body = json!({"currentPassword": PASSWORD, "newPassword": NEW});
        for role in [Role::Service, Role::Admin] {
            let _ = call(&stack, role, Method::PUT, "/api/auth/me/password", Some(body.clone())).await.expect(404);
        }
    }
}

/// As an earlier version made it, that asked for less work.
fn weak_hash(password: &str) -> PasswordHash {
    use argon2::password_hash::PasswordHasher;
    let params = argon2::Params::new(8_192, 1, 1, Some(32)).unwrap();
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let hash = argon2.hash_password_with_salt(password.as_bytes(), b"sixteen bytes ..").unwrap();
    PasswordHash(hash.to_string())
}

testkit::stack_tests! { services = [auth::SERVICE];
    async fn a_hash_that_took_less_work_is_made_anew_at_a_login_and_nobody_notices(stack: Arc<TestStack>) {
        let id = UserId::parse(&create(&stack, "jane.roe", &["billing"]).await).unwrap();
        let before = login(&stack, "jane.roe", PASSWORD).await;
        let db = stack.database(ServiceName::AuthService).open_again().await;
        let kept = account_find(&mut db.read().await.unwrap(), &db, &id).await.unwrap().unwrap();
        let weak = Account { password: weak_hash(PASSWORD), ..kept.account.clone() };
        let mut tx = db.begin().await.unwrap();
        assert!(account_rehash(&mut tx, &db, &id, kept.version, &weak).await.unwrap());
        tx.commit().await.unwrap();

        let _ = try_login(&stack, "jane.roe", "not the password").await.expect(401);
        let look = async || account_find(&mut db.read().await.unwrap(), &db, &id).await.unwrap().unwrap();
        assert_eq!(look().await.account.password, weak.password, "whoever guesses changes nothing");

        let all = (0..8).map(|_| {
            let stack = Arc::clone(&stack);
            tokio::spawn(async move { login(&stack, "jane.roe", PASSWORD).await })
        });
        for one in all.collect::<Vec<_>>() {
            assert!(is_good(&stack, &one.await.unwrap().access).await);
        }
        let after = look().await;
        assert!(after.account.password.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_eq!((after.version, after.account.user), (kept.version, kept.account.user));
        assert!(is_good(&stack, &before.access).await, "no session ends");
        let _ = login(&stack, "jane.roe", PASSWORD).await;
        assert_eq!(look().await.account.password, after.account.password, "once is enough");
        db.close().await;
    }
}
