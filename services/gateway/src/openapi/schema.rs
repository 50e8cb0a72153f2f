//! The schemas of a document: gathered while its operations are described, and those alone that something leads to.

use std::collections::BTreeMap;

use contracts::endpoint::SchemaOf;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value};

const PLACE: &str = "#/components/schemas/";

/// A generator whose references lead into the document's components.
pub(super) struct Schemas(SchemaGenerator);

/// A member of a query.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) required: bool,
    pub(super) schema: Value,
}

impl Default for Schemas {
    fn default() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        Self(settings.into_generator())
    }
}

impl Schemas {
    /// The schema of a body.
    pub(super) fn of(&mut self, schema: SchemaOf) -> Value {
        schema(&mut self.0).to_value()
    }

    /// The schema of a type.
    pub(super) fn reference<T: JsonSchema>(&mut self) -> Value {
        self.0.subschema_for::<T>().to_value()
    }

    /// The members of a query, each a parameter of its own.
    pub(super) fn members_of(&mut self, query: SchemaOf) -> Vec<Member> {
        let schema = self.of(query);
        let name = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix(PLACE));
        let schema = name.and_then(|name| self.0.definitions().get(name)).unwrap_or(&schema);
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let members = schema["properties"].as_object().into_iter().flatten();
        members
            .map(|(name, schema)| Member {
                name: name.clone(),
                required: required.contains(&name.as_str()),
                schema: without_null(schema.clone()),
            })
            .collect()
    }

    /// Puts into `document` the schemas that it leads to, directly or through each other.
    pub(super) fn complete(mut self, document: &mut Value) {
        let all = self.0.take_definitions(true);
        let mut used = Map::new();
        let mut open = Vec::new();
        references(document, &mut open);
        while let Some(name) = open.pop() {
            if let Some(schema) = all.get(&name).filter(|_| !used.contains_key(&name)) {
                references(schema, &mut open);
                used.insert(name, schema.clone());
            }
        }
        let pages = pages(&used);
        used = used
            .into_iter()
            .map(|(name, schema)| (pages.get(&name).cloned().unwrap_or(name), schema))
            .collect();
        used.sort_keys();
        document["components"]["schemas"] = used.into();
        rename(document, &pages);
    }
}

/// A page is one type for each kind of item, which schemars numbers; its item names it better.
fn pages(schemas: &Map<String, Value>) -> BTreeMap<String, String> {
    let is_page =
        |name: &str| name.strip_prefix("Page").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
    schemas
        .iter()
        .filter(|(name, _)| is_page(name))
        .filter_map(|(name, schema)| {
            let item = schema["properties"]["items"]["items"]["$ref"].as_str()?.strip_prefix(PLACE)?;
            Some((name.clone(), format!("{item}Page")))
        })
        .collect()
}

fn rename(value: &mut Value, names: &BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get_mut("$ref")
                && let Some(name) = reference.strip_prefix(PLACE).and_then(|name| names.get(name))
            {
                *reference = format!("{PLACE}{name}");
            }
            members.values_mut().for_each(|member| rename(member, names));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, names)),
        _ => {}
    }
}

/// An absent parameter is absent; there is no way to write null in a query.
fn without_null(mut schema: Value) -> Value {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            schema["type"] = only.clone();
        }
    }
    let description = schema.get("description").cloned();
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| choice["type"] != "null");
        if let [only] = choices.as_mut_slice() {
            let mut only = only.take();
            if let Some(description) = description {
                only["description"] = description;
            }
            return only;
        }
    }
    schema
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            let reference = members.get("$ref").and_then(Value::as_str);
            found.extend(reference.and_then(|text| text.strip_prefix(PLACE)).map(str::to_owned));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}
