//! Another key-encryption key in the files of a process that runs: it is taken up when it is met, and by looking.

use std::time::Duration;

use chrono::TimeDelta;
use contracts::kek::kek_id;
use db::{Db, Subject};
use testkit::TestDb;
use tokio::task::JoinSet;

use crate::rewrap::{BODY, FIRST, SECOND, all_open, process, seal};

const STRANGE: &[u8; 32] = b"somebody's key-encryption key32B";

/// Puts these in the files of the test's own process, as whoever exchanges them does.
fn exchange(test: &TestDb, keys: &[(&str, &[u8; 32])]) {
    let dir = test.dir().join("secrets/kek");
    for (name, key) in keys {
        std::fs::write(dir.join(name), key).unwrap();
    }
    for entry in std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap()) {
        if !keys.iter().any(|(name, _)| entry.file_name() == *name) {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
}

/// Has everything wrapped under the second key, and the first one retired, by another process.
async fn rewrap(test: &TestDb) {
    let other = process(test, &[("current", SECOND), ("previous", FIRST)]).await;
    other.rewrap().await.unwrap();
    other.close().await;
}

async fn wraps_under(db: &Db) -> String {
    db.vault().kek_id().await.unwrap()
}

testkit::on_both_engines! {
    migrations = crate::MIGRATIONS;

    async fn what_was_wrapped_anew_is_read_and_what_is_new_is_wrapped_under_the_other_key(test: TestDb) {
        let db = test.db();
        let sealed = seal(db, (0..20).map(|number| format!("p{number}"))).await;
        exchange(&test, &[("previous", FIRST), ("current", SECOND)]);
        assert_eq!(wraps_under(db).await, kek_id(FIRST), "it has not looked yet");
        rewrap(&test).await;
        exchange(&test, &[("current", SECOND)]);
        test.clock().advance(TimeDelta::seconds(61));
        all_open(db, &sealed).await;
        assert_eq!(wraps_under(db).await, kek_id(SECOND));
        let more = seal(db, ["anna".to_owned()].into_iter()).await;
        let later = process(&test, &[("current", SECOND)]).await;
        all_open(&later, &more).await;
        later.close().await;
    }

    async fn whose_key_is_retired_wraps_under_the_other_one_at_once_and_is_ready(test: TestDb) {
        let sealed = seal(test.db(), ["anna".to_owned()].into_iter()).await;
        let late = test.open_again().await;
        late.migrate(&crate::MIGRATIONS).await.unwrap();
        exchange(&test, &[("previous", FIRST), ("current", SECOND)]);
        rewrap(&test).await;
        let more = seal(test.db(), ["bert".to_owned()].into_iter()).await;
        late.ping().await.unwrap();
        assert_eq!(wraps_under(&late).await, kek_id(SECOND));
        all_open(&late, &more).await;
        all_open(&late, &sealed).await;
        late.close().await;
    }

    async fn of_many_that_meet_a_retired_key_at_once_none_is_refused(test: TestDb) {
        let _ = seal(test.db(), ["anna".to_owned()].into_iter()).await;
        let mut old = *FIRST;
        for round in 1..=8 {
            let new = [round; 32];
            let late = test.open_again().await;
            late.migrate(&crate::MIGRATIONS).await.unwrap();
            exchange(&test, &[("previous", &old), ("current", &new)]);
            let other = process(&test, &[("current", &new), ("previous", &old)]).await;
            other.rewrap().await.unwrap();
            other.close().await;
            exchange(&test, &[("current", &new)]);
            let mut sealing = JoinSet::new();
            for number in 0..48 {
                let late = late.clone();
                sealing.spawn(async move {
                    // Some are on their way under the old key when the first hears of the new one.
                    tokio::time::sleep(Duration::from_micros(number * 150)).await;
                    let patient = format!("p{round}-{number}");
                    late.vault().seal(&Subject::Patient(&patient), BODY, b"x").await.map(drop)
                });
            }
            for sealed in sealing.join_all().await {
                sealed.unwrap();
            }
            late.close().await;
            old = new;
        }
    }

    async fn it_looks_by_itself_and_takes_up_nothing_that_opens_nothing(test: TestDb) {
        let db = test.db();
        let sealed = seal(db, ["anna".to_owned()].into_iter()).await;
        assert!(!db.follow_keks().await.unwrap(), "nothing is new");
        exchange(&test, &[("current", STRANGE)]);
        assert!(!db.follow_keks().await.unwrap());
        exchange(&test, &[]);
        assert!(!db.follow_keks().await.unwrap(), "nothing is there");
        test.clock().advance(TimeDelta::seconds(61));
        all_open(db, &sealed).await;
        seal(db, ["bert".to_owned()].into_iter()).await;

        exchange(&test, &[("previous", FIRST), ("current", SECOND)]);
        assert!(db.follow_keks().await.unwrap());
        assert_eq!(wraps_under(db).await, kek_id(SECOND));
        db.rewrap().await.unwrap();
        // One that is retired is not used again, although it is known.
        exchange(&test, &[("previous", SECOND), ("current", FIRST)]);
        assert!(!db.follow_keks().await.unwrap());
        db.vault().seal(&Subject::Patient("carl"), BODY, b"x").await.unwrap();
        exchange(&test, &[("current", SECOND)]);
        assert!(db.follow_keks().await.unwrap());
        test.clock().advance(TimeDelta::seconds(61));
        all_open(db, &sealed).await;
    }
}
