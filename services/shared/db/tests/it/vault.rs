//! Sealing, destroying, blind indexes.

use chrono::TimeDelta;
use db::{Db, Error, Period, Place, SealError, Subject, Vault};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use testkit::TestDb;
use tokio::task::JoinSet;

const BODY: Place<'static> = Place { table: "visit", column: "body", row: "v1" };
const ANNA: Subject<'static> = Subject::Patient("anna");

fn refused(result: Result<Vec<u8>, Error>, why: SealError) {
    match result {
        Err(Error::Sealed(reason)) => assert_eq!(reason, why),
        other => panic!("{other:?}"),
    }
}

fn key_is_destroyed<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::KeyDestroyed { .. })), "{result:?}");
}

testkit::on_both_engines! {
    migrations = crate::MIGRATIONS;

    async fn what_was_sealed_opens_again_whatever_it_was(db: Db) {
        let mut runner = TestRunner::deterministic();
        let case = (any::<Vec<u8>>(), "\\PC{1,20}", "\\PC{1,20}");
        for _ in 0..64 {
            let (plaintext, patient, row) = case.new_tree(&mut runner).unwrap().current();
            let place = Place { row: &row, ..BODY };
            let sealed = db.vault().seal(&Subject::Patient(&patient), place, &plaintext).await.unwrap();
            assert_eq!(sealed.len(), plaintext.len() + 33);
            assert_eq!(db.vault().open(&Subject::Patient(&patient), place, &sealed).await.unwrap(), plaintext);
        }
    }

    async fn the_same_text_is_never_sealed_the_same_way_twice(db: Db) {
        let first = db.vault().seal(&ANNA, BODY, b"asthma").await.unwrap();
        let second = db.vault().seal(&ANNA, BODY, b"asthma").await.unwrap();
        assert_ne!(first[5..17], second[5..17]);
        assert_ne!(first, second);
    }

    async fn a_body_opens_only_for_its_own_row_column_table_and_subject(db: Db) {
        let vault = db.vault();
        let sealed = vault.seal(&ANNA, BODY, b"asthma").await.unwrap();
        vault.seal(&Subject::Patient("bert"), BODY, b"-").await.unwrap();
        vault.seal(&Subject::Service, BODY, b"-").await.unwrap();
        for place in [
            Place { row: "v2", ..BODY },
            Place { column: "note", ..BODY },
            Place { table: "visits", ..BODY },
            // The parts' lengths are bound too: letters cannot move from one into the next.
            Place { table: "visitb", column: "ody", row: "v1" },
        ] {
            refused(vault.open(&ANNA, place, &sealed).await, SealError::Refused);
        }
        refused(vault.open(&Subject::Patient("bert"), BODY, &sealed).await, SealError::Refused);
        refused(vault.open(&Subject::Service, BODY, &sealed).await, SealError::Refused);
        refused(vault.open(&Subject::Patient("carl"), BODY, &sealed).await, SealError::NoKey);
    }

    async fn a_body_with_any_bit_changed_or_cut_off_is_refused(db: Db) {
        let vault = db.vault();
        let sealed = vault.seal(&ANNA, BODY, b"asthma").await.unwrap();
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut altered = sealed.clone();
                altered[at] ^= 1 << bit;
                let opened = vault.open(&ANNA, BODY, &altered).await;
                assert!(matches!(opened, Err(Error::Sealed(_))), "byte {at}, bit {bit}: {opened:?}");
            }
            assert!(vault.open(&ANNA, BODY, &sealed[..at]).await.is_err());
        }
    }

    async fn another_service_opens_neither_body_nor_key(test: TestDb) {
        let sealed = test.db().vault().seal(&ANNA, BODY, b"asthma").await.unwrap();
        let other = Db::open(
            settings::ServiceName::BillingService,
            test.settings(),
            test.secrets(),
            test.clock().clone(),
            contracts::ambient::Random::seeded(9),
        )
        .await;
        // Not even the index key unwraps for it.
        assert!(matches!(other, Err(db::OpenError::Db(Error::Sealed(SealError::Refused)))));
        drop(sealed);
    }

    async fn json_is_sealed_and_opened_and_a_wrong_shape_is_not_quoted(db: Db) {
        let vault = db.vault();
        let sealed = vault.seal_json(&ANNA, BODY, &("Anna", 42)).await.unwrap();
        assert_eq!(vault.open_json::<(String, i64)>(&ANNA, BODY, &sealed).await.unwrap(), ("Anna".to_owned(), 42));
        let error = vault.open_json::<Vec<i64>>(&ANNA, BODY, &sealed).await.unwrap_err();
        assert!(!format!("{error:?} {error}").contains("Anna"));
    }

    async fn a_destroyed_key_never_comes_back(test: TestDb) {
        let vault = test.db().vault();
        let sealed = vault.seal(&ANNA, BODY, b"asthma").await.unwrap();
        assert!(!vault.is_destroyed(&ANNA).await.unwrap());
        vault.destroy(&ANNA).await.unwrap();
        vault.destroy(&ANNA).await.unwrap();
        assert!(vault.is_destroyed(&ANNA).await.unwrap());
        key_is_destroyed(vault.open(&ANNA, BODY, &sealed).await);
        key_is_destroyed(vault.seal(&ANNA, BODY, b"again").await);
        let again = test.open_again().await;
        key_is_destroyed(again.vault().open(&ANNA, BODY, &sealed).await);
        key_is_destroyed(again.vault().seal(&ANNA, BODY, b"again").await);
        again.close().await;
    }

    async fn a_subject_destroyed_before_it_had_a_key_gets_none(db: Db) {
        db.vault().destroy(&ANNA).await.unwrap();
        key_is_destroyed(db.vault().seal(&ANNA, BODY, b"asthma").await);
    }

    async fn another_process_forgets_a_destroyed_key_within_a_minute(test: TestDb) {
        let other = test.open_again().await;
        let sealed = test.db().vault().seal(&ANNA, BODY, b"asthma").await.unwrap();
        other.vault().open(&ANNA, BODY, &sealed).await.unwrap();
        test.db().vault().destroy(&ANNA).await.unwrap();
        test.clock().advance(TimeDelta::seconds(Vault::CACHE_SECONDS));
        key_is_destroyed(other.vault().open(&ANNA, BODY, &sealed).await);
        other.close().await;
    }

    async fn of_many_that_make_a_key_at_once_all_use_one(test: TestDb) {
        let other = test.open_again().await;
        let mut tasks = JoinSet::new();
        for number in 0..40 {
            let db = if number % 2 == 0 { test.db().clone() } else { other.clone() };
            tasks.spawn(async move { db.vault().seal(&ANNA, BODY, b"asthma").await.unwrap() });
        }
        let third = test.open_again().await;
        for sealed in tasks.join_all().await {
            assert_eq!(third.vault().open(&ANNA, BODY, &sealed).await.unwrap(), b"asthma");
        }
        other.close().await;
        third.close().await;
    }

    async fn sealing_inside_a_transaction_never_waits_for_a_connection_held_by_one(db: Db) {
        let mut tasks = JoinSet::new();
        for number in 0..50 {
            let db = db.clone();
            tasks.spawn(async move {
                let tx = db.begin().await.unwrap();
                let patient = format!("patient{number}");
                db.vault().seal(&Subject::Patient(&patient), BODY, b"asthma").await.unwrap();
                tx.commit().await.unwrap();
            });
        }
        tasks.join_all().await;
    }

    async fn more_patients_than_the_cache_holds_all_open(db: Db) {
        let vault = db.vault();
        let names: Vec<_> = (0..2100).map(|number| format!("p{number}")).collect();
        let mut sealed = Vec::new();
        for name in &names {
            sealed.push(vault.seal(&Subject::Patient(name), BODY, name.as_bytes()).await.unwrap());
        }
        for (name, sealed) in names.iter().zip(&sealed) {
            assert_eq!(vault.open(&Subject::Patient(name), BODY, sealed).await.unwrap(), name.as_bytes());
        }
    }

    async fn keys_fetched_together_open_what_they_sealed_and_a_destroyed_one_stays_so(test: TestDb) {
        let patients: Vec<String> = (0..300).map(|number| format!("patient{number}")).collect();
        let mut sealed = Vec::new();
        for patient in &patients {
            sealed.push(test.db().vault().seal(&Subject::Patient(patient), BODY, patient.as_bytes()).await.unwrap());
        }
        let other = test.open_again().await;
        test.db().vault().destroy(&Subject::Patient("patient7")).await.unwrap();
        let nobody = [Subject::Patient("nobody")];
        let all: Vec<_> = patients.iter().map(|patient| Subject::Patient(patient)).chain(nobody).collect();
        for _ in 0..2 {
            other.vault().fetch(&all).await.unwrap();
            for (patient, sealed) in patients.iter().zip(&sealed) {
                let opened = other.vault().open(&Subject::Patient(patient), BODY, sealed).await;
                if patient == "patient7" {
                    key_is_destroyed(opened);
                } else {
                    assert_eq!(opened.unwrap(), patient.as_bytes());
                }
            }
        }
        // One that is fetched after it was used here is forgotten, too, though not before its minute is over.
        test.db().vault().destroy(&Subject::Patient("patient8")).await.unwrap();
        test.clock().advance(TimeDelta::seconds(Vault::CACHE_SECONDS));
        other.vault().fetch(&all).await.unwrap();
        key_is_destroyed(other.vault().open(&Subject::Patient("patient8"), BODY, &sealed[8]).await);
    }

    async fn a_periods_key_is_gone_when_its_time_is_over(test: TestDb) {
        let (vault, clock) = (test.db().vault(), test.clock());
        let day = Subject::Period(Period::day("box", clock.now(), 2));
        let month = Subject::Period(Period::month("box", clock.now(), 0));
        let sealed = vault.seal(&day, BODY, b"asthma").await.unwrap();
        vault.seal(&month, BODY, b"asthma").await.unwrap();
        // 15 January 09:00; the day's key lives through the 17th.
        clock.advance(TimeDelta::hours(62));
        vault.open(&day, BODY, &sealed).await.unwrap();
        assert_eq!(vault.purge_expired().await.unwrap(), 0);
        clock.advance(TimeDelta::hours(1));
        key_is_destroyed(vault.open(&day, BODY, &sealed).await);
        assert_eq!(vault.purge_expired().await.unwrap(), 1);
        key_is_destroyed(vault.open(&day, BODY, &sealed).await);
        clock.advance(TimeDelta::days(15));
        assert_eq!(vault.purge_expired().await.unwrap(), 1);
    }

    async fn a_blind_index_is_stable_across_restarts_and_apart_between_fields(test: TestDb) {
        let vault = test.db().vault();
        let smith = vault.blind("family", "smith").unwrap();
        assert_eq!(smith.len(), 16);
        assert_eq!(vault.blind("family", "smith").unwrap(), smith);
        assert_ne!(vault.blind("family", "smyth").unwrap(), smith);
        assert_ne!(vault.blind("given", "smith").unwrap(), smith);
        assert_ne!(vault.blind("familys", "mith").unwrap(), smith);
        let again = test.open_again().await;
        assert_eq!(again.vault().blind("family", "smith").unwrap(), smith);
        // `migrate` runs at every start.
        again.migrate(&crate::MIGRATIONS).await.unwrap();
        assert_eq!(again.vault().blind("family", "smith").unwrap(), smith);
        again.close().await;
    }

    async fn a_value_in_a_row_has_a_hash_of_its_own(db: Db) {
        let vault = db.vault();
        let tag = vault.blind_in_row("status", "b1", "Paid").unwrap();
        assert_eq!(vault.blind_in_row("status", "b1", "Paid").unwrap(), tag);
        assert_ne!(vault.blind_in_row("status", "b2", "Paid").unwrap(), tag);
        assert_ne!(vault.blind_in_row("status", "b1", "Void").unwrap(), tag);
        assert_ne!(vault.blind_in_row("statusb", "1", "Paid").unwrap(), tag);
        assert_ne!(tag.len(), vault.blind("status", "Paid").unwrap().len(), "rows that have the old one are told by it");
    }
}
