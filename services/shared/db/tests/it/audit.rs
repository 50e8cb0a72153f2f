//! The audit: what is written down stays so, and what does not is named.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use chrono::TimeDelta;
use contracts::auth::{Jwk, JwkSet};
use contracts::permission::Role;
use contracts::trail::{self, Trail};
use db::{
    AuditFault, AuditFilter, AuditFlaw, AuditOutcome, AuditSigner, AuditSigners, AuditVerified, Db, Error,
    FoundEntry, audit_checkpoint, audit_find, audit_rotate_key, audit_verify, audit_write, on,
};
use testkit::TestDb;
use tokio::task::JoinSet;

use crate::audit_forger::tamper;
use crate::visit::{Visit, visit_count, visit_insert};

/// A service's identity, and how it is known to the others.
pub(crate) fn identity(kid: &str) -> (AuditSigner, Jwk) {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
    let key = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
    let x = data_encoding::BASE64URL_NOPAD.encode(key.public_key().as_ref());
    let jwk = Jwk { kid: kid.to_owned(), x: Some(x), ..Jwk::default() };
    (AuditSigner::from_pkcs8(pkcs8.as_ref()).unwrap(), jwk)
}

pub(crate) fn signers(keys: &[&Jwk]) -> AuditSigners {
    AuditSigners::of("patient-service", &JwkSet { keys: keys.iter().map(|key| (*key).clone()).collect() })
}

pub(crate) fn trail_of(user: &str, operation: &'static str, patients: &[&str]) -> Trail {
    let trail = Trail::of(operation);
    trail.tell(|told| {
        user.clone_into(&mut told.who);
        told.roles = vec![Role::Clinician.into()];
        told.from = Some("192.0.2.7".to_owned());
    });
    for patient in patients {
        trail.concerns(patient);
    }
    trail
}

/// Adds a visit, leaving a trail.
pub(crate) async fn visits(db: &Db, seat: i64, patient: &str) -> Result<(), Error> {
    trail::within(Some(trail_of("usr_1", "add_visit", &[patient])), async {
        let mut tx = db.begin().await?;
        visit_insert(&mut tx, &Visit::new(&format!("v{seat}"), seat)).await?;
        tx.commit().await
    })
    .await
}

/// Reads about some patients.
pub(crate) async fn reads(db: &Db, user: &str, patients: &[&str]) -> Result<(), Error> {
    audit_write(db, &trail_of(user, "visit_by_id", patients), AuditOutcome::Done, None).await
}

async fn found(db: &Db, filter: AuditFilter) -> Vec<FoundEntry> {
    let limit = if filter.limit == 0 { 1_000 } else { filter.limit };
    audit_find(db, &AuditFilter { limit, ..filter }).await.unwrap()
}

async fn about(db: &Db, patient: &str) -> Vec<FoundEntry> {
    found(db, AuditFilter { patient: Some(patient.to_owned()), ..AuditFilter::default() }).await
}

pub(crate) async fn faults(db: &Db, signers: &AuditSigners) -> Vec<(i64, AuditFlaw)> {
    let verified = audit_verify(db, signers).await.unwrap();
    verified.faults.into_iter().map(|AuditFault { seq, flaw, .. }| (seq, flaw)).collect()
}

testkit::on_both_engines! {
    migrations = crate::MIGRATIONS;

    async fn a_change_and_its_entry_stand_together(db: Db) {
        visits(&db, 1, "anna").await.unwrap();
        let entries = about(&db, "anna").await;
        assert_eq!(entries.len(), 1);
        let entry = &entries[0].entry;
        assert_eq!((entry.who.as_str(), entry.operation.as_str()), ("usr_1", "add_visit"));
        assert_eq!((entry.outcome, entry.roles.as_slice()), (AuditOutcome::Done, ["clinician".to_owned()].as_slice()));
        assert_eq!((entry.patients.as_slice(), entry.from.as_deref()), (["anna".to_owned()].as_slice(), Some("192.0.2.7")));
        assert_eq!((entries[0].place.at, entries[0].place.seq), (db.clock().now(), 1));
        assert!(about(&db, "bert").await.is_empty());
    }

    async fn a_write_that_is_rolled_back_leaves_neither_an_entry_nor_a_gap(db: Db) {
        let (_, jwk) = identity("patient-service");
        visits(&db, 1, "anna").await.unwrap();
        assert!(visits(&db, 1, "anna").await.is_err(), "the seat is taken");
        trail::within(Some(trail_of("usr_1", "add_visit", &["anna"])), async {
            let mut tx = db.begin().await.unwrap();
            visit_insert(&mut tx, &Visit::new("v2", 2)).await.unwrap();
            tx.rollback().await.unwrap();
        })
        .await;
        visits(&db, 3, "anna").await.unwrap();
        let places: Vec<_> = about(&db, "anna").await.iter().map(|found| found.place.seq).collect();
        assert_eq!(places, [2, 1]);
        assert!(faults(&db, &signers(&[&jwk])).await.is_empty());
    }

    async fn work_that_leaves_no_trail_and_bookkeeping_leave_no_entry(db: Db) {
        let mut tx = db.begin().await.unwrap();
        visit_insert(&mut tx, &Visit::new("v1", 1)).await.unwrap();
        tx.commit().await.unwrap();
        trail::within(Some(trail_of("usr_1", "add_visit", &[])), async {
            let mut tx = db.begin().await.unwrap();
            visit_insert(&mut tx, &Visit::new("v2", 2)).await.unwrap();
            tx.commit_unaudited().await.unwrap();
            db.vault().seal(&db::Subject::Patient("anna"), PLACE, b"x").await.unwrap();
            db.purge().await.unwrap();
        })
        .await;
        assert!(found(&db, AuditFilter::default()).await.is_empty());
    }

    async fn of_many_at_once_no_number_is_missing(test: TestDb) {
        let (signer, jwk) = identity("patient-service");
        let other = test.open_again().await;
        let mut tasks = JoinSet::new();
        for number in 0..120_i64 {
            // On SQLite there is one process.
            let is_other = number % 3 == 0 && test.db().engine() == db::Engine::Postgres;
            let db = if is_other { other.clone() } else { test.db().clone() };
            tasks.spawn(async move {
                if number % 2 == 0 {
                    visits(&db, number, "anna").await.unwrap();
                } else {
                    reads(&db, "usr_2", &["anna", "bert"]).await.unwrap();
                }
            });
        }
        tasks.join_all().await;
        let signers = signers(&[&jwk]);
        let AuditVerified { entries, signed, faults, .. } = audit_verify(test.db(), &signers).await.unwrap();
        assert_eq!((entries, signed, faults), (120, 0, Vec::new()));
        assert_eq!(audit_checkpoint(test.db(), &signer).await.unwrap(), 0);
        let AuditVerified { entries, signed, faults, .. } = audit_verify(&other, &signers).await.unwrap();
        assert_eq!((entries, signed, faults), (120, 120, Vec::new()));
        assert_eq!((about(&other, "anna").await.len(), about(&other, "bert").await.len()), (120, 60));
        other.close().await;
    }

    async fn work_that_is_cut_off_anywhere_leaves_whole_chains(db: Db) {
        let (signer, jwk) = identity("patient-service");
        for number in 0..60_i64 {
            let mut tasks = JoinSet::new();
            for at in 0..3 {
                let db = db.clone();
                tasks.spawn(async move {
                    let _ = if at == 0 { visits(&db, number, "anna").await } else { reads(&db, "usr_2", &["anna"]).await };
                });
            }
            tokio::time::sleep(std::time::Duration::from_micros(u64::try_from(number).unwrap() * 60)).await;
            tasks.shutdown().await;
        }
        reads(&db, "usr_2", &["bert"]).await.unwrap();
        assert_eq!(audit_checkpoint(&db, &signer).await.unwrap(), 0);
        let AuditVerified { entries, signed, faults, .. } = audit_verify(&db, &signers(&[&jwk])).await.unwrap();
        assert!(entries > 0 && signed == entries && faults.is_empty(), "{entries} {signed} {faults:?}");
        let mut tx = db.read().await.unwrap();
        let written = found(&db, AuditFilter { operation: Some("add_visit".to_owned()), ..AuditFilter::default() }).await;
        assert_eq!(i64::try_from(written.len()).unwrap(), visit_count(&mut tx).await.unwrap(), "both or neither");
    }

    async fn the_key_is_another_while_many_write(test: TestDb) {
        let (signer, jwk) = identity("patient-service");
        let (db, signers) = (test.db().clone(), signers(&[&jwk]));
        let mut tasks = JoinSet::new();
        for number in 0..60_i64 {
            let db = db.clone();
            tasks.spawn(async move { visits(&db, number, "anna").await.unwrap() });
            if number % 20 == 10 {
                assert_eq!(audit_rotate_key(test.db()).await.unwrap(), 2 + u32::try_from(number / 20).unwrap());
            }
        }
        tasks.join_all().await;
        reads(&db, "usr_2", &["anna"]).await.unwrap();
        assert_eq!(audit_checkpoint(&db, &signer).await.unwrap(), 0);
        let AuditVerified { entries, signed, faults, .. } = audit_verify(&db, &signers).await.unwrap();
        assert_eq!((entries, signed, faults), (64, 64, Vec::new()));
        let mut tx = db.read().await.unwrap();
        let newest: i64 =
            on!(tx, |conn| sqlx::query_scalar("select max(generation) from audit").fetch_one(conn).await).unwrap();
        assert_eq!(newest, 4);
        let rotations = AuditFilter { operation: Some("rotate_audit_key".to_owned()), ..AuditFilter::default() };
        assert_eq!(found(&db, rotations).await.len(), 3);
    }

    async fn another_process_uses_a_newer_key_once_it_looks(test: TestDb) {
        let other = test.open_again().await;
        reads(test.db(), "usr_1", &["anna"]).await.unwrap();
        if test.db().engine() == db::Engine::Postgres {
            reads(&other, "usr_1", &["anna"]).await.unwrap();
        }
        audit_rotate_key(test.db()).await.unwrap();
        db::audit_refresh_key(&other).await.unwrap();
        reads(&other, "usr_1", &["carl"]).await.unwrap();
        let mut tx = other.read().await.unwrap();
        let newest: i64 =
            on!(tx, |conn| sqlx::query_scalar("select max(generation) from audit").fetch_one(conn).await).unwrap();
        assert_eq!(newest, 2);
        drop(tx);
        other.close().await;
    }

    async fn an_old_key_is_followed_by_another_by_itself(test: TestDb) {
        reads(test.db(), "usr_1", &["anna"]).await.unwrap();
        test.clock().advance(TimeDelta::days(89));
        db::audit_refresh_key(test.db()).await.unwrap();
        let rotations = AuditFilter { operation: Some("rotate_audit_key".to_owned()), ..AuditFilter::default() };
        assert!(found(test.db(), rotations.clone()).await.is_empty());
        test.clock().advance(TimeDelta::days(1));
        db::audit_refresh_key(test.db()).await.unwrap();
        assert_eq!(found(test.db(), rotations.clone()).await.len(), 1);
        db::audit_refresh_key(test.db()).await.unwrap();
        assert_eq!(found(test.db(), rotations).await.len(), 1);
    }

    async fn without_the_audit_nothing_is_done_and_with_it_again_all_is(test: TestDb) {
        let (_, jwk) = identity("patient-service");
        let db = test.db();
        visits(db, 1, "anna").await.unwrap();
        for (away, back) in [
            ("alter table audit rename to audit_away", "alter table audit_away rename to audit"),
            ("alter table audit_patient rename to patient_away", "alter table patient_away rename to audit_patient"),
        ] {
            tamper(db, away).await;
            assert!(matches!(visits(db, 2, "anna").await, Err(Error::Audit(_))));
            assert!(matches!(reads(db, "usr_1", &["anna"]).await, Err(Error::Audit(_))));
            assert_eq!(visit_count(&mut db.read().await.unwrap()).await.unwrap(), 1);
            tamper(db, back).await;
        }
        visits(db, 2, "anna").await.unwrap();
        reads(db, "usr_1", &["anna"]).await.unwrap();
        assert_eq!(about(db, "anna").await.len(), 3);
        assert!(faults(db, &signers(&[&jwk])).await.is_empty());
    }

    async fn another_process_begins_a_chain_of_its_own_and_signs_for_all(test: TestDb) {
        let (signer, jwk) = identity("patient-service");
        reads(test.db(), "usr_1", &["anna"]).await.unwrap();
        let other = test.open_again().await;
        test.clock().advance(TimeDelta::seconds(1));
        reads(&other, "usr_2", &["anna"]).await.unwrap();
        assert_eq!(audit_checkpoint(&other, &signer).await.unwrap(), 0);
        let verified = audit_verify(&other, &signers(&[&jwk])).await.unwrap();
        assert_eq!((verified.chains, verified.signed, verified.faults), (2, 2, Vec::new()));
        let who: Vec<_> = about(&other, "anna").await.into_iter().map(|found| found.entry.who).collect();
        assert_eq!(who, ["usr_2", "usr_1"]);
        other.close().await;
    }

    async fn a_chain_is_a_days_and_finished_after_two(test: TestDb) {
        let (signer, jwk) = identity("patient-service");
        let db = test.db();
        for _ in 0..3 {
            reads(db, "usr_1", &["anna"]).await.unwrap();
            test.clock().advance(TimeDelta::hours(13));
        }
        assert_eq!(audit_checkpoint(db, &signer).await.unwrap(), 0);
        test.clock().advance(TimeDelta::days(2));
        assert_eq!(audit_checkpoint(db, &signer).await.unwrap(), 0);
        let mut tx = db.read().await.unwrap();
        let unfinished: i64 =
            on!(tx, |conn| sqlx::query_scalar("select count(*) from audit_chain where not finished").fetch_one(conn).await)
                .unwrap();
        drop(tx);
        let verified = audit_verify(db, &signers(&[&jwk])).await.unwrap();
        assert_eq!((verified.chains, verified.signed, unfinished), (2, 3, 0));
        assert_eq!(verified.faults, []);
    }

    async fn entries_are_found_by_what_was_asked_page_by_page(test: TestDb) {
        let db = test.db();
        let start = db.clock().now();
        for number in 0..7 {
            test.clock().advance(TimeDelta::seconds(1));
            reads(db, if number % 2 == 0 { "usr_1" } else { "usr_2" }, &["anna"]).await.unwrap();
        }
        let refused = trail_of("usr_3", "visit_by_id", &["bert"]);
        audit_write(db, &refused, AuditOutcome::Refused, Some("forbidden")).await.unwrap();
        let by = |who: &str| AuditFilter { who: Some(who.to_owned()), ..AuditFilter::default() };
        assert_eq!((found(db, by("usr_1")).await.len(), found(db, by("usr_2")).await.len()), (4, 3));
        let outcome = AuditFilter { outcome: Some(AuditOutcome::Refused), ..AuditFilter::default() };
        assert_eq!(found(db, outcome).await[0].entry.code.as_deref(), Some("forbidden"));
        let stretch = AuditFilter {
            from: Some(start + TimeDelta::seconds(2)),
            until: Some(start + TimeDelta::seconds(4)),
            ..AuditFilter::default()
        };
        assert_eq!(found(db, stretch).await.len(), 2);
        for patient in [None, Some("anna".to_owned())] {
            let mut filter = AuditFilter { patient, limit: 3, ..AuditFilter::default() };
            let mut places = Vec::new();
            loop {
                let page = found(db, filter.clone()).await;
                let Some(last) = page.last() else { break };
                filter.before = Some(last.place.clone());
                places.extend(page.into_iter().map(|found| found.place));
            }
            assert_eq!(places.len(), if filter.patient.is_some() { 7 } else { 8 });
            assert!(places.windows(2).all(|pair| pair[0] > pair[1]));
        }
    }

    async fn a_page_of_hits_is_one_entry_that_each_of_them_finds(db: Db) {
        let patients: Vec<_> = (0..200).map(|number| format!("pat_{number}")).collect();
        reads(&db, "usr_1", &patients.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
        for patient in &patients {
            assert_eq!(about(&db, patient).await.len(), 1, "{patient}");
        }
        assert_eq!(found(&db, AuditFilter::default()).await.len(), 1);
    }

    async fn entries_outlive_the_patients_key_and_not_their_own_time(test: TestDb) {
        let db = test.db();
        db.vault().seal(&db::Subject::Patient("anna"), PLACE, b"x").await.unwrap();
        reads(db, "usr_1", &["anna"]).await.unwrap();
        db.vault().destroy(&db::Subject::Patient("anna")).await.unwrap();
        assert_eq!(about(db, "anna").await.len(), 1);
        test.clock().advance(TimeDelta::days(6 * 366 + 40));
        db.purge().await.unwrap();
        assert!(about(db, "anna").await.is_empty());
        let (_, jwk) = identity("patient-service");
        assert_eq!(audit_verify(db, &signers(&[&jwk])).await.unwrap().entries, 1, "that it was there can be verified");
    }

    async fn no_name_stands_in_the_files(test: TestDb) {
        let trail = trail_of("usr_1", "visit_by_id", &["anna-angstrom"]);
        trail.tell(|told| {
            told.name = Some("Bartholomew".to_owned());
            told.reason = Some("Hypertension".to_owned());
        });
        audit_write(test.db(), &trail, AuditOutcome::Done, None).await.unwrap();
        test.no_file_holds(&["angstrom", "bartholomew", "hypertension", "192.0.2.7", "usr_1"]);
    }
}

const PLACE: db::Place<'static> = db::Place { table: "visit", column: "body", row: "v1" };
