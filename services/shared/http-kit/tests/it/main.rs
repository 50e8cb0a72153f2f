//! What a service owes to whoever runs it, whatever it does: starting, stopping, being asked how it is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod clients;
mod configuration;
mod deadline;
mod dropped;
mod follow;
mod http2;
mod internal_tls;
mod life;

use std::collections::BTreeMap;
use std::sync::Arc;

use contracts::ambient::Random;
use contracts::auth::JwkSet;
use http_kit::Routes;
use http_kit::identity::{generate_key, public_jwk};
use http_kit::keys::KeyRing;
use http_kit::kit::{App, Service, World};
use http_kit::telemetry::Metrics;
use http_kit::token::Verifier;
use settings::{
    Address, AuthSettings, Database, Integrations, Observability, PasswordPolicy, ServiceName,
    ServiceSettings,
};
use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use testkit::TestDb;

/// A service that does as good as nothing.
const fn service(migrations: db::Migrations) -> Service {
    Service {
        name: ServiceName::PatientService,
        migrations,
        build: |kit| {
            Box::pin(async move {
                let router = Routes::new(&kit, (), &[]).finish()?;
                let slow = axum::routing::get(async || {
                    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                    "done"
                });
                #[expect(clippy::panic, reason = "this is what is tried out")]
                let panics = axum::routing::get(async || -> &'static str { panic!("a mistake") });
                let revocations = axum::routing::get(async || r#"{"items": [], "cursor": 1}"#);
                let router = router.route("/slow", slow).route("/panic", panics);
                Ok(App { router: router.route("/internal/revocations", revocations), jobs: Vec::new() })
            })
        },
    }
}

/// Tables on both engines.
fn migrations(sql: &[(i64, &'static str)]) -> db::Migrations {
    let migrator = || -> &'static Migrator {
        let migrations = sql.iter().map(|(version, sql)| {
            Migration::new(*version, "test".into(), MigrationType::Simple, sql.into_sql_str(), false)
        });
        Box::leak(Box::new(Migrator::with_migrations(migrations.collect())))
    };
    db::Migrations { postgres: migrator(), sqlite: migrator() }
}

fn no_tables() -> db::Migrations {
    static NONE: std::sync::OnceLock<db::Migrations> = std::sync::OnceLock::new();
    *NONE.get_or_init(|| migrations(&[]))
}

fn settings(database: Database, listen: Address) -> ServiceSettings {
    ServiceSettings {
        service: ServiceName::PatientService,
        encryption: settings::Encryption::default(),
        peers: [(
            ServiceName::AuthService,
            settings::Peer { address: Address("http://127.0.0.1:9".to_owned()) },
        )]
        .into(),
        calls: settings::ServiceCalls::default(),
        listen,
        admin_listen: None,
        tls: None,
        database,
        time_zone: "Europe/Berlin".to_owned(),
        currency: "EUR".to_owned(),
        auth: AuthSettings {
            issuer: "https://clinic.test".to_owned(),
            audience: "healthcare-stack".to_owned(),
            access_token_seconds: 600,
            refresh_token_seconds: 86_400,
            session_seconds: 7 * 86_400,
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
    }
}

/// The secrets of a service, beside those that a test's database has already.
fn write_secrets(dir: &std::path::Path) {
    let write = |secret: &str, key: &str, value: &[u8]| {
        std::fs::create_dir_all(dir.join(secret)).unwrap();
        std::fs::write(dir.join(secret).join(key), value).unwrap();
    };
    let (key, _) = generate_key("patient-service").unwrap();
    let identities = JwkSet { keys: vec![public_jwk("patient-service", &key).unwrap()] };
    write("patient-service-identity", "key.p8", &key);
    write("service-identities", "jwks.json", &serde_json::to_vec(&identities).unwrap());
}

fn world(test: &TestDb) -> World {
    write_secrets(&test.dir().join("secrets"));
    let clock = test.clock().clone();
    let ring = KeyRing::fixed(&JwkSet::default(), &JwkSet::default());
    let verifier =
        Verifier::new("https://clinic.test", "healthcare-stack", ring, Arc::default(), clock.clone());
    World {
        clock,
        random: Random::seeded(3),
        secrets: test.secrets().clone(),
        verifier: Arc::new(verifier),
        metrics: Metrics::default(),
        tracer: traces::Tracer::off(),
        credentials: None,
        admin_password: None,
    }
}

fn socket(test: &TestDb) -> Address {
    Address(format!("unix:{}", test.dir().join("s.sock").display()))
}
