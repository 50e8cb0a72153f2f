//! Backups go to an object store outside of the cluster, and a new stack is filled from there when nothing else is left: no database, no
//! volume, only the bucket and the key. With the `NetworkPolicies` in force.

use std::time::Duration;

use cluster_tests::{Clinic, Enforced, Operator, eventually};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};
use stack::condition::{kind, reason};
use testkit::S3Server;

use crate::backup::{back_up, take};
use crate::deletion::remains;

const PATIENT: &str = r#"{"name": "Maria Beispiel", "dob": "1980-02-29",
    "contactInfo": {"phone": "+4930123456", "email": "maria@example.org"},
    "medicalHistory": {"allergies": ["Penicillin"], "chronicConditions": []}}"#;
const DELETED_IN: Duration = Duration::from_mins(3);

/// This machine, as pods see it: the first address of the nodes' network.
async fn this_machine(operator: &Operator) -> String {
    let nodes: Api<Node> = Api::all(operator.namespace.client().await);
    let node = nodes.list(&ListParams::default()).await.unwrap().items.remove(0);
    let addresses = node.status.unwrap().addresses.unwrap();
    let internal = addresses.into_iter().find(|address| address.type_ == "InternalIP").unwrap().address;
    format!("{}.1", internal.rsplit_once('.').unwrap().0)
}

fn store(server: &S3Server) -> Value {
    json!({
        "endpoint": server.endpoint(), "region": S3Server::REGION, "bucket": "backups", "keysBucket": "keys",
        "accessKeyId": {"secret": "bucket", "key": "id"}, "secretAccessKey": {"secret": "bucket", "key": "key"},
        "scratch": {"size": "1Gi"},
    })
}

fn from(server: &S3Server, backup: Option<&str>) -> Value {
    let mut store = store(server);
    store["folder"] = json!("object-store/old");
    let mut from = json!({"objectStore": store, "keySecretRef": {"name": "old-kek"}});
    if let Some(backup) = backup {
        from["backup"] = json!(backup);
    }
    json!({"database": {"restoreFrom": from}})
}

async fn register(clinic: &Clinic) -> String {
    let registered =
        clinic.admin().await.call("POST", "/api/patients", Some(PATIENT)).await.expect(201).json();
    format!("/api/patients/{}", registered["patientId"].as_str().unwrap())
}

#[tokio::test]
async fn what_is_left_of_a_stack_is_in_a_bucket_and_fills_a_new_one() {
    let operator = Operator::install("object-store").await;
    let server = S3Server::at(&this_machine(&operator).await, &["backups", "keys"]);
    let login = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bucket"},
        "stringData": {"id": S3Server::ACCESS_KEY_ID, "key": S3Server::SECRET_ACCESS_KEY},
    });
    operator.namespace.apply(&login.to_string());
    let _enforced = Enforced::in_namespace(&operator.namespace.name);
    let backup = json!({"database": {"backup": {"objectStore": store(&server)}}, "deletionPolicy": "Backup"});
    let old = operator.stack("old").small().with(backup).ready().await;
    let first = register(&old).await;
    back_up(&old);
    assert_eq!(server.objects("keys"), ["object-store/old/keys/keys.dump"]);
    assert_eq!(server.objects("backups").len(), 2, "{:?}", server.objects("backups"));

    take(&old, "backup-keys");
    assert_eq!(server.objects("keys"), ["object-store/old/keys/keys.dump"], "nobody is on the way any more");

    // The last backup has what was written since; of the cluster's own nothing stays but the key, and a password.
    let later = register(&old).await;
    let password = old.admin_password().await;
    let deleted = format!("--timeout={}s", DELETED_IN.as_secs());
    old.namespace().kubectl(&["delete", "healthcarestack", "old", &deleted]);
    let left = ["first-admin", "kek"].map(|part| old.object(part));
    eventually("only the key", DELETED_IN, async || {
        let now = remains(&old).await;
        if now == left { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    assert_eq!(server.objects("backups").len(), 4, "{:?}", server.objects("backups"));

    let new = operator.stack("new").small().with(from(&server, None)).ready().await;
    let admin = new.anybody().await.sign_in("admin", &password).await;
    for path in [first, later] {
        assert_eq!(admin.call("GET", &path, None).await.expect(200).json()["name"], "Maria Beispiel");
    }

    // One that is not there is named, where people look.
    let lost = operator.stack("lost").small().with(from(&server, Some("20200101T000000Z"))).apply();
    let ready = lost.says(kind::READY, reason::RESTORE_FAILED, DELETED_IN).await;
    assert!(ready.message.contains("there is no backup 20200101T000000Z"), "{}", ready.message);
}
