//! [`Migrations`]: a service's schema on both engines, and the tables that every service has beside it.

use sqlx::migrate::{Migrate, Migrator};

use crate::Error;

/// A service's migrations, the same numbers on both engines: `pub const MIGRATIONS: db::Migrations = db::migrations!();`
#[derive(Clone, Copy, Debug)]
pub struct Migrations {
    /// From `migrations/postgres`.
    pub postgres: &'static Migrator,
    /// From `migrations/sqlite`.
    pub sqlite: &'static Migrator,
}

/// The [`Migrations`] in `migrations/postgres` and `migrations/sqlite` of the calling crate.
///
/// Cargo does not notice a new file there by itself: give the crate a `build.rs` that prints
/// `cargo:rerun-if-changed=migrations`.
#[macro_export]
macro_rules! migrations {
    () => {{
        static POSTGRES: ::sqlx::migrate::Migrator = ::sqlx::migrate!("migrations/postgres");
        static SQLITE: ::sqlx::migrate::Migrator = ::sqlx::migrate!("migrations/sqlite");
        $crate::Migrations { postgres: &POSTGRES, sqlite: &SQLITE }
    }};
}

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A migration exists for one engine only.
    #[error("migrations/postgres and migrations/sqlite have different numbers")]
    Uneven,
    /// An applied migration was edited. Write a new one instead.
    #[error("migration {version} was edited after it was applied")]
    Edited {
        /// Its number.
        version: i64,
    },
    /// A migration failed.
    #[error("migration {}: {error}", .version.map_or_else(|| "bookkeeping".to_owned(), |version| version.to_string()))]
    Failed {
        /// Its number, if one was under way.
        version: Option<i64>,
        /// Why.
        error: Error,
    },
    /// Something else was wrong with the set of migrations.
    #[error("migrations: {0}")]
    Other(String),
    /// The database did not answer.
    #[error(transparent)]
    Db(#[from] Error),
}

impl From<sqlx::migrate::MigrateError> for MigrateError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError as E;
        match error {
            E::Execute(error) => Self::Failed { version: None, error: error.into() },
            E::ExecuteMigration(error, version) => {
                Self::Failed { version: Some(version), error: error.into() }
            }
            E::VersionMismatch(version) => Self::Edited { version },
            other => Self::Other(other.to_string()),
        }
    }
}

impl Migrations {
    /// The tables of every service: outbox, inbox, idempotency.
    pub(crate) fn shared() -> Self {
        static POSTGRES: Migrator = sqlx::migrate!("migrations/shared/postgres");
        static SQLITE: Migrator = sqlx::migrate!("migrations/shared/sqlite");
        Self { postgres: &POSTGRES, sqlite: &SQLITE }
    }

    /// The keys store.
    pub(crate) fn keys() -> Self {
        static POSTGRES: Migrator = sqlx::migrate!("migrations/keys/postgres");
        static SQLITE: Migrator = sqlx::migrate!("migrations/keys/sqlite");
        Self { postgres: &POSTGRES, sqlite: &SQLITE }
    }

    pub(crate) fn check(&self) -> Result<(), MigrateError> {
        let versions =
            |migrator: &Migrator| migrator.iter().map(|migration| migration.version).collect::<Vec<_>>();
        if versions(self.postgres) == versions(self.sqlite) { Ok(()) } else { Err(MigrateError::Uneven) }
    }
}

/// Applies `migrations`, keeping book in `table`: the shared tables and the service's own number independently.
pub(crate) async fn apply<C: Migrate>(
    migrations: &Migrator,
    table: &'static str,
    conn: &mut C,
) -> Result<(), MigrateError> {
    let mut migrator = Migrator::with_migrations(migrations.iter().cloned().collect());
    migrator.dangerous_set_table_name(table);
    // Version N−1 runs on N's schema, so that a rollout can go back: numbers that it does not know are no error.
    migrator.set_ignore_missing(true);
    Ok(migrator.run_direct(None, conn, false).await?)
}
