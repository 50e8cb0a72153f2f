//! One operation, described.

use std::sync::LazyLock;

use contracts::endpoint::{Access, Encoding, Operation, Representation};
use contracts::export::Zip;
use contracts::links::HtmlPage;
use contracts::problem::Problem;
use serde_json::{Map, Value, json};
use settings::Method;

use super::schema::Schemas;

/// The bodies that the user's own document shows, by `METHOD path`.
static EXAMPLES: LazyLock<Map<String, Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("examples.json")).unwrap_or_default());

/// What an id in a path looks like; `contracts::id` is where it is checked.
const ID_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$";

/// The operation object.
pub(super) fn describe(operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": may(operation.access),
        "security": if operation.access == Access::Public { json!([]) } else { json!([{ "bearer": [] }]) },
    });
    if let Access::Needs(permission) = operation.access {
        described["x-permission"] = permission.as_str().into();
    }
    let parameters = parameters(operation, schemas);
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    if let Some(body) = operation.body {
        let content = media(schemas.of(body), example(operation, "request"));
        described["requestBody"] =
            json!({ "required": true, "content": { operation.encoding.media_type(): content } });
    }
    described["responses"] = responses(operation, schemas);
    described
}

fn may(access: Access) -> String {
    match access {
        Access::Public => "Anybody may call it.".to_owned(),
        Access::SignedIn => "Whoever is signed in may call it.".to_owned(),
        Access::Enrolling => {
            "Whoever is signed in may call it, and whoever may do nothing else until they have a second factor.".to_owned()
        }
        Access::Needs(permission) => format!("Needs the permission `{permission}`."),
    }
}

fn parameters(operation: &Operation, schemas: &mut Schemas) -> Vec<Value> {
    let ids = operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = ids
        .map(|name| {
            json!({
                "name": name,
                "in": "path",
                "required": true,
                "schema": { "type": "string", "pattern": ID_PATTERN },
            })
        })
        .collect();
    if let Some(query) = operation.query {
        parameters.extend(schemas.members_of(query).into_iter().map(|member| {
            let mut schema = member.schema;
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            let mut parameter =
                json!({ "name": member.name, "in": "query", "required": member.required, "schema": schema });
            if let Some(description) = description {
                parameter["description"] = description;
            }
            parameter
        }));
    }
    let header = match operation.method {
        Method::Post if operation.access != Access::Public => Some("IdempotencyKey"),
        Method::Put | Method::Delete => Some("IfMatch"),
        _ => None,
    };
    parameters.extend(header.map(|name| json!({ "$ref": format!("#/components/parameters/{name}") })));
    parameters
}

fn responses(operation: &Operation, schemas: &mut Schemas) -> Value {
    let content = media(schemas.of(operation.reply), example(operation, "response"));
    let mut responses = Map::new();
    responses.insert(
        operation.status.to_string(),
        json!({ "description": "Done.", "content": { operation.media_type: content } }),
    );
    for status in problem_statuses(operation) {
        let reference = json!({ "$ref": format!("#/components/responses/{}", problem_name(status)) });
        let is_page = operation.media_type == HtmlPage::MEDIA_TYPE;
        // Whoever reads pages is told by a page: it is the gateway that refuses whoever asks too often.
        let told = if is_page && status < 429 { on_page(schemas) } else { reference };
        responses.insert(status.to_string(), told);
    }
    Value::Object(responses)
}

/// A problem where a page is the answer: the document, or to whoever asks for pages another one.
fn on_page(schemas: &mut Schemas) -> Value {
    let (problem, page) = (schemas.reference::<Problem>(), json!({ "type": "string" }));
    json!({
        "description": "A problem document, or a page that says so to whoever asks for pages.",
        "content": { "application/problem+json": { "schema": problem }, HtmlPage::MEDIA_TYPE: { "schema": page } },
    })
}

fn media(schema: Value, example: Option<&Value>) -> Value {
    let mut media = json!({ "schema": schema });
    if let Some(example) = example {
        media["example"] = example.clone();
    }
    media
}

fn example(operation: &Operation, which: &str) -> Option<&'static Value> {
    EXAMPLES.get(&format!("{} {}", operation.method.as_str(), operation.path))?.get(which)
}

/// The errors that an operation of this form can answer with.
fn problem_statuses(operation: &Operation) -> impl Iterator<Item = u16> {
    let (has_ids, has_body) = (operation.path.contains('{'), operation.body.is_some());
    let is_change = operation.method != Method::Get;
    // What is asked for as a file may be too large for one.
    let is_file = operation.media_type == Zip::MEDIA_TYPE;
    // A link may be over.
    let is_page = operation.media_type == HtmlPage::MEDIA_TYPE;
    let is_on_one = matches!(operation.method, Method::Put | Method::Delete);
    [
        (400, has_body || operation.query.is_some()),
        // Signing in can fail although anybody may try.
        (401, operation.access != Access::Public || has_body),
        // Whom a provider has named may be nobody here, although anybody may try.
        (403, operation.access != Access::Public || has_ids && has_body),
        (404, has_ids),
        (409, is_change && operation.access != Access::Public || is_file || is_page),
        (410, has_ids),
        (412, is_on_one && has_ids),
        (413, has_body),
        (415, has_body),
        (422, has_body && operation.encoding == Encoding::Json),
        (429, true),
        (503, true),
        (504, true),
    ]
    .into_iter()
    .filter_map(|(status, applies)| applies.then_some(status))
}

/// The name of the response component that stands for a status.
pub(super) fn problem_name(status: u16) -> String {
    format!("Problem{status}")
}
