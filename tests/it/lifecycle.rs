//! Started, edited while it runs, stopped, started again; and what it says when it cannot.

use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use blackbox::{Client, Healthcare, Setup};
use tokio::io::AsyncWriteExt;

const PATIENT: &str = r#"{"patientId": "12345", "name": "John Doe", "dob": "1980-01-01", "contactInfo": {"phone": "+1234567890"}}"#;

/// Waits until a call is answered with this status: what happens in the background has no other sign.
async fn until(client: &Client, path: &str, status: u16) -> Duration {
    let started = Instant::now();
    loop {
        if client.call("GET", path, None).await.status == status {
            return started.elapsed();
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{path} is not answered with {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_second_start_finds_the_data_and_the_password_again() {
    let stack = Healthcare::start().await;
    let _ = stack.admin().await.call("POST", "/api/patients", Some(PATIENT)).await.expect(201);
    assert!(stack.announced.contains(&stack.admin_password()));
    let kept = stack.setup.data_path().join("secrets/first-admin/password");
    assert_eq!(std::fs::metadata(kept).unwrap().permissions().mode() & 0o777, 0o600);
    let (setup, status, said, _) = stack.interrupt().await;
    assert!(status.success());
    assert!(said.contains("Stopping"));
    let again = setup.start().await;
    assert!(!again.announced.contains(&again.admin_password()), "an old password is not shown again");
    let _ = again.admin().await.call("GET", "/api/patients/12345", None).await.expect(200);
}

#[tokio::test]
async fn a_given_password_is_taken_and_kept_nowhere() {
    let setup = Setup::new();
    let file = setup.dir.path().join("password");
    std::fs::write(&file, "given by the one who runs it\n").unwrap();
    let stack = setup.arg("--admin-password-file").arg(file.to_str().unwrap()).start().await;
    let admin = stack.client().sign_in("admin", "given by the one who runs it").await;
    let me = admin.call("GET", "/api/auth/me", None).await.expect(200).json();
    assert_eq!((me["username"].as_str(), me["roles"][0].as_str()), (Some("admin"), Some("admin")));
    assert!(!stack.setup.data_path().join("secrets/first-admin").exists());
}

#[tokio::test]
async fn a_given_password_that_cannot_be_read_is_refused() {
    let not_utf8 = std::ffi::OsStr::from_bytes(b"gr\xfc\xdf Gott zusammen");
    let (status, said) = Setup::new().refused_with_password(not_utf8).await;
    assert_eq!(
        (status.code(), said.as_str()),
        (Some(2), "healthcare: HEALTHCARE_ADMIN_PASSWORD is not UTF-8\n")
    );
}

#[tokio::test]
async fn a_start_without_the_keys_of_the_data_is_refused_until_they_are_back() {
    let stack = Healthcare::start().await;
    let _ = stack.admin().await.call("POST", "/api/patients", Some(PATIENT)).await.expect(201);
    let (setup, ..) = stack.interrupt().await;
    let (keys, aside) = (setup.data_path().join("keys/patient.sqlite"), setup.dir.path().join("aside"));
    std::fs::rename(&keys, &aside).unwrap();
    for _ in 0..2 {
        let (status, said) = setup.refused().await;
        assert_eq!(status.code(), Some(1));
        let said: Vec<_> = said.lines().filter(|line| line.starts_with("healthcare: ")).collect();
        assert!(
            said.len() == 1 && said[0].contains("no keys") && said[0].contains("keys/patient.sqlite"),
            "{said:?}"
        );
    }
    std::fs::rename(&aside, &keys).unwrap();
    let again = setup.start().await;
    let _ = again.admin().await.call("GET", "/api/patients/12345", None).await.expect(200);
}

#[tokio::test]
async fn an_edit_takes_effect_while_it_runs_and_an_invalid_one_changes_nothing() {
    let stack = Healthcare::start().await;
    let admin = stack.admin().await;
    let _ = admin.call("GET", "/api/notifications", None).await.expect(200);

    let before = std::fs::read_to_string(stack.setup.stack_path()).unwrap();
    let edited = switched_off(&before, "notification");
    std::fs::write(stack.setup.stack_path(), &edited).unwrap();
    let took = until(&admin, "/api/notifications", 404).await;
    println!("the edit took effect after {took:?}");

    std::fs::write(stack.setup.stack_path(), format!("{edited}\nnonsense: [")).unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    let _ = admin.call("GET", "/api/patients", None).await.expect(200);
    let _ = admin.call("GET", "/api/notifications", None).await.expect(404);

    std::fs::write(stack.setup.stack_path(), &before).unwrap();
    let _ = until(&admin, "/api/notifications", 200).await;
    let (_, _, said, log) = stack.interrupt().await;
    let told: Vec<_> = said.lines().filter(|line| line.starts_with("The HealthcareStack")).collect();
    let expected = [
        // The others would ask it, and do until then.
        "The HealthcareStack has changed: spec.services. The gateway goes by it; start again for the rest of it to reach: appointment-service, \
         patient-service, billing-service, medical-records-service, provider-service, auth-service.",
        "The HealthcareStack has changed: spec.services. It is in force.",
    ];
    assert_eq!(told, expected);
    assert!(log.contains("not a valid HealthcareStack") && log.contains("Nothing was changed"), "{log}");
}

#[tokio::test]
async fn what_becomes_of_an_edit_is_told_in_a_line() {
    let stack = Healthcare::start().await;
    let before = std::fs::read_to_string(stack.setup.stack_path()).unwrap();
    let edits = [
        before.replace("# Short, since", "# Short: it"),
        before.replace("timeout: 5s", "timeout: 4s"),
        before.replace("accessTokenLifetime: 10m", "accessTokenLifetime: 9m"),
        before
            .replace("timeout: 5s", "timeout: 5m")
            .replace("accessTokenLifetime: 10m", "accessTokenLifetime: 9m"),
        before.clone(),
        before.replace(
            "  gateway:\n",
            "  services: { patient: { probes: { readiness: { period: 7s } } } }\n  gateway:\n",
        ),
        before.replace("timeout: 5s", "timeout: 6m"),
    ];
    for edit in &edits {
        std::fs::write(stack.setup.stack_path(), edit).unwrap();
        tokio::time::sleep(Duration::from_millis(900)).await;
    }
    let (_, _, said, log) = stack.interrupt().await;
    let told: Vec<_> = said.lines().filter(|line| line.starts_with("The HealthcareStack")).collect();
    let (timeout, lifetime) = ("spec.gateway.routes[0].timeout", "spec.auth.accessTokenLifetime");
    let expected = [
        "The HealthcareStack says the same as before: nothing was changed.".to_owned(),
        format!("The HealthcareStack has changed: {timeout}. It is in force."),
        format!(
            "The HealthcareStack has changed: {lifetime}, {timeout}. The gateway goes by it; start again for the rest of it to reach: all services."
        ),
        format!("The HealthcareStack has changed: {timeout}. It is in force."),
        format!("The HealthcareStack has changed: {lifetime}, {timeout}. It is in force."),
        "The HealthcareStack has changed: spec.services. In one process that has no effect.".to_owned(),
    ];
    assert_eq!(told, expected);
    let fault = format!("\n  {timeout}: must be at most 5m\nNothing was changed.");
    assert!(log.contains(&fault), "{log}");
}

/// The sample with one service switched off.
fn switched_off(stack: &str, service: &str) -> String {
    let (head, tail) = stack.split_once("\nspec:\n").expect("a spec");
    let tail: String = tail.split_inclusive('\n').collect();
    match tail.find("\n  services:\n") {
        Some(at) => {
            let (before, after) = tail.split_at(at + "\n  services:\n".len());
            assert!(
                !after.contains(&format!("\n    {service}:")),
                "the sample says something of {service} already"
            );
            format!("{head}\nspec:\n{before}    {service}:\n      enabled: false\n{after}")
        }
        None => format!("{head}\nspec:\n  services:\n    {service}:\n      enabled: false\n{tail}"),
    }
}

#[tokio::test]
async fn what_cannot_be_is_said_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let setup = Setup::new().arg("--listen").arg(&address);
    let (status, said) = setup.refused().await;
    assert_eq!(
        (status.code(), said.trim()),
        (Some(1), format!("healthcare: {address} is taken by another program").as_str())
    );
    assert!(!setup.data_path().exists(), "nothing is left behind");

    let setup = Setup::new().arg("--listen").arg("0.0.0.0:0");
    let (status, said) = setup.refused().await;
    assert_eq!(status.code(), Some(2));
    assert!(said.contains("needs TLS") && said.lines().count() == 1, "{said}");

    let setup = Setup::new();
    std::fs::remove_file(setup.stack_path()).unwrap();
    let (status, said) = setup.refused().await;
    assert_eq!(status.code(), Some(2));
    assert!(said.contains("cannot be read") && said.lines().count() == 1, "{said}");

    // A file where the folder should be cannot be written into, by root neither.
    let setup = Setup::new();
    std::fs::write(setup.data_path(), "").unwrap();
    let (status, said) = setup.refused().await;
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("data folder cannot be used") && said.lines().count() == 1, "{said}");

    // A parameter that there is not may be one that was misspelt.
    let url = "postgres://nobody:hunter2@127.0.0.1:1/none?passwrod=hunter2";
    let (status, said) = Setup::new().with_database(url).refused().await;
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("cannot be opened") && !said.contains("hunter2"), "{said}");

    let setup = Setup::new().arg("--database-url").arg(url);
    let (status, said) = setup.refused().await;
    assert_eq!(status.code(), Some(2));
    assert!(said.contains("--database-url-file") && !said.contains("hunter2"), "{said}");
    assert!(said.lines().count() == 1 && !setup.data_path().exists(), "{said}");
}

/// From whatever keeps secrets, without a file in between.
#[tokio::test]
async fn a_databases_url_comes_on_standard_input_too() {
    let setup = Setup::new().arg("--database-url-file").arg("-");
    let mut child = setup.command().stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"postgres://nobody:hunter2@127.0.0.1:1/none\n").await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("cannot be opened") && !said.contains("hunter2"), "{said}");
    // Named once, it is kept where secrets are.
    let kept = setup.data_path().join("secrets/database/url");
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "postgres://nobody:hunter2@127.0.0.1:1/none");
}

#[tokio::test]
async fn every_fault_of_an_invalid_resource_is_told_with_its_path() {
    let setup = Setup::new();
    let invalid = "apiVersion: healthcarestack.dev/v1alpha1\nkind: HealthcareStack\nmetadata:\n  name: clinic\n\
                   spec:\n  timeZone: Mars/Olympus\n  currency: gold\n  colour: red\n";
    std::fs::write(setup.stack_path(), invalid).unwrap();
    let (status, said) = setup.refused().await;
    assert_eq!(status.code(), Some(2));
    for path in ["spec.timeZone", "spec.currency", "spec.colour"] {
        assert!(said.contains(path), "{path} is not named: {said}");
    }
}

#[tokio::test]
async fn one_data_folder_belongs_to_one_process() {
    let stack = Healthcare::start().await;
    let (status, said) = stack.setup.refused().await;
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("in use by another process"), "{said}");
}

#[tokio::test]
async fn a_logout_is_known_everywhere_at_once_and_after_a_restart() {
    let stack = Healthcare::start().await;
    let admin = stack.admin().await;
    let body = serde_json::json!({ "token": admin.token() }).to_string();
    let _ = admin.call("POST", "/api/auth/logout", Some(&body)).await.expect(200);
    for path in ["/api/patients", "/api/auth/me", "/api/gateway"] {
        let _ = admin.call("GET", path, None).await.expect(401);
    }
    let (setup, ..) = stack.interrupt().await;
    let again = setup.start().await;
    let revoked = again.client().with_token(admin.token().unwrap());
    until(&revoked, "/api/auth/me", 401).await;
}

#[tokio::test]
async fn metrics_and_health_are_there() {
    let stack = Healthcare::start().await;
    let admin = stack.admin().await;
    let _ = admin.call("GET", "/api/patients", None).await.expect(200);
    let _ = stack.client().call("GET", "/livez", None).await.expect(200);
    let _ = stack.client().call("GET", "/readyz", None).await.expect(200);
    let _ = stack.client().call("GET", "/metrics", None).await.expect(404);
    let _ = stack.client().call("GET", "/internal/revocations", None).await.expect(404);
    let line = stack.announced.lines().find(|line| line.contains("/metrics")).unwrap();
    let url = line.split_whitespace().nth(1).unwrap().trim_end_matches("/metrics").to_owned();
    let page = Client::new(&url).call("GET", "/metrics", None).await.expect(200);
    assert!(page.text.contains("healthcare_requests_total"), "{}", page.text);
    assert!(page.text.contains("list_patients"));
}
