//! Another key-encryption key, while the stack runs or not: whatever breaks it off, what was sealed opens.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use blackbox::healthcare::program;
use blackbox::{Client, Healthcare, Reply, Setup};
use tokio::process::Command;
use tokio::task::JoinSet;

const PATIENTS: usize = 40;
const ROTATIONS: usize = 3;
const CALLERS: usize = 3;

fn rotate(data: &Path) -> Command {
    let mut command = Command::new(program());
    command.arg("rotate-kek").arg("--data-dir").arg(data).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn rotated(data: &Path) -> (Option<i32>, String) {
    let output = rotate(data).output().await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

async fn all_are_there(admin: &Client) {
    for number in 0..PATIENTS {
        let read = admin.call("GET", &format!("/api/patients/p{number}"), None).await.expect(200).json();
        assert_eq!(read["name"], format!("Patient {number}"));
    }
    let found = admin.call("GET", "/api/patients?name=Patient%207", None).await.expect(200);
    assert!(found.text.contains("\"p7\""), "{}", found.text);
}

async fn register(admin: &Client, id: &str, name: &str) -> Reply {
    let patient = format!(
        r#"{{"patientId": "{id}", "name": "{name}", "dob": "1980-01-01", "contactInfo": {{"phone": "+1234567890"}}}}"#
    );
    admin.call("POST", "/api/patients", Some(&patient)).await
}

async fn register_all(admin: &Client) {
    for number in 0..PATIENTS {
        let _ = register(admin, &format!("p{number}"), &format!("Patient {number}")).await.expect(201);
    }
}

/// Registers patients and reads others until it is told to stop; tells how often, and what was not answered as it should be.
async fn work(admin: Client, next: Arc<AtomicUsize>, stop: Arc<AtomicBool>) -> (usize, Vec<String>) {
    let (mut calls, mut failed) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let path = format!("/api/patients/p{}", number % PATIENTS);
        let made = register(&admin, &format!("load{number}"), "Load Test").await;
        let read = admin.call("GET", &path, None).await;
        for (reply, status) in [(made, 201), (read, 200)] {
            calls += 1;
            // As many as one address may ask.
            if reply.status != status && reply.status != 429 {
                failed.push(format!("{}: {} {}", reply.asked, reply.status, reply.text));
            }
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    (calls, failed)
}

/// The key-encryption keys that keys are wrapped under, as the stack tells.
async fn in_use(admin: &Client) -> BTreeSet<String> {
    let keys = admin.call("GET", "/api/admin/keys", None).await.expect(200).json();
    let services = keys["services"].as_array().unwrap();
    let keys = services.iter().flat_map(|service| service["keys"].as_array().unwrap());
    keys.map(|key| key["kekId"].as_str().unwrap().to_owned()).collect()
}

async fn is_exchanged_under_load(setup: Setup) {
    let stack = setup.start().await;
    let admin = stack.admin().await;
    register_all(&admin).await;
    let data = stack.setup.data_path();
    let (current, previous) = (data.join("secrets/kek/current"), data.join("secrets/kek/previous"));
    let (next, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut workers = JoinSet::new();
    for _ in 0..CALLERS {
        workers.spawn(work(admin.clone(), Arc::clone(&next), Arc::clone(&stop)));
    }
    let (mut seen, mut first) = (in_use(&admin).await, std::fs::read(&current).unwrap());
    for _ in 0..ROTATIONS {
        let (code, said) = rotated(&data).await;
        assert!(code == Some(0) && said.contains("renew your copy"), "{said}");
        assert!(!previous.exists());
        let now = in_use(&admin).await;
        assert!(now.len() == 1 && now.is_disjoint(&seen), "{seen:?}, then {now:?}");
        seen.extend(now);
        let last = std::mem::replace(&mut first, std::fs::read(&current).unwrap());
        assert_ne!(first, last);
    }
    // Broken off anywhere, and one at a time.
    for after in [10, 30, 60, 100, 150, 250] {
        let mut child = rotate(&data).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(after)).await;
        child.kill().await.unwrap();
    }
    let lock = File::open(data.join("secrets/kek")).unwrap();
    lock.lock().unwrap();
    let (code, said) = rotated(&data).await;
    assert!(code == Some(1) && said.contains("another process is exchanging"), "{said}");
    drop(lock);
    stop.store(true, Ordering::Relaxed);
    let mut calls = 0;
    for (made, failed) in workers.join_all().await {
        calls += made;
        assert!(failed.is_empty(), "{failed:#?}");
    }
    assert!(calls > 50, "{calls} calls are no load");

    // Killed itself while its key is being exchanged, it starts with whatever there is, and the next run comes to the end.
    let mut child = rotate(&data).spawn().unwrap();
    tokio::time::sleep(Duration::from_millis(60)).await;
    let setup = stack.kill().await;
    child.kill().await.unwrap();
    let stack = setup.start().await;
    let admin = stack.admin().await;
    all_are_there(&admin).await;
    let (code, said) = rotated(&data).await;
    assert_eq!(code, Some(0), "{said}");
    let left: Vec<_> = std::fs::read_dir(data.join("secrets/kek"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["current"]);
    assert_eq!(in_use(&admin).await.len(), 1);
    let setup = all_are_there_at(stack.interrupt().await.0).await;

    // The key of before is retired: nothing starts with it any more.
    std::fs::write(&current, first).unwrap();
    let (status, said) = setup.refused().await;
    assert!(status.code() == Some(1) && said.contains("which the secret kek does not hold"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_encryption_key_is_exchanged_under_load_without_one_failed_request() {
    is_exchanged_under_load(Setup::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn and_so_it_is_on_postgresql() {
    is_exchanged_under_load(Setup::new().with_database(&testkit::engines::fresh_database().await)).await;
}

#[tokio::test]
async fn a_rotation_of_the_key_encryption_key_that_is_killed_anywhere_loses_nothing() {
    let stack = Healthcare::start().await;
    let admin = stack.admin().await;
    register_all(&admin).await;
    all_are_there(&admin).await;
    let data = stack.setup.data_path();
    let (mut setup, ..) = stack.interrupt().await;

    let (current, previous) = (data.join("secrets/kek/current"), data.join("secrets/kek/previous"));
    let first = std::fs::read(&current).unwrap();
    let mut was_between = false;
    for after in [5, 20, 40, 60, 80, 100, 150, 200, 250, 300, 400, 500, 700, 900, 1_200] {
        let mut child = rotate(&data).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(after)).await;
        child.kill().await.unwrap();
        // Whatever it left, it knows all keys that anything may be wrapped under.
        if previous.exists() && !was_between {
            was_between = true;
            setup = all_are_there_at(setup).await;
        }
    }
    assert!(was_between, "it was never killed between its beginning and its end");
    let (code, said) = rotated(&data).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("patient-service: ") && said.contains("renew your copy"), "{said}");
    assert!(!previous.exists());
    let last = std::fs::read(&current).unwrap();
    assert_ne!(last, first);
    setup = all_are_there_at(setup).await;

    // What is not the key that keys are wrapped under is not exchanged for another: the right one can still be put back.
    for wrong in [b"not a key".to_vec(), first.clone()] {
        std::fs::write(&current, &wrong).unwrap();
        let (code, said) = rotated(&data).await;
        assert!(code == Some(1) && said.contains("Nothing was changed"), "{said}");
        assert!(!previous.exists() && std::fs::read(&current).unwrap() == wrong);
    }

    // Who puts an old copy back is told which key is missing.
    std::fs::write(&current, first).unwrap();
    let (status, said) = setup.refused().await;
    assert!(status.code() == Some(1) && said.contains("which the secret kek does not hold"), "{said}");
    std::fs::write(&current, last).unwrap();
    all_are_there_at(setup).await;
}

async fn all_are_there_at(setup: Setup) -> Setup {
    let stack = setup.start().await;
    all_are_there(&stack.admin().await).await;
    stack.interrupt().await.0
}

#[tokio::test]
async fn a_folder_without_a_stack_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (code, said) = rotated(&dir.path().join("dtaa")).await;
    assert!(code == Some(2) && said.contains("there is no data of a stack"), "{said}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
