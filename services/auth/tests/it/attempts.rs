//! How often a password may be tried.

use std::sync::atomic::{AtomicU32, Ordering};

use auth::guard::Guard;
use chrono::TimeDelta;
use db::Db;

use super::*;

testkit::stack_tests! { services = [auth::SERVICE];
    async fn after_ten_failures_the_right_password_is_refused_too_for_a_while(stack: Arc<TestStack>) {
        let wrong = try_login(&stack, "admin", "wrong").await.expect(401);
        for _ in 1..10 {
            let _ = try_login(&stack, "admin", "wrong").await.expect(401);
        }
        for _ in 0..20 {
            // An attempt made meanwhile does not prolong the lock.
            assert_eq!(try_login(&stack, "admin", ADMIN_PASSWORD).await.expect(401).text, wrong.text);
        }
        stack.clock.advance(TimeDelta::seconds(59));
        let _ = try_login(&stack, "admin", ADMIN_PASSWORD).await.expect(401);
        stack.clock.advance(TimeDelta::seconds(1));
        let _ = try_login(&stack, "admin", ADMIN_PASSWORD).await.expect(200);
    }

    async fn a_name_that_nobody_has_is_locked_like_any_other(stack: Arc<TestStack>) {
        for _ in 0..10 {
            let _ = try_login(&stack, "new.user", "wrong").await.expect(401);
        }
        let _ = create(&stack, "new.user", &["billing"]).await;
        let _ = try_login(&stack, "new.user", PASSWORD).await.expect(401);
    }

    async fn nine_failures_and_a_success_begin_anew(stack: Arc<TestStack>) {
        for _ in 0..3 {
            for _ in 0..9 {
                let _ = try_login(&stack, "admin", "wrong").await.expect(401);
            }
            let _ = login(&stack, "admin", ADMIN_PASSWORD).await;
        }
    }

    async fn fifty_guesses_at_once_are_no_more_than_ten(stack: Arc<TestStack>) {
        let guesses = (0..50).map(|at| {
            let stack = Arc::clone(&stack);
            tokio::spawn(async move { try_login(&stack, "admin", &format!("wrong {at}")).await.expect(401) })
        });
        for guess in guesses.collect::<Vec<_>>() {
            let _ = guess.await.unwrap();
        }
        let _ = try_login(&stack, "admin", ADMIN_PASSWORD).await.expect(401);
    }

    async fn many_at_once_who_know_the_password_are_all_let_in(stack: Arc<TestStack>) {
        let logins = (0..30).map(|_| {
            let stack = Arc::clone(&stack);
            tokio::spawn(async move { login(&stack, "admin", ADMIN_PASSWORD).await })
        });
        for login in logins.collect::<Vec<_>>() {
            assert!(is_good(&stack, &login.await.unwrap().access).await);
        }
    }

    async fn a_stranger_cannot_lock_a_user_out(stack: Arc<TestStack>) {
        let (home, stranger) = ("192.0.2.1", "198.51.100.7");
        let _ = try_login_from(&stack, home, "admin", ADMIN_PASSWORD).await.expect(200);
        for _ in 0..30 {
            let _ = try_login_from(&stack, stranger, "admin", "wrong").await.expect(401);
        }
        let _ = try_login_from(&stack, stranger, "admin", ADMIN_PASSWORD).await.expect(401);
        let _ = try_login_from(&stack, "203.0.113.9", "admin", ADMIN_PASSWORD).await.expect(401);
        let _ = try_login_from(&stack, home, "admin", ADMIN_PASSWORD).await.expect(200);
        // A familiar address has no more tries than any other.
        for _ in 0..10 {
            let _ = try_login_from(&stack, home, "admin", "wrong").await.expect(401);
        }
        let _ = try_login_from(&stack, home, "admin", ADMIN_PASSWORD).await.expect(401);
    }

    async fn an_address_that_tries_many_accounts_is_told_to_wait(stack: Arc<TestStack>) {
        let stranger = "2001:db8::1";
        for at in 0..100 {
            let _ = try_login_from(&stack, stranger, &format!("user{at}"), "wrong").await.expect(401);
        }
        let refused = try_login_from(&stack, "2001:db8::2", "admin", ADMIN_PASSWORD).await.expect(429);
        assert_eq!((refused.header("retry-after"), refused.json()["code"].as_str().unwrap()), ("61", "rate-limited"));
        let _ = try_login_from(&stack, "192.0.2.1", "admin", ADMIN_PASSWORD).await.expect(200);
    }

    async fn a_new_password_lifts_the_lock(stack: Arc<TestStack>) {
        let id = create(&stack, "jane.roe", &["billing"]).await;
        for _ in 0..10 {
            let _ = try_login(&stack, "jane.roe", "wrong").await.expect(401);
        }
        let path = format!("/api/auth/users/{id}/password");
        let _ = call(&stack, Role::Admin, Method::PUT, &path, Some(json!({"newPassword": "another good one"}))).await.expect(200);
        let _ = login(&stack, "jane.roe", "another good one").await;
    }
}

testkit::on_both_engines! {
    migrations = auth::MIGRATIONS;
    service = ServiceName::AuthService;

    async fn of_fifty_attempts_at_once_ten_are_let_through(db: Db) {
        let (guard, admitted) = (Guard::new(&db), Arc::new(AtomicU32::new(0)));
        let attempts = (0..50).map(|at| {
            let (guard, admitted) = (guard.clone(), Arc::clone(&admitted));
            tokio::spawn(async move {
                let address = format!("10.0.0.{at}");
                if guard.admit("jane.roe", Some(&address)).await.unwrap().is_some() {
                    admitted.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        for attempt in attempts.collect::<Vec<_>>() {
            attempt.await.unwrap();
        }
        assert_eq!(admitted.load(Ordering::Relaxed), 10);
    }
}
