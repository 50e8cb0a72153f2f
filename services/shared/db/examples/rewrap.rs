//! How long it takes to wrap all keys of a service anew: `cargo run --release --package db --example rewrap [KEYS]`.
//!
//! On PostgreSQL, the tests' own server (in memory, as good as: it does not wait for the disk) or that of `TEST_DATABASE_URL`; and on
//! SQLite, which waits for the disk at each commit.
#![allow(clippy::unwrap_used, reason = "what goes wrong ends it")]

use std::time::Instant;

use contracts::ambient::Random;
use db::{Db, Engine, Migrations, Place, Subject};
use settings::ServiceName;
use testkit::TestDb;
use tokio::task::JoinSet;

const KEYS: usize = 100_000;
const MAKERS: usize = 8;
const SECOND: &[u8] = b"the next key-encryption key: 32B";

/// No table of the service's own.
static NONE: sqlx::migrate::Migrator = sqlx::migrate::Migrator::DEFAULT;
const MIGRATIONS: Migrations = Migrations { postgres: &NONE, sqlite: &NONE };

#[tokio::main]
async fn main() {
    let keys = std::env::args().nth(1).map_or(KEYS, |keys| keys.parse().unwrap());
    for engine in [Engine::Postgres, Engine::Sqlite] {
        let test = TestDb::new(engine, ServiceName::PatientService, &MIGRATIONS).await;
        make(test.db(), keys).await;
        let kek = test.dir().join("secrets/kek");
        std::fs::rename(kek.join("current"), kek.join("previous")).unwrap();
        std::fs::write(kek.join("current"), SECOND).unwrap();
        let db = test.open_again().await;
        let begun = Instant::now();
        let rewrapped = db.rewrap().await.unwrap();
        let took = begun.elapsed();
        println!("{}: {} keys in {:.1} s", engine.as_str(), rewrapped.anew, took.as_secs_f64());
        db.close().await;
        test.teardown().await;
    }
}

async fn make(db: &Db, keys: usize) {
    let run = Random::system().below(1 << 32);
    let mut makers = JoinSet::new();
    for maker in 0..MAKERS {
        let db = db.clone();
        makers.spawn(async move {
            for number in (maker..keys).step_by(MAKERS) {
                let patient = format!("pat_{run:08x}{number:08}");
                let place = Place { table: "visit", column: "body", row: "v" };
                db.vault().seal(&Subject::Patient(&patient), place, b"-").await.unwrap();
            }
        });
    }
    makers.join_all().await;
}
