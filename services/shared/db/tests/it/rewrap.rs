//! One key-encryption key takes the place of another while everything runs. No body is sealed anew, no key is lost, and none that was
//! destroyed comes back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use contracts::kek::kek_id;
use db::{Db, Engine, Error, OpenError, Period, Place, RewrapError, SealError, Secrets, Subject};
use settings::{Database, ServiceName};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use testkit::TestDb;

pub(crate) const FIRST: &[u8; 32] = b"a test's key-encryption key: 32B";
pub(crate) const SECOND: &[u8; 32] = b"the next key-encryption key: 32B";
pub(crate) const BODY: Place<'static> = Place { table: "visit", column: "body", row: "v1" };

/// How many processes were started: each has a folder and randomness of its own.
static PROCESSES: AtomicU64 = AtomicU64::new(100);

/// A folder of secrets with these keys, of one process alone: whatever others are given, these stay.
fn hand_out(test: &TestDb, keys: &[(&str, &[u8; 32])]) -> Secrets {
    let dir = test.dir().join(format!("secrets-{}", PROCESSES.fetch_add(1, Ordering::Relaxed)));
    std::fs::create_dir_all(dir.join("kek")).unwrap();
    let url = test.dir().join("secrets/database/url");
    if url.exists() {
        std::fs::create_dir(dir.join("database")).unwrap();
        std::fs::copy(url, dir.join("database/url")).unwrap();
    }
    for (name, key) in keys {
        std::fs::write(dir.join("kek").join(name), key).unwrap();
    }
    Secrets::new(dir)
}

/// A process that is started with these keys: it migrates before it serves.
pub(crate) async fn process(test: &TestDb, keys: &[(&str, &[u8; 32])]) -> Db {
    let db = try_process(test, keys).await.unwrap();
    db.migrate(&crate::MIGRATIONS).await.unwrap();
    db
}

async fn try_process(test: &TestDb, keys: &[(&str, &[u8; 32])]) -> Result<Db, OpenError> {
    open(test, test.settings(), &hand_out(test, keys)).await
}

async fn open(test: &TestDb, database: &Database, secrets: &Secrets) -> Result<Db, OpenError> {
    let random = contracts::ambient::Random::seeded(PROCESSES.fetch_add(1, Ordering::Relaxed));
    Db::open(ServiceName::PatientService, database, secrets, test.clock().clone(), random).await
}

pub(crate) async fn seal(db: &Db, patients: impl Iterator<Item = String>) -> BTreeMap<String, Vec<u8>> {
    let mut sealed = BTreeMap::new();
    for patient in patients {
        let body = db.vault().seal(&Subject::Patient(&patient), BODY, patient.as_bytes()).await.unwrap();
        sealed.insert(patient, body);
    }
    sealed
}

pub(crate) async fn all_open(db: &Db, sealed: &BTreeMap<String, Vec<u8>>) {
    for (patient, body) in sealed {
        let opened = db.vault().open(&Subject::Patient(patient), BODY, body).await.unwrap();
        assert_eq!(opened, patient.as_bytes());
    }
}

/// Runs SQL on the keys store, beside everything else.
pub(crate) async fn sql(test: &TestDb, sql: &str) {
    match test.settings() {
        Database::Sqlite { keys_path, .. } => {
            let url = format!("sqlite:{}", keys_path.display());
            let mut conn = SqliteConnection::connect(&url).await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await.unwrap();
            conn.close().await.unwrap();
        }
        Database::Postgres { .. } => {
            let mut conn = postgres(test).await;
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await.unwrap();
            conn.close().await.unwrap();
        }
    }
}

pub(crate) async fn postgres(test: &TestDb) -> PgConnection {
    let Database::Postgres { url, keys_schema, .. } = test.settings() else { panic!("not on PostgreSQL") };
    let url = test.secrets().read_text(url).unwrap();
    let mut conn = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("set search_path = {keys_schema}")))
        .execute(&mut conn)
        .await
        .unwrap();
    conn
}

pub(crate) fn refused_as_retired<T: std::fmt::Debug>(result: Result<T, Error>, kek: &[u8; 32]) {
    let Err(Error::Sealed(SealError::RetiredKek { kek_id: retired })) = &result else { panic!("{result:?}") };
    assert_eq!(*retired, kek_id(kek));
}

testkit::on_both_engines! {
    migrations = crate::MIGRATIONS;

    async fn all_keys_are_wrapped_anew_and_every_body_stays_as_it_is(test: TestDb) {
        let old = test.db();
        let sealed = seal(old, (0..450).map(|number| format!("p{number}"))).await;
        let day = Subject::Period(Period::day("box", test.clock().now(), 2));
        let service = old.vault().seal(&Subject::Service, BODY, b"open").await.unwrap();
        let kept = old.vault().seal(&day, BODY, b"kept").await.unwrap();
        let index = old.vault().blind("family", "smith").unwrap();

        let new = process(&test, &[("current", SECOND), ("previous", FIRST)]).await;
        all_open(&new, &sealed).await;
        let rewrapped = new.rewrap().await.unwrap();
        // The patients', the service's, the day's, and the index's.
        assert_eq!((rewrapped.anew, rewrapped.keys, rewrapped.kek_id), (453, 453, kek_id(SECOND)));
        assert_eq!(new.vault().kek_id().await.unwrap(), kek_id(SECOND));
        let again = new.rewrap().await.unwrap();
        assert_eq!((again.anew, again.keys), (0, 453));

        let later = process(&test, &[("current", SECOND)]).await;
        all_open(&later, &sealed).await;
        assert_eq!(later.vault().open(&Subject::Service, BODY, &service).await.unwrap(), b"open");
        assert_eq!(later.vault().open(&day, BODY, &kept).await.unwrap(), b"kept");
        assert_eq!(later.vault().blind("family", "smith").unwrap(), index);
        later.ping().await.unwrap();
        let refused = try_process(&test, &[("current", FIRST)]).await.unwrap_err().to_string();
        assert!(refused.contains(&kek_id(SECOND)) && refused.contains(&kek_id(FIRST)), "{refused}");
        new.close().await;
        later.close().await;
    }

    async fn a_process_knows_the_next_key_before_any_uses_it(test: TestDb) {
        let first = process(&test, &[("current", FIRST), ("next", SECOND)]).await;
        let second = process(&test, &[("current", SECOND), ("previous", FIRST)]).await;
        let by_first = seal(&first, ["anna".to_owned()].into_iter()).await;
        let by_second = seal(&second, ["bert".to_owned()].into_iter()).await;
        all_open(&first, &by_second).await;
        all_open(&second, &by_first).await;
        first.close().await;
        second.close().await;
    }

    async fn a_process_that_is_late_is_told_so_and_makes_no_key_that_nobody_could_unwrap(test: TestDb) {
        let late = process(&test, &[("current", FIRST), ("next", SECOND)]).await;
        let sealed = seal(&late, ["anna".to_owned()].into_iter()).await;
        let new = process(&test, &[("current", SECOND), ("previous", FIRST)]).await;
        new.rewrap().await.unwrap();
        refused_as_retired(late.vault().seal(&Subject::Patient("bert"), BODY, b"x").await, FIRST);
        refused_as_retired(late.ping().await, FIRST);
        // What has a key already can be read and written to the end.
        all_open(&late, &sealed).await;
        late.vault().seal(&Subject::Patient("anna"), BODY, b"x").await.unwrap();
        // Nor does it start again.
        let started = try_process(&test, &[("current", FIRST), ("next", SECOND)]).await.unwrap();
        let refused = started.migrate(&crate::MIGRATIONS).await.unwrap_err().to_string();
        assert!(refused.contains("was retired"), "{refused}");
        new.ping().await.unwrap();
        for db in [late, new, started] {
            db.close().await;
        }
    }

    async fn a_store_that_was_never_used_is_used_under_no_other_key_later(test: TestDb) {
        let mut unused = test.settings().clone();
        match &mut unused {
            Database::Sqlite { path, keys_path } => {
                (*path, *keys_path) = (test.dir().join("unused"), test.dir().join("unused.keys"));
            }
            Database::Postgres { schema, keys_schema, .. } => {
                "unused".clone_into(schema);
                "unused_keys".clone_into(keys_schema);
            }
        }
        let secrets = hand_out(&test, &[("current", SECOND), ("previous", FIRST)]);
        let new = open(&test, &unused, &secrets).await.unwrap();
        assert_eq!(new.rewrap().await.unwrap().anew, 0);
        let secrets = hand_out(&test, &[("current", FIRST), ("next", SECOND)]);
        let late = open(&test, &unused, &secrets).await.unwrap();
        assert!(late.migrate(&crate::MIGRATIONS).await.unwrap_err().to_string().contains("was retired"));
        let secrets = hand_out(&test, &[("current", SECOND)]);
        let later = open(&test, &unused, &secrets).await.unwrap();
        later.migrate(&crate::MIGRATIONS).await.unwrap();
        seal(&later, ["anna".to_owned()].into_iter()).await;
        for db in [new, late, later] {
            db.close().await;
        }
    }

    async fn without_the_previous_key_nothing_is_retired_and_it_is_said_what_is_missing(test: TestDb) {
        let sealed = seal(test.db(), (0..3).map(|number| format!("p{number}"))).await;
        let new = process(&test, &[("current", SECOND), ("previous", FIRST)]).await;
        seal(&new, ["anna".to_owned()].into_iter()).await;
        // As if the index key alone had come so far when somebody took the key away.
        sql(&test, "create table others as select * from data_key where subject like 'patient:p%'; \
                    delete from data_key where subject like 'patient:p%'").await;
        new.rewrap().await.unwrap();
        sql(&test, "update kek set wraps = id, retired_at = null; insert into data_key select * from others").await;
        let without = try_process(&test, &[("current", SECOND)]).await.unwrap();
        let error = without.rewrap().await.unwrap_err();
        let RewrapError::Unopened(unopened) = &error else { panic!("{error}") };
        assert_eq!(unopened[&kek_id(FIRST)], db::Unopened { keys: 3, is_known: false });
        assert!(error.to_string().contains(&format!("3 under {}", kek_id(FIRST))), "{error}");

        let again = process(&test, &[("current", SECOND), ("previous", FIRST)]).await;
        assert_eq!(again.rewrap().await.unwrap().anew, 3);
        all_open(&again, &sealed).await;
        for db in [new, without, again] {
            db.close().await;
        }
    }

    async fn an_altered_key_is_told_and_keeps_the_others_from_nothing_but_the_end(test: TestDb) {
        let sealed = seal(test.db(), (0..3).map(|number| format!("p{number}"))).await;
        let other = "(select wrapped from data_key where subject = 'patient:p0')";
        sql(&test, &format!("update data_key set wrapped = {other} where subject = 'patient:p1'")).await;
        let new = process(&test, &[("current", SECOND), ("previous", FIRST)]).await;
        let RewrapError::Unopened(unopened) = new.rewrap().await.unwrap_err() else { panic!("it was altered") };
        assert_eq!(unopened[&kek_id(FIRST)], db::Unopened { keys: 1, is_known: true });
        let text = RewrapError::Unopened(unopened).to_string();
        assert!(!text.contains("p1") && text.contains("do not unwrap"), "{text}");
        // Nobody reads it again: once it is destroyed, it is in the way of nothing.
        new.vault().destroy(&Subject::Patient("p1")).await.unwrap();
        assert_eq!(new.rewrap().await.unwrap().anew, 0);
        let later = process(&test, &[("current", SECOND)]).await;
        all_open(&later, &sealed.into_iter().filter(|(patient, _)| patient != "p1").collect()).await;
        new.close().await;
        later.close().await;
    }

    async fn broken_off_anywhere_it_is_finished_by_the_next(test: TestDb) {
        let sealed = seal(test.db(), (0..900).map(|number| format!("p{number}"))).await;
        let random = contracts::ambient::Random::seeded(3);
        let mut broken_off = 0;
        loop {
            let db = process(&test, &[("current", SECOND), ("previous", FIRST)]).await;
            let within = Duration::from_micros(200 + random.below(40_000));
            let done = tokio::time::timeout(within, db.rewrap()).await;
            all_open(&db, &sealed).await;
            db.close().await;
            match done {
                Ok(done) => break drop(done.unwrap()),
                Err(_) => broken_off += 1,
            }
        }
        assert!(broken_off > 0, "it was too quick to be broken off");
        let later = process(&test, &[("current", SECOND)]).await;
        all_open(&later, &sealed).await;
        later.close().await;
    }

    async fn what_the_old_key_had_wrapped_is_gone_from_the_files(test: TestDb) {
        let Database::Sqlite { keys_path, .. } = test.settings() else { return };
        seal(test.db(), (0..50).map(|number| format!("p{number}"))).await;
        let mut conn = SqliteConnection::connect(&format!("sqlite:{}", keys_path.display())).await.unwrap();
        let wrapped: Vec<Vec<u8>> =
            sqlx::query_scalar("select wrapped from data_key").fetch_all(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        let left = || {
            let files = std::fs::read_dir(test.dir()).unwrap().map(|entry| entry.unwrap().path());
            let bytes: Vec<_> = files.filter(|path| path.is_file()).flat_map(|path| std::fs::read(path).unwrap()).collect();
            wrapped.iter().filter(|key| bytes.windows(key.len()).any(|window| window == key.as_slice())).count()
        };
        assert_eq!(left(), 51);
        let new = process(&test, &[("current", SECOND), ("previous", FIRST)]).await;
        new.rewrap().await.unwrap();
        assert_eq!(left(), 0);
        new.close().await;
    }

    async fn keys_of_a_store_from_before_there_was_a_list_of_key_encryption_keys_are_kept(test: TestDb) {
        let sealed = seal(test.db(), ["anna".to_owned()].into_iter()).await;
        test.db().vault().destroy(&Subject::Patient("bert")).await.unwrap();
        let undo = match test.db().engine() {
            Engine::Postgres => "alter table data_key drop constraint data_key_kek_id_fkey; drop table kek;",
            Engine::Sqlite => "pragma foreign_keys = off; drop table kek;",
        };
        let undo = format!("{undo} alter table data_key drop column key_check;");
        sql(&test, &format!("{undo} delete from _keys_migrations where version in (2, 4)")).await;
        let again = process(&test, &[("current", FIRST)]).await;
        all_open(&again, &sealed).await;
        assert!(again.vault().is_destroyed(&Subject::Patient("bert")).await.unwrap());
        again.ping().await.unwrap();
        let new = process(&test, &[("current", SECOND), ("previous", FIRST)]).await;
        assert_eq!(new.rewrap().await.unwrap().anew, 2);
        again.close().await;
        new.close().await;
    }
}
