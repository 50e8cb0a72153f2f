//! Logging in with a code: once, counted, and told of only to whoever has the password.

use auth::domain::second_factor::FAILURES_MAX;
use auth::store::second_factor::second_factor_failed;
use contracts::id::UserId;

use super::*;

testkit::stack_tests! { services = [auth::SERVICE];
    async fn a_code_lets_in_once(stack: Arc<TestStack>) {
        let _ = create(&stack, "jane.roe", &["billing"]).await;
        let tokens = login(&stack, "jane.roe", PASSWORD).await;
        assert_eq!(own(&stack, &tokens.access).await, json!({"status": "None", "required": false, "recoveryCodesLeft": 0}));
        let jane = enrol(&stack, tokens).await;
        let shown = own(&stack, &jane.tokens.access).await;
        assert_eq!((&shown["status"], &shown["recoveryCodesLeft"]), (&json!("Active"), &json!(10)));

        let asked = try_login(&stack, "jane.roe", PASSWORD).await.expect(401);
        assert_eq!(asked.json()["code"], "second-factor-required");
        let confirmed_by = code(&stack, &jane.app);
        assert_eq!(login_with(&stack, "jane.roe", &confirmed_by).await.expect(401).json()["code"], "invalid-credentials");
        later(&stack);
        let _ = login_with(&stack, "jane.roe", &confirmed_by).await.expect(401);
        let right = code(&stack, &jane.app);
        let spaced = format!(" {} {}", &right[..3], &right[3..]);
        let answer = login_with(&stack, "jane.roe", &spaced).await.expect(200);
        assert_eq!(answer.json()["status"], "Authenticated");
        assert!(is_good(&stack, &Tokens::of(&answer).access).await);
        let _ = login_with(&stack, "jane.roe", &right).await.expect(401);
        later(&stack);
        let _ = login_with(&stack, "jane.roe", &right).await.expect(401);
        let _ = login_with(&stack, "jane.roe", &code(&stack, &jane.app)).await.expect(200);
    }

    async fn that_a_code_is_needed_is_told_only_to_whoever_has_the_password(stack: Arc<TestStack>) {
        let jane = enrolled(&stack, "jane.roe").await;
        let nobody = try_login(&stack, "nobody", "wrong").await.expect(401);
        let right = code(&stack, &jane.app);
        for body in [
            json!({"username": "jane.roe", "password": "wrong"}),
            json!({"username": "jane.roe", "password": "wrong", "code": right}),
            json!({"username": "jane.roe", "password": PASSWORD, "code": wrong_code(&stack, &jane.app)}),
            json!({"username": "jane.roe", "password": PASSWORD, "code": "no code"}),
        ] {
            assert_eq!(post(&stack, "/api/auth/login", body).await.expect(401).text, nobody.text);
        }
        let _ = login_with(&stack, "jane.roe", &right).await.expect(200);
    }

    async fn a_login_without_a_second_factor_is_as_it_was_and_a_code_with_it_means_nothing(stack: Arc<TestStack>) {
        let _ = enrolled(&stack, "jane.roe").await;
        let _ = create(&stack, "john.roe", &["billing"]).await;
        let _ = try_login(&stack, "john.roe", PASSWORD).await.expect(200);
        let _ = login_with(&stack, "john.roe", "123456").await.expect(200);
        for bad in [String::new(), "1".repeat(65)] {
            assert_eq!(login_with(&stack, "john.roe", &bad).await.expect(422).faults(), ["code"]);
        }
    }

    async fn of_fifty_logins_at_once_with_one_code_one_is_let_in(stack: Arc<TestStack>) {
        let jane = enrolled(&stack, "jane.roe").await;
        for code in [code(&stack, &jane.app), jane.recovery[0].clone()] {
            let logins = (0..50).map(|_| {
                let (stack, code) = (Arc::clone(&stack), code.clone());
                tokio::spawn(async move { login_with(&stack, "jane.roe", &code).await.status })
            });
            let mut statuses = Vec::new();
            for login in logins.collect::<Vec<_>>() {
                statuses.push(login.await.unwrap());
            }
            assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
            assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 49, "{statuses:?}");
            stack.clock.advance(TimeDelta::hours(1));
        }
    }

    async fn wrong_codes_count_like_wrong_passwords(stack: Arc<TestStack>) {
        let jane = enrolled(&stack, "jane.roe").await;
        for _ in 0..5 {
            let _ = login_with(&stack, "jane.roe", &wrong_code(&stack, &jane.app)).await.expect(401);
            let _ = try_login(&stack, "jane.roe", "wrong").await.expect(401);
        }
        let _ = login_with(&stack, "jane.roe", &code(&stack, &jane.app)).await.expect(401);
        let locked = try_login(&stack, "jane.roe", PASSWORD).await.expect(401);
        assert_eq!(locked.json()["code"], "invalid-credentials", "while it is locked nobody is told that the password is right");
        stack.clock.advance(TimeDelta::minutes(1));
        let _ = login_with(&stack, "jane.roe", &code(&stack, &jane.app)).await.expect(200);
    }

    async fn the_right_password_alone_gives_no_try_back(stack: Arc<TestStack>) {
        let jane = enrolled(&stack, "jane.roe").await;
        for _ in 0..5 {
            let _ = login_with(&stack, "jane.roe", &wrong_code(&stack, &jane.app)).await.expect(401);
            assert_eq!(try_login(&stack, "jane.roe", PASSWORD).await.expect(401).json()["code"], "second-factor-required");
        }
        let _ = login_with(&stack, "jane.roe", &code(&stack, &jane.app)).await.expect(401);
        stack.clock.advance(TimeDelta::minutes(1));
        let _ = login_with(&stack, "jane.roe", &code(&stack, &jane.app)).await.expect(200);
    }

    async fn a_recovery_code_lets_in_once_however_it_is_typed(stack: Arc<TestStack>) {
        let jane = enrolled(&stack, "jane.roe").await;
        let plain = jane.recovery[0].replace('-', "").to_lowercase();
        let tokens = Tokens::of(&login_with(&stack, "jane.roe", &plain).await.expect(200));
        assert_eq!(own(&stack, &tokens.access).await["recoveryCodesLeft"], 9);
        let _ = login_with(&stack, "jane.roe", &jane.recovery[0]).await.expect(401);
        let _ = login_with(&stack, "jane.roe", &jane.recovery[1]).await.expect(200);
        let _ = login_with(&stack, "jane.roe", &code(&stack, &jane.app)).await.expect(200);
        let other = enrolled(&stack, "john.roe").await;
        let _ = login_with(&stack, "jane.roe", &other.recovery[0]).await.expect(401);
    }

    async fn after_a_hundred_wrong_codes_a_recovery_code_is_needed(stack: Arc<TestStack>) {
        let jane = enrolled(&stack, "jane.roe").await;
        let (db, id) = (stack.database(ServiceName::AuthService).db(), UserId::parse(&id_of(&stack, "jane.roe").await).unwrap());
        let _ = login_with(&stack, "jane.roe", &wrong_code(&stack, &jane.app)).await.expect(401);
        for _ in 1..FAILURES_MAX {
            let mut tx = db.begin().await.unwrap();
            second_factor_failed(&mut tx, &id).await.unwrap();
            tx.commit().await.unwrap();
        }
        let _ = login_with(&stack, "jane.roe", &code(&stack, &jane.app)).await.expect(401);
        let _ = login_with(&stack, "jane.roe", &jane.recovery[0]).await.expect(200);
        let _ = login_with(&stack, "jane.roe", &code(&stack, &jane.app)).await.expect(200);
    }
}
