//! Another key-encryption key for a stopped stack: whatever breaks it off, what was sealed opens.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use blackbox::healthcare::program;
use blackbox::{Client, Healthcare, Setup};
use tokio::process::Command;

const PATIENTS: usize = 40;

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

#[tokio::test]
async fn a_rotation_of_the_key_encryption_key_that_is_killed_anywhere_loses_nothing() {
    let stack = Healthcare::start().await;
    let admin = stack.admin().await;
    for number in 0..PATIENTS {
        let patient = format!(
            r#"{{"patientId": "p{number}", "name": "Patient {number}", "dob": "1980-01-01", "contactInfo": {{"phone": "+1234567890"}}}}"#
        );
        let _ = admin.call("POST", "/api/patients", Some(&patient)).await.expect(201);
    }
    all_are_there(&admin).await;
    let data = stack.setup.data_path();
    let (code, said) = rotated(&data).await;
    assert!(code == Some(1) && said.contains("in use by another process"), "{said}");
    let (mut setup, ..) = stack.interrupt().await;

    let (current, previous) = (data.join("secrets/kek/current"), data.join("secrets/kek/previous"));
    let first = std::fs::read(&current).unwrap();
    let mut was_between = false;
    for after in [5, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200] {
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
