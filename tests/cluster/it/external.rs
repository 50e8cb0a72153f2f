//! A database that somebody else runs: the stack makes its schemas there, checks the server's certificate and name, and leaves alone what it
//! did not make.

use std::time::Duration;

use cluster_tests::{Operator, REGISTRY, eventually};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::json;
use stack::names;

const SOON: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_stack_keeps_its_data_in_a_database_of_somebody_elses() {
    let operator = Operator::install("external").await;
    // Another stack's server, with a certificate that its own CA vouches for, and roles and schemas that must not be touched.
    let host = operator.stack("host").small().ready().await;
    let secrets: Api<Secret> = host.api();
    let read = async |part: &str, key: &str| {
        let secret = secrets.get(&host.object(part)).await.unwrap();
        String::from_utf8(secret.data.unwrap()[key].0.clone()).unwrap()
    };
    let (password, ca) = (read(names::POSTGRES, "password").await, read(names::DATABASE_TLS, "ca.crt").await);
    let server = host.object(names::POSTGRES);
    let url = format!("postgres://postgres:{password}@{server}:5432/postgres?sslmode=verify-full");
    let login = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}, "stringData": {"url": url, "ca.crt": ca},
    });
    host.namespace().apply(&login.to_string());

    let external = json!({
        "url": {"secret": "login", "key": "url"}, "maxConnections": 40, "image": format!("{REGISTRY}/postgres:15"),
    });
    let spec = json!({"database": {"managed": null, "external": external}, "deletionPolicy": "Delete"});
    let guest = operator.stack("guest").small().with(spec).ready().await;
    assert!(guest.pods(names::POSTGRES).await.is_empty(), "it runs a server of its own");
    let patient = json!({"name": "Maria Beispiel", "dob": "1980-02-29", "contactInfo": {"phone": "+4930123456", "email": "maria@example.org"},
        "medicalHistory": {"allergies": ["Penicillin"], "chronicConditions": []}});
    let admin = guest.admin().await;
    let registered = admin.call("POST", "/api/patients", Some(&patient.to_string())).await.expect(201).json();
    let path = format!("/api/patients/{}", registered["patientId"].as_str().unwrap());
    assert_eq!(admin.call("GET", &path, None).await.expect(200).json()["name"], "Maria Beispiel");
    let _ = host.admin().await.call("GET", &path, None).await.expect(404);

    // When it goes, its schemas stay: the server is not the operator's.
    guest.namespace().kubectl(&["delete", "healthcarestack", "guest", "--timeout=60s"]);
    eventually("no pods of it", SOON, async || {
        let pods = guest.running().await;
        if pods.is_empty() { Ok(()) } else { Err(format!("{pods:?}")) }
    })
    .await;
    let schemas = "select count(*) from pg_namespace where nspname in ('patient', 'patient_keys')";
    let ask = [
        "exec",
        &format!("{server}-0"),
        "--",
        "env",
        &format!("PGPASSWORD={password}"),
        "psql",
        "-XAt",
        "-U",
        "postgres",
        "-h",
        "/var/run/postgresql",
        "-c",
        schemas,
    ];
    assert_eq!(host.namespace().kubectl(&ask).trim(), "2");
    let _ = host.admin().await.call("GET", "/api/patients", None).await.expect(200);
}
