//! What is done to the audit by somebody who has the database, or its keys too: it is named.

use chrono::TimeDelta;
use db::{AuditFault, AuditFlaw, AuditSigner, Db, audit_checkpoint, audit_sign_anew, audit_verify, on};
use testkit::TestDb;

use crate::audit::{faults, identity, reads, signers, visits};
use crate::audit_forger::{tamper, tamper_with_keys, write_codes_anew};

async fn the_chain(db: &Db) -> String {
    let mut tx = db.read().await.unwrap();
    on!(tx, |conn| sqlx::query_scalar("select chain from audit_chain").fetch_one(conn).await).unwrap()
}

/// Ten entries in one chain, of which the first eight are signed for, in two checkpoints.
async fn ten_entries(db: &Db, signer: &AuditSigner) -> String {
    for number in 0..10 {
        if number == 5 || number == 8 {
            assert_eq!(audit_checkpoint(db, signer).await.unwrap(), 0);
        }
        if number % 2 == 0 {
            visits(db, number, "anna").await.unwrap();
        } else {
            reads(db, "usr_2", &["anna", "bert"]).await.unwrap();
        }
    }
    the_chain(db).await
}

testkit::on_both_engines! {
    migrations = crate::MIGRATIONS;

    async fn an_edited_entry_is_named(test: TestDb) {
        let (signer, jwk) = identity("patient-service");
        let (db, signers) = (test.db(), signers(&[&jwk]));
        let chain = ten_entries(db, &signer).await;
        assert!(faults(db, &signers).await.is_empty());
        // An instant to be put in another's place.
        test.clock().advance(TimeDelta::seconds(1));
        let opened_at = "insert into audit_chain (chain, opened_at, finished) select 'x', $1, finished from audit_chain";
        let mut tx = db.begin().await.unwrap();
        let later = tx.now();
        on!(tx, |conn| sqlx::query(opened_at).bind(later).execute(conn).await.map(drop)).unwrap();
        tx.commit().await.unwrap();
        for edit in [
            "outcome = 'refused'",
            "operation = 'other'",
            "who = patients",
            "patients = ''",
            "generation = 2",
            "body = mac",
            "mac = body",
            "at = (select opened_at from audit_chain where chain = 'x')",
        ] {
            tamper(db, "create table kept as select * from audit").await;
            tamper(db, &format!("update audit set {edit} where chain = '{chain}' and seq = 4")).await;
            assert_eq!(faults(db, &signers).await, [(4, AuditFlaw::Altered)], "{edit}");
            tamper(db, "delete from audit").await;
            tamper(db, "insert into audit select * from kept").await;
            tamper(db, "drop table kept").await;
            assert!(faults(db, &signers).await.is_empty(), "{edit}, undone");
        }
        // The last one, too, which is not signed for yet; and nothing more is signed behind it.
        tamper(db, "update audit set outcome = 'refused' where seq = 10").await;
        assert_eq!(faults(db, &signers).await, [(10, AuditFlaw::Altered)]);
        assert_eq!(audit_checkpoint(db, &signer).await.unwrap(), 1);
    }

    async fn an_edited_entry_with_all_that_follow_written_anew_is_named(test: TestDb) {
        let (signer, jwk) = identity("patient-service");
        let (db, signers) = (test.db(), signers(&[&jwk]));
        let chain = ten_entries(db, &signer).await;
        // What is written anew as it was is as it was: the forger knows how.
        write_codes_anew(&test, &chain, 1).await;
        assert!(faults(db, &signers).await.is_empty());
        tamper(db, "update audit set outcome = 'refused' where seq = 7").await;
        write_codes_anew(&test, &chain, 7).await;
        assert_eq!(faults(db, &signers).await, [(7, AuditFlaw::Rewritten)]);
        tamper(db, "update audit set outcome = 'refused' where seq = 3").await;
        write_codes_anew(&test, &chain, 3).await;
        assert_eq!(faults(db, &signers).await, [(3, AuditFlaw::Rewritten)]);
        assert_eq!(audit_checkpoint(db, &signer).await.unwrap(), 1, "nothing is signed behind it");
        // The codes in the checkpoint are put right too; its signature is not.
        tamper(db, "update audit_checkpoint set macs = digest where from_seq = 1").await;
        assert_eq!(faults(db, &signers).await, [(1, AuditFlaw::Rewritten)]);
        tamper(db, "delete from audit_checkpoint").await;
        assert_eq!(faults(db, &signers).await, [(1, AuditFlaw::Checkpoint)]);
    }

    async fn a_chain_that_is_cut_off_is_named_where_it_breaks_off(test: TestDb) {
        let (signer, jwk) = identity("patient-service");
        let (db, signers) = (test.db(), signers(&[&jwk]));
        ten_entries(db, &signer).await;
        audit_checkpoint(db, &signer).await.unwrap();
        tamper(db, "delete from audit where seq > 6").await;
        tamper(db, "delete from audit_patient where seq > 6").await;
        assert_eq!(faults(db, &signers).await, [(7, AuditFlaw::Missing)]);
        // What signs for them is taken away too: the head is elsewhere.
        tamper(db, "delete from audit_checkpoint where seq > 6").await;
        assert_eq!(faults(db, &signers).await, [(7, AuditFlaw::Missing)]);
        assert_eq!(audit_checkpoint(db, &signer).await.unwrap(), 1);
        // And the head is put back, which whoever cannot sign cannot do.
        let back = "update audit_head set seq = 5, mac = digest";
        tamper_with_keys(&test, back).await;
        assert_eq!(faults(db, &signers).await, [(1, AuditFlaw::Checkpoint)]);
    }

    async fn an_entry_taken_out_of_the_middle_is_named(test: TestDb) {
        let (signer, jwk) = identity("patient-service");
        let (db, signers) = (test.db(), signers(&[&jwk]));
        let chain = ten_entries(db, &signer).await;
        tamper(db, "delete from audit where seq = 6").await;
        assert_eq!(faults(db, &signers).await, [(6, AuditFlaw::Missing)]);
        for seq in 7..=10 {
            tamper(db, &format!("update audit set seq = {} where seq = {seq}", seq - 1)).await;
        }
        assert_eq!(faults(db, &signers).await, [(6, AuditFlaw::Altered)]);
        write_codes_anew(&test, &chain, 6).await;
        assert_eq!(faults(db, &signers).await, [(6, AuditFlaw::Rewritten)]);
    }

    async fn a_whole_chain_taken_away_is_missed(test: TestDb) {
        let (signer, jwk) = identity("patient-service");
        let (db, signers) = (test.db(), signers(&[&jwk]));
        let chain = ten_entries(db, &signer).await;
        for table in ["audit", "audit_patient", "audit_checkpoint", "audit_chain"] {
            tamper(db, &format!("delete from {table}")).await;
        }
        let verified = audit_verify(db, &signers).await.unwrap();
        assert_eq!(verified.faults, [AuditFault { chain, seq: 1, flaw: AuditFlaw::Missing }]);
    }

    async fn an_entry_that_its_patient_is_not_shown_any_more_is_named(test: TestDb) {
        let (signer, jwk) = identity("patient-service");
        let (db, signers) = (test.db(), signers(&[&jwk]));
        ten_entries(db, &signer).await;
        tamper(db, "delete from audit_patient where seq = 6").await;
        assert_eq!(faults(db, &signers).await, [(6, AuditFlaw::Unfindable)]);
    }

    async fn what_was_signed_with_a_key_before_this_one_stays_good(test: TestDb) {
        let ((first, first_jwk), (second, second_jwk)) = (identity("patient-service"), identity("patient-service.2"));
        let db = test.db();
        let chain = ten_entries(db, &first).await;
        // Both are published; then the service signs with the second, and the first is taken away.
        audit_sign_anew(db, &second, &signers(&[&first_jwk, &second_jwk])).await.unwrap();
        assert!(faults(db, &signers(&[&second_jwk])).await.is_empty());
        tamper(db, "update audit set outcome = 'refused' where seq = 3").await;
        write_codes_anew(&test, &chain, 3).await;
        assert_eq!(faults(db, &signers(&[&second_jwk])).await, [(3, AuditFlaw::Rewritten)]);
        tamper(db, "update audit_checkpoint set macs = digest where from_seq = 1").await;
        assert!(!faults(db, &signers(&[&second_jwk])).await.is_empty());
    }

    async fn a_stranger_signs_for_nothing(test: TestDb) {
        let ((signer, jwk), (stranger, stranger_jwk)) = (identity("patient-service"), identity("billing-service"));
        let db = test.db();
        reads(db, "usr_1", &["anna"]).await.unwrap();
        assert_eq!(audit_checkpoint(db, &stranger).await.unwrap(), 0);
        assert_eq!(faults(db, &signers(&[&jwk, &stranger_jwk])).await, [(1, AuditFlaw::Checkpoint)]);
        drop(signer);
    }
}
