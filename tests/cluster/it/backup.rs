//! A backup is restored into a new stack: what was sealed opens there, with the old stack's key, and for nobody without it.

use std::thread::JoinHandle;
use std::time::Duration;

use blackbox::Client as Caller;
use cluster_tests::{Clinic, Operator, eventually};
use serde_json::json;

use crate::deletion::remains;

const PATIENT: &str = r#"{"name": "Maria Beispiel", "dob": "1980-02-29",
    "contactInfo": {"phone": "+4930123456", "email": "maria@example.org"},
    "medicalHistory": {"allergies": ["Penicillin"], "chronicConditions": []}}"#;
/// For the last backup, after services and gateway have ended.
const TAKEN_IN: Duration = Duration::from_mins(3);
/// Between two patients.
const REST: Duration = Duration::from_millis(100);
/// Registrations that fail one after another until nobody is thought to be there any more.
const FAILURES: usize = 5;

/// The manifest of a new stack that is filled from a backup, as `kubectl healthcare restore` prints it.
fn restored(operator: &Operator, from: &str, new: &str, further: &[&str]) -> Clinic {
    let as_new = format!("--as={new}");
    let told = operator.namespace.healthcare(&[&["restore", from, &as_new], further].concat()).expect(0);
    assert!(told.err.contains("kubectl apply"), "{}", told.err);
    operator.namespace.apply(&told.out);
    Clinic::existing(operator, new)
}

/// Takes a backup now, as `kubectl healthcare backup` does.
pub(crate) fn back_up(clinic: &Clinic) {
    take(clinic, "backup");
}

/// Has a schedule's work done now.
pub(crate) fn take(clinic: &Clinic, what: &str) {
    let job = clinic.object(&format!("{what}-now"));
    let schedule = format!("--from=cronjob/{}", clinic.object(what));
    clinic.namespace().kubectl(&["create", "job", &job, &schedule]);
    let within = format!("--timeout={}s", TAKEN_IN.as_secs());
    clinic.namespace().kubectl(&["wait", "--for=condition=Complete", &within, &format!("job/{job}")]);
}

/// Registers patients until nobody answers any more. Answers where those are that were said to be registered.
fn register_to_the_end(caller: &Caller) -> JoinHandle<Vec<String>> {
    let caller = caller.clone();
    let work = async move {
        let caller = caller.on_connections_of_its_own();
        let (mut registered, mut failures) = (Vec::new(), 0);
        while failures < FAILURES {
            match caller.try_call("POST", "/api/patients", Some(PATIENT)).await {
                Ok(reply) if reply.status == 201 => {
                    registered.push(format!("/api/patients/{}", reply.json()["patientId"].as_str().unwrap()));
                    failures = 0;
                }
                _ => failures += 1,
            }
            tokio::time::sleep(REST).await;
        }
        registered
    };
    // Of its own, since `kubectl` is waited for on the test's.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(work)
    })
}

/// Waits until every service that this stack runs has erased a patient.
async fn is_erased(admin: &Caller, patient: &str) {
    let path = format!("{patient}/erasure");
    eventually("an erasure", TAKEN_IN, async || {
        let report = admin.call("GET", &path, None).await;
        let services = report.json()["services"].as_array().cloned().unwrap_or_default();
        let mut running = services.iter().filter(|service| service["status"] != "SwitchedOff").peekable();
        let is_done = running.peek().is_some() && running.all(|service| service["status"] == "Completed");
        if is_done { Ok(()) } else { Err(report.text) }
    })
    .await;
}

#[tokio::test]
async fn a_new_stack_is_filled_from_a_backup_and_gives_the_same_answers() {
    let operator = Operator::install("backup").await;
    let with_backup = json!({"database": {"backup": {"volume": {"size": "1Gi"}}}});
    let draft = operator.stack("old").small().with(with_backup);
    let old = draft.clone().ready().await;
    let admin = old.admin().await;
    let registered = admin.call("POST", "/api/patients", Some(PATIENT)).await.expect(201).json();
    let path = format!("/api/patients/{}", registered["patientId"].as_str().unwrap());
    let answer = admin.call("GET", &path, None).await.expect(200).json();
    let erased = admin.call("POST", "/api/patients", Some(PATIENT)).await.expect(201).json();
    let erased = format!("/api/patients/{}", erased["patientId"].as_str().unwrap());
    let told = operator.namespace.healthcare(&["backup", "old"]).expect(0);
    assert!(told.out.contains("takes a backup of old.\nIt is taken."), "{}", told.out);
    // After the backup, and so not in it.
    let later = admin.call("POST", "/api/patients", Some(PATIENT)).await.expect(201).json();
    let later = format!("/api/patients/{}", later["patientId"].as_str().unwrap());
    // Erased after the backup, and before the keys were taken that lie beside it.
    let _ = admin.call("DELETE", &erased, None).await.expect(200);
    is_erased(&admin, &erased).await;
    take(&old, "backup-keys");

    let new = restored(&operator, "old", "new", &[]);
    new.settled().await;
    // Users are in the backup too, and with them the old administrator's password.
    let admin_there = new.anybody().await.sign_in("admin", &old.admin_password().await).await;
    assert_eq!(admin_there.call("GET", &path, None).await.expect(200).json(), answer);
    let _ = admin_there.call("GET", &later, None).await.expect(404);
    let _ = admin_there.call("GET", &erased, None).await.expect(404);
    is_erased(&admin_there, &erased).await;
    let all = admin_there.call("GET", "/api/patients", None).await.expect(200).json();
    assert_eq!(all["items"].as_array().unwrap().len(), 1, "{all}");
    let _ = admin.call("GET", &later, None).await.expect(200);
    new.namespace().kubectl(&["delete", "healthcarestack", "new", "--timeout=60s"]);

    // With `Backup`, whatever was acknowledged is in the last backup, to the end; it and its key are what is left.
    old.edit(json!({"spec": {"deletionPolicy": "Backup"}})).await;
    old.settled().await;
    let registrar = register_to_the_end(&admin);
    let deleted = format!("--timeout={}s", TAKEN_IN.as_secs());
    old.namespace().kubectl(&["delete", "healthcarestack", "old", &deleted]);
    let left = ["backup", "backup-keys", "first-admin", "kek"].map(|part| old.object(part));
    eventually("only the backup and its key", TAKEN_IN, async || {
        let now = remains(&old).await;
        if now == left { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    // The old one is not in the cluster any more; its manifest is at hand, as it should be.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("old.yaml");
    std::fs::write(&file, draft.resource().to_string()).unwrap();
    let last = restored(&operator, "old", "last", &["--filename", file.to_str().unwrap()]);
    last.settled().await;
    let admin = last.anybody().await.sign_in("admin", &old.admin_password().await).await;
    let registered = registrar.join().expect("a registrar does not panic");
    assert!(!registered.is_empty(), "nobody was registered");
    for path in [path, later].into_iter().chain(registered) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(admin.call("GET", &path, None).await.expect(200).json()["name"], "Maria Beispiel");
    }
}
