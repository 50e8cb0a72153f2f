//! An export is whole or there is none.

use super::*;

fn settings_without_others(settings: &mut settings::ServiceSettings) {
    settings.peers.retain(|peer, _| *peer == ServiceName::PatientService);
}

async fn names_what_is_switched_off(stack: Arc<TestStack>) {
    testkit::patients::register(&stack, "12345").await;
    let request = stack.request(ServiceName::PatientService, Method::GET, "/api/patients/12345/export");
    let answer = request.bearer_auth(stack.token(Role::Admin)).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(answer.bytes().await.unwrap())).unwrap();
    let manifest = std::io::read_to_string(zip.by_name("manifest.json").unwrap()).unwrap();
    let manifest: contracts::export::ExportManifest = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest.switched_off.len(), contracts::export::HOLDERS.len());
    // The patient, the care team, consents, and who saw them.
    assert_eq!(manifest.files.len(), 4);
}

#[test]
fn what_a_stack_does_not_run_is_named_in_an_export() {
    const SERVICES: &[http_kit::Service] = &[patient::SERVICE];
    for engine in [db::Engine::Sqlite, db::Engine::Postgres] {
        testkit::stack::run_with(engine, SERVICES, settings_without_others, names_what_is_switched_off);
    }
}

testkit::stack_tests! { services = [patient::SERVICE];
    async fn while_a_service_does_not_answer_there_is_no_export(stack: Arc<TestStack>) {
        testkit::patients::register(&stack, "12345").await;
        let path = "/api/patients/12345/export";
        let refused = stack.call(ServiceName::PatientService, Role::Admin, Method::GET, path, None).await.expect(503);
        assert_eq!(refused.json()["code"], "unavailable");
        // What is held here alone can be had.
        let path = "/api/patients/12345/export?service=patient-service";
        let _ = stack.call(ServiceName::PatientService, Role::Admin, Method::GET, path, None).await.expect(200);
    }
}
