//! A request with an Idempotency-Key has its effect once, whatever happens in between.

use std::time::Duration;

use chrono::TimeDelta;
use db::{Begun, Db, Error, KeptAnswer, Ticket, idempotency_begin, idempotency_keep, idempotency_release};
use testkit::TestDb;
use tokio::task::JoinSet;

use crate::visit::{Visit, visit_count, visit_insert};

const BODY: [u8; 32] = [7; 32];

async fn begin(db: &Db) -> Begun {
    idempotency_begin(db, "anna POST /api/visits", "key-1", &BODY).await.unwrap()
}

async fn fresh(db: &Db) -> Ticket {
    match begin(db).await {
        Begun::Fresh(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

fn answer(body: &str) -> KeptAnswer {
    let location = ("location".to_owned(), "/api/visits/v1".to_owned());
    KeptAnswer { status: 201, headers: vec![location], body: body.as_bytes().to_vec() }
}

/// Effect and answer in one transaction, as a handler does it.
async fn handle(db: &Db, ticket: &Ticket, visit: &str, seat: i64) -> Result<(), Error> {
    let mut tx = db.begin().await?;
    visit_insert(&mut tx, &Visit::new(visit, seat)).await?;
    idempotency_keep(&mut tx, db, ticket, &answer(visit)).await?;
    tx.commit().await
}

async fn visits(db: &Db) -> i64 {
    let mut tx = db.read().await.unwrap();
    visit_count(&mut tx).await.unwrap()
}

testkit::on_both_engines! {
    migrations = crate::MIGRATIONS;

    async fn the_same_request_again_gets_the_same_answer(test: TestDb) {
        let db = test.db();
        let ticket = fresh(db).await;
        handle(db, &ticket, "v1", 1).await.unwrap();
        assert!(matches!(begin(db).await, Begun::Replay(kept) if kept == answer("v1")));
        let again = test.open_again().await;
        assert!(matches!(begin(&again).await, Begun::Replay(kept) if kept == answer("v1")));
        again.close().await;
    }

    async fn another_body_is_a_mismatch_and_other_keys_and_scopes_are_their_own(db: Db) {
        let ticket = fresh(&db).await;
        let begin = async |scope, key, body| idempotency_begin(&db, scope, key, body).await.unwrap();
        assert!(matches!(begin("anna POST /api/visits", "key-1", &[8; 32]).await, Begun::Mismatch));
        handle(&db, &ticket, "v1", 1).await.unwrap();
        assert!(matches!(begin("anna POST /api/visits", "key-1", &[8; 32]).await, Begun::Mismatch));
        assert!(matches!(begin("anna POST /api/visits", "key-2", &BODY).await, Begun::Fresh(_)));
        assert!(matches!(begin("bert POST /api/visits", "key-1", &BODY).await, Begun::Fresh(_)));
        assert!(matches!(begin("anna POST /api/visit", "skey-1", &BODY).await, Begun::Fresh(_)));
    }

    async fn of_many_at_once_exactly_one_is_fresh(test: TestDb) {
        let other = test.open_again().await;
        let mut tasks = JoinSet::new();
        for number in 0..40 {
            let db = if number % 2 == 0 { test.db().clone() } else { other.clone() };
            tasks.spawn(async move { begin(&db).await });
        }
        let begun = tasks.join_all().await;
        assert_eq!(begun.iter().filter(|begun| matches!(begun, Begun::Fresh(_))).count(), 1);
        assert_eq!(begun.iter().filter(|begun| matches!(begun, Begun::InFlight)).count(), 39);
        other.close().await;
    }

    async fn a_handler_that_fails_gives_the_key_back(db: Db) {
        let ticket = fresh(&db).await;
        idempotency_release(&db, &ticket).await.unwrap();
        let second = fresh(&db).await;
        // A late release of the first takes nothing from the second.
        idempotency_release(&db, &ticket).await.unwrap();
        assert!(matches!(begin(&db).await, Begun::InFlight));
        handle(&db, &second, "v1", 1).await.unwrap();
        idempotency_release(&db, &second).await.unwrap();
        assert!(matches!(begin(&db).await, Begun::Replay(_)));
    }

    async fn a_key_that_is_given_back_while_its_effect_is_under_way_goes_by_how_that_ends(db: Db) {
        for (is_committed, visit) in [(false, "v1"), (true, "v2")] {
            let ticket = fresh(&db).await;
            let mut tx = db.begin().await.unwrap();
            visit_insert(&mut tx, &Visit::new(visit, 1)).await.unwrap();
            idempotency_keep(&mut tx, &db, &ticket, &answer(visit)).await.unwrap();
            let releasing = tokio::spawn({
                let db = db.clone();
                async move { idempotency_release(&db, &ticket).await }
            });
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(!releasing.is_finished(), "it waits for the effect");
            if is_committed {
                tx.commit().await.unwrap();
            } else {
                drop(tx);
            }
            releasing.await.unwrap().unwrap();
        }
        assert_eq!(visits(&db).await, 1);
        assert!(matches!(begin(&db).await, Begun::Replay(kept) if kept == answer("v2")));
    }

    async fn a_crash_before_the_commit_leaves_neither_effect_nor_answer(db: Db) {
        let ticket = fresh(&db).await;
        let mut tx = db.begin().await.unwrap();
        visit_insert(&mut tx, &Visit::new("v1", 1)).await.unwrap();
        idempotency_keep(&mut tx, &db, &ticket, &answer("v1")).await.unwrap();
        drop(tx);
        assert_eq!(visits(&db).await, 0);
        assert!(matches!(begin(&db).await, Begun::InFlight));
        db.clock().advance(TimeDelta::seconds(60));
        let second = fresh(&db).await;
        handle(&db, &second, "v1", 1).await.unwrap();
        assert_eq!(visits(&db).await, 1);
    }

    async fn a_slow_first_request_cannot_commit_after_it_was_taken_over(db: Db) {
        let slow = fresh(&db).await;
        db.clock().advance(TimeDelta::seconds(61));
        let quick = fresh(&db).await;
        assert!(matches!(handle(&db, &slow, "v1", 1).await, Err(Error::Superseded)));
        handle(&db, &quick, "v2", 2).await.unwrap();
        assert!(matches!(handle(&db, &slow, "v3", 3).await, Err(Error::Superseded)));
        assert_eq!(visits(&db).await, 1);
        assert!(matches!(begin(&db).await, Begun::Replay(kept) if kept == answer("v2")));
    }

    async fn an_expired_claim_is_taken_over_by_one_only(test: TestDb) {
        let slow = fresh(test.db()).await;
        test.clock().advance(TimeDelta::seconds(61));
        let mut tasks = JoinSet::new();
        for _ in 0..20 {
            let db = test.db().clone();
            tasks.spawn(async move { begin(&db).await });
        }
        // The first may come back in the middle of it.
        let late = handle(test.db(), &slow, "late", 99).await;
        let begun = tasks.join_all().await;
        let fresh: Vec<_> = begun
            .into_iter()
            .filter_map(|begun| if let Begun::Fresh(ticket) = begun { Some(ticket) } else { None })
            .collect();
        assert_eq!(fresh.len() + usize::from(late.is_ok()), 1);
        for ticket in &fresh {
            handle(test.db(), ticket, "new", 1).await.unwrap();
        }
        assert_eq!(visits(test.db()).await, 1);
    }

    async fn an_answer_is_replaced_when_more_has_come_of_the_request(db: Db) {
        let ticket = fresh(&db).await;
        handle(&db, &ticket, "v1", 1).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        idempotency_keep(&mut tx, &db, &ticket, &answer("v1, and done")).await.unwrap();
        tx.commit().await.unwrap();
        assert!(matches!(begin(&db).await, Begun::Replay(kept) if kept == answer("v1, and done")));
    }

    async fn an_answer_is_kept_for_a_day(db: Db) {
        let ticket = fresh(&db).await;
        handle(&db, &ticket, "v1", 1).await.unwrap();
        db.clock().advance(TimeDelta::hours(24) - TimeDelta::seconds(1));
        assert!(matches!(begin(&db).await, Begun::Replay(_)));
        assert_eq!(db.purge().await.unwrap().idempotency, 0);
        db.clock().advance(TimeDelta::seconds(1));
        let second = fresh(&db).await;
        assert_eq!(db.purge().await.unwrap().idempotency, 0);
        idempotency_release(&db, &second).await.unwrap();
    }

    async fn an_old_answer_is_purged(db: Db) {
        let ticket = fresh(&db).await;
        handle(&db, &ticket, "v1", 1).await.unwrap();
        db.clock().advance(TimeDelta::hours(24));
        assert_eq!(db.purge().await.unwrap().idempotency, 1);
    }
}
