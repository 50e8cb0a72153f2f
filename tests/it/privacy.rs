//! No file under the data folder holds a readable name, contact or diagnosis, and no log line does.

use std::path::{Path, PathBuf};

use blackbox::{Healthcare, document};

const SECRETS: [&str; 12] = [
    "john doe",
    "jane doe",
    "johndoe",
    "janedoe",
    "+1234567890",
    "+0987654321",
    "penicillin",
    "diabetes",
    "flu\"",
    "tylenol",
    "healthinsure",
    "consultation",
];

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn nothing_readable_is_left_on_disk_or_in_the_log() {
    let stack = Healthcare::start().await;
    let admin = stack.admin().await;
    let patient = document::find("POST", "/api/patients").body.unwrap();
    let patient = patient.replacen('{', "{ \"patientId\": \"12345\",", 1);
    let _ = admin.call("POST", "/api/patients", Some(&patient)).await.expect(201);
    for path in [
        "/api/providers",
        "/api/appointments",
        "/api/bills",
        "/api/records",
        "/api/notifications/email",
        "/api/notifications/sms",
        "/api/notifications/push",
    ] {
        let body = document::find("POST", path).body.unwrap();
        let request = admin
            .request("POST", path)
            .header("content-type", "application/json")
            .header("idempotency-key", "kept-answers-are-sealed-too")
            .body(body);
        let _ = admin.send(path.to_owned(), request).await.unwrap().expect(201);
    }
    for search in
        ["patients?name=john", "patients?email=johndoe%40example.com", "notifications?to=%2B1234567890"]
    {
        let _ = admin.call("GET", &format!("/api/{search}"), None).await.expect(200);
    }
    let _ = admin
        .call("POST", "/api/patients", Some(&patient.replace("1980-01-01", "1980-13-01")))
        .await
        .expect(422);

    let data = stack.setup.data_path();
    let regular = files(&data).into_iter().filter(|path| path.is_file()).collect::<Vec<_>>();
    assert!(regular.len() > 14, "{regular:?}");
    for path in regular {
        let content = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).to_lowercase();
        for secret in SECRETS {
            assert!(!content.contains(secret), "{secret} stands in {}", path.display());
        }
    }
    let (_, _, said, log) = stack.interrupt().await;
    let all = format!("{said}{log}").to_lowercase();
    assert!(all.contains("/api/patients"), "the access log is there");
    for secret in SECRETS {
        assert!(!all.contains(secret), "{secret} stands in the log");
    }
}
