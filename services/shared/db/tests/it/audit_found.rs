//! What is found in the audit, also of what somebody damaged, and by the users, roles and sessions that it is about.

use contracts::target::{Target, TargetKind};
use db::{
    AuditDamage, AuditFilter, AuditFlaw, AuditOutcome, AuditReach, AuditVerified, Db, FoundEntry,
    audit_checkpoint, audit_find, audit_verify, audit_verify_within, audit_write,
};
use testkit::TestDb;

use crate::audit::{faults, identity, reads, signers, trail_of};
use crate::audit_forger::{tamper, tamper_with_keys};

fn target(text: &str) -> Target {
    text.parse().unwrap()
}

async fn found(db: &Db, filter: AuditFilter) -> Vec<FoundEntry> {
    audit_find(db, &AuditFilter { limit: 100, ..filter }).await.unwrap()
}

async fn numbers(db: &Db, filter: AuditFilter) -> Vec<i64> {
    found(db, filter).await.into_iter().map(|found| found.place.seq).collect()
}

/// What is shown as damaged, by its number.
fn damaged(found: &[FoundEntry]) -> Vec<(i64, AuditDamage)> {
    found.iter().filter_map(|found| Some((found.place.seq, found.damage?))).collect()
}

async fn changes(db: &Db, targets: &[(TargetKind, &str)], patients: &[&str]) {
    let trail = trail_of("usr_1", "update_user", patients);
    for (kind, id) in targets {
        trail.touches(*kind, id);
    }
    audit_write(db, &trail, AuditOutcome::Done, None).await.unwrap();
}

testkit::on_both_engines! {
    migrations = crate::MIGRATIONS;

    async fn of_many_that_come_at_once_each_is_found_by_whom_it_names_and_by_nobody_else(test: TestDb) {
        const PATIENTS: usize = 5;
        let (_, jwk) = identity("patient-service");
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..100_usize {
            let db = test.db().clone();
            // From nobody to all of them, so that those put together are of different lengths.
            tasks.spawn(async move {
                let patients: Vec<_> = (0..number % (PATIENTS + 1)).map(|at| format!("p{at}")).collect();
                let patients: Vec<_> = patients.iter().map(String::as_str).collect();
                reads(&db, &format!("usr_{number}"), &patients).await.unwrap();
            });
        }
        tasks.join_all().await;
        for at in 0..=PATIENTS {
            let found = found(test.db(), AuditFilter { patient: Some(format!("p{at}")), ..AuditFilter::default() }).await;
            let mut who: Vec<_> = found.into_iter().map(|found| found.entry.who).collect();
            let mut all: Vec<_> = (0..100).filter(|number| number % (PATIENTS + 1) > at).map(|number| format!("usr_{number}")).collect();
            who.sort_unstable();
            all.sort_unstable();
            assert_eq!(who, all, "p{at}");
        }
        assert!(faults(test.db(), &signers(&[&jwk])).await.is_empty());
    }

    async fn an_entry_is_found_by_the_users_roles_and_sessions_that_it_is_about(test: TestDb) {
        use TargetKind::{Role, Session, User};
        let (_, jwk) = identity("patient-service");
        let db = test.db();
        changes(db, &[(User, "usr_7"), (Session, "ses_1"), (Session, "ses_2")], &[]).await;
        changes(db, &[(User, "usr_7")], &["anna"]).await;
        changes(db, &[(Role, "usr_7")], &["bert"]).await;
        let about = |text: &str| AuditFilter { target: Some(target(text)), ..AuditFilter::default() };
        assert_eq!(numbers(db, about("user:usr_7")).await, [2, 1]);
        assert_eq!(numbers(db, about("session:ses_2")).await, [1]);
        assert_eq!(numbers(db, about("role:usr_7")).await, [3], "what is called alike is not the same");
        assert_eq!(numbers(db, about("user:usr_1")).await, [0; 0], "who does something is not whom it is about");
        let both = AuditFilter { patient: Some("anna".to_owned()), ..about("user:usr_7") };
        assert_eq!(numbers(db, both.clone()).await, [2]);
        assert_eq!(numbers(db, AuditFilter { patient: Some("bert".to_owned()), ..both }).await, [0; 0]);
        let named = AuditFilter { patient: Some("user:usr_7".to_owned()), ..AuditFilter::default() };
        assert_eq!(numbers(db, named).await, [0; 0]);
        let first = found(db, about("session:ses_1")).await.remove(0).entry;
        let told: Vec<_> = first.targets.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["session:ses_1", "session:ses_2", "user:usr_7"]);
        assert!(faults(db, &signers(&[&jwk])).await.is_empty());
        // They are as much a part of it as the patients.
        tamper(db, "update audit set patients = substr(patients, 1, 64) where seq = 1").await;
        assert_eq!(faults(db, &signers(&[&jwk])).await, [(1, AuditFlaw::Altered)]);
        test.no_file_holds(&["usr_7", "ses_1"]);
    }

    async fn who_was_only_asked_for_is_told_from_who_was_shown(db: Db) {
        let trail = trail_of("usr_1", "list_bills", &["anna"]);
        trail.asks_for("anna");
        trail.asks_for("bert");
        audit_write(&db, &trail, AuditOutcome::Done, None).await.unwrap();
        for patient in ["anna", "bert"] {
            let filter = AuditFilter { patient: Some(patient.to_owned()), ..AuditFilter::default() };
            let entry = found(&db, filter).await.remove(0).entry;
            assert_eq!((entry.patients, entry.asked), (vec!["anna".to_owned()], vec!["bert".to_owned()]));
        }
    }

    async fn a_damaged_entry_is_shown_as_such_and_hides_no_other(test: TestDb) {
        let db = test.db();
        for _ in 0..6 {
            reads(db, "usr_1", &["anna"]).await.unwrap();
        }
        assert_eq!(damaged(&found(db, AuditFilter::default()).await), []);
        let annas = || AuditFilter { patient: Some("anna".to_owned()), ..AuditFilter::default() };
        for (edit, damage) in [
            ("update audit set body = mac where seq = 3", AuditDamage::Unreadable),
            ("update audit set body = (select body from audit where seq = 4) where seq = 3", AuditDamage::Altered),
            ("update audit set outcome = 'refused' where seq = 3", AuditDamage::Altered),
        ] {
            tamper(db, "create table kept as select * from audit").await;
            tamper(db, edit).await;
            for filter in [AuditFilter::default(), annas()] {
                let found = found(db, filter).await;
                assert_eq!((found.len(), damaged(&found)), (6, vec![(3, damage)]), "{edit}");
                assert!(found.iter().all(|found| found.entry.operation == "visit_by_id"));
            }
            tamper(db, "delete from audit").await;
            tamper(db, "insert into audit select * from kept").await;
            tamper(db, "drop table kept").await;
        }
        // One that was taken out is missed by the one behind it, and one that was put in was written behind none.
        tamper(db, "delete from audit where seq = 3").await;
        assert_eq!(damaged(&found(db, annas()).await), [(4, AuditDamage::Altered)]);
        tamper(db, "insert into audit select chain, 0, at, generation, operation, outcome, who, patients, body, mac from audit where seq = 2").await;
        assert_eq!(damaged(&found(db, AuditFilter::default()).await), [(4, AuditDamage::Altered), (0, AuditDamage::Altered)]);
    }

    async fn an_entry_whose_key_is_gone_before_its_time_is_not_out_of_sight(test: TestDb) {
        let db = test.db();
        reads(db, "usr_1", &["anna"]).await.unwrap();
        tamper_with_keys(&test, "update data_key set expires_at = created_at where subject like 'period:audit:%'").await;
        let other = test.open_again().await;
        assert_eq!(damaged(&found(&other, AuditFilter::default()).await), [(1, AuditDamage::Unreadable)]);
        other.close().await;
    }

    async fn a_short_look_sees_what_was_signed_for_last_and_what_was_written_since(test: TestDb) {
        let (signer, jwk) = identity("patient-service");
        let (db, signers) = (test.db(), signers(&[&jwk]));
        let recent = async || audit_verify_within(db, &signers, AuditReach::Recent).await.unwrap();
        let faults = async || recent().await.faults.into_iter().map(|fault| (fault.seq, fault.flaw)).collect::<Vec<_>>();
        assert_eq!(recent().await, AuditVerified::default());
        for stretch in 0..3 {
            for _ in 0..4 {
                reads(db, "usr_1", &["anna"]).await.unwrap();
            }
            if stretch < 2 {
                assert_eq!(audit_checkpoint(db, &signer).await.unwrap(), 0);
            }
        }
        let AuditVerified { entries, chains, signed, faults: none, lost } = recent().await;
        assert_eq!((entries, chains, signed, none, lost), (8, 1, 4, Vec::new(), false));
        // Further back than the last signed stretch only a longer look sees.
        tamper(db, "update audit set outcome = 'refused' where seq = 2").await;
        assert_eq!(faults().await, []);
        let since = AuditReach::Since(db.clock().now());
        let seen = audit_verify_within(db, &signers, since).await.unwrap();
        assert_eq!((seen.faults[0].seq, seen.faults[0].flaw), (2, AuditFlaw::Altered));
        tamper(db, "update audit set outcome = 'done' where seq = 2").await;
        tamper(db, "update audit set outcome = 'refused' where seq = 11").await;
        assert_eq!(faults().await, [(11, AuditFlaw::Altered)]);
        tamper(db, "update audit set outcome = 'refused' where seq = 6").await;
        assert_eq!(faults().await, [(6, AuditFlaw::Altered)]);
        tamper(db, "update audit set outcome = 'done'").await;
        assert_eq!(faults().await, []);
        tamper(db, "delete from audit where seq > 6").await;
        assert_eq!(faults().await, [(7, AuditFlaw::Missing)]);
    }

    async fn a_short_look_misses_no_chain_that_is_cut_off_or_gone_however_old(test: TestDb) {
        let (signer, jwk) = identity("patient-service");
        let (db, signers) = (test.db(), signers(&[&jwk]));
        for _ in 0..3 {
            reads(db, "usr_1", &["anna"]).await.unwrap();
            reads(db, "usr_1", &["anna"]).await.unwrap();
            assert_eq!(audit_checkpoint(db, &signer).await.unwrap(), 0);
            test.clock().advance(chrono::TimeDelta::days(3));
        }
        assert_eq!(audit_checkpoint(db, &signer).await.unwrap(), 0);
        let recent = async || audit_verify_within(db, &signers, AuditReach::Recent).await.unwrap();
        let seen = recent().await;
        assert_eq!((seen.chains, seen.entries, seen.faults), (3, 0, Vec::new()));
        let chains = found(db, AuditFilter::default()).await;
        let (newest, oldest) = (&chains[0].place.chain, &chains[5].place.chain);
        tamper(db, &format!("delete from audit where chain = '{oldest}' and seq = 2")).await;
        for table in ["audit", "audit_chain", "audit_checkpoint", "audit_patient"] {
            tamper(db, &format!("delete from {table} where chain = '{newest}'")).await;
        }
        let mut seen: Vec<_> = recent().await.faults.into_iter().map(|fault| (fault.seq, fault.flaw)).collect();
        seen.sort_unstable_by_key(|fault| fault.0);
        assert_eq!(seen, [(1, AuditFlaw::Missing), (2, AuditFlaw::Missing)]);
    }

    async fn an_audit_that_is_gone_with_its_heads_is_told_from_one_that_never_was(test: TestDb) {
        let (signer, jwk) = identity("patient-service");
        let (db, signers) = (test.db(), signers(&[&jwk]));
        assert!(!audit_verify(db, &signers).await.unwrap().lost);
        reads(db, "usr_1", &["anna"]).await.unwrap();
        audit_checkpoint(db, &signer).await.unwrap();
        for table in ["audit", "audit_chain", "audit_checkpoint", "audit_patient"] {
            tamper(db, &format!("delete from {table}")).await;
        }
        assert!(!audit_verify(db, &signers).await.unwrap().lost, "the head says more");
        tamper_with_keys(&test, "delete from audit_head").await;
        assert!(audit_verify(db, &signers).await.unwrap().lost);
        assert!(audit_verify_within(db, &signers, AuditReach::Recent).await.unwrap().lost);
    }
}
