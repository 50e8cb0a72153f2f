//! Bringing a schema up to date, and opening what is not there or not right.

use db::{Db, Error, MigrateError, Migrations, OpenError};
use settings::{Database, SecretRef, ServiceName};
use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use testkit::TestDb;

fn leaked(sql: &[(i64, &'static str)]) -> &'static Migrator {
    let migrations = sql.iter().map(|(version, sql)| {
        Migration::new(*version, "test".into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Box::leak(Box::new(Migrator::with_migrations(migrations.collect())))
}

fn same(sql: &[(i64, &'static str)]) -> Migrations {
    Migrations { postgres: leaked(sql), sqlite: leaked(sql) }
}

async fn open(test: &TestDb, database: &Database) -> Result<Db, OpenError> {
    let random = contracts::ambient::Random::seeded(5);
    Db::open(ServiceName::PatientService, database, test.secrets(), test.clock().clone(), random).await
}

const EMPTY: &[(i64, &str)] = &[];

db::inventory::submit! {
    db::Statement {
        sql: "select nothing from nowhere",
        file: file!(),
        line: line!(),
        crate_name: "a crate with a mistake",
        store: db::Store::Data,
    }
}

testkit::on_both_engines! {
    migrations = crate::migrations::empty();

    async fn migrating_again_changes_nothing(db: Db) {
        let set = same(&[(1, "create table a (id text primary key)")]);
        db.migrate(&set).await.unwrap();
        db.migrate(&set).await.unwrap();
    }

    async fn an_older_version_runs_on_a_newer_schema(db: Db) {
        let newer = [(1, "create table a (id text primary key)"), (2, "create table b (id text primary key)")];
        db.migrate(&same(&newer)).await.unwrap();
        db.migrate(&same(&newer[..1])).await.unwrap();
    }

    async fn an_edited_migration_is_refused(db: Db) {
        db.migrate(&same(&[(1, "create table a (id text primary key)")])).await.unwrap();
        let edited = db.migrate(&same(&[(1, "create table a (id text not null primary key)")])).await;
        assert!(matches!(edited, Err(MigrateError::Edited { version: 1 })));
    }

    async fn a_migration_for_one_engine_only_is_refused(db: Db) {
        let uneven = Migrations { postgres: leaked(&[(1, "select 1")]), sqlite: leaked(&[]) };
        assert!(matches!(db.migrate(&uneven).await, Err(MigrateError::Uneven)));
    }

    async fn a_migration_that_fails_leaves_nothing_and_does_not_block_the_next(db: Db) {
        let bad = same(&[(1, "create table a (id text primary key); create table a (id text primary key)")]);
        let failed = db.migrate(&bad).await;
        assert!(matches!(failed, Err(MigrateError::Failed { version: Some(1), .. })), "{failed:?}");
        db.migrate(&same(&[(1, "create table a (id text primary key)")])).await.unwrap();
    }

    async fn a_schema_is_migrated_by_many_at_once(test: TestDb) {
        if test.db().engine() == db::Engine::Sqlite {
            return; // one process, one writer
        }
        let set = same(&[(1, "create table a (id text primary key)")]);
        let (one, two) = (test.open_again().await, test.open_again().await);
        let results = tokio::join!(test.db().migrate(&set), one.migrate(&set), two.migrate(&set));
        results.0.unwrap();
        results.1.unwrap();
        results.2.unwrap();
        one.close().await;
        two.close().await;
    }

    async fn a_statement_that_one_engine_does_not_take_is_found(db: Db) {
        let error = db::prepare_all(&db, "a crate with a mistake").await.unwrap_err();
        assert_eq!(error.failed.len(), 1);
        assert!(error.failed[0].contains("migrations.rs") && error.failed[0].contains("nowhere"), "{error}");
    }

    async fn a_wrong_key_encryption_key_is_noticed_when_opening(test: TestDb) {
        let kek = test.dir().join("secrets/kek/current");
        std::fs::write(&kek, "QSBkaWZmZXJlbnQga2V5LCBvZiAzMiBieXRlcyBhbHM=\n").unwrap();
        let error = open(&test, test.settings()).await.unwrap_err();
        assert!(matches!(error, OpenError::Db(Error::Sealed(db::SealError::UnknownKek { .. }))), "{error:?}");
        std::fs::write(&kek, "short").unwrap();
        assert!(matches!(open(&test, test.settings()).await, Err(OpenError::Secret(_))));
    }

    async fn data_without_its_keys_is_refused_however_often_it_is_tried(test: TestDb) {
        let mut lost = test.settings().clone();
        match &mut lost {
            Database::Sqlite { keys_path, .. } => *keys_path = test.dir().join("lost"),
            Database::Postgres { keys_schema, .. } => "lost".clone_into(keys_schema),
        }
        for _ in 0..2 {
            let refused = open(&test, &lost).await;
            assert!(matches!(&refused, Err(OpenError::KeysMissing { keys }) if keys.contains("lost")), "{refused:?}");
        }
        open(&test, test.settings()).await.unwrap().close().await;
    }

    async fn an_unusable_setting_is_named_without_the_password(test: TestDb) {
        let Database::Postgres { url, schema, keys_schema, .. } = test.settings().clone() else {
            return;
        };
        let with = |schema: &str, max_connections| Database::Postgres {
            url: url.clone(),
            schema: schema.to_owned(),
            keys_schema: keys_schema.clone(),
            max_connections,
        };
        for name in ["", "Patient", "a-b", "a\"; drop schema public; --", "pg_x", "1a"] {
            assert!(matches!(open(&test, &with(name, 10)).await, Err(OpenError::SchemaName { .. })), "{name}");
        }
        assert!(matches!(open(&test, &with(&schema, 1)).await, Err(OpenError::TooFewConnections { .. })));
        for url in ["postgres://me:hunter2@[bad/x", "postgres://me:hunter2@127.0.0.1:1/x", "mysql://me:hunter2@h/x"] {
            std::fs::write(test.dir().join("secrets/database/url"), url).unwrap();
            let error = open(&test, test.settings()).await.unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        let nowhere = SecretRef { secret: "database".to_owned(), key: "nowhere".to_owned() };
        let database =
            Database::Postgres { url: nowhere, schema, keys_schema: keys_schema.clone(), max_connections: 10 };
        assert!(matches!(open(&test, &database).await, Err(OpenError::Secret(_))));
    }
}

/// No table of the service's own.
fn empty() -> Migrations {
    static NONE: std::sync::OnceLock<Migrations> = std::sync::OnceLock::new();
    *NONE.get_or_init(|| same(EMPTY))
}
