//! [`Db`]: opening, migrating and closing a service's two stores, and beginning transactions.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use contracts::ambient::{Clock, Random};
use settings::{Database, Encryption, ServiceName};
use sqlx::{Connection, PgPool, SqlitePool};
use tokio::sync::Notify;

use crate::audit::Audit;
use crate::migrations::apply;
use crate::open::OpenTo;
use crate::postgres::Schemas;
use crate::vault::KeysStore;
use crate::{
    Error, MigrateError, Migrations, RewrapError, Rewrapped, SecretError, Secrets, Tx, TxKind, Vault,
    postgres, sqlite,
};

/// One service's database: its data, and beside it the store of wrapped keys. Cheap to clone.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    pools: Pools,
    vault: Vault,
    clock: Clock,
    random: Random,
    outbox: Arc<Notify>,
    service: ServiceName,
    audit: Audit,
}

#[derive(Clone)]
pub(crate) enum Pools {
    Postgres { data: PgPool, keys: PgPool, schemas: Box<Schemas> },
    Sqlite { write: SqlitePool, read: SqlitePool, keys: SqlitePool },
}

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// PostgreSQL, a server.
    Postgres,
    /// SQLite, embedded.
    Sqlite,
}

impl Engine {
    /// `postgres` or `sqlite`, as in `migrations/` and in test names.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        }
    }
}

/// Why the database could not be opened. Never shows the URL: it holds the password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL or the key-encryption key could not be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The URL is not a PostgreSQL connection URL.
    #[error("the database URL is not a PostgreSQL connection URL")]
    Url,
    /// The schema's name would need quoting.
    #[error("{schema:?} is not a schema name: lower-case letters, digits and _, at most 63")]
    SchemaName {
        /// The name.
        schema: String,
    },
    /// Data and keys need a connection each.
    #[error("maxConnections is {max_connections}; data and keys need one each")]
    TooFewConnections {
        /// What was set.
        max_connections: u32,
    },
    /// The file could not be created or made private.
    #[error("{path:?}: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// The operating system's reason.
        reason: std::io::ErrorKind,
    },
    /// The transit engine cannot be asked as the settings have it.
    #[error("encryption.transit: the address {0}")]
    Keeper(&'static str),
    /// It is not there, and is not to be made.
    #[error("{what} is not there")]
    NotThere {
        /// The file, or the schema.
        what: String,
    },
    /// There is data, but not the keys that it was sealed under: a new key would open none of it.
    #[error("there is data but no keys to open it with: put back {keys}, or take the data away too")]
    KeysMissing {
        /// Where the keys should be.
        keys: String,
    },
    /// The database did not answer as it should.
    #[error(transparent)]
    Db(#[from] Error),
}

/// What [`Db::purge`] took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Kept answers and abandoned claims past their time.
    pub idempotency: u64,
    /// Marks of events taken in so long ago that they cannot come again.
    pub inbox: u64,
    /// Events never delivered within the life of their key. Anything but 0 is an incident.
    pub outbox_lost: u64,
    /// Ends of care and of emergencies long over.
    pub access: u64,
    /// Expired keys wiped.
    pub keys: u64,
}

/// A readiness probe that waits longer is no answer.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// A transaction that is forgotten must not keep the process from ending.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

impl Db {
    /// Opens both stores of `service`, creating SQLite files (0600) or PostgreSQL schemas that are missing. Does not
    /// migrate. Data without its keys is refused.
    ///
    /// The key-encryption key is the secret `kek`/`current`; `next` and `previous` beside it are known too. `service` is bound into everything sealed, so that a body
    /// or a key copied between services opens nothing.
    pub async fn open(
        service: ServiceName,
        settings: &Database,
        secrets: &Secrets,
        clock: Clock,
        random: Random,
    ) -> Result<Self, OpenError> {
        Self::open_to(OpenTo::Serve, service, (settings, &Encryption::default()), secrets, (clock, random))
            .await
    }

    /// [`Db::open`], for something else than to serve from it, or where the key-encryption key may be kept by somebody else, who is asked once for the
    /// index key: without that nothing is found.
    pub async fn open_to(
        purpose: OpenTo,
        service: ServiceName,
        (settings, encryption): (&Database, &Encryption),
        secrets: &Secrets,
        (clock, random): (Clock, Random),
    ) -> Result<Self, OpenError> {
        let pools = match settings {
            Database::Sqlite { path, keys_path } => sqlite::open(path, keys_path, purpose).await?,
            Database::Postgres { url, schema, keys_schema, max_connections } => {
                let (schemas, name) = ((schema.as_str(), keys_schema.as_str()), service.as_str());
                postgres::open(url, schemas, *max_connections, secrets, name, purpose).await?
            }
        };
        let keys = match &pools {
            Pools::Postgres { keys, .. } => KeysStore::Postgres(keys.clone()),
            Pools::Sqlite { keys, .. } => KeysStore::Sqlite(keys.clone()),
        };
        let vault = Vault::new(service, keys, encryption, secrets, clock.clone(), random.clone())?;
        let (outbox, audit) = (Arc::new(Notify::new()), Audit::new(&pools));
        let db = Self(Arc::new(Inner { pools, vault, clock, random, outbox, service, audit }));
        // In this order: another process may be making both just now, and it makes the keys first.
        let has_data = db.has_data().await?;
        if !db.vault().load_index_key().await? && has_data {
            db.close().await;
            return Err(OpenError::KeysMissing { keys: place_of_keys(settings) });
        }
        Ok(db)
    }

    /// Whether the data was ever migrated: from then on it is sealed under keys.
    async fn has_data(&self) -> Result<bool, Error> {
        Ok(match &self.0.pools {
            Pools::Postgres { data, .. } => {
                sqlx::query_scalar("select to_regclass('_shared_migrations') is not null")
                    .fetch_one(data)
                    .await?
            }
            Pools::Sqlite { write, .. } => {
                sqlx::query_scalar(
                    "select exists (select 1 from sqlite_schema where name = '_shared_migrations')",
                )
                .fetch_one(write)
                .await?
            }
        })
    }

    /// Brings the schema up to date: the keys store, the shared tables, the service's own. Safe to run from several
    /// processes at once on PostgreSQL; on SQLite there is one process.
    pub async fn migrate(&self, migrations: &Migrations) -> Result<(), MigrateError> {
        migrations.check()?;
        self.migrate_keys().await?;
        let shared = Migrations::shared();
        match &self.0.pools {
            Pools::Postgres { schemas, .. } => {
                let mut conn = schemas.for_migration(&schemas.data).await?;
                apply(shared.postgres, "_shared_migrations", &mut conn).await?;
                apply(migrations.postgres, "_migrations", &mut conn).await?;
                conn.close().await.map_err(Error::from)?;
            }
            Pools::Sqlite { write, .. } => {
                let mut conn = write.acquire().await.map_err(Error::from)?;
                apply(shared.sqlite, "_shared_migrations", &mut *conn).await?;
                apply(migrations.sqlite, "_migrations", &mut *conn).await?;
            }
        }
        Ok(())
    }

    /// The keys store, with the key that every service has.
    async fn migrate_keys(&self) -> Result<(), MigrateError> {
        let migrations = Migrations::keys();
        match &self.0.pools {
            Pools::Postgres { schemas, .. } => {
                let mut conn = schemas.for_migration(&schemas.keys).await?;
                apply(migrations.postgres, "_keys_migrations", &mut conn).await?;
                conn.close().await.map_err(Error::from)?;
            }
            Pools::Sqlite { keys, .. } => {
                let mut conn = keys.acquire().await.map_err(Error::from)?;
                apply(migrations.sqlite, "_keys_migrations", &mut *conn).await?;
            }
        }
        Ok(self.0.vault.create_index_key().await?)
    }

    /// Wraps every key of this service under the present key-encryption key, and sees to it that none is wrapped under
    /// another from then on. Data is not touched, and the service may go on meanwhile, but for processes that still wrap
    /// under another: once it is done, these are refused new keys and are no longer ready, unless their files hold the present one.
    ///
    /// May be broken off, run again, and run several times at once. A keys store that was never used is made, so that it
    /// is used under no other key-encryption key later.
    pub async fn rewrap(&self) -> Result<Rewrapped, RewrapError> {
        self.migrate_keys().await?;
        self.0.vault.rewrap().await
    }

    /// Takes up the key-encryption keys that the secret's files hold now, if they are others than before; tells whether they were. What has to be
    /// unwrapped or wrapped does so by itself when it meets them: run this about every second, so that it rarely has to.
    pub async fn follow_keks(&self) -> Result<bool, Error> {
        self.0.vault.follow_keks().await
    }

    /// Wraps under the present key-encryption key what the other keeper has wrapped, or an older version of an engine's key; returns how
    /// many keys. Nothing is retired: processes that do not know the present one yet go on. Does nothing where the secret `kek` is the only
    /// keeper. Run it about hourly, on any number of replicas.
    pub async fn gather_keys(&self) -> Result<u64, Error> {
        self.0.vault.gather().await
    }

    /// Has the keys that every call needs (the audit's month, the day's, the service's own) unwrapped again before they have to be, where a
    /// transit engine does it. Run it again after what it returns.
    pub async fn keep_keys(&self) -> Result<Duration, Error> {
        self.0.vault.keep_own().await
    }

    /// Begins a transaction that writes.
    ///
    /// SQLite: `BEGIN IMMEDIATE` on the one writing connection; tasks queue for it. PostgreSQL: read committed, so a
    /// decision made from a row holds only with [`Tx::lock`], a constraint, or a `where version = …` on the update.
    pub async fn begin(&self) -> Result<Tx, Error> {
        let kind = match &self.0.pools {
            Pools::Postgres { data, .. } => TxKind::Postgres(postgres::begin(data, postgres::WRITE).await?),
            Pools::Sqlite { write, .. } => TxKind::Sqlite(write.begin_with("BEGIN IMMEDIATE").await?),
        };
        Ok(Tx::new(kind, self.0.clock.now()).audited(self))
    }

    /// Begins a transaction that only reads, all of it from one snapshot, and never waits for a writer.
    pub async fn read(&self) -> Result<Tx, Error> {
        let kind = match &self.0.pools {
            Pools::Postgres { data, .. } => TxKind::Postgres(postgres::begin(data, postgres::READ).await?),
            Pools::Sqlite { read, .. } => TxKind::Sqlite(read.begin().await?),
        };
        Ok(Tx::new(kind, self.0.clock.now()))
    }

    /// Whose it is.
    pub fn service(&self) -> ServiceName {
        self.0.service
    }

    pub(crate) fn audit(&self) -> &Audit {
        &self.0.audit
    }

    /// Seals and opens.
    pub fn vault(&self) -> &Vault {
        &self.0.vault
    }

    /// The time.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Randomness.
    pub fn random(&self) -> &Random {
        &self.0.random
    }

    /// Which engine it is.
    pub fn engine(&self) -> Engine {
        match self.0.pools {
            Pools::Postgres { .. } => Engine::Postgres,
            Pools::Sqlite { .. } => Engine::Sqlite,
        }
    }

    /// Fired after each commit that put an event into the outbox: the relay waits for it, and looks by itself every few
    /// seconds besides, for retries and for what other replicas left.
    pub fn outbox_notify(&self) -> &Arc<Notify> {
        &self.0.outbox
    }

    /// Whether both stores answer within two seconds and are migrated. For `/readyz`.
    pub async fn ping(&self) -> Result<(), Error> {
        let ask = async {
            match &self.0.pools {
                Pools::Postgres { data, .. } => sqlx::query("select 1").execute(data).await.map(drop)?,
                Pools::Sqlite { read, .. } => sqlx::query("select 1").execute(read).await.map(drop)?,
            }
            self.0.vault.ping().await
        };
        tokio::time::timeout(PING_TIMEOUT, ask)
            .await
            .unwrap_or(Err(Error::Unavailable(sqlx::Error::PoolTimedOut)))
    }

    /// Takes away what has had its time: run it about hourly, on any number of replicas.
    pub async fn purge(&self) -> Result<Purged, Error> {
        let mut tx = self.begin().await?;
        let purged = Purged {
            idempotency: crate::idempotency::idempotency_purge(&mut tx).await?,
            inbox: crate::inbox::inbox_purge(&mut tx).await?,
            outbox_lost: crate::outbox::outbox_purge(&mut tx).await?,
            access: crate::access::access_purge(&mut tx).await?,
            keys: 0,
        };
        tx.commit_unaudited().await?;
        if purged.outbox_lost > 0 {
            tracing::error!(deliveries = purged.outbox_lost, "events were never delivered and are lost");
        }
        Ok(Purged { keys: self.0.vault.purge_expired().await?, ..purged })
    }

    /// Takes no new transactions, waits for those under way (ten seconds at most), and closes. SQLite's log is merged
    /// into its file by that.
    pub async fn close(&self) {
        let close = async {
            match &self.0.pools {
                Pools::Postgres { data, keys, .. } => {
                    data.close().await;
                    keys.close().await;
                }
                Pools::Sqlite { write, read, keys } => {
                    read.close().await;
                    write.close().await;
                    keys.close().await;
                }
            }
        };
        if tokio::time::timeout(CLOSE_TIMEOUT, close).await.is_err() {
            tracing::warn!("a transaction was still open when the database closed; it is rolled back");
        }
    }

    pub(crate) fn pools(&self) -> &Pools {
        &self.0.pools
    }
}

fn place_of_keys(settings: &Database) -> String {
    match settings {
        Database::Sqlite { keys_path, .. } => keys_path.display().to_string(),
        Database::Postgres { keys_schema, .. } => format!("the schema {keys_schema}"),
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Db({})", self.engine().as_str())
    }
}
