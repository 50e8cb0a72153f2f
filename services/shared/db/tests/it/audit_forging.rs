//! What is put into the audit, or out of sight in it, by somebody who has the database: it is named, and nothing is signed for it.

use chrono::{DateTime, TimeDelta, Utc};
use db::{AuditSigner, AuditSigners, Db, Engine, audit_checkpoint, audit_verify, on};
use testkit::TestDb;

use crate::audit::{identity, reads, signers, visits};
use crate::audit_forger::{tamper, tamper_with_keys};

/// What is said of each chain that has a fault, but for its name.
async fn said(db: &Db, signers: &AuditSigners) -> Vec<String> {
    let verified = audit_verify(db, signers).await.unwrap();
    let without_chain = |text: String| text.split_once(": ").unwrap().1.to_owned();
    verified.faults.iter().map(|fault| without_chain(fault.to_string())).collect()
}

/// Six entries in one chain, of which four are signed for: odd ones about Anna, even ones about Anna and Bert. A second apart.
async fn six_entries(test: &TestDb, signer: &AuditSigner) {
    for number in 0..6 {
        if number == 4 {
            assert_eq!(audit_checkpoint(test.db(), signer).await.unwrap(), 0);
        }
        if number % 2 == 0 {
            visits(test.db(), number, "anna").await.unwrap();
        } else {
            reads(test.db(), "usr_2", &["anna", "bert"]).await.unwrap();
        }
        test.clock().advance(TimeDelta::seconds(1));
    }
}

async fn written_at(db: &Db, seq: i64) -> DateTime<Utc> {
    let mut tx = db.read().await.unwrap();
    let at = on!(tx, |conn| sqlx::query_scalar("select at from audit where seq = $1")
        .bind(seq)
        .fetch_one(conn)
        .await);
    at.unwrap()
}

async fn heads(db: &Db, signers: &AuditSigners) -> (u64, u64) {
    let verified = audit_verify(db, signers).await.unwrap();
    (verified.entries, verified.signed)
}

testkit::on_both_engines! {
    migrations = crate::MIGRATIONS;

    async fn an_instant_that_is_written_in_another_way_is_named(test: TestDb) {
        let (signer, jwk) = identity("patient-service");
        let (db, signers) = (test.db(), signers(&[&jwk]));
        six_entries(&test, &signer).await;
        let at = written_at(db, 3).await;
        let elsewhere = at.with_timezone(&chrono::FixedOffset::west_opt(14 * 3_600).unwrap()).to_rfc3339();
        let finer = at.format("%Y-%m-%dT%H:%M:%S%.9f+00:00").to_string();
        let blank = at.format("%Y-%m-%d %H:%M:%S+00:00").to_string();
        for text in [elsewhere, finer, blank] {
            tamper(db, &format!("update audit set at = '{text}' where seq = 3")).await;
            // PostgreSQL keeps the instant, and not how it was written.
            let expected: &[&str] = match db.engine() {
                Engine::Sqlite => &["entry 3 is not as it was written"],
                Engine::Postgres => &[],
            };
            assert_eq!(said(db, &signers).await, expected, "{text}");
        }
    }

    async fn entries_with_numbers_that_none_has_are_named(test: TestDb) {
        let (signer, jwk) = identity("patient-service");
        let (db, signers) = (test.db(), signers(&[&jwk]));
        six_entries(&test, &signer).await;
        for seq in [0, -1] {
            let copy = "at, generation, operation, outcome, who, patients, body, mac from audit where seq = 2";
            tamper(db, &format!("insert into audit select chain, {seq}, {copy}")).await;
            assert_eq!(said(db, &signers).await, [format!("entry {seq} was never written here")]);
        }
        assert_eq!(audit_checkpoint(db, &signer).await.unwrap(), 1, "nothing is signed behind it");
    }

    async fn a_link_to_an_entry_that_does_not_name_the_patient_is_named(test: TestDb) {
        let (signer, jwk) = identity("patient-service");
        let (db, signers) = (test.db(), signers(&[&jwk]));
        six_entries(&test, &signer).await;
        let berts = "select patient from audit_patient where seq = 2 and patient not in \
                     (select patient from audit_patient where seq = 1)";
        tamper(db, &format!("insert into audit_patient select ({berts}), at, chain, seq from audit where seq = 5")).await;
        assert_eq!(said(db, &signers).await, ["entry 5 is found by somebody whom it does not name"]);
        // The same patient at another time, and entries and chains that there are not.
        tamper(db, &format!("insert into audit_patient select ({berts}), (select at from audit where seq = 1), chain, seq from audit where seq = 4")).await;
        assert_eq!(said(db, &signers).await, ["entry 4 is found by somebody whom it does not name"]);
        tamper(db, "delete from audit_patient where seq = 5 or (seq = 4 and at < (select at from audit where seq = 4))").await;
        tamper(db, "insert into audit_patient select patient, at, chain, 5 from audit_patient where seq = 3").await;
        tamper(db, "update audit_patient set at = (select at from audit where seq = 5) where seq = 5").await;
        assert_eq!(said(db, &signers).await, [""; 0]);
        tamper(db, "insert into audit_patient select patient, at, chain, 9 from audit_patient where seq = 1").await;
        tamper(db, "insert into audit_patient select patient, at, 'aud_x', 1 from audit_patient where seq = 1").await;
        let expected = ["entry 9 is found by somebody whom it does not name", "entry 1 is found by somebody whom it does not name"];
        let mut found = said(db, &signers).await;
        found.sort_unstable_by(|one, other| other.cmp(one));
        assert_eq!(found, expected);
    }

    async fn a_chain_that_is_taken_off_the_list_is_signed_for_all_the_same_and_named(test: TestDb) {
        let (signer, jwk) = identity("patient-service");
        let (db, signers) = (test.db(), signers(&[&jwk]));
        reads(db, "usr_1", &["anna"]).await.unwrap();
        for hide in ["update audit_chain set finished = true", "delete from audit_chain"] {
            tamper(db, hide).await;
            reads(db, "usr_1", &["anna"]).await.unwrap();
            audit_checkpoint(db, &signer).await.unwrap();
            let (entries, signed) = heads(db, &signers).await;
            assert_eq!(entries, signed, "{hide}");
        }
        assert_eq!(said(db, &signers).await, ["entry 1 stands in a chain that was taken off the list"]);
        assert_eq!(audit_checkpoint(db, &signer).await.unwrap(), 1, "and it is told");
    }

    async fn a_chain_that_is_called_finished_with_entries_that_nobody_signed_for_is_named(test: TestDb) {
        let (signer, jwk) = identity("patient-service");
        let (db, signers) = (test.db(), signers(&[&jwk]));
        six_entries(&test, &signer).await;
        tamper(db, "update audit_chain set finished = true").await;
        assert_eq!(said(db, &signers).await, ["entry 5 is signed for by nobody, and its chain is called finished"]);
    }

    async fn what_was_cut_off_before_it_was_signed_for_is_told_by_the_process_that_wrote_it(test: TestDb) {
        let (signer, _) = identity("patient-service");
        six_entries(&test, &signer).await;
        tamper(test.db(), "delete from audit where seq = 6").await;
        tamper(test.db(), "delete from audit_patient where seq = 6").await;
        assert_eq!(audit_checkpoint(test.db(), &signer).await.unwrap(), 1);
    }

    async fn a_forged_checkpoint_puts_no_head_into_the_keys_store(test: TestDb) {
        let (signer, jwk) = identity("patient-service");
        let (db, signers) = (test.db(), signers(&[&jwk]));
        six_entries(&test, &signer).await;
        let forged = "insert into audit_checkpoint select chain, 900, 5, at, mac, macs, digest, signer, signature from audit_checkpoint";
        tamper(db, forged).await;
        assert_eq!(audit_checkpoint(db, &signer).await.unwrap(), 1);
        tamper(db, "delete from audit_checkpoint where seq = 900").await;
        // What it would have overwritten is as it was, so that all goes on from there.
        assert_eq!(said(db, &signers).await, [""; 0]);
        assert_eq!(audit_checkpoint(db, &signer).await.unwrap(), 0);
        assert_eq!(heads(db, &signers).await, (6, 6));
    }

    async fn a_head_that_was_not_put_down_any_more_is_put_down_later(test: TestDb) {
        let (signer, jwk) = identity("patient-service");
        let (db, signers) = (test.db(), signers(&[&jwk]));
        six_entries(&test, &signer).await;
        audit_checkpoint(db, &signer).await.unwrap();
        tamper_with_keys(&test, "delete from audit_head").await;
        assert_eq!(said(db, &signers).await, ["entry 1 is signed for by a checkpoint that was altered or is missing"]);
        assert_eq!(audit_checkpoint(db, &signer).await.unwrap(), 0);
        assert_eq!(said(db, &signers).await, [""; 0]);
    }
}
