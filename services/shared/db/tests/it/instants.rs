//! Instants sort in the database as they do in time, and come back unchanged: on SQLite they are text.

use chrono::{DateTime, Utc};
use db::{Db, on};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Microseconds of the years 0 to 9999.
fn instants() -> impl Strategy<Value = Vec<i64>> {
    let year_0 = -62_167_219_200_i64;
    let year_10000 = 253_402_300_800_i64;
    // Whole seconds and milliseconds too: sqlx then writes fewer digits.
    let micros = prop_oneof![Just(0), Just(1), Just(1_000), Just(999_000), Just(999_999), 0..1_000_000_i64];
    let near = 1_700_000_000..1_700_000_003_i64;
    let seconds = prop_oneof![near, year_0..year_10000];
    prop::collection::vec((seconds, micros).prop_map(|(second, micro)| second * 1_000_000 + micro), 40)
}

testkit::on_both_engines! {
    migrations = crate::MIGRATIONS;

    async fn instants_sort_as_in_time_and_read_back_equal(db: Db) {
        let mut runner = TestRunner::deterministic();
        for _ in 0..40 {
            let mut micros = instants().new_tree(&mut runner).unwrap().current();
            micros.sort_unstable();
            micros.dedup();
            let times: Vec<DateTime<Utc>> =
                micros.iter().map(|micros| DateTime::from_timestamp_micros(*micros).unwrap()).collect();

            let mut tx = db.begin().await.unwrap();
            for (index, at) in times.iter().enumerate().rev() {
                on!(tx, |conn| sqlx::query("insert into inbox (event_id, received_at) values ($1, $2)")
                    .bind(index.to_string())
                    .bind(at)
                    .execute(conn)
                    .await
                    .map(drop))
                .unwrap();
            }
            let sorted: Vec<(DateTime<Utc>,)> =
                on!(tx, |conn| sqlx::query_as("select received_at from inbox order by received_at")
                    .fetch_all(conn)
                    .await)
                .unwrap();
            assert_eq!(sorted.into_iter().map(|(at,)| at).collect::<Vec<_>>(), times);

            let middle = times[times.len() / 2];
            let up_to: i64 = on!(tx, |conn| sqlx::query_scalar("select count(*) from inbox where received_at <= $1")
                .bind(middle)
                .fetch_one(conn)
                .await)
            .unwrap();
            assert_eq!(usize::try_from(up_to).unwrap(), times.len() / 2 + 1);
            tx.rollback().await.unwrap();
        }
    }
}
