//! An engine that is broken, or no friend, costs nobody a key: nothing that can be read is given up for what it says.

use std::time::Duration;

use chrono::TimeDelta;
use db::{Db, Error, Period, RewrapError, SealError, Subject};
use settings::KekProvider;
use testkit::TestDb;

use crate::faulty_engine::{Fault, FaultyEngine};
use crate::rewrap::{BODY, all_open, seal, sql};
use crate::transit::{by, hand_out, open, process, refusal};

fn people(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("p{number}"))
}

/// An engine, and a process that has it wrap; what was there before, the file's key has wrapped.
async fn scene(test: &TestDb) -> (FaultyEngine, Db, std::collections::BTreeMap<String, Vec<u8>>) {
    let engine = FaultyEngine::start().await;
    hand_out(test, "transit", "token", b"t");
    let old = process(test, &by(KekProvider::Secret, engine.settings())).await;
    let sealed = seal(&old, people(8)).await;
    old.close().await;
    let db = process(test, &by(KekProvider::Transit, engine.settings())).await;
    (engine, db, sealed)
}

fn refused(result: Result<impl std::fmt::Debug, RewrapError>) -> String {
    match result {
        Err(RewrapError::Db(Error::Sealed(SealError::KeeperRefused { why }))) => why,
        other => panic!("{other:?}"),
    }
}

testkit::on_both_engines! {
    migrations = crate::MIGRATIONS;

    async fn what_it_does_not_unwrap_again_takes_no_wrappings_place(test: TestDb) {
        let (engine, db, sealed) = scene(&test).await;
        let before = db.vault().keys_by_kek().await.unwrap();
        for fault in [Fault::Reversed, Fault::UnwrapsReversed, Fault::Nonsense, Fault::OneByte, Fault::NoBase64] {
            engine.has(fault);
            let why = refusal(db.gather_keys().await);
            assert!(!why.is_empty(), "{fault:?}");
            let why = refused(db.rewrap().await);
            assert!(why.contains("stays as it is") || why.contains("order"), "{fault:?}: {why}");
            assert_eq!(db.vault().keys_by_kek().await.unwrap(), before, "{fault:?}");
            // A process that starts meanwhile goes on with what is there.
            let fresh = process(&test, &by(KekProvider::Transit, engine.settings())).await;
            all_open(&fresh, &sealed).await;
            fresh.close().await;
        }
        engine.has(Fault::None);
        assert_eq!(db.rewrap().await.unwrap().anew, 9);
        let fresh = process(&test, &by(KekProvider::Transit, engine.settings())).await;
        all_open(&fresh, &sealed).await;
        fresh.close().await;
        db.close().await;
    }

    async fn one_that_mixes_up_both_ways_and_heeds_no_bonds_is_found_out(test: TestDb) {
        let (engine, db, sealed) = scene(&test).await;
        engine.heeds_no_bonds();
        engine.has(Fault::Reversed);
        refused(db.rewrap().await);
        engine.has(Fault::None);
        assert_eq!(db.gather_keys().await.unwrap(), 9);
        // Away from it, too: nothing is wrapped by the file's key that it has mixed up.
        engine.has(Fault::UnwrapsReversed);
        let back = process(&test, &by(KekProvider::Secret, engine.settings())).await;
        assert!(back.gather_keys().await.is_err());
        engine.has(Fault::None);
        assert_eq!(back.gather_keys().await.unwrap(), 9);
        all_open(&back, &sealed).await;
        back.close().await;
        db.close().await;
    }

    async fn a_new_key_is_unwrapped_before_anything_is_sealed_under_it(test: TestDb) {
        let (engine, db, _) = scene(&test).await;
        for fault in [Fault::Nonsense, Fault::OneByte, Fault::NoBase64] {
            engine.has(fault);
            let why = refusal(db.vault().seal(&Subject::Patient("anna"), BODY, b"x").await);
            assert!(why.contains("do not come back"), "{fault:?}: {why}");
        }
        engine.has(Fault::None);
        let sealed = seal(&db, ["anna".to_owned()].into_iter()).await;
        let fresh = process(&test, &by(KekProvider::Transit, engine.settings())).await;
        all_open(&fresh, &sealed).await;
        fresh.close().await;
        db.close().await;
    }

    async fn what_is_no_key_is_its_fault_and_no_rows(test: TestDb) {
        let (engine, db, _) = scene(&test).await;
        let sealed = seal(&db, ["anna".to_owned()].into_iter()).await;
        let fresh = process(&test, &by(KekProvider::Transit, engine.settings())).await;
        for fault in [Fault::OneByte, Fault::NoBase64] {
            engine.has(fault);
            let why = refusal(fresh.vault().open(&Subject::Patient("anna"), BODY, &sealed["anna"]).await);
            assert!(why.contains("no key"), "{fault:?}: {why}");
        }
        engine.has(Fault::Oversized);
        let why = refusal(db.vault().seal(&Subject::Patient("bert"), BODY, b"x").await);
        assert!(why.contains("longer"), "{why}");
        engine.has(Fault::None);
        all_open(&fresh, &sealed).await;
        fresh.close().await;
        db.close().await;
    }

    async fn a_key_that_comes_back_as_another_long_after_is_found_out_and_nothing_is_sealed_under_it(test: TestDb) {
        let (engine, db, sealed) = scene(&test).await;
        assert_eq!(db.gather_keys().await.unwrap(), 9);
        let fresh = process(&test, &by(KekProvider::Transit, engine.settings())).await;
        engine.has(Fault::AnotherKey);
        let p0 = Subject::Patient("p0");
        for result in [
            fresh.vault().open(&p0, BODY, &sealed["p0"]).await.map(drop),
            fresh.vault().seal(&p0, BODY, b"new").await.map(drop),
        ] {
            let why = refusal(result);
            assert!(why.contains("another key than was wrapped"), "{why}");
        }
        // Nor does it take the place of the right one when all are wrapped anew, or start a process.
        engine.is_at(2);
        assert!(db.rewrap().await.is_err());
        let started = open(&test, &by(KekProvider::Transit, engine.settings())).await.unwrap_err().to_string();
        assert!(started.contains("another key than was wrapped"), "{started}");
        engine.has(Fault::None);
        all_open(&fresh, &sealed).await;
        assert_eq!(db.rewrap().await.unwrap().anew, 9);
        let later = process(&test, &by(KekProvider::Transit, engine.settings())).await;
        all_open(&later, &sealed).await;
        for db in [fresh, later, db] {
            db.close().await;
        }
    }

    async fn rows_of_the_version_before_are_given_a_check_value_when_they_are_wrapped_anew(test: TestDb) {
        let (engine, db, sealed) = scene(&test).await;
        sql(&test, "update data_key set key_check = null").await;
        let fresh = process(&test, &by(KekProvider::Transit, engine.settings())).await;
        all_open(&fresh, &sealed).await;
        assert_eq!(db.gather_keys().await.unwrap(), 9);
        engine.has(Fault::AnotherKey);
        test.clock().advance(TimeDelta::hours(5));
        let why = refusal(fresh.vault().open(&Subject::Patient("p0"), BODY, &sealed["p0"]).await);
        assert!(why.contains("another key than was wrapped"), "{why}");
        engine.has(Fault::None);
        all_open(&fresh, &sealed).await;
        // Of a key that is destroyed, that goes too.
        db.vault().destroy(&Subject::Patient("p0")).await.unwrap();
        sql(&test, "create table destroyed (n int check (n = 0)); \
                    insert into destroyed select count(*) from data_key where wrapped is null and key_check is not null").await;
        fresh.close().await;
        db.close().await;
    }

    async fn a_version_that_cannot_be_is_not_believed_and_the_last_one_told_is(test: TestDb) {
        let (engine, db, _) = scene(&test).await;
        engine.is_at(3);
        seal(&db, ["anna".to_owned()].into_iter()).await;
        engine.has(Fault::AbsurdVersion);
        refusal(db.vault().seal(&Subject::Patient("bert"), BODY, b"x").await);
        refused(db.rewrap().await);
        assert_eq!(db.vault().kek_id_known().as_deref(), Some("transit/clinic:v3"));
        engine.has(Fault::None);
        engine.is_at(2);
        assert_eq!(db.vault().kek_id().await.unwrap(), "transit/clinic:v2");
        assert_eq!(db.vault().kek_id_known().as_deref(), Some("transit/clinic:v2"));
        db.close().await;
    }

    async fn what_is_in_use_is_held_for_half_of_the_hold_at_least_after_the_engine_goes(test: TestDb) {
        let (engine, db, _) = scene(&test).await;
        assert_eq!(db.gather_keys().await.unwrap(), 9);
        let sealed = seal(&db, people(2)).await;
        // In use to the end, every quarter of an hour; p1 is not.
        let p0 = || db.vault().open(&Subject::Patient("p0"), BODY, &sealed["p0"]);
        let before = engine.unwrapped();
        for _ in 0..15 {
            test.clock().advance(TimeDelta::minutes(15));
            // Of several at once, one has it renewed.
            let (one, two) = tokio::join!(p0(), p0());
            assert!(one.is_ok() && two.is_ok());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(engine.unwrapped() - before, 1, "once, after two hours");
        engine.has(Fault::Away);
        test.clock().advance(TimeDelta::minutes(15 + 105));
        p0().await.unwrap();
        // That could not be renewed, and is not for ever.
        test.clock().advance(TimeDelta::minutes(16));
        assert!(matches!(p0().await, Err(Error::KeeperSilent { .. })));
        let p1 = db.vault().open(&Subject::Patient("p1"), BODY, &sealed["p1"]).await;
        assert!(matches!(p1, Err(Error::KeeperSilent { .. })));
        db.close().await;
    }

    async fn one_that_is_destroyed_while_it_is_renewed_stays_so_and_lies_change_no_key(test: TestDb) {
        let (engine, db, _) = scene(&test).await;
        assert_eq!(db.gather_keys().await.unwrap(), 9);
        let sealed = seal(&db, people(2)).await;
        test.clock().advance(TimeDelta::minutes(150));
        engine.has(Fault::OneByte);
        all_open(&db, &sealed).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        engine.has(Fault::None);
        test.clock().advance(TimeDelta::seconds(61));
        all_open(&db, &sealed).await;
        db.vault().destroy(&Subject::Patient("p0")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let gone = db.vault().open(&Subject::Patient("p0"), BODY, &sealed["p0"]).await;
        assert!(matches!(gone, Err(Error::KeyDestroyed { .. })), "{gone:?}");
        db.close().await;
    }

    async fn what_every_call_needs_is_kept_by_a_job(test: TestDb) {
        let (engine, db, _) = scene(&test).await;
        let month = Subject::Period(Period::month("audit", test.clock().now(), 2_000));
        let entry = db.vault().seal(&month, BODY, b"entry").await.unwrap();
        // Nobody calls for hours: nothing but the job has it renewed.
        for _ in 0..12 {
            test.clock().advance(TimeDelta::minutes(30));
            assert_eq!(db.keep_keys().await.unwrap(), Duration::from_mins(1));
        }
        engine.has(Fault::Away);
        test.clock().advance(TimeDelta::minutes(175));
        assert_eq!(db.vault().open(&month, BODY, &entry).await.unwrap(), b"entry");
        db.vault().seal(&month, BODY, b"another").await.unwrap();
        db.close().await;
    }
}
