//! SQLite: one writer that queues in async, a few short-lived readers, files that only their owner can read.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use sqlx::pool::PoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, Sqlite, SqliteConnection, SqlitePool};

use crate::Error;
use crate::db::{OpenError, Pools};
use crate::open::OpenTo;

const READERS_MAX: u32 = 3;
/// How long a request waits for its turn to write (or read) before it is answered 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// For locks held by another process, such as a backup: inside this one, the writer's pool is the queue.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// A reader costs a thread and a page cache; an idle stack keeps none.
const READER_IDLE: Duration = Duration::from_mins(1);

/// So many rows does SQLite's thread read ahead of who asked. At sqlx's 50 the two wait for each other twenty times in a thousand rows, which then take
/// four times as long. Whoever asks takes all rows there are: it costs no memory that is not needed anyway.
const ROWS_AHEAD: usize = 1024;

pub(crate) async fn open(path: &Path, keys_path: &Path, purpose: OpenTo) -> Result<Pools, OpenError> {
    for path in [path, keys_path] {
        if purpose == OpenTo::Serve {
            create_private(path)?;
        } else {
            check_is_there(path)?;
        }
    }
    let query_only = if purpose == OpenTo::Look { "ON" } else { "OFF" };
    let lasting = |path: &Path| options(path).pragma("query_only", query_only);
    // `secure_delete` there: a destroyed key must be gone from the file, not only from the index.
    let keys = single(lasting(keys_path).pragma("secure_delete", "ON").pragma("cache_size", "-128")).await?;
    let write = single(lasting(path).pragma("cache_size", "-1024")).await?;
    let read = pool(READERS_MAX)
        .idle_timeout(READER_IDLE)
        .connect_lazy_with(options(path).pragma("query_only", "ON").pragma("cache_size", "-512"));
    Ok(Pools::Sqlite { write, read, keys })
}

/// One connection, kept for good. Whoever wants to write waits for it here, without polling.
async fn single(options: SqliteConnectOptions) -> Result<SqlitePool, Error> {
    Ok(pool(1).idle_timeout(None).connect_with(options).await?)
}

fn pool(connections_max: u32) -> PoolOptions<Sqlite> {
    PoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_release(|conn, _| Box::pin(is_fit_for_the_next(conn)))
}

/// When the disk is full, SQLite ends the transaction by itself; sqlx's rollback then fails, and it goes on counting a
/// transaction that is no more. With a single writer that would be the end of all writing: such a connection is closed,
/// and the next task opens another.
async fn is_fit_for_the_next(conn: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // A rollback may still be under way; the answer to this comes after it.
    conn.ping().await?;
    Ok(!conn.is_in_transaction())
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        // NORMAL would lose the last commits with the power; an acknowledged write must survive that.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .row_buffer_size(ROWS_AHEAD)
        // Sorting must not spill rows into a file in /tmp.
        .pragma("temp_store", "MEMORY")
        .pragma("journal_size_limit", "4194304")
        .pragma("trusted_schema", "OFF")
}

fn check_is_there(path: &Path) -> Result<(), OpenError> {
    match path.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => Err(OpenError::NotThere { what: path.display().to_string() }),
        Err(error) => Err(OpenError::File { path: path.to_owned(), reason: error.kind() }),
    }
}

/// Creates the file for its owner alone before SQLite does; its `-wal` and `-shm` take over the mode.
fn create_private(path: &Path) -> Result<(), OpenError> {
    let file_error = |error: std::io::Error| OpenError::File { path: path.to_owned(), reason: error.kind() };
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(file_error)?;
    }
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(file_error)?;
    let mode = file.metadata().map_err(file_error)?.permissions().mode();
    if mode & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600)).map_err(file_error)?;
    }
    Ok(())
}
