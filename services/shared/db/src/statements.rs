//! [`sql!`](crate::sql!): every statement is registered where it is written, and [`prepare_all`] prepares each of them
//! on a migrated engine. One test per service and engine does so: that takes the place of compile-time checking.

use sqlx::{Executor, SqlSafeStr};

use crate::db::{Db, Pools};

/// A registered statement.
#[derive(Debug)]
pub struct Statement {
    /// The text, the same on both engines.
    pub sql: &'static str,
    /// Where it stands.
    pub file: &'static str,
    /// The line in it.
    pub line: u32,
    /// The crate that holds it, as in its Cargo.toml.
    pub crate_name: &'static str,
    /// Where it runs.
    pub store: Store,
}

/// Which of a service's two stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// The data.
    Data,
    /// The wrapped keys.
    Keys,
}

inventory::collect!(Statement);

/// Registers a statement and is its text: `sqlx::query(sql!("select …"))`.
#[macro_export]
macro_rules! sql {
    ($text:literal) => {
        $crate::sql!(Data, $text)
    };
    ($store:ident, $text:literal) => {{
        $crate::inventory::submit! {
            $crate::Statement {
                sql: $text,
                file: ::core::file!(),
                line: ::core::line!(),
                crate_name: ::core::env!("CARGO_PKG_NAME"),
                store: $crate::Store::$store,
            }
        }
        $text
    }};
}

/// The statements that `crate_name` registered.
pub fn statements(crate_name: &str) -> impl Iterator<Item = &'static Statement> {
    inventory::iter::<Statement>.into_iter().filter(move |statement| statement.crate_name == crate_name)
}

/// The statements that the engine does not take.
#[derive(Debug, thiserror::Error)]
#[error("{} statement(s) do not prepare on {engine}:\n{}", .failed.len(), .failed.join("\n"))]
pub struct PrepareError {
    /// On which engine.
    pub engine: &'static str,
    /// `file:line: reason: statement`, each.
    pub failed: Vec<String>,
}

/// Prepares every statement of `crate_name` on `db`'s engine. Returns how many there were: a registry test asserts that
/// it is not zero.
pub async fn prepare_all(db: &Db, crate_name: &str) -> Result<usize, PrepareError> {
    let mut count = 0;
    let mut failed = Vec::new();
    for statement in statements(crate_name) {
        count += 1;
        let sql = statement.sql.into_sql_str();
        let prepared = match (db.pools(), statement.store) {
            (Pools::Postgres { data, .. }, Store::Data) => data.prepare(sql).await.map(drop),
            (Pools::Postgres { keys, .. }, Store::Keys) => keys.prepare(sql).await.map(drop),
            (Pools::Sqlite { write, .. }, Store::Data) => write.prepare(sql).await.map(drop),
            (Pools::Sqlite { keys, .. }, Store::Keys) => keys.prepare(sql).await.map(drop),
        };
        if let Err(error) = prepared {
            failed.push(format!("{}:{}: {error}: {}", statement.file, statement.line, statement.sql));
        }
    }
    if failed.is_empty() { Ok(count) } else { Err(PrepareError { engine: db.engine().as_str(), failed }) }
}
