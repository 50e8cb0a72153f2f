//! OpenAPI 3.1 documents, made from the operations that `contracts` declares: what is served and what is documented are one list.
//!
//! Pure: the same operations give the same document. Schemas are JSON Schema 2020-12, which OpenAPI 3.1 takes as it is.

mod operation;
mod schema;

use contracts::endpoint::Operation;
use contracts::problem::ProblemCode;
use serde_json::{Map, Value, json};
use settings::ServiceName;

use schema::Schemas;

/// The version of OpenAPI that the documents are written in.
pub const OPENAPI: &str = "3.1.1";

/// The whole API.
pub fn merged() -> Value {
    document("HealthcareStack", DESCRIPTION, |_| true)
}

/// What one service answers.
pub fn of_service(service: ServiceName) -> Value {
    let description = format!("What `{service}` answers, through the gateway. {DESCRIPTION}");
    document(service.as_str(), &description, |operation| operation.service == Some(service))
}

const DESCRIPTION: &str = "Sign in with `POST /api/auth/login` and send the token as `Authorization: Bearer …`. \
    Errors are problem documents (RFC 9457) with a stable `code`; each has its place on [the page of problems](/api/docs/problems). \
    Lists are read with `limit` and `cursor`. A PUT takes the members to change (RFC 7396). \
    An answer with `X-Fallback: stale` is the last good one, `Age` seconds old, given because its service cannot answer; one with `X-Fallback: static` is no service's. \
    Whoever waits less long than the gateway says so with `X-Request-Timeout-Ms`.";

fn document(title: &str, description: &str, is_in: impl Fn(&Operation) -> bool) -> Value {
    let operations: Vec<&Operation> =
        contracts::operations().filter(|operation| !operation.is_internal() && is_in(operation)).collect();
    let mut schemas = Schemas::default();
    let mut paths = Map::new();
    for operation in &operations {
        let path = paths.entry(operation.path).or_insert_with(|| Value::Object(Map::new()));
        path[operation.method.as_str().to_ascii_lowercase()] = operation::describe(operation, &mut schemas);
    }
    let mut document = json!({
        "openapi": OPENAPI,
        "info": {
            "title": title,
            "version": env!("CARGO_PKG_VERSION"),
            "description": description,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "This gateway." }],
        "tags": tags(&operations),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The `token` that `POST /api/auth/login` answers.",
                },
            },
            "parameters": parameters(),
            "responses": problem_responses(&mut schemas),
        },
    });
    schemas.complete(&mut document);
    document
}

/// Tags in the order in which they first come, each with what stands behind it.
fn tags(operations: &[&Operation]) -> Vec<Value> {
    let mut tags: Vec<(&str, Option<ServiceName>)> = Vec::new();
    for operation in operations {
        if !tags.iter().any(|(name, _)| *name == operation.tag) {
            tags.push((operation.tag, operation.service));
        }
    }
    let answered_by = |service: Option<ServiceName>| match service {
        Some(service) => format!("Answered by `{service}`."),
        None => "Answered by the gateway itself.".to_owned(),
    };
    tags.into_iter()
        .map(|(name, service)| json!({ "name": name, "description": answered_by(service) }))
        .collect()
}

/// Headers that any operation of a kind takes.
fn parameters() -> Value {
    json!({
        "IdempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "Makes it safe to repeat: the same key with the same body within 24 hours gets the same answer.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
        },
        "IfMatch": {
            "name": "If-Match",
            "in": "header",
            "description": "The `ETag` of the version that was read: a change is made only if it still stands.",
            "schema": { "type": "string" },
        },
    })
}

/// One response a status, naming the codes that it can have.
fn problem_responses(schemas: &mut Schemas) -> Value {
    let problem = schemas.reference::<contracts::problem::Problem>();
    let mut responses = Map::new();
    for code in ProblemCode::ALL {
        let status = code.status();
        let line = format!("- `{code}`: {}\n", code.title());
        let response = responses.entry(operation::problem_name(status)).or_insert_with(|| {
            json!({
                "description": "",
                "content": { "application/problem+json": { "schema": problem } },
            })
        });
        let text = response["description"].as_str().unwrap_or_default().to_owned() + &line;
        response["description"] = text.into();
        if matches!(status, 429 | 503) {
            response["headers"] = json!({
                "Retry-After": { "description": "Seconds to wait.", "schema": { "type": "integer" } },
            });
        }
    }
    Value::Object(responses)
}
