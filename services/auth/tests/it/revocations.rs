//! Revocations reach those who follow them: soon, in order, and after a restart.

use std::time::{Duration, Instant};

use auth::jobs::purge::purge;
use auth::store::revocation::{Ended, revocation_insert, revocations_after};
use chrono::TimeDelta;
use db::Db;
use testkit::TestDb;

use super::*;

async fn poll(stack: &Arc<TestStack>, after: i64) -> Value {
    let path = format!("/internal/revocations?after={after}");
    call(stack, Role::Service, Method::GET, &path, None).await.expect(200).json()
}

async fn revoke(db: &Db, session: &str) {
    let mut tx = db.begin().await.unwrap();
    let ended = Ended { session: session.to_owned(), tokens_expire_at: tx.now() + TimeDelta::minutes(10) };
    revocation_insert(&mut tx, &[ended]).await.unwrap();
    tx.commit().await.unwrap();
}

testkit::stack_tests! { services = [auth::SERVICE];
    async fn a_logout_is_told_at_once_to_whoever_waits(stack: Arc<TestStack>) {
        let tokens = login(&stack, "admin", ADMIN_PASSWORD).await;
        let waiting = tokio::spawn({ let stack = Arc::clone(&stack); async move { poll(&stack, 0).await } });
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(!waiting.is_finished());
        let _ = post(&stack, "/api/auth/logout", json!({"token": tokens.access})).await.expect(200);
        let said = tokio::time::timeout(Duration::from_secs(2), waiting).await.unwrap().unwrap();
        assert_eq!((said["items"].as_array().unwrap().len(), &said["cursor"]), (1, &1.into()));
        assert_eq!(poll(&stack, 0).await, said, "who asks from the start is answered without waiting");
    }

    async fn who_begins_is_answered_at_once(stack: Arc<TestStack>) {
        let begin = async || {
            let answer = call(&stack, Role::Service, Method::GET, "/internal/revocations", None);
            tokio::time::timeout(Duration::from_secs(5), answer).await.unwrap().expect(200).json()
        };
        assert_eq!(begin().await, json!({"items": [], "cursor": 0}));
        let tokens = login(&stack, "admin", ADMIN_PASSWORD).await;
        let _ = post(&stack, "/api/auth/logout", json!({"token": tokens.access})).await.expect(200);
        assert_eq!(begin().await["cursor"], 1);
    }

    async fn what_another_replica_revoked_is_told_too(stack: Arc<TestStack>) {
        let other = stack.database(ServiceName::AuthService).open_again().await;
        let waiting = tokio::spawn({ let stack = Arc::clone(&stack); async move { poll(&stack, 0).await } });
        tokio::time::sleep(Duration::from_millis(200)).await;
        revoke(&other, "ses_elsewhere").await;
        let said = tokio::time::timeout(Duration::from_secs(2), waiting).await.unwrap().unwrap();
        assert_eq!(said["items"][0]["session"], "ses_elsewhere");
        other.close().await;
    }

    async fn what_another_replica_revoked_is_in_force_here_within_two_seconds(stack: Arc<TestStack>) {
        let tokens = login(&stack, "admin", ADMIN_PASSWORD).await;
        let claims = data_encoding::BASE64URL_NOPAD.decode(tokens.access.split('.').nth(1).unwrap().as_bytes()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert!(is_good(&stack, &tokens.access).await);
        let other = stack.database(ServiceName::AuthService).open_again().await;
        revoke(&other, claims["sid"].as_str().unwrap()).await;
        let begun = Instant::now();
        while is_good(&stack, &tokens.access).await {
            assert!(begun.elapsed() < Duration::from_secs(2));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        other.close().await;
    }

    async fn only_services_may_follow(stack: Arc<TestStack>) {
        let _ = call(&stack, Role::Admin, Method::GET, "/internal/revocations", None).await.expect(403);
        let refused = call(&stack, Role::Service, Method::GET, "/internal/revocations?after=-1", None).await.expect(400);
        assert_eq!(refused.faults(), ["after"]);
    }
}

testkit::on_both_engines! {
    migrations = auth::MIGRATIONS;
    service = ServiceName::AuthService;

    async fn whoever_follows_misses_none_of_many_that_are_committed_at_once(test: TestDb) {
        let (here, elsewhere) = (test.db().clone(), test.open_again().await);
        let mut writers = Vec::new();
        for at in 0..60 {
            let db = if at % 2 == 0 { here.clone() } else { elsewhere.clone() };
            writers.push(tokio::spawn(async move { revoke(&db, &format!("ses_{at}")).await }));
        }
        let (mut seen, mut cursor, begun) = (Vec::new(), 0, Instant::now());
        while seen.len() < 60 && begun.elapsed() < Duration::from_secs(20) {
            let found = revocations_after(&mut here.read().await.unwrap(), cursor).await.unwrap();
            seen.extend(found.items.into_iter().map(|item| item.session.unwrap()));
            assert!(found.cursor >= cursor);
            cursor = found.cursor;
        }
        for writer in writers {
            writer.await.unwrap();
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 60);
        elsewhere.close().await;
    }

    async fn a_revocation_outlives_a_restart_and_not_its_tokens(test: TestDb) {
        revoke(test.db(), "ses_1").await;
        let db = test.open_again().await;
        let found = revocations_after(&mut db.read().await.unwrap(), 0).await.unwrap();
        let now = test.clock().now();
        assert_eq!(found.items[0].session.as_deref(), Some("ses_1"));
        assert!(found.items[0].issued_before > now.timestamp_millis());
        assert_eq!(found.items[0].expires_at, now.timestamp() + 600);
        test.clock().advance(TimeDelta::minutes(10));
        for _ in 0..2 {
            let found = revocations_after(&mut db.read().await.unwrap(), 0).await.unwrap();
            assert_eq!((found.items.len(), found.cursor), (0, 1), "numbers go on where they were");
            purge(&db).await.unwrap();
        }
        db.close().await;
    }

    async fn who_comes_with_a_number_that_was_never_given_begins_anew(test: TestDb) {
        revoke(test.db(), "ses_1").await;
        let found = revocations_after(&mut test.db().read().await.unwrap(), 1_000_000).await.unwrap();
        assert_eq!((found.items.len(), found.cursor), (1, 1));
    }
}

#[test]
fn whoever_waits_does_not_keep_the_service_from_stopping() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let stack = TestStack::start(db::Engine::Sqlite, &[auth::SERVICE], |_| ()).await;
        let request = stack.request(ServiceName::AuthService, Method::GET, "/internal/revocations?after=0");
        let waiting = tokio::spawn(send(request.bearer_auth(stack.token(Role::Service))));
        tokio::time::sleep(Duration::from_millis(300)).await;
        tokio::time::timeout(Duration::from_secs(5), stack.teardown()).await.unwrap();
        assert_eq!(waiting.await.unwrap().status, 200);
    });
}
