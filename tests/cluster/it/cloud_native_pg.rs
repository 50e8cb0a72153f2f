//! A database that CloudNativePG runs, against its real definition. Its operator's image is not to be had here, and so the test plays it: makes
//! the Secrets and the Service that it makes, says in the status that an instance is ready, and runs the PostgreSQL behind it.

use std::time::Duration;

use cluster_tests::{Clinic, Cluster, Operator, definitions, eventually};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};
use stack::condition::{kind, reason};
use stack::spec::ConditionStatus;

const SOON: Duration = Duration::from_secs(30);
/// The operator asks every minute what the cluster knows.
const NOTICED_IN: Duration = Duration::from_secs(90);
const PASSWORD: &str = "the superuser's";

/// What its instances do at a first start, as far as a stack can tell.
const INSTANCE: &str = r#"
cp /tls/tls.key /var/lib/postgresql/tls.key && chmod 600 /var/lib/postgresql/tls.key
printf %s "$PASSWORD" >/tmp/password
initdb --auth-host=scram-sha-256 --auth-local=peer --pwfile=/tmp/password --encoding=UTF8 --locale=C.UTF-8 >/dev/null
echo "hostssl all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
pg_ctl --silent --wait --options="-c listen_addresses=" start >/dev/null
psql --quiet --command "create database healthcare"
pg_ctl --silent --wait stop
exec postgres -c listen_addresses='*' -c ssl=on -c ssl_cert_file=/tls/tls.crt -c ssl_key_file=/var/lib/postgresql/tls.key
"#;

/// A CA, and what it vouches for: certificate and key of a server by this name.
fn certificates(name: &str) -> [String; 3] {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "clinic-postgres");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let server = params.signed_by(&key, &authority).unwrap();
    [authority.pem(), server.pem(), key.serialize_pem()]
}

fn secret(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})
}

/// What CloudNativePG makes of a Cluster.
fn made_of_it(cluster: &str) -> Value {
    let service = format!("{cluster}-rw");
    let [authority, certificate, key] = certificates(&service);
    let labels = json!({"cnpg.io/cluster": cluster, "role": "primary"});
    let restricted = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    let container = json!({
        "name": "postgres", "image": "healthcare-test/postgres:15", "imagePullPolicy": "Never", "command": ["sh", "-euc", INSTANCE],
        "env": [{"name": "PASSWORD", "value": PASSWORD}],
        "readinessProbe": {"exec": {"command": ["pg_isready", "-q"]}, "periodSeconds": 1},
        "securityContext": restricted, "volumeMounts": [{"name": "tls", "mountPath": "/tls"}],
    });
    let pod = json!({
        "securityContext": {"runAsNonRoot": true, "runAsUser": 999, "seccompProfile": {"type": "RuntimeDefault"}},
        "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
        "containers": [container], "volumes": [{"name": "tls", "secret": {"secretName": format!("{cluster}-server")}}],
    });
    json!({"apiVersion": "v1", "kind": "List", "items": [
        secret(&format!("{cluster}-superuser"), &json!({"username": "postgres", "password": PASSWORD})),
        secret(&format!("{cluster}-ca"), &json!({"ca.crt": authority})),
        secret(&format!("{cluster}-server"), &json!({"tls.crt": certificate, "tls.key": key})),
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": service},
            "spec": {"selector": labels, "ports": [{"name": "postgres", "port": 5432}]}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("{cluster}-1"), "labels": labels}, "spec": pod},
    ]})
}

/// The members of a plan that the API server did not keep, or keeps otherwise.
fn lost(planned: &Value, kept: &Value, path: &str) -> Vec<String> {
    match planned {
        Value::Object(members) => {
            let lost = members
                .iter()
                .map(|(name, value)| lost(value, &kept[name.as_str()], &format!("{path}.{name}")));
            lost.flatten().collect()
        }
        _ if planned == kept => Vec::new(),
        _ => vec![format!("{path}: {kept}, not {planned}")],
    }
}

#[tokio::test]
async fn a_stack_keeps_its_data_in_a_cluster_of_cloud_native_pg() {
    let kinds = format!("--filename={}", definitions("github.com/cloudnative-pg/cloudnative-pg").display());
    Cluster::get().kubectl(&["delete", &kinds, "--ignore-not-found"]);
    Cluster::get().import_as("postgres", "ghcr.io/cloudnative-pg/postgresql:15");
    let operator = Operator::install("cnpg").await;
    let wanted = json!({"instances": 2, "version": 15, "storage": {"size": "2Gi", "className": "local-path"},
        "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "1Gi"}}});
    let spec = json!({"database": {"managed": null, "cloudNativePG": wanted}, "deletionPolicy": "Delete"});
    let clinic = operator.stack("clinic").small().with(spec).apply();
    let condition = clinic.says(kind::READY, reason::KIND_MISSING, SOON).await;
    for words in ["spec.database.cloudNativePG", "CloudNativePG", "Cluster (postgresql.cnpg.io/v1)"] {
        assert!(condition.message.contains(words), "{}", condition.message);
    }
    assert_eq!(condition.status, ConditionStatus::False);

    Cluster::get().kubectl(&["apply", "--server-side", &kinds]);
    let cluster = eventually("a Cluster", NOTICED_IN, async || {
        let said = clinic.namespace().ask(&[
            "get",
            "clusters.postgresql.cnpg.io",
            "clinic-postgres",
            "--output=json",
        ]);
        serde_json::from_str::<Value>(&said).map_err(|_| said)
    })
    .await;
    let planned = json!({
        "instances": 2, "imageName": "ghcr.io/cloudnative-pg/postgresql:15", "enableSuperuserAccess": true,
        "bootstrap": {"initdb": {"database": "healthcare", "dataChecksums": true, "encoding": "UTF8", "localeCollate": "C.UTF-8", "localeCType": "C.UTF-8"}},
        "postgresql": {"parameters": {"max_connections": "256", "password_encryption": "scram-sha-256", "log_statement": "none"}},
        "storage": {"size": "2Gi", "storageClass": "local-path"},
        "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "1Gi"}},
    });
    assert_eq!(lost(&planned, &cluster["spec"], "spec"), [""; 0]);
    // Everything that the operator set is a member that the definition knows.
    let strictly = [
        "apply",
        "--dry-run=server",
        "--validate=strict",
        "--server-side",
        "--force-conflicts",
        "--filename=-",
    ];
    let again = json!({"apiVersion": cluster["apiVersion"], "kind": "Cluster", "metadata": {"name": "clinic-postgres"}, "spec": cluster["spec"]});
    let said = clinic.namespace().ask_with_input(&strictly, &again.to_string());
    assert!(said.contains("serverside-applied"), "{said}");

    // It is not there yet, and nobody says that it refuses.
    let condition = clinic.says(kind::DATABASE_READY, reason::DATABASE_UNREACHABLE, SOON).await;
    assert!(condition.message.contains("Cluster clinic-postgres"), "{}", condition.message);
    clinic.namespace().apply(&made_of_it("clinic-postgres").to_string());
    clinic.namespace().ready_pod("clinic-postgres-1", Duration::from_mins(1)).await;
    let ready =
        r#"--patch={"status": {"readyInstances": 1, "instances": 2, "phase": "Cluster in healthy state"}}"#;
    clinic.namespace().kubectl(&[
        "patch",
        "clusters.postgresql.cnpg.io",
        "clinic-postgres",
        "--subresource=status",
        "--type=merge",
        ready,
    ]);
    clinic.settled().await;
    assert!(clinic.pods("postgres").await.is_empty(), "it runs a server of its own");
    let _ = clinic.admin().await.call("GET", "/api/patients", None).await.expect(200);

    new_certificates(&clinic).await;
    clinic.namespace().kubectl(&["delete", "healthcarestack", "clinic", "--timeout=60s"]);
    eventually("no Cluster", SOON, async || {
        let said = clinic.namespace().ask(&["get", "clusters.postgresql.cnpg.io", "--output=name"]);
        if said.is_empty() { Ok(()) } else { Err(said) }
    })
    .await;
}

/// CloudNativePG renews its CA: what connects learns of the new one beside the old one.
async fn new_certificates(clinic: &Clinic) {
    let secrets: Api<Secret> = clinic.api();
    let authority = async || {
        let secret = secrets.get(&clinic.object("database-patient")).await.unwrap();
        String::from_utf8(secret.data.unwrap()["ca.crt"].0.clone()).unwrap()
    };
    let [renewed, _, _] = certificates("clinic-postgres-rw");
    let both = authority().await + &renewed;
    clinic.namespace().apply(&secret("clinic-postgres-ca", &json!({"ca.crt": both})).to_string());
    eventually("the new CA among those that services believe", SOON, async || {
        if authority().await == both { Ok(()) } else { Err("it has the old one alone") }
    })
    .await;
    clinic.settled().await;
}
