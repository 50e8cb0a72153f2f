//! Connections to a PostgreSQL server verify its certificate, when the URL says so.

use contracts::ambient::{Clock, Random};
use db::{Db, Secrets};
use settings::{Database, SecretRef, ServiceName};
use testkit::postgres::{TLS_CA, tls_url};

/// Opens the database at a URL; the certificate of the authority lies beside it.
async fn open(url: &str, ca: &str) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, value: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, value).unwrap();
    };
    write("kek/current", "a test's key-encryption key: 32B");
    write("database/ca.crt", ca);
    write("database/url", &url.replace("CA", dir.path().join("database/ca.crt").to_str().unwrap()));
    let database = Database::Postgres {
        url: SecretRef { secret: "database".to_owned(), key: "url".to_owned() },
        schema: "patient".to_owned(),
        keys_schema: "patient_keys".to_owned(),
        max_connections: 4,
    };
    let secrets = Secrets::new(dir.path());
    let opened =
        Db::open(ServiceName::PatientService, &database, &secrets, Clock::system(), Random::seeded(1)).await;
    opened.map_err(|error| error.to_string())?.close().await;
    Ok(())
}

#[tokio::test]
async fn a_certificate_of_the_right_authority_for_the_right_name_is_taken_and_no_other() {
    let good = format!("{}?sslmode=verify-full&sslrootcert=CA", tls_url());
    open(&good, TLS_CA).await.unwrap();
    for (what, url, ca) in [
        ("another authority", good.clone(), include_str!("other_ca.pem")),
        ("another name", good.replace("@localhost", "@127.0.0.1"), TLS_CA),
        ("no authority of ours", good.replace("&sslrootcert=CA", ""), TLS_CA),
    ] {
        let error = open(&url, ca).await.unwrap_err();
        assert!(error.contains("TLS: invalid peer certificate"), "{what}: {error}");
    }
    let error = open(&good.replace("CA", "/nowhere/ca.crt"), TLS_CA).await.unwrap_err();
    assert!(error.contains("entity not found"), "{error}");
}
