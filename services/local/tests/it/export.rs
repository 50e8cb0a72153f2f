//! All that is held on a patient, taken along: every word of theirs that any service was told, and nobody else's.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use chrono::TimeDelta;
use contracts::export::{ExportManifest, HOLDERS};
use contracts::permission::Role;
use data_encoding::HEXLOWER;
use reqwest::Method;
use serde_json::Value;
use settings::ServiceName;
use testkit::TestStack;
use testkit::stack::{Who, send};

use ServiceName::{
    AppointmentService as Appointments, AuthService as Auth, BillingService as Billing,
    MedicalRecordsService as Records, NotificationService as Notifications, PatientService as Patients,
    ProviderService as Providers,
};

/// The files of an export, by name, and what it says of itself.
pub(crate) struct Export {
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) manifest: ExportManifest,
}

impl Export {
    /// What an answer holds. Every file has the length, the number of items and the hash that the manifest says.
    fn read(bytes: &[u8]) -> Self {
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let mut files = BTreeMap::new();
        for at in 0..zip.len() {
            let mut file = zip.by_index(at).unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            files.insert(file.name().unwrap().into_owned(), text);
        }
        let manifest: ExportManifest = serde_json::from_str(&files.remove("manifest.json").unwrap()).unwrap();
        assert_eq!(manifest.files.len(), files.len());
        for file in &manifest.files {
            let text = &files[&file.name];
            assert_eq!(
                (file.bytes, &file.sha256),
                (text.len() as u64, &HEXLOWER.encode(digest(&SHA256, text.as_bytes()).as_ref()))
            );
            assert_eq!(
                serde_json::from_str::<Vec<Value>>(text).unwrap().len() as u64,
                file.items,
                "{}",
                file.name
            );
        }
        Self { files, manifest }
    }

    pub(crate) fn items(&self, name: &str) -> Vec<Value> {
        serde_json::from_str(&self.files[name]).unwrap()
    }

    fn text(&self) -> String {
        self.files.values().cloned().collect()
    }
}

async fn export(stack: &TestStack, who: impl Into<Who>, path: &str) -> Export {
    let request = stack.request(Patients, Method::GET, path).bearer_auth(stack.token(who));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let header = |name| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/zip");
    assert_eq!(header("content-disposition"), "attachment; filename=\"export.zip\"");
    assert_eq!(header("cache-control"), "no-store");
    Export::read(&answer.bytes().await.unwrap())
}

async fn post(stack: &TestStack, service: ServiceName, path: &str, body: &str) -> Value {
    stack.call(service, Role::Admin, Method::POST, path, Some(body)).await.expect(201).json()
}

pub(crate) async fn provider(stack: &TestStack) {
    let body = r#"{"providerId": "prov001", "name": "Dr. Jane Roe", "specialization": "Cardiology",
        "contactInfo": {"phone": "+4930123456"}, "availability": [{"day": "Monday", "slots": ["09:00-17:00"]}]}"#;
    let _ = post(stack, Providers, "/api/providers", body).await;
}

/// Waits until patient and provider were told of an appointment, and a reminder or two is planned for each.
async fn until_told(stack: &TestStack, appointment: &str) {
    let path = format!("/api/notifications?appointmentId={appointment}");
    for _ in 0..2_400 {
        let list = stack.call(Notifications, Role::Admin, Method::GET, &path, None).await.expect(200).json();
        if list["items"].as_array().map(Vec::len) == Some(6) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("nobody was told of {appointment}");
}

/// A patient of whom every service holds something, with a word of their own in every field that takes one; the words.
pub(crate) async fn plant(stack: &TestStack, id: &str, mark: &str, time: &str) -> Vec<String> {
    let words = std::sync::Mutex::new(vec![id.to_owned()]);
    let word = |field: &str| {
        let word = format!("{mark}{field}");
        words.lock().unwrap().push(word.clone());
        word
    };
    let patient = format!(
        r#"{{"patientId": "{id}", "name": "{}", "dob": "1980-01-01", "contactInfo": {{"phone": "+1555000{}", "email": "{}@example.com"}},
            "medicalHistory": {{"allergies": ["{}"], "chronicConditions": ["{}"]}}}}"#,
        word("name"),
        mark.len(),
        word("mail"),
        word("allergy"),
        word("condition")
    );
    let _ = post(stack, Patients, "/api/patients", &patient).await;
    let path = format!("/api/patients/{id}/care-team/prov001");
    let _ = stack.call(Patients, Role::Admin, Method::PUT, &path, Some("{}")).await.expect(200);
    let appointment = format!(
        r#"{{"appointmentId": "{}", "patientId": "{id}", "providerId": "prov001", "appointmentDate": "2030-01-07",
            "timeSlot": "{time}", "reason": "{}"}}"#,
        word("appointment"),
        word("reason")
    );
    let _ = post(stack, Appointments, "/api/appointments", &appointment).await;
    until_told(stack, &format!("{mark}appointment")).await;
    let path = format!("/api/appointments/{mark}appointment");
    let changed = format!(r#"{{"reason": "{}"}}"#, word("reason2"));
    let _ = stack.call(Appointments, Role::Admin, Method::PUT, &path, Some(&changed)).await.expect(200);
    let bill = format!(
        r#"{{"billId": "{}", "patientId": "{id}", "totalAmount": 100.10, "status": "Issued",
            "services": [{{"serviceId": "{}", "description": "{}", "amount": 100.10}}],
            "insuranceClaim": {{"insuranceProvider": "{}", "claimAmount": 75.00}}}}"#,
        word("bill"),
        word("service"),
        word("description"),
        word("insurer")
    );
    let _ = post(stack, Billing, "/api/bills", &bill).await;
    let record = format!(
        r#"{{"recordId": "{}", "patientId": "{id}", "date": "2024-08-01", "diagnosis": "{}", "treatment": "{}", "prescriptions": ["{}"]}}"#,
        word("record"),
        word("diagnosis"),
        word("treatment"),
        word("prescription")
    );
    let _ = post(stack, Records, "/api/records", &record).await;
    let glass = format!(
        r#"{{"patientId": "{id}", "reason": "{} was found without consciousness."}}"#,
        word("emergency")
    );
    let _ = post(stack, Records, "/api/records/break-glass", &glass).await;
    let mail = format!(
        r#"{{"to": "{}@example.com", "subject": "{}", "body": "{}", "patientId": "{id}"}}"#,
        word("to"),
        word("subject"),
        word("message")
    );
    let _ = post(stack, Notifications, "/api/notifications/email", &mail).await;
    let user = format!(
        r#"{{"username": "{}", "password": "a long enough pass phrase", "roles": ["patient"], "patientId": "{id}"}}"#,
        word("user")
    );
    let _ = post(stack, Auth, "/api/auth/users", &user).await;
    let login = stack.request(Auth, Method::POST, "/api/auth/login").header("user-agent", word("program"));
    let body = format!(r#"{{"username": "{mark}user", "password": "a long enough pass phrase"}}"#);
    let login = login.header("content-type", "application/json").body(body);
    let _ = send(login).await.expect(200);
    words.into_inner().unwrap()
}

testkit::stack_tests! {
    services = [
        auth::SERVICE, patient::SERVICE, provider::SERVICE, appointment::SERVICE, billing::SERVICE,
        records::SERVICE, notification::SERVICE
    ];

    async fn an_export_has_every_word_that_was_told_of_a_patient_and_nobody_elses(stack: Arc<TestStack>) {
        provider(&stack).await;
        let mine = plant(&stack, "12345", "mine", "10:00").await;
        let others = plant(&stack, "67890", "theirs", "11:00").await;
        let export = export(&stack, Role::PrivacyOfficer, "/api/patients/12345/export").await;
        let text = export.text();
        for word in &mine {
            assert!(text.contains(word), "{word} is not there: {text}");
        }
        for word in &others {
            assert!(!text.contains(word), "{word} is somebody else's");
        }
        assert_eq!(export.items("appointment-service/history.json").len(), 2);
        assert!(export.files["billing-service/bills.json"].contains(r#""totalAmount":100.10"#), "money is as it was written");
        let names: Vec<_> = export.manifest.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, [
            "patient-service/patient.json", "patient-service/care-team.json", "patient-service/consents.json", "patient-service/accesses.json",
            "appointment-service/appointments.json", "appointment-service/history.json", "appointment-service/feeds.json",
            "appointment-service/referrals.json", "appointment-service/holds.json", "appointment-service/series.json", "appointment-service/waitlist.json", "appointment-service/accesses.json",
            "billing-service/bills.json", "billing-service/accesses.json",
            "medical-records-service/records.json", "medical-records-service/break-glass.json", "medical-records-service/accesses.json",
            "notification-service/notifications.json", "notification-service/preferences.json", "notification-service/devices.json", "notification-service/accesses.json",
            "auth-service/users.json", "auth-service/sessions.json", "auth-service/accesses.json",
        ]);
        assert_eq!(export.manifest.asked_by.roles, ["privacy-officer"]);
        assert!(export.manifest.switched_off.is_empty());
    }

    async fn of_whom_nothing_more_is_held_there_is_an_export_too(stack: Arc<TestStack>) {
        testkit::patients::register(&stack, "12345").await;
        let export = export(&stack, Who::patient("12345"), "/api/patients/12345/export").await;
        assert_eq!(export.manifest.files.len(), 24);
        // Whoever was asked for their part has that in their audit by now.
        let is_full = |file: &&contracts::export::ExportFile| file.items > 0 && file.kind != "accesses";
        let full: Vec<_> = export.manifest.files.iter().filter(is_full).map(|file| file.name.as_str()).collect();
        assert_eq!(full, ["patient-service/patient.json"]);
    }

    async fn much_is_taken_along_page_by_page_and_one_service_can_be_asked_for_alone(stack: Arc<TestStack>) {
        testkit::patients::register(&stack, "12345").await;
        for at in 0..120 {
            let record = format!(
                r#"{{"recordId": "r{at}", "patientId": "12345", "date": "2024-08-01", "diagnosis": "Flu", "treatment": "Rest", "prescriptions": []}}"#
            );
            let _ = post(&stack, Records, "/api/records", &record).await;
            stack.clock.advance(TimeDelta::milliseconds(1));
        }
        let path = "/api/patients/12345/export?service=medical-records-service";
        let export = export(&stack, Role::Admin, path).await;
        let ids: std::collections::BTreeSet<_> =
            export.items("medical-records-service/records.json").iter().map(|record| record["recordId"].to_string()).collect();
        assert_eq!(ids.len(), 120);
        // Each creation, and the pages before this one.
        assert!(export.items("medical-records-service/accesses.json").len() >= 120);
        assert_eq!(export.manifest.files.len(), 3);
        let path = "/api/patients/12345/export?service=provider-service";
        let refused = stack.call(Patients, Role::Admin, Method::GET, path, None).await.expect(400);
        assert_eq!(refused.faults(), ["service"]);
    }

    async fn whoever_may_not_see_a_patient_is_told_of_none_and_nobody_exports_who_is_gone(stack: Arc<TestStack>) {
        testkit::patients::register(&stack, "12345").await;
        testkit::patients::register(&stack, "67890").await;
        let ask = |who: Who, id: &'static str| {
            let stack = Arc::clone(&stack);
            async move { stack.call(Patients, who, Method::GET, &format!("/api/patients/{id}/export"), None).await }
        };
        let others = ask(Who::patient("12345"), "67890").await.expect(404);
        let nobody = ask(Who::patient("12345"), "nobody").await.expect(404);
        assert_eq!(others.json()["code"], nobody.json()["code"]);
        for role in [Role::Clinician, Role::Receptionist, Role::Billing, Role::Service] {
            let _ = ask(role.into(), "12345").await.expect(403);
        }
        let _ = testkit::patients::PATIENTS.delete(&stack, "12345").await.expect(200);
        let _ = ask(Role::PrivacyOfficer.into(), "12345").await.expect(404);
    }

    async fn every_service_that_gives_its_part_has_it_in_its_audit_for_whom(stack: Arc<TestStack>) {
        testkit::patients::register(&stack, "12345").await;
        let officer = Who { user: "usr_officer".to_owned(), ..Role::PrivacyOfficer.into() };
        let _ = export(&stack, officer, "/api/patients/12345/export").await;
        for service in HOLDERS {
            let filter = db::AuditFilter { patient: Some("12345".to_owned()), limit: 10, ..db::AuditFilter::default() };
            let found = db::audit_find(stack.database(service).db(), &filter).await.unwrap();
            let by: Vec<_> = found.iter().map(|found| (found.entry.who.as_str(), found.entry.on_behalf_of.as_deref())).collect();
            assert!(!by.is_empty() && by.iter().all(|by| *by == ("service:patient-service", Some("usr_officer"))), "{service}: {by:?}");
        }
    }
}
