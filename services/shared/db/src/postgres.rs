//! PostgreSQL: a schema for the data and one for the wrapped keys, and limits so that no request waits for ever.

use std::str::FromStr;
use std::time::Duration;

use settings::SecretRef;
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection, PgPool, Postgres, SqlSafeStr, Transaction};

use crate::db::{OpenError, Pools};
use crate::open::OpenTo;
use crate::{Error, Secrets};

const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_mins(2);
const LIFETIME: Duration = Duration::from_mins(30);

/// Limits of a session that serves requests. A request is answered long before; these end what nobody waits for. A machine that lost its power
/// holds its rows' locks for four seconds, and not until those limits: the server asks one that is silent whether it is there, and
/// waits no longer than that for word that an answer has arrived.
const LIMITS: [(&str, &str); 7] = [
    ("statement_timeout", "15s"),
    ("lock_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "30s"),
    ("tcp_keepalives_idle", "1"),
    ("tcp_keepalives_interval", "1"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "4s"),
];

/// Where the two schemas are. Holds the password: it has no `Debug`.
#[derive(Clone)]
pub(crate) struct Schemas {
    options: PgConnectOptions,
    pub(crate) data: String,
    pub(crate) keys: String,
}

pub(crate) async fn open(
    url: &SecretRef,
    (data, keys): (&str, &str),
    max_connections: u32,
    secrets: &Secrets,
    application: &str,
    purpose: OpenTo,
) -> Result<Pools, OpenError> {
    for schema in [data, keys] {
        if !is_schema_name(schema) {
            return Err(OpenError::SchemaName { schema: schema.to_owned() });
        }
    }
    // Two pools rather than one with qualified names: sealing inside a transaction needs a second connection, and when
    // every connection of a shared pool is held by a transaction that waits for one more, none moves again.
    let keys_max = if max_connections >= 8 { 2 } else { 1 };
    let data_max = max_connections.checked_sub(keys_max).filter(|rest| *rest > 0);
    let data_max = data_max.ok_or(OpenError::TooFewConnections { max_connections })?;

    let url = secrets.read_text(url)?;
    // The parser's complaint may quote the URL: it is left out.
    let options = PgConnectOptions::from_str(&url).map_err(|_| OpenError::Url)?.application_name(application);
    let read_only = if purpose == OpenTo::Look { "on" } else { "off" };
    let options = options.options([("default_transaction_read_only", read_only)]);
    let schemas = Box::new(Schemas { options, data: data.to_owned(), keys: keys.to_owned() });
    if purpose == OpenTo::Serve {
        schemas.create_missing().await?;
    } else {
        schemas.check_are_there().await?;
    }
    Ok(Pools::Postgres { data: schemas.pool(data, data_max), keys: schemas.pool(keys, keys_max), schemas })
}

/// What begins a transaction that only reads, all of it from one snapshot.
pub(crate) const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// What begins any other.
pub(crate) const WRITE: &str = "BEGIN";

/// Begins a transaction, in a task of its own that nobody drops: sqlx counts a transaction when the server has answered, so that a connection that
/// is given back before goes to whoever is next within the transaction, as a reader of an old snapshot maybe. Whoever waits for a connection may be dropped.
pub(crate) async fn begin(
    pool: &PgPool,
    statement: &'static str,
) -> Result<Transaction<'static, Postgres>, Error> {
    let conn = pool.acquire().await?;
    let begun = tokio::spawn(Transaction::begin(conn, Some(statement.into_sql_str()))).await;
    Ok(begun.map_err(|_| sqlx::Error::WorkerCrashed)??)
}

impl Schemas {
    fn pool(&self, schema: &str, max_connections: u32) -> PgPool {
        PoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(IDLE)
            .max_lifetime(LIFETIME)
            .connect_lazy_with(self.in_schema(schema).options(LIMITS))
    }

    fn in_schema(&self, schema: &str) -> PgConnectOptions {
        self.options.clone().options([("search_path", format!("{schema},public"))])
    }

    /// A connection of its own, without limits, to be closed afterwards: a migration may take long, and sqlx leaves its
    /// advisory lock on the session when one fails.
    pub(crate) async fn for_migration(&self, schema: &str) -> Result<PgConnection, Error> {
        Ok(PgConnection::connect_with(&self.in_schema(schema)).await?)
    }

    /// Creates only what is missing: on a managed database the schema is there and the role may not create any.
    async fn create_missing(&self) -> Result<(), Error> {
        let mut conn = PgConnection::connect_with(&self.options).await?;
        for schema in [&self.data, &self.keys] {
            if !exists(&mut conn, schema).await? {
                let create = format!(r#"create schema if not exists "{schema}""#);
                let created = sqlx::query(AssertSqlSafe(create)).execute(&mut conn).await;
                // Two that start at once may both try; PostgreSQL then fails one even with `if not exists`.
                if let Err(error) = created
                    && !exists(&mut conn, schema).await?
                {
                    return Err(error.into());
                }
            }
        }
        Ok(conn.close().await?)
    }
}

impl Schemas {
    async fn check_are_there(&self) -> Result<(), OpenError> {
        let mut conn = PgConnection::connect_with(&self.options).await.map_err(Error::from)?;
        for schema in [&self.data, &self.keys] {
            if !exists(&mut conn, schema).await? {
                return Err(OpenError::NotThere { what: format!("the schema {schema}") });
            }
        }
        Ok(conn.close().await.map_err(Error::from)?)
    }
}

async fn exists(conn: &mut PgConnection, schema: &str) -> Result<bool, Error> {
    Ok(sqlx::query_scalar("select exists (select 1 from pg_namespace where nspname = $1)")
        .bind(schema)
        .fetch_one(conn)
        .await?)
}

/// What needs no quoting anywhere, so that none is forgotten.
fn is_schema_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && name.len() <= 63
        && !name.starts_with("pg_")
}
