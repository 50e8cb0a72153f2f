//! What sealing and the audit cost a request: the same one with both and without, over a real socket, on SQLite and PostgreSQL, alone and many at
//! once.
//!
//! ```sh
//! cargo run --release --package http-kit --example audit
//! ```

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement ends with a panic, or prints")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use contracts::ambient::Random;
use contracts::auth::JwkSet;
use contracts::endpoint::{Access, Encoding, Endpoint, Operation, schema_of};
use contracts::problem::Problem;
use db::{Db, Engine, Place, Subject, on};
use http_kit::identity::{generate_key, public_jwk};
use http_kit::keys::KeyRing;
use http_kit::kit::{App, Service, World};
use http_kit::telemetry::Metrics;
use http_kit::token::Verifier;
use http_kit::{Answer, Call, Failure, Routes, serve};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::{
    Address, AuthSettings, Integrations, Method, Observability, PasswordPolicy, ServiceName, ServiceSettings,
};
use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use testkit::TestDb;

const LASTS: Duration = Duration::from_secs(4);
const PATIENT: &str = "pat_1";

/// As large as a patient of the documented API.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Note {
    patient_id: String,
    text: String,
}

macro_rules! operation {
    ($name:ident, $method:ident, $audited:literal) => {
        struct $name;

        impl Endpoint for $name {
            const OPERATION: &'static Operation = &Operation {
                id: stringify!($name),
                service: Some(ServiceName::PatientService),
                tag: "Notes",
                summary: "A note.",
                method: Method::$method,
                path: concat!("/api/", stringify!($name)),
                access: Access::Public,
                status: 200,
                audited: $audited,
                query: None,
                body: None,
                encoding: Encoding::Json,
                reply: schema_of::<Note>,
                media_type: "application/json",
            };
            type Path = ();
            type Query = ();
            type Body = ();
            type Reply = Note;
        }
    };
}

operation!(ReadPlain, Get, false);
operation!(ReadBoth, Get, true);
operation!(WritePlain, Put, false);
operation!(WriteBoth, Put, true);

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Broken(#[from] db::Error);

impl Failure for Broken {
    fn problem(&self) -> Problem {
        http_kit::problem::of_db(&self.0)
    }
}

const PLACE: Place<'static> = Place { table: "note", column: "body", row: "n1" };

/// Each another: what is there already, SQLite does not write, and its commit would cost nothing.
fn note() -> Note {
    static NOTES: AtomicU32 = AtomicU32::new(0);
    let number = NOTES.fetch_add(1, Ordering::Relaxed);
    Note {
        patient_id: PATIENT.to_owned(),
        text: format!("{} {number:010}", "A sentence of a medical history. ".repeat(20)),
    }
}

async fn load(db: &Db, id: &str) -> Result<Vec<u8>, db::Error> {
    let mut tx = db.read().await?;
    Ok(on!(tx, |conn| sqlx::query_scalar("select body from note where id = $1")
        .bind(id)
        .fetch_one(conn)
        .await)?)
}

async fn save(db: &Db, id: &str, body: &[u8]) -> Result<(), db::Error> {
    let mut tx = db.begin().await?;
    on!(tx, |conn| sqlx::query("update note set body = $2 where id = $1")
        .bind(id)
        .bind(body)
        .execute(conn)
        .await
        .map(drop))?;
    tx.commit().await
}

async fn read_plain(db: Db, _: Call<ReadPlain>) -> Result<Answer<ReadPlain>, Broken> {
    Ok(Answer::new(serde_json::from_slice(&load(&db, "plain").await?).unwrap()))
}

async fn read_both(db: Db, _: Call<ReadBoth>) -> Result<Answer<ReadBoth>, Broken> {
    let body = load(&db, "sealed").await?;
    Ok(Answer::new(db.vault().open_json(&Subject::Patient(PATIENT), PLACE, &body).await?))
}

async fn write_plain(db: Db, _: Call<WritePlain>) -> Result<Answer<WritePlain>, Broken> {
    save(&db, "plain", &serde_json::to_vec(&note()).unwrap()).await?;
    Ok(Answer::new(note()))
}

async fn write_both(db: Db, _: Call<WriteBoth>) -> Result<Answer<WriteBoth>, Broken> {
    contracts::trail::concerns(PATIENT);
    let body = db.vault().seal_json(&Subject::Patient(PATIENT), PLACE, &note()).await?;
    save(&db, "sealed", &body).await?;
    Ok(Answer::new(note()))
}

const DECLARED: &[&Operation] =
    &[ReadPlain::OPERATION, ReadBoth::OPERATION, WritePlain::OPERATION, WriteBoth::OPERATION];

fn notebook() -> Service {
    Service {
        name: ServiceName::PatientService,
        migrations: tables(),
        build: |kit| {
            Box::pin(async move {
                let routes = Routes::new(&kit, kit.db.clone(), DECLARED);
                let router = routes.on(read_plain).on(read_both).on(write_plain).on(write_both).finish()?;
                Ok(App { router, jobs: Vec::new() })
            })
        },
    }
}

fn tables() -> db::Migrations {
    static TABLES: std::sync::OnceLock<db::Migrations> = std::sync::OnceLock::new();
    let migrator = |sql: &'static str| -> &'static Migrator {
        let migration = Migration::new(1, "note".into(), MigrationType::Simple, sql.into_sql_str(), false);
        Box::leak(Box::new(Migrator::with_migrations(vec![migration])))
    };
    *TABLES.get_or_init(|| db::Migrations {
        postgres: migrator("create table note (id text primary key, body bytea)"),
        sqlite: migrator("create table note (id text primary key, body blob)"),
    })
}

async fn start(test: &TestDb) -> (serve::Running, reqwest::Client) {
    let secrets = test.dir().join("secrets");
    let write = |secret: &str, key: &str, value: &[u8]| {
        std::fs::create_dir_all(secrets.join(secret)).unwrap();
        std::fs::write(secrets.join(secret).join(key), value).unwrap();
    };
    let (key, _) = generate_key("patient-service").unwrap();
    let identities = JwkSet { keys: vec![public_jwk("patient-service", &key).unwrap()] };
    write("patient-service-identity", "key.p8", &key);
    write("service-identities", "jwks.json", &serde_json::to_vec(&identities).unwrap());
    let ring = KeyRing::fixed(&JwkSet::default(), &JwkSet::default());
    let clock = test.clock().clone();
    let verifier = Arc::new(Verifier::new("i", "a", ring, Arc::default(), clock.clone()));
    let world = World {
        clock,
        random: Random::system(),
        secrets: test.secrets().clone(),
        verifier,
        metrics: Metrics::default(),
        tracer: traces::Tracer::off(),
        credentials: None,
        admin_password: None,
    };
    let socket = test.dir().join("s.sock");
    let settings = ServiceSettings {
        service: ServiceName::PatientService,
        peers: [(
            ServiceName::AuthService,
            settings::Peer { address: Address("http://127.0.0.1:9".to_owned()) },
        )]
        .into(),
        calls: settings::ServiceCalls::default(),
        listen: Address(format!("unix:{}", socket.display())),
        admin_listen: None,
        tls: None,
        database: test.settings().clone(),
        encryption: settings::Encryption::default(),
        time_zone: "Europe/Berlin".to_owned(),
        currency: "EUR".to_owned(),
        auth: AuthSettings {
            issuer: "i".to_owned(),
            audience: "a".to_owned(),
            access_token_seconds: 600,
            refresh_token_seconds: 86_400,
            session_seconds: 86_400,
            log_off: BTreeMap::new(),
            second_factor: settings::SecondFactor::default(),
            identity_providers: Vec::new(),
            revocations_stale_seconds: settings::REVOCATIONS_STALE_SECONDS,
            password_policy: PasswordPolicy::default(),
        },
        access: settings::AccessSettings::default(),
        retention: settings::RetentionSettings::default(),
        appointments: settings::AppointmentSettings::default(),
        integrations: Integrations::default(),
        observability: Observability::default(),
    };
    let running = serve::start(notebook(), settings, world).await.unwrap();
    (running, reqwest::Client::builder().unix_socket(socket).build().unwrap())
}

/// Requests a second, by so many clients at once.
async fn rate(client: &reqwest::Client, operation: &'static Operation, at_once: u32) -> f64 {
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..at_once {
        let client = client.clone();
        tasks.spawn(async move {
            let method = reqwest::Method::from_bytes(operation.method.as_str().as_bytes()).unwrap();
            let mut count = 0_u32;
            while begun.elapsed() < LASTS {
                let url = format!("http://service{}", operation.path);
                let answer = client.request(method.clone(), url).send().await.unwrap();
                assert_eq!(answer.status(), 200);
                let _ = answer.bytes().await.unwrap();
                count += 1;
            }
            count
        });
    }
    let count: u32 = tasks.join_all().await.into_iter().sum();
    f64::from(count) / begun.elapsed().as_secs_f64()
}

#[tokio::main]
async fn main() {
    println!("| engine | request | at once | without, 1/s | with, 1/s | ratio |");
    println!("|---|---|---|---|---|---|");
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let test = TestDb::new(engine, ServiceName::PatientService, &tables()).await;
        let mut tx = test.db().begin().await.unwrap();
        for id in ["plain", "sealed"] {
            on!(tx, |conn| sqlx::query("insert into note (id) values ($1)")
                .bind(id)
                .execute(conn)
                .await
                .map(drop))
            .unwrap();
        }
        tx.commit().await.unwrap();
        let (running, client) = start(&test).await;
        for (request, plain, both) in [
            ("write", WritePlain::OPERATION, WriteBoth::OPERATION),
            ("read", ReadPlain::OPERATION, ReadBoth::OPERATION),
        ] {
            for at_once in [1, 32] {
                // In turns, so that whatever else the machine does meets both.
                let (mut without, mut with) = (0.0, 0.0);
                for _ in 0..2 {
                    without += rate(&client, plain, at_once).await / 2.0;
                    with += rate(&client, both, at_once).await / 2.0;
                }
                let ratio = without / with;
                println!(
                    "| {} | {request} | {at_once} | {without:.0} | {with:.0} | {ratio:.2} |",
                    engine.as_str()
                );
            }
        }
        running.stop().await;
        test.teardown().await;
    }
}
