//! Keys made, used, destroyed and wrapped anew all at once.

use std::collections::BTreeMap;
use std::time::Duration;

use db::{Engine, Subject};
use sqlx::Connection;
use testkit::TestDb;
use tokio::task::JoinSet;

use crate::rewrap::{BODY, FIRST, SECOND, all_open, postgres, process, refused_as_retired, seal, sql};

const THIRD: &[u8; 32] = b"the last key-encryption key: 32B";

testkit::on_both_engines! {
    migrations = crate::MIGRATIONS;

    async fn keys_made_used_and_destroyed_meanwhile_are_neither_lost_nor_undone(test: TestDb) {
        let mut sealed = BTreeMap::new();
        let mut destroyed = Vec::new();
        for (round, [old, new]) in [[FIRST, SECOND], [SECOND, THIRD], [THIRD, FIRST]].into_iter().take(2).enumerate() {
            let late = process(&test, &[("current", old), ("next", new)]).await;
            sealed.extend(seal(&late, (0..300).map(|number| format!("before{round}-{number:03}"))).await);
            let using = [("current", new), ("previous", old)];
            let (one, two) = (process(&test, &using).await, process(&test, &using).await);

            let mut makers = JoinSet::new();
            for (name, db) in [("late", &late), ("one", &one), ("two", &two)] {
                for maker in 0..3 {
                    let db = db.clone();
                    makers.spawn(async move {
                        let mut made = BTreeMap::new();
                        for number in 0..60 {
                            let patient = format!("{name}{round}-{maker}-{number}");
                            match db.vault().seal(&Subject::Patient(&patient), BODY, patient.as_bytes()).await {
                                Ok(body) => drop(made.insert(patient, body)),
                                refused => {
                                    assert_eq!(name, "late");
                                    refused_as_retired(refused, old);
                                    break;
                                }
                            }
                        }
                        made
                    });
                }
            }
            let mut others = JoinSet::new();
            for (part, db) in [&late, &one, &two].into_iter().enumerate() {
                let db = db.clone();
                let names: Vec<_> = (part..100).step_by(3).map(|number| format!("before{round}-{number:03}")).collect();
                destroyed.extend(names.iter().cloned());
                others.spawn(async move {
                    for patient in names {
                        // A lost race is a reason to try again, as the erasure's job does.
                        while db.vault().destroy(&Subject::Patient(&patient)).await.is_err() {}
                    }
                });
            }
            for db in [&late, &two] {
                let (db, sealed) = (db.clone(), sealed.clone());
                others.spawn(async move {
                    let stays = |patient: &&String| patient.as_str() >= format!("before{round}-100").as_str();
                    let stays = sealed.keys().filter(stays).filter(|patient| patient.starts_with(&format!("before{round}")));
                    for patient in stays {
                        db.vault().open(&Subject::Patient(patient), BODY, &sealed[patient]).await.unwrap();
                    }
                });
            }
            let (first, second) = tokio::join!(one.rewrap(), two.rewrap());
            first.unwrap();
            second.unwrap();
            for made in makers.join_all().await {
                sealed.extend(made);
            }
            others.join_all().await;
            for db in [late, one, two] {
                db.close().await;
            }
            sealed.retain(|patient, _| !destroyed.contains(patient));
            let later = process(&test, &[("current", new)]).await;
            all_open(&later, &sealed).await;
            for patient in &destroyed {
                assert!(later.vault().is_destroyed(&Subject::Patient(patient)).await.unwrap(), "{patient}");
            }
            assert_eq!(later.rewrap().await.unwrap().anew, 0);
            later.close().await;
        }
    }

    async fn a_key_that_is_destroyed_between_being_read_and_written_stays_destroyed(test: TestDb) {
        if test.db().engine() == Engine::Sqlite {
            return; // one writer at a time
        }
        seal(test.db(), (0..3).map(|number| format!("p{number}"))).await;
        let new = process(&test, &[("current", SECOND), ("previous", FIRST)]).await;
        let mut conn = postgres(&test).await;
        let mut tx = conn.begin().await.unwrap();
        sqlx::query("update data_key set wrapped = null, kek_id = null, destroyed_at = now() where subject = 'patient:p1'")
            .execute(&mut *tx)
            .await
            .unwrap();
        let rewrapping = tokio::spawn({
            let new = new.clone();
            async move { new.rewrap().await }
        });
        until_somebody_waits(&test).await;
        tx.commit().await.unwrap();
        // The index's and two patients'.
        assert_eq!(rewrapping.await.unwrap().unwrap().anew, 3);
        assert!(new.vault().is_destroyed(&Subject::Patient("p1")).await.unwrap());
        new.close().await;
    }

    async fn a_key_under_the_old_one_that_is_not_committed_yet_is_waited_for(test: TestDb) {
        if test.db().engine() == Engine::Sqlite {
            return; // one writer at a time
        }
        let sealed = seal(test.db(), ["anna".to_owned()].into_iter()).await;
        let new = process(&test, &[("current", SECOND), ("previous", FIRST)]).await;
        sql(&test, "create table aside as select * from data_key where subject = 'patient:anna'; \
                    delete from data_key where subject = 'patient:anna'").await;
        let mut conn = postgres(&test).await;
        let mut tx = conn.begin().await.unwrap();
        sqlx::query("insert into data_key select * from aside").execute(&mut *tx).await.unwrap();
        let rewrapping = tokio::spawn({
            let new = new.clone();
            async move { new.rewrap().await }
        });
        until_somebody_waits(&test).await;
        tx.commit().await.unwrap();
        assert_eq!(rewrapping.await.unwrap().unwrap().anew, 2);
        let later = process(&test, &[("current", SECOND)]).await;
        all_open(&later, &sealed).await;
        new.close().await;
        later.close().await;
    }
}

/// Until a session of this database waits for another's lock.
async fn until_somebody_waits(test: &TestDb) {
    let mut conn = postgres(test).await;
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    for _ in 0..400 {
        let count: i64 = sqlx::query_scalar(waiting).fetch_one(&mut conn).await.unwrap();
        if count > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody waits");
}
