//! The audit of a stack: sound beside it and at rest; what is altered in its files is named.

use std::path::Path;
use std::process::Stdio;

use blackbox::Healthcare;
use blackbox::healthcare::program;
use tokio::process::Command;

async fn audit(command: &str, data: &Path) -> (Option<i32>, String) {
    let mut program = Command::new(program());
    program.args(["audit", command, "--data-dir"]).arg(data).stdin(Stdio::null());
    let output = program.output().await.unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// Puts other bytes in the place of `mark` wherever it stands in a file; how often it did.
fn alter(file: &Path, mark: &[u8], other: &[u8]) -> usize {
    let mut bytes = std::fs::read(file).unwrap();
    let places: Vec<_> = bytes
        .windows(mark.len())
        .enumerate()
        .filter(|(_, window)| *window == mark)
        .map(|(at, _)| at)
        .collect();
    for at in &places {
        bytes[*at..at + other.len()].copy_from_slice(other);
    }
    std::fs::write(file, bytes).unwrap();
    places.len()
}

#[tokio::test]
async fn the_audit_is_sound_while_a_stack_runs_and_an_edit_in_its_files_is_named() {
    let stack = Healthcare::start().await;
    let admin = stack.admin().await;
    let patient = r#"{"patientId": "p1", "name": "John Doe", "dob": "1980-01-01", "contactInfo": {"phone": "+1234567890"}}"#;
    let _ = admin.call("POST", "/api/patients", Some(patient)).await.expect(201);
    let data = stack.setup.data_path();
    let (code, said) = audit("rotate-key", &data).await;
    assert!(code == Some(0) && said.contains("patient-service: from within a minute"), "{said}");
    for _ in 0..3 {
        let _ = admin.call("GET", "/api/patients/p1", None).await.expect(200);
    }
    let (code, said) = audit("verify", &data).await;
    assert!(code == Some(0) && said.contains("patient-service: "), "{said}");
    let (_setup, ..) = stack.interrupt().await;
    let (code, said) = audit("verify", &data).await;
    // The registration, the reads and the other key; all of them signed for when it stopped, but for the last.
    assert!(code == Some(0) && said.contains("patient-service: 5 entries in 2 chains"), "{said}");

    let file = data.join("db/patient.sqlite");
    assert!(alter(&file, b"register_patient", b"registre_patient") > 0);
    let (code, said) = audit("verify", &data).await;
    assert!(code == Some(1) && said.contains("entry 1 is not as it was written"), "{said}");
    assert!(said.contains("billing-service: ") && !said.contains("billing-service is"), "{said}");

    // What is not there is said to be so by name, keeps none of the others from being looked at, and is not made.
    let (provider, billing) = (data.join("db/provider.sqlite"), data.join("db/billing.sqlite"));
    for file in
        [&provider, &billing, &data.join("keys/billing.sqlite"), &data.join("keys/notification.sqlite")]
    {
        std::fs::remove_file(file).unwrap();
    }
    let (code, said) = audit("verify", &data).await;
    assert_eq!(code, Some(1), "{said}");
    for line in [
        "the database of provider-service cannot be opened",
        "billing-service: has nothing here; it never ran here, or all of it is gone",
        "notification-service: its keys are gone, and its data is there",
        "entry 1 is not as it was written",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(said.contains("auth-service: ") && said.contains("are as they were written"), "{said}");
    assert!(!provider.exists() && !billing.exists(), "it looks, and makes nothing");
}
