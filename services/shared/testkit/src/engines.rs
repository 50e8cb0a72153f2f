//! [`TestDb`]: a fresh, migrated database of one service; [`on_both_engines!`](crate::on_both_engines!): one store test
//! as two `#[test]`s.

use std::collections::HashMap;
use std::future::Future;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::DateTime;
use contracts::ambient::{Clock, Random};
use db::{Db, Engine, Migrations, Secrets};
use settings::{Database, SecretRef, ServiceName};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

use crate::folder::folder;
use crate::postgres;

/// A database of its own for one test, with the secrets and the clock to go with it. Cheap to clone; its files go with
/// the last clone.
#[derive(Clone)]
pub struct TestDb(Arc<Inner>);

struct Inner {
    db: Db,
    service: ServiceName,
    database: Database,
    secrets: Secrets,
    clock: Clock,
    random: Random,
    /// The PostgreSQL database to drop.
    created: Option<String>,
    dir: TempDir,
}

/// Thursday, 15 January 2026, 09:00 UTC: when every test begins.
pub const EPOCH_SECONDS: i64 = 1_768_467_600;

const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

impl TestDb {
    /// A fresh database, migrated.
    ///
    /// # Panics
    /// If the engine cannot be had or does not take the migrations.
    pub async fn new(engine: Engine, service: ServiceName, migrations: &Migrations) -> Self {
        match engine {
            Engine::Postgres if postgres::is_private() => {
                let template = template(service, migrations).await;
                Self::empty(engine, service, Some(&template), 1).await
            }
            // A server that outlives the tests: a template there would be left behind.
            Engine::Sqlite | Engine::Postgres => {
                let test = Self::empty(engine, service, None, 1).await;
                test.db().migrate(migrations).await.expect("the migrations run");
                test
            }
        }
    }

    /// A fresh database without any table, or a copy of `template`.
    async fn empty(engine: Engine, service: ServiceName, template: Option<&str>, seed: u64) -> Self {
        let dir = folder("healthcare-db-").expect("a folder for the database");
        let secret = |name: &str, key: &str, value: &[u8]| {
            std::fs::create_dir_all(dir.path().join("secrets").join(name)).expect("a folder for secrets");
            std::fs::write(dir.path().join("secrets").join(name).join(key), value).expect("a secret's file");
        };
        secret("kek", "current", b"a test's key-encryption key: 32B");
        let (database, created) = match engine {
            Engine::Sqlite => {
                let file = |kind: &str| dir.path().join(format!("{}{kind}.db", service.short()));
                (Database::Sqlite { path: file(""), keys_path: file(".keys") }, None)
            }
            Engine::Postgres => {
                let name = create_database(template).await;
                secret("database", "url", postgres::url(&name).as_bytes());
                let database = Database::Postgres {
                    url: SecretRef { secret: "database".to_owned(), key: "url".to_owned() },
                    schema: service.short().to_owned(),
                    keys_schema: format!("{}_keys", service.short()),
                    max_connections: 10,
                };
                (database, Some(name))
            }
        };
        let secrets = Secrets::new(dir.path().join("secrets"));
        let clock = Clock::set_to(DateTime::from_timestamp(EPOCH_SECONDS, 0).unwrap_or_default());
        let random = Random::seeded(seed);
        let db = Db::open(service, &database, &secrets, clock.clone(), random.clone())
            .await
            .expect("the database opens");
        Self(Arc::new(Inner { db, service, database, secrets, clock, random, created, dir }))
    }

    /// The database.
    pub fn db(&self) -> &Db {
        &self.0.db
    }

    /// Opens the same database once more, as another process would: nothing in memory is shared but the clock.
    ///
    /// # Panics
    /// If it does not open.
    pub async fn open_again(&self) -> Db {
        let Inner { service, database, secrets, clock, random, .. } = &*self.0;
        Db::open(*service, database, secrets, clock.clone(), random.clone())
            .await
            .expect("the database opens again")
    }

    /// Its settings.
    pub fn settings(&self) -> &Database {
        &self.0.database
    }

    /// Where its URL and key-encryption key are.
    pub fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    /// Its clock, which stands still until it is advanced.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Its folder: SQLite's files, and `secrets/`.
    pub fn dir(&self) -> &Path {
        self.0.dir.path()
    }

    /// Closes it and drops what was created on the server.
    pub async fn teardown(self) {
        // A task that the test left behind may hold a connection: its database is dropped all the same.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.db().close()).await;
        if let Some(name) = &self.0.created {
            administer(&format!(r#"drop database if exists "{name}" with (force)"#)).await;
        }
    }
}

impl From<TestDb> for Db {
    fn from(test: TestDb) -> Self {
        test.db().clone()
    }
}

/// Runs one test on one engine. For [`on_both_engines!`](crate::on_both_engines!).
///
/// # Panics
/// As the test does, after clearing up.
pub fn run<A, F, T>(engine: Engine, service: ServiceName, migrations: &Migrations, test: F)
where
    A: From<TestDb>,
    F: FnOnce(A) -> T,
    T: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let fresh = TestDb::new(engine, service, migrations).await;
        let result = tokio::spawn(test(A::from(fresh.clone()))).await;
        fresh.teardown().await;
        if let Err(error) = result {
            resume_unwind(error.into_panic());
        }
    });
}

/// Every statement that a crate registered prepares on both engines, and there is one.
///
/// # Panics
/// If not, with each that does not.
pub fn every_statement_prepares(service: ServiceName, migrations: &Migrations, crate_name: &'static str) {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        run(engine, service, migrations, |db: Db| async move {
            assert_ne!(db::prepare_all(&db, crate_name).await.expect("every statement prepares"), 0);
        });
    }
}

/// Each `async fn` in it becomes two tests, `name::sqlite` and `name::postgres`, with a fresh migrated database each:
///
/// ```text
/// testkit::on_both_engines! {
///     migrations = crate::MIGRATIONS;
///
///     async fn a_second_patient_with_the_same_id_is_refused(db: Db) { /* … */ }
///     async fn what_is_written_survives_a_restart(test: testkit::TestDb) { /* … */ }
/// }
/// ```
///
/// `service = ServiceName::BillingService;` may follow the migrations; patient-service is meant otherwise. The future
/// must be `Send`, as a handler's must.
#[macro_export]
macro_rules! on_both_engines {
    (migrations = $migrations:expr; service = $service:expr; $($tests:tt)*) => {
        $crate::on_both_engines! { @each ($migrations, $service) $($tests)* }
    };
    (@each $with:tt) => {};
    (@each ($migrations:expr, $service:expr)
        $(#[$meta:meta])* async fn $name:ident($argument:ident: $kind:ty) $body:block $($tests:tt)*
    ) => {
        async fn $name($argument: $kind) $body

        mod $name {
            #[allow(unused_imports, clippy::wildcard_imports, reason = "whatever the migrations' path needs")]
            use super::*;

            #[test]
            $(#[$meta])*
            fn sqlite() {
                $crate::engines::run($crate::engines::SQLITE, $service, &$migrations, super::$name);
            }

            #[test]
            $(#[$meta])*
            fn postgres() {
                $crate::engines::run($crate::engines::POSTGRES, $service, &$migrations, super::$name);
            }
        }

        $crate::on_both_engines! { @each ($migrations, $service) $($tests)* }
    };
    (migrations = $migrations:expr; $($tests:tt)*) => {
        $crate::on_both_engines! { @each ($migrations, $crate::engines::SERVICE) $($tests)* }
    };
}

#[doc(hidden)]
pub const SQLITE: Engine = Engine::Sqlite;
#[doc(hidden)]
pub const POSTGRES: Engine = Engine::Postgres;
#[doc(hidden)]
pub const SERVICE: ServiceName = ServiceName::PatientService;

/// The database that has these migrations and is copied for each test: that is quicker than to migrate each.
async fn template(service: ServiceName, migrations: &Migrations) -> String {
    static TEMPLATES: tokio::sync::Mutex<Option<HashMap<(usize, ServiceName), String>>> =
        tokio::sync::Mutex::const_new(None);
    let mut templates = TEMPLATES.lock().await;
    let templates = templates.get_or_insert_default();
    let key = (std::ptr::from_ref(migrations.postgres) as usize, service);
    if let Some(name) = templates.get(&key) {
        return name.clone();
    }
    let test = TestDb::empty(Engine::Postgres, service, None, 0).await;
    test.db().migrate(migrations).await.expect("the migrations run");
    // A database with sessions cannot be copied.
    test.db().close().await;
    let name = test.0.created.clone().unwrap_or_default();
    templates.insert(key, name.clone());
    name
}

async fn create_database(template: Option<&str>) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let template = template.unwrap_or("template0");
    administer(&format!(r#"create database "{name}" template "{template}""#)).await;
    name
}

pub(crate) async fn administer(statement: &str) {
    let mut conn =
        PgConnection::connect(&postgres::url("postgres")).await.expect("the test server takes connections");
    sqlx::query(AssertSqlSafe(statement)).execute(&mut conn).await.expect("the test server obeys");
    conn.close().await.expect("the connection closes");
}

/// The URL of an empty database of the caller's own, for a program that is started from outside.
///
/// # Panics
/// If there is no server.
pub async fn fresh_database() -> String {
    postgres::url(&create_database(None).await)
}
