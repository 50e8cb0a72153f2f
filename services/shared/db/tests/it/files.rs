//! What lies on the disk: readable by its owner alone, without a word of plaintext, and whole after a crash.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use db::{Db, Engine, OutboxEvent, Place, Subject, idempotency_begin, idempotency_keep, outbox_add};
use settings::{Database, ServiceName};
use testkit::TestDb;

use crate::visit::{Visit, visit_find, visit_insert};

const WORDS: [&str; 3] = ["Hypertension", "hyper-key-of-the-client", "Angstrom"];

fn files(test: &TestDb) -> Vec<PathBuf> {
    let entries = fs::read_dir(test.dir()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).collect()
}

async fn sealed_visit(db: &Db, id: &str, seat: i64) {
    let place = Place { table: "visit", column: "body", row: id };
    let body = db.vault().seal(&Subject::Patient("anna"), place, WORDS[0].as_bytes()).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    visit_insert(&mut tx, &Visit { body: Some(body), ..Visit::new(id, seat) }).await.unwrap();
    tx.commit().await.unwrap();
}

testkit::on_both_engines! {
    migrations = crate::MIGRATIONS;

    async fn no_plaintext_reaches_the_disk(test: TestDb) {
        let db = test.db();
        if db.engine() == Engine::Postgres {
            return; // the same bytes go to the server; its files are not ours to read
        }
        sealed_visit(db, "v1", 1).await;
        let begun = idempotency_begin(db, "anna", WORDS[1], &[1; 32]).await.unwrap();
        let db::Begun::Fresh(ticket) = begun else { panic!("{begun:?}") };
        let mut tx = db.begin().await.unwrap();
        let event = OutboxEvent {
            id: "e1".to_owned(),
            name: "x",
            subject_patient: None,
            subscribers: &[ServiceName::AuthService],
            body: WORDS[2],
            occurred_at: tx.now(),
        };
        outbox_add(&mut tx, db, &event).await.unwrap();
        let answer = db::KeptAnswer { status: 200, headers: Vec::new(), body: WORDS[0].as_bytes().to_vec() };
        idempotency_keep(&mut tx, db, &ticket, &answer).await.unwrap();
        tx.commit().await.unwrap();

        let files = files(&test);
        assert!(files.iter().any(|path| path.to_string_lossy().ends_with("-wal")));
        for path in files {
            let bytes = fs::read(&path).unwrap();
            for word in WORDS {
                let found = bytes.windows(word.len()).any(|window| window == word.as_bytes());
                assert!(!found, "{word} stands in {}", path.display());
            }
        }
    }

    async fn the_files_are_their_owners_alone(test: TestDb) {
        sealed_visit(test.db(), "v1", 1).await;
        for path in files(&test) {
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
        }
        if let Database::Sqlite { path, .. } = test.settings() {
            fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
            let again = test.open_again().await;
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
            again.close().await;
        }
    }

    async fn a_destroyed_key_is_gone_from_the_files_too(test: TestDb) {
        let Database::Sqlite { keys_path, .. } = test.settings() else { return };
        sealed_visit(test.db(), "v1", 1).await;
        let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", keys_path.display())).await.unwrap();
        let wrapped: Vec<u8> = sqlx::query_scalar("select wrapped from data_key where subject = 'patient:anna'")
            .fetch_one(&pool)
            .await
            .unwrap();
        pool.close().await;
        let stands_in_a_file = || {
            files(&test).iter().any(|path| {
                fs::read(path).unwrap().windows(wrapped.len()).any(|window| window == wrapped)
            })
        };
        assert!(stands_in_a_file());
        test.db().vault().destroy(&Subject::Patient("anna")).await.unwrap();
        assert!(!stands_in_a_file());
    }

    async fn what_was_committed_survives_a_kill_and_what_was_not_does_not(test: TestDb) {
        let Database::Sqlite { .. } = test.settings() else { return };
        sealed_visit(test.db(), "v1", 1).await;
        let mut open = test.db().begin().await.unwrap();
        visit_insert(&mut open, &Visit::new("v2", 2)).await.unwrap();
        // What a killed process leaves: the files as they are this moment, the shared-memory index not among them.
        let copy = tempfile::tempdir().unwrap();
        for path in files(&test).iter().filter(|path| !path.to_string_lossy().ends_with("-shm")) {
            fs::copy(path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
        drop(open);
        let database = Database::Sqlite {
            path: copy.path().join("patient.db"),
            keys_path: copy.path().join("patient.keys.db"),
        };
        let random = contracts::ambient::Random::seeded(7);
        let db = Db::open(ServiceName::PatientService, &database, test.secrets(), test.clock().clone(), random);
        let db = db.await.unwrap();
        let mut tx = db.read().await.unwrap();
        let visit = visit_find(&mut tx, "v1").await.unwrap().unwrap();
        assert_eq!(visit_find(&mut tx, "v2").await.unwrap(), None);
        let place = Place { table: "visit", column: "body", row: "v1" };
        let body = db.vault().open(&Subject::Patient("anna"), place, &visit.body.unwrap()).await.unwrap();
        assert_eq!(body, WORDS[0].as_bytes());
        drop(tx);
        db.close().await;
    }

    async fn an_acknowledged_write_is_on_the_disk(test: TestDb) {
        if test.db().engine() == Engine::Postgres {
            return;
        }
        // FULL is 2: the log is synced at each commit.
        let mut tx = test.db().begin().await.unwrap();
        let db::TxKind::Sqlite(conn) = &mut tx.kind else { unreachable!() };
        let synchronous: i64 = sqlx::query_scalar("pragma synchronous").fetch_one(&mut **conn).await.unwrap();
        let journal: String = sqlx::query_scalar("pragma journal_mode").fetch_one(&mut **conn).await.unwrap();
        let foreign_keys: i64 = sqlx::query_scalar("pragma foreign_keys").fetch_one(&mut **conn).await.unwrap();
        assert_eq!((synchronous, journal.as_str(), foreign_keys), (2, "wal", 1));
    }
}
