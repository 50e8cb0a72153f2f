//! Events are kept with their cause, claimed once at a time, and delivered at least once.

use std::collections::HashSet;
use std::time::Duration;

use chrono::TimeDelta;
use db::{
    Db, OutboxEvent, inbox_accept, outbox_add, outbox_backlog, outbox_claim, outbox_delivered, outbox_failed,
};
use settings::ServiceName;
use testkit::TestDb;
use tokio::task::JoinSet;

const BOTH: [ServiceName; 2] = [ServiceName::BillingService, ServiceName::NotificationService];

async fn add(db: &Db, id: &str, subscribers: &[ServiceName]) {
    let mut tx = db.begin().await.unwrap();
    add_in(&mut tx, db, id, subscribers).await;
    tx.commit().await.unwrap();
}

async fn add_in(tx: &mut db::Tx, db: &Db, id: &str, subscribers: &[ServiceName]) {
    let event = OutboxEvent {
        id: id.to_owned(),
        name: "patient.updated.v1",
        subject_patient: Some("anna"),
        subscribers,
        body: &serde_json::json!({ "id": id }),
        occurred_at: tx.now(),
    };
    outbox_add(tx, db, &event).await.unwrap();
}

testkit::on_both_engines! {
    migrations = crate::MIGRATIONS;

    async fn an_event_is_claimed_for_each_subscriber_with_its_body(db: Db) {
        add(&db, "e1", &BOTH).await;
        let claimed = outbox_claim(&db, 10).await.unwrap();
        let subscribers: HashSet<_> = claimed.iter().map(|event| event.subscriber.as_str()).collect();
        assert_eq!(subscribers, HashSet::from(["billing-service", "notification-service"]));
        assert_eq!(claimed[0].body, br#"{"id":"e1"}"#);
        assert_eq!((claimed[0].name.as_str(), claimed[0].attempt), ("patient.updated.v1", 1));
        assert_eq!(claimed[0].subject_patient.as_deref(), Some("anna"));
        assert!(outbox_claim(&db, 10).await.unwrap().is_empty());
    }

    async fn a_delivered_event_is_gone_and_another_stays(db: Db) {
        add(&db, "e1", &BOTH).await;
        let claimed = outbox_claim(&db, 10).await.unwrap();
        outbox_delivered(&db, &claimed[0]).await.unwrap();
        let backlog = outbox_backlog(&db).await.unwrap();
        assert_eq!((backlog.rows, backlog.oldest), (1, Some(db.clock().now())));
        outbox_delivered(&db, &claimed[1]).await.unwrap();
        let backlog = outbox_backlog(&db).await.unwrap();
        assert_eq!((backlog.rows, backlog.oldest, backlog.next_attempt_at), (0, None, None));
    }

    async fn an_event_of_a_transaction_that_failed_was_never_there(db: Db) {
        let mut tx = db.begin().await.unwrap();
        add_in(&mut tx, &db, "e1", &BOTH).await;
        drop(tx);
        let woken = tokio::time::timeout(Duration::from_millis(50), db.outbox_notify().notified()).await;
        assert!(woken.is_err());
        assert_eq!(outbox_backlog(&db).await.unwrap().rows, 0);
    }

    async fn the_relay_is_woken_by_the_commit(db: Db) {
        let waiting = { let db = db.clone(); tokio::spawn(async move { db.outbox_notify().notified().await }) };
        add(&db, "e1", &BOTH).await;
        tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    }

    async fn many_relays_at_once_claim_each_event_exactly_once(test: TestDb) {
        let other = test.open_again().await;
        let mut tx = test.db().begin().await.unwrap();
        for number in 0..150 {
            add_in(&mut tx, test.db(), &format!("e{number}"), &BOTH).await;
        }
        tx.commit().await.unwrap();
        let mut relays = JoinSet::new();
        for number in 0..12 {
            let db = if number % 2 == 0 { test.db().clone() } else { other.clone() };
            relays.spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let claimed = outbox_claim(&db, 7).await.unwrap();
                    if claimed.is_empty() {
                        return mine;
                    }
                    mine.extend(claimed.into_iter().map(|event| (event.event_id, event.subscriber)));
                }
            });
        }
        let all: Vec<_> = relays.join_all().await.into_iter().flatten().collect();
        assert_eq!(all.len(), 300);
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 300);
        other.close().await;
    }

    async fn a_relay_that_dies_loses_nothing(db: Db) {
        add(&db, "e1", &BOTH[..1]).await;
        assert_eq!(outbox_claim(&db, 1).await.unwrap().len(), 1);
        db.clock().advance(TimeDelta::seconds(59));
        assert!(outbox_claim(&db, 1).await.unwrap().is_empty());
        db.clock().advance(TimeDelta::seconds(1));
        let again = outbox_claim(&db, 1).await.unwrap();
        assert_eq!(again[0].attempt, 2);
    }

    async fn a_failed_delivery_waits_longer_each_time_and_at_least_as_long_as_asked(db: Db) {
        add(&db, "e1", &BOTH[..1]).await;
        let mut waits = Vec::new();
        for _ in 0..14 {
            let claimed = outbox_claim(&db, 1).await.unwrap();
            let next = outbox_failed(&db, &claimed[0], None, "503").await.unwrap();
            assert!(outbox_claim(&db, 1).await.unwrap().is_empty());
            waits.push((next - db.clock().now()).num_milliseconds());
            db.clock().advance(next - db.clock().now());
        }
        for (index, wait) in waits.iter().enumerate() {
            let full = (1000 << index).min(900_000);
            assert!((full / 2..=full).contains(wait), "attempt {index}: {wait} ms");
        }
        let claimed = outbox_claim(&db, 1).await.unwrap();
        let asked = db.clock().now() + TimeDelta::hours(2);
        assert_eq!(outbox_failed(&db, &claimed[0], Some(asked), "429").await.unwrap(), asked);
    }

    async fn a_late_failure_does_not_take_the_event_from_its_new_claimer(db: Db) {
        add(&db, "e1", &BOTH[..1]).await;
        let late = outbox_claim(&db, 1).await.unwrap();
        db.clock().advance(TimeDelta::seconds(61));
        assert_eq!(outbox_claim(&db, 1).await.unwrap().len(), 1);
        outbox_failed(&db, &late[0], None, "timeout").await.unwrap();
        db.clock().advance(TimeDelta::seconds(30));
        assert!(outbox_claim(&db, 1).await.unwrap().is_empty());
    }

    async fn an_event_comes_in_once_however_often_it_is_sent(db: Db) {
        let mut tasks = JoinSet::new();
        for _ in 0..20 {
            let db = db.clone();
            tasks.spawn(async move {
                let mut tx = db.begin().await.unwrap();
                let first = inbox_accept(&mut tx, "e1").await.unwrap();
                tx.commit().await.unwrap();
                first
            });
        }
        assert_eq!(tasks.join_all().await.into_iter().filter(|first| *first).count(), 1);
    }

    async fn an_event_whose_effect_failed_comes_in_again(db: Db) {
        let mut tx = db.begin().await.unwrap();
        assert!(inbox_accept(&mut tx, "e1").await.unwrap());
        drop(tx);
        let mut tx = db.begin().await.unwrap();
        assert!(inbox_accept(&mut tx, "e1").await.unwrap());
        tx.commit().await.unwrap();
    }

    async fn what_has_had_its_time_is_purged(db: Db) {
        add(&db, "e1", &BOTH).await;
        let mut tx = db.begin().await.unwrap();
        inbox_accept(&mut tx, "e9").await.unwrap();
        tx.commit().await.unwrap();
        db.clock().advance(TimeDelta::days(39));
        assert_eq!(db.purge().await.unwrap(), db::Purged::default());
        db.clock().advance(TimeDelta::days(7));
        let purged = db.purge().await.unwrap();
        assert_eq!((purged.inbox, purged.outbox_lost, purged.keys), (1, 2, 1));
    }

    async fn an_event_that_cannot_be_opened_does_not_keep_the_others_back(db: Db) {
        add(&db, "e1", &BOTH[..1]).await;
        db.clock().advance(TimeDelta::days(41));
        add(&db, "e2", &BOTH[..1]).await;
        let claimed = outbox_claim(&db, 10).await.unwrap();
        assert_eq!(claimed.iter().map(|event| event.event_id.as_str()).collect::<Vec<_>>(), ["e2"]);
    }
}
