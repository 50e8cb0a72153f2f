//! A flow is good for one try, a code for one login, and both for a while.

use chrono::TimeDelta;

use super::*;

with_providers! {
    async fn a_flow_is_good_for_one_try(scene: Scene) {
        let stack = &scene.stack;
        let (started, back) = scene.visit("jane").await;
        let _ = finish(stack, &started, &back).await.expect(200);
        refused(stack, finish(stack, &started, &back).await, "no such flow").await;

        let (started, back) = scene.visit("jane").await;
        let mut wrong = back.clone();
        wrong.0.insert("state".to_owned(), "another".to_owned());
        refused(stack, finish(stack, &started, &wrong).await, "state").await;
        refused(stack, finish(stack, &started, &back).await, "no such flow").await;

        let made_up = Started { flow: "x".repeat(43), ..started };
        refused(stack, finish(stack, &made_up, &back).await, "no such flow").await;
    }

    async fn a_code_is_good_for_one_login(scene: Scene) {
        let stack = &scene.stack;
        let (started, back) = scene.visit("jane").await;
        let _ = finish(stack, &started, &back).await.expect(200);
        // Somebody who has read it from the browser's history brings it to a flow of their own.
        let own = start(stack).await;
        let mut stolen = back.clone();
        stolen.0.insert("state".to_owned(), own.says("state"));
        refused(stack, finish(stack, &own, &stolen).await, "does not take the code").await;
    }

    async fn a_code_that_was_not_used_is_good_for_nobody_elses_flow(scene: Scene) {
        let stack = &scene.stack;
        let (_, back) = scene.visit("jane").await;
        let own = start(stack).await;
        let mut stolen = back;
        stolen.0.insert("state".to_owned(), own.says("state"));
        // The verifier is not the one that the code was asked for with.
        refused(stack, finish(stack, &own, &stolen).await, "does not take the code").await;
    }

    async fn of_many_who_finish_at_once_one_is_logged_in(scene: Scene) {
        let stack = &scene.stack;
        let (started, back) = scene.visit("jane").await;
        let tries: Vec<_> = (0..8).map(|_| {
            let (stack, body) = (Arc::clone(stack), body(&started, &back));
            tokio::spawn(async move { post(&stack, "/api/auth/oidc/staff/finish", body).await.status })
        }).collect();
        let mut all = Vec::new();
        for one in tries {
            all.push(one.await.unwrap());
        }
        all.sort_unstable();
        assert_eq!(all, [[200].as_slice(), &[401; 7]].concat());
    }

    async fn of_many_first_logins_of_one_person_one_account_comes(scene: Scene) {
        let stack = &scene.stack;
        let mut visits = Vec::new();
        for _ in 0..6 {
            visits.push(scene.visit("jane").await);
        }
        let tries: Vec<_> = visits.iter().map(|(started, back)| {
            let (stack, body) = (Arc::clone(stack), body(started, back));
            tokio::spawn(async move { post(&stack, "/api/auth/oidc/staff/finish", body).await.expect(200) })
        }).collect();
        let mut ids = std::collections::BTreeSet::new();
        for one in tries {
            let tokens = Tokens::of(&one.await.unwrap());
            ids.insert(me(stack, &tokens.access).await["userId"].as_str().unwrap().to_owned());
        }
        assert_eq!(ids.len(), 1);
        let users = call(stack, Role::Admin, Method::GET, "/api/auth/users", None).await.expect(200).json();
        assert_eq!(users["items"].as_array().unwrap().len(), 2, "the administrator and one more: {users}");
    }

    async fn a_flow_is_good_for_ten_minutes(scene: Scene) {
        let stack = &scene.stack;
        let (started, back) = scene.visit("jane").await;
        stack.clock.advance(TimeDelta::seconds(601));
        refused(stack, finish(stack, &started, &back).await, "no such flow").await;
    }

    async fn what_is_kept_of_a_flow_opens_to_nobody_and_goes_with_its_time(scene: Scene) {
        let stack = &scene.stack;
        let started = start(stack).await;
        let database = stack.database(ServiceName::AuthService);
        let db = database.db();
        let mut tx = db.begin().await.unwrap();
        assert_eq!(auth::store::outside_flow::outside_flows_open(&mut tx).await.unwrap(), 1);
        tx.rollback().await.unwrap();
        let state = started.says("state");
        database.no_file_holds(&[&started.flow, &state, &started.says("nonce")]);
        database.clock().advance(stack.clock.now() - database.clock().now() + TimeDelta::minutes(11));
        auth::jobs::purge::purge(db).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        let left: i64 = db::on!(&mut tx, |conn| sqlx::query_scalar(db::sql!("select count(*) from outside_flow"))
            .fetch_one(conn)
            .await)
        .unwrap();
        assert_eq!(left, 0);
        tx.rollback().await.unwrap();
    }

    async fn an_address_begins_no_more_logins_than_it_may_try_passwords(scene: Scene) {
        let stack = &scene.stack;
        let from = |path: &'static str, address: &'static str| {
            let request = stack.request(ServiceName::AuthService, Method::POST, path);
            request.header("x-forwarded-for", address).header("content-type", "application/json")
        };
        // Those that are finished are given back.
        for _ in 0..3 {
            let started = Started::of(&send(from("/api/auth/oidc/staff/start", "192.0.2.1").body("{}")).await.expect(200));
            let back = scene.provider.visit(&started.url, "jane").await;
            let _ = send(from("/api/auth/oidc/staff/finish", "192.0.2.1").body(body(&started, &back).to_string())).await.expect(200);
        }
        for _ in 0..60 {
            let _ = send(from("/api/auth/oidc/staff/start", "192.0.2.1").body("{}")).await.expect(200);
        }
        let wrong = json!({"flow": "x", "code": "x", "state": "x"}).to_string();
        for _ in 0..40 {
            let _ = send(from("/api/auth/oidc/staff/finish", "192.0.2.1").body(wrong.clone())).await.expect(401);
        }
        let _ = send(from("/api/auth/oidc/staff/start", "192.0.2.1").body("{}")).await.expect(429);
        let _ = send(from("/api/auth/oidc/staff/finish", "192.0.2.1").body(wrong.clone())).await.expect(429);
        let _ = send(from("/api/auth/oidc/staff/second-factor", "192.0.2.1").body(r#"{"flow": "x", "code": "1"}"#)).await.expect(429);
        let _ = try_login_from(stack, "192.0.2.1", "admin", ADMIN_PASSWORD).await.expect(429);
        let _ = send(from("/api/auth/oidc/staff/start", "198.51.100.1").body("{}")).await.expect(200);
    }

    async fn no_more_than_so_many_flows_are_open(scene: Scene) {
        let stack = &scene.stack;
        let db = stack.database(ServiceName::AuthService).db();
        let mut tx = db.begin().await.unwrap();
        let (random, until) = (contracts::ambient::Random::seeded(9), stack.clock.now() + TimeDelta::minutes(1));
        for _ in 0..auth::domain::flow::OPEN_MAX {
            let flow = auth::domain::flow::Flow::generate(&random);
            auth::store::outside_flow::outside_flow_insert(&mut tx, db, &flow, false, until, &()).await.unwrap();
        }
        tx.commit().await.unwrap();
        let begin = || post(stack, "/api/auth/oidc/staff/start", json!({}));
        let full = begin().await.expect(503);
        assert_eq!((full.header("retry-after"), &full.json()["code"]), ("60", &json!("unavailable")));
        stack.clock.advance(TimeDelta::minutes(2));
        let _ = begin().await.expect(200);
    }
}
