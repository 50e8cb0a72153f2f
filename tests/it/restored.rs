//! An older copy of the data beside the latest keys: of a patient who was erased since, nothing opens and nothing is in anybody's way.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use blackbox::{Client, Healthcare, Reply, Setup};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Names of schemas, as services have them.
const SERVICES: [&str; 7] =
    ["appointment", "auth", "billing", "notification", "patient", "provider", "records"];
const DONE_WITHIN: Duration = Duration::from_mins(1);
/// So begins every word that only the erased patient's data holds.
const GONE: &str = "gone";

/// Where a stack keeps what is to be copied.
enum Kept {
    /// In the data folder.
    Files,
    /// In a database at this URL, a schema of data and one of keys for each service.
    Postgres(String),
}

/// Data, or keys.
#[derive(Clone, Copy)]
enum What {
    Data,
    Keys,
}

impl What {
    fn folder(self) -> &'static str {
        match self {
            Self::Data => "db",
            Self::Keys => "keys",
        }
    }

    fn schemas(self) -> [String; 7] {
        SERVICES.map(|service| match self {
            Self::Data => service.to_owned(),
            Self::Keys => format!("{service}_keys"),
        })
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Kept {
    /// Copies what a stack that does not run has.
    fn back_up(&self, setup: &Setup, what: What) -> TempDir {
        let copy = testkit::folder::folder("healthcare-copy-").unwrap();
        match self {
            Self::Files => copy_files(&setup.data_path().join(what.folder()), copy.path()),
            Self::Postgres(url) => {
                let mut dump = Command::new("pg_dump");
                dump.arg(format!("--dbname={url}")).arg("--file").arg(copy.path().join("dump.sql"));
                run(dump.args(what.schemas().map(|schema| format!("--schema={schema}"))));
            }
        }
        copy
    }

    /// Puts such a copy in the place of what is there.
    fn restore(&self, setup: &Setup, what: What, copy: &TempDir) {
        match self {
            Self::Files => {
                let folder = setup.data_path().join(what.folder());
                std::fs::remove_dir_all(&folder).unwrap();
                std::fs::create_dir(&folder).unwrap();
                copy_files(copy.path(), &folder);
            }
            Self::Postgres(url) => {
                let psql = || {
                    let mut psql = Command::new("psql");
                    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1"]).arg(url);
                    psql
                };
                for schema in what.schemas() {
                    run(psql().arg("-c").arg(format!("drop schema {schema} cascade")));
                }
                run(psql().arg("-f").arg(copy.path().join("dump.sql")));
            }
        }
    }
}

fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// Asks as often as the limits make it.
async fn call(client: &Client, method: &str, path: &str, body: Option<&Value>) -> Reply {
    let body = body.map(Value::to_string);
    loop {
        let reply = client.call(method, path, body.as_deref()).await;
        if reply.status != 429 {
            return reply;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A patient of whom every service holds something, with words that begin with their id.
async fn plant(admin: &Client, id: &str, slot: &str) {
    let text = |field: &str| format!("{id}{field}");
    let all = [
        (
            "POST",
            "/api/patients".to_owned(),
            json!({"patientId": id, "name": text("name"), "dob": "1980-01-01",
                   "contactInfo": {"phone": "+1234567890", "email": format!("{id}@example.com")},
                   "medicalHistory": {"allergies": [text("allergy")], "chronicConditions": []}}),
        ),
        ("PUT", format!("/api/patients/{id}/care-team/d1"), json!({})),
        (
            "POST",
            format!("/api/patients/{id}/consents"),
            json!({"who": {"provider": text("other")}, "what": ["bills"]}),
        ),
        (
            "POST",
            "/api/appointments".to_owned(),
            json!({"appointmentId": text("appointment"), "patientId": id, "providerId": "d1", "appointmentDate": "2030-01-07",
                   "timeSlot": slot, "reason": text("reason")}),
        ),
        ("POST", "/api/bills".to_owned(), bill(id, "bill", "Issued")),
        ("POST", "/api/bills".to_owned(), bill(id, "draft", "Draft")),
        (
            "POST",
            "/api/records".to_owned(),
            json!({"recordId": text("record"), "patientId": id, "date": "2024-08-01", "diagnosis": text("diagnosis"),
                   "treatment": text("treatment"), "prescriptions": [text("drug")]}),
        ),
        (
            "POST",
            format!("/api/records/{id}record/amendments"),
            json!({"text": text("amendment"), "reason": text("why")}),
        ),
        (
            "POST",
            "/api/notifications/email".to_owned(),
            json!({"to": format!("{id}@example.com"), "subject": text("subject"), "body": text("body"), "patientId": id}),
        ),
        (
            "POST",
            "/api/auth/users".to_owned(),
            json!({"username": text("user"), "password": "a long enough pass phrase", "roles": ["patient"], "patientId": id}),
        ),
    ];
    for (method, path, body) in all {
        let reply = call(admin, method, &path, Some(&body)).await;
        assert!((200..300).contains(&reply.status), "{}: {}", reply.asked, reply.text);
    }
}

fn bill(patient: &str, name: &str, status: &str) -> Value {
    json!({"billId": format!("{patient}{name}"), "patientId": patient, "totalAmount": 10.00, "status": status,
           "services": [{"serviceId": "s1", "description": format!("{patient}service"), "amount": 10.00}]})
}

/// What shows one thing of a patient.
fn items(id: &str) -> Vec<String> {
    vec![
        format!("/api/patients/{id}"),
        format!("/api/patients/{id}/care-team"),
        format!("/api/patients/{id}/consents"),
        format!("/api/patients/{id}/export"),
        format!("/api/appointments/{id}appointment"),
        format!("/api/appointments/{id}appointment/history"),
        format!("/api/bills/{id}bill"),
        format!("/api/bills/{id}draft"),
        format!("/api/records/{id}record"),
        format!("/api/records/{id}record/amendments"),
    ]
}

/// Lists, and how many of their items are a patient's.
fn lists(id: &str) -> Vec<(String, usize)> {
    let of = |path: &str, count| (format!("{path}?patientId={id}"), count);
    vec![
        ("/api/patients".to_owned(), 1),
        (format!("/api/patients?name={id}name"), 1),
        ("/api/appointments".to_owned(), 1),
        of("/api/appointments", 1),
        ("/api/bills".to_owned(), 2),
        of("/api/bills", 2),
        ("/api/bills?status=Issued".to_owned(), 1),
        ("/api/records".to_owned(), 1),
        of("/api/records", 1),
        // What tells of their appointment comes when it comes.
        ("/api/notifications?type=message".to_owned(), 1),
        (format!("/api/notifications?type=message&patientId={id}"), 1),
    ]
}

/// What is tried with what is gone.
fn changes(id: &str) -> Vec<(&'static str, String, Value)> {
    vec![
        ("PUT", format!("/api/patients/{id}"), json!({"name": "Anybody"})),
        ("PUT", format!("/api/patients/{id}/care-team/d1"), json!({})),
        (
            "POST",
            "/api/patients".to_owned(),
            json!({"patientId": id, "name": "Anybody", "dob": "1980-01-01",
            "contactInfo": {"phone": "+1234567890"}}),
        ),
        ("PUT", format!("/api/appointments/{id}appointment"), json!({"reason": "Anything"})),
        (
            "POST",
            "/api/appointments".to_owned(),
            json!({"patientId": id, "providerId": "d1", "appointmentDate": "2030-01-14",
            "timeSlot": "09:00"}),
        ),
        ("PUT", format!("/api/bills/{id}bill"), json!({"status": "Paid"})),
        ("POST", "/api/bills".to_owned(), bill(id, "another", "Draft")),
        ("PUT", format!("/api/records/{id}record"), json!({"treatment": "Anything"})),
        (
            "POST",
            "/api/records".to_owned(),
            json!({"patientId": id, "date": "2024-08-01", "diagnosis": "a", "treatment": "b",
            "prescriptions": []}),
        ),
        (
            "POST",
            "/api/notifications/email".to_owned(),
            json!({"to": "a@example.com", "subject": "a", "body": "b", "patientId": id}),
        ),
        ("DELETE", format!("/api/bills/{id}draft"), json!({})),
        ("DELETE", format!("/api/records/{id}record"), json!({})),
        ("DELETE", format!("/api/appointments/{id}appointment"), json!({})),
        ("DELETE", format!("/api/patients/{id}"), json!({})),
    ]
}

/// Of this patient all is there, and shown.
async fn is_whole(admin: &Client, id: &str) {
    for path in items(id) {
        let reply = call(admin, "GET", &path, None).await.expect(200);
        assert!(
            path.ends_with("/export") || path.ends_with("care-team") || reply.text.contains(id),
            "{path}: {}",
            reply.text
        );
    }
    for (path, count) in lists(id) {
        let list = call(admin, "GET", &path, None).await.expect(200).json();
        let theirs = list["items"].as_array().unwrap().iter().filter(|item| item.to_string().contains(id));
        assert_eq!(theirs.count(), count, "{path}: {list}");
    }
}

/// Of this patient nothing is there, for whoever reads or writes.
async fn is_gone(admin: &Client, id: &str) {
    for path in items(id) {
        let _ = call(admin, "GET", &path, None).await.expect(404);
    }
    for (path, _) in lists(id) {
        let list = call(admin, "GET", &path, None).await.expect(200);
        assert!(!list.text.contains(GONE), "{path}: {}", list.text);
    }
    for (method, path, body) in changes(id) {
        let reply = call(admin, method, &path, Some(&body).filter(|_| method != "DELETE")).await;
        assert!(
            matches!(reply.status, 404 | 409 | 410 | 422),
            "{}: {} {}",
            reply.asked,
            reply.status,
            reply.text
        );
    }
}

/// Waits until every service has done its part of an erasure.
async fn erased(admin: &Client, id: &str) {
    let (path, begun) = (format!("/api/patients/{id}/erasure"), Instant::now());
    loop {
        let report = call(admin, "GET", &path, None).await;
        if report.json()["status"] == "Completed" {
            return;
        }
        assert!(matches!(report.status, 200 | 404), "{}", report.text);
        assert!(begun.elapsed() < DONE_WITHIN, "it is never done: {}", report.text);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Ends a stack whose log holds no error.
async fn ended(stack: Healthcare) -> Setup {
    let (setup, status, _, log) = stack.interrupt().await;
    assert!(status.success());
    // What the audit says of an older copy is true: see docs/audit.md.
    let is_error = |line: &&str| {
        line.contains("\"level\":\"ERROR\"") && !line.contains("the audit is not as it was written")
    };
    let errors: Vec<_> = log.lines().filter(is_error).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    setup
}

async fn what_was_erased_stays_so(setup: Setup, kept: Kept) {
    let stack = setup.start().await;
    let admin = stack.admin().await;
    let provider = json!({"providerId": "d1", "name": "Dr. Roe", "specialization": "Cardiology",
        "contactInfo": {"phone": "+1234567890"}, "availability": [{"day": "Monday", "slots": ["09:00-17:00"]}]});
    let _ = call(&admin, "POST", "/api/providers", Some(&provider)).await.expect(201);
    plant(&admin, "stays", "10:00").await;
    plant(&admin, GONE, "11:00").await;
    is_whole(&admin, GONE).await;
    let setup = ended(stack).await;
    let older = kept.back_up(&setup, What::Data);

    let stack = setup.start().await;
    let admin = stack.admin().await;
    let _ = call(&admin, "DELETE", &format!("/api/patients/{GONE}"), None).await.expect(200);
    erased(&admin, GONE).await;
    let setup = ended(stack).await;
    let latest = kept.back_up(&setup, What::Keys);

    kept.restore(&setup, What::Keys, &latest);
    kept.restore(&setup, What::Data, &older);
    let stack = setup.start().await;
    let admin = stack.admin().await;
    // From the first request on, whatever has been tidied up by then; and when all is.
    is_gone(&admin, GONE).await;
    is_whole(&admin, "stays").await;
    erased(&admin, GONE).await;
    is_gone(&admin, GONE).await;
    is_whole(&admin, "stays").await;
    let theirs = json!({"username": "goneuser", "password": "a long enough pass phrase"});
    let _ = call(&stack.client(), "POST", "/api/auth/login", Some(&theirs)).await.expect(401);

    // Told once: another start finds nothing to be done.
    let stack = ended(stack).await.start().await;
    is_gone(&stack.admin().await, GONE).await;
    ended(stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_who_was_erased_since_an_older_backup_stays_erased_when_it_is_restored() {
    what_was_erased_stays_so(Setup::new(), Kept::Files).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn and_so_it_is_on_postgresql() {
    let url = testkit::engines::fresh_database().await;
    what_was_erased_stays_so(Setup::new().with_database(&url), Kept::Postgres(url)).await;
}
