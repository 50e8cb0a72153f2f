//! The documents: every operation in them, and nothing that leads nowhere.

use std::collections::HashSet;

use serde_json::Value;
use settings::ServiceName;

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                found.push(reference);
            }
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

fn documents() -> Vec<Value> {
    let services = ServiceName::ALL.into_iter().map(gateway::openapi::of_service);
    std::iter::once(gateway::openapi::merged()).chain(services).collect()
}

#[test]
fn every_reference_leads_somewhere() {
    for document in documents() {
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("a reference within the document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }
}

#[test]
fn every_public_operation_is_there_once_with_its_permission() {
    let document = gateway::openapi::merged();
    let mut ids = HashSet::new();
    for operation in contracts::operations().filter(|operation| !operation.is_internal()) {
        let method = operation.method.as_str().to_ascii_lowercase();
        let there = &document["paths"][operation.path][&method];
        assert_eq!(there["operationId"], operation.id, "{} {}", method, operation.path);
        assert!(ids.insert(operation.id), "{} is there twice", operation.id);
        assert!(there["responses"][operation.status.to_string()].is_object(), "{}", operation.id);
        let is_public = operation.access == contracts::endpoint::Access::Public;
        assert_eq!(there["security"].as_array().unwrap().is_empty(), is_public, "{}", operation.id);
        if let contracts::endpoint::Access::Needs(permission) = operation.access {
            assert_eq!(there["x-permission"], permission.as_str());
        }
    }
    let methods = document["paths"].as_object().unwrap().values();
    assert_eq!(methods.map(|path| path.as_object().unwrap().len()).sum::<usize>(), ids.len());
    assert!(!document.to_string().contains("/internal/"));
}

#[test]
fn every_id_in_a_path_is_declared() {
    for document in documents() {
        for (path, operations) in document["paths"].as_object().unwrap() {
            let ids: HashSet<&str> =
                path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
            for operation in operations.as_object().unwrap().values() {
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                let declared: HashSet<&str> = parameters
                    .filter(|parameter| parameter["in"] == "path")
                    .map(|parameter| parameter["name"].as_str().unwrap())
                    .collect();
                assert_eq!(declared, ids, "{path}");
            }
        }
    }
}

#[test]
fn every_body_that_the_document_shows_is_an_example() {
    let document = gateway::openapi::merged();
    for (method, path) in [
        ("post", "/api/appointments"),
        ("put", "/api/appointments/{appointmentId}"),
        ("post", "/api/patients"),
        ("put", "/api/patients/{patientId}"),
        ("post", "/api/bills"),
        ("put", "/api/bills/{billId}"),
        ("post", "/api/records"),
        ("put", "/api/records/{recordId}"),
        ("post", "/api/notifications/email"),
        ("post", "/api/notifications/sms"),
        ("post", "/api/notifications/push"),
        ("post", "/api/providers"),
        ("put", "/api/providers/{providerId}"),
        ("post", "/api/auth/login"),
        ("post", "/api/auth/logout"),
    ] {
        let example =
            &document["paths"][path][method]["requestBody"]["content"]["application/json"]["example"];
        assert!(example.is_object(), "{method} {path}");
    }
}

#[test]
fn a_service_s_document_has_its_operations_and_no_others() {
    for service in ServiceName::ALL {
        let document = gateway::openapi::of_service(service);
        let there: usize =
            document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
        let own = contracts::operations()
            .filter(|operation| operation.service == Some(service) && !operation.is_internal())
            .count();
        assert_eq!(there, own, "{service}");
    }
}
