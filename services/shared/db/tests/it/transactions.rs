//! Transactions, constraints and contention.

use std::time::Duration;

use db::{ConstraintKind, Db, Engine, Error, TxKind};
use tokio::task::JoinSet;

use crate::visit::{Visit, visit_count, visit_find, visit_insert, visit_move};

async fn insert(db: &Db, visit: &Visit) -> Result<(), Error> {
    let mut tx = db.begin().await?;
    visit_insert(&mut tx, visit).await?;
    tx.commit().await
}

fn constraint(result: Result<(), Error>) -> (ConstraintKind, String, Error) {
    match result.unwrap_err() {
        Error::Constraint { kind, hint } => (kind, hint.clone(), Error::Constraint { kind, hint }),
        other => panic!("a constraint was to refuse, but: {other}"),
    }
}

testkit::on_both_engines! {
    migrations = crate::MIGRATIONS;

    async fn every_registered_statement_prepares(db: Db) {
        assert!(db::prepare_all(&db, "db").await.unwrap() >= 20);
        assert!(db::statements("db").any(|statement| statement.store == db::Store::Keys));
    }

    async fn a_value_reads_back_as_it_was_written(db: Db) {
        let first = Visit { body: Some(vec![0, 255]), ..Visit::new("v1", 1) };
        let second = Visit { open: false, follows: Some("v1".to_owned()), ..Visit::new("v2", 2) };
        insert(&db, &first).await.unwrap();
        insert(&db, &second).await.unwrap();
        let mut tx = db.read().await.unwrap();
        assert_eq!(visit_find(&mut tx, "v1").await.unwrap(), Some(first));
        assert_eq!(visit_find(&mut tx, "v2").await.unwrap(), Some(second));
        assert_eq!(visit_find(&mut tx, "v3").await.unwrap(), None);
    }

    async fn a_read_that_is_dropped_while_it_begins_leaves_nothing_behind(db: Db) {
        for number in 0..300_u32 {
            let hurry = Duration::from_micros(u64::from(number % 30) * 10);
            let _ = tokio::time::timeout(hurry, db.read()).await;
            if number % 10 == 9 {
                // All connections of the pool: one that was given back within the read would refuse to write.
                let mut writers = JoinSet::new();
                for seat in 0..10 {
                    let (db, number) = (db.clone(), number * 10 + seat);
                    writers.spawn(async move { insert(&db, &Visit::new(&format!("v{number}"), number.into())).await });
                }
                for written in writers.join_all().await {
                    written.unwrap();
                }
            }
        }
    }

    async fn a_second_row_with_the_same_id_is_refused_by_kind_and_column(db: Db) {
        insert(&db, &Visit::new("v1", 1)).await.unwrap();
        let (kind, _, error) = constraint(insert(&db, &Visit::new("v1", 2)).await);
        assert_eq!(kind, ConstraintKind::Unique);
        assert!(error.is_conflict() && error.is_unique_on("visit", "id"));
        assert!(!error.is_unique_on("visit", "seat") && !error.is_unique_on("vis", "id"));

        let (kind, _, error) = constraint(insert(&db, &Visit::new("v2", 1)).await);
        assert_eq!(kind, ConstraintKind::Unique);
        assert!(error.is_unique_on("visit", "seat") && error.is_unique_on("visit", "room"));
        assert!(!error.is_unique_on("visit", "id"));
    }

    async fn each_kind_of_constraint_is_told_apart(db: Db) {
        let (kind, ..) = constraint(insert(&db, &Visit::new("v1", -1)).await);
        assert_eq!(kind, ConstraintKind::Check);
        let orphan = Visit { follows: Some("nobody".to_owned()), ..Visit::new("v1", 1) };
        let (kind, ..) = constraint(insert(&db, &orphan).await);
        assert_eq!(kind, ConstraintKind::ForeignKey);
        insert(&db, &Visit { open: false, ..Visit::new("v1", 1) }).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        let (kind, hint, _) = constraint(visit_move(&mut tx, "v1").await);
        assert_eq!((kind, hint.as_str()), (ConstraintKind::Trigger, "visit is closed"));
    }

    async fn a_constraint_error_shows_no_value(db: Db) {
        insert(&db, &Visit::new("john-doe", 1)).await.unwrap();
        let error = insert(&db, &Visit::new("john-doe", 2)).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("john"), "{error}");
        assert!(std::error::Error::source(&error).is_none());
    }

    async fn two_hundred_writers_at_once_all_succeed(db: Db) {
        insert(&db, &Visit::new("v", 0)).await.unwrap();
        let mut writers = JoinSet::new();
        for _ in 0..200 {
            let db = db.clone();
            writers.spawn(async move {
                let mut tx = db.begin().await?;
                visit_move(&mut tx, "v").await?;
                tx.commit().await
            });
        }
        for result in writers.join_all().await {
            result.unwrap();
        }
        let mut tx = db.read().await.unwrap();
        assert_eq!(visit_find(&mut tx, "v").await.unwrap().unwrap().seat, 200);
    }

    async fn a_transaction_that_is_dropped_leaves_nothing(db: Db) {
        let mut tx = db.begin().await.unwrap();
        visit_insert(&mut tx, &Visit::new("v1", 1)).await.unwrap();
        drop(tx);
        let mut tx = db.begin().await.unwrap();
        assert_eq!(visit_count(&mut tx).await.unwrap(), 0);
        tx.rollback().await.unwrap();
    }

    async fn a_reading_transaction_sees_one_snapshot_and_cannot_write(db: Db) {
        let mut reader = db.read().await.unwrap();
        assert_eq!(visit_count(&mut reader).await.unwrap(), 0);
        insert(&db, &Visit::new("v1", 1)).await.unwrap();
        assert_eq!(visit_count(&mut reader).await.unwrap(), 0);
        assert!(visit_insert(&mut reader, &Visit::new("v2", 2)).await.is_err());
        drop(reader);
        let mut reader = db.read().await.unwrap();
        assert_eq!(visit_count(&mut reader).await.unwrap(), 1);
    }

    async fn two_that_would_deadlock_both_get_through(db: Db) {
        insert(&db, &Visit::new("a", 0)).await.unwrap();
        insert(&db, &Visit::new("b", 100)).await.unwrap();
        let mut tasks = JoinSet::new();
        for order in [["a", "b"], ["b", "a"], ["a", "b"], ["b", "a"]] {
            let db = db.clone();
            tasks.spawn(async move {
                db::retrying(&db, async |mut tx| {
                    visit_move(&mut tx, order[0]).await?;
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    visit_move(&mut tx, order[1]).await?;
                    tx.commit().await
                })
                .await
            });
        }
        for result in tasks.join_all().await {
            result.unwrap();
        }
        let mut tx = db.read().await.unwrap();
        assert_eq!(visit_find(&mut tx, "a").await.unwrap().unwrap().seat, 4);
        assert_eq!(visit_find(&mut tx, "b").await.unwrap().unwrap().seat, 104);
    }

    async fn a_retried_transaction_stops_after_six_attempts(db: Db) {
        let attempts = std::sync::atomic::AtomicU32::new(0);
        let result: Result<(), Error> = db::retrying(&db, async |_tx| {
            attempts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Err(Error::Retryable(sqlx::Error::RowNotFound))
        })
        .await;
        assert!(result.unwrap_err().is_retryable());
        assert_eq!(attempts.into_inner(), 6);
    }

    async fn a_named_lock_excludes_whoever_takes_it_too_in_whatever_order(db: Db) {
        let mut tasks = JoinSet::new();
        for number in 0..20_i64 {
            let db = db.clone();
            tasks.spawn(async move {
                let mut tx = db.begin().await?;
                let names = if number % 2 == 0 { ["patient:1", "provider:1"] } else { ["provider:1", "patient:1"] };
                tx.lock(&names).await?;
                // Without the lock, several would count the same and then meet in one seat.
                let seat = visit_count(&mut tx).await?;
                tokio::task::yield_now().await;
                visit_insert(&mut tx, &Visit::new(&format!("v{number}"), seat)).await?;
                tx.commit().await
            });
        }
        for result in tasks.join_all().await {
            result.unwrap();
        }
    }

    async fn a_full_disk_is_unavailable_and_then_over(db: Db) {
        if db.engine() == Engine::Postgres {
            return; // 53100: see `postgres_says_no_room_as_unavailable`
        }
        let mut tx = db.begin().await.unwrap();
        let TxKind::Sqlite(conn) = &mut tx.kind else { unreachable!() };
        let pages: i64 = sqlx::query_scalar("pragma page_count").fetch_one(&mut **conn).await.unwrap();
        let limit = sqlx::AssertSqlSafe(format!("pragma max_page_count = {pages}"));
        sqlx::query(limit).execute(&mut **conn).await.unwrap();
        let large = Visit { body: Some(vec![0; 1 << 20]), ..Visit::new("v1", 1) };
        let error = visit_insert(&mut tx, &large).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{error}");
        drop(tx);

        let mut tx = db.begin().await.unwrap();
        visit_insert(&mut tx, &large).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn postgres_says_no_room_as_unavailable(db: Db) {
        let mut tx = db.begin().await.unwrap();
        let TxKind::Postgres(conn) = &mut tx.kind else { return };
        let raise = "do $$ begin raise exception 'could not extend file' using errcode = '53100'; end $$";
        let error: Error = sqlx::query(raise).execute(&mut **conn).await.unwrap_err().into();
        assert!(matches!(error, Error::Unavailable(_)), "{error}");
    }

    async fn a_lost_connection_is_unavailable_and_the_next_one_works(db: Db) {
        let mut tx = db.begin().await.unwrap();
        let TxKind::Postgres(conn) = &mut tx.kind else { return };
        let killed = sqlx::query("select pg_terminate_backend(pg_backend_pid())").execute(&mut **conn).await;
        let error: Error = killed.unwrap_err().into();
        assert!(matches!(error, Error::Unavailable(_)), "{error}");
        assert!(matches!(tx.commit().await.unwrap_err(), Error::Unavailable(_)));
        insert(&db, &Visit::new("v1", 1)).await.unwrap();
    }

    async fn a_database_answers_a_ping_until_it_is_closed(db: Db) {
        db.ping().await.unwrap();
        db.close().await;
        assert!(matches!(db.ping().await.unwrap_err(), Error::Unavailable(_)));
        assert!(matches!(db.begin().await.map(drop).unwrap_err(), Error::Unavailable(_)));
    }
}
