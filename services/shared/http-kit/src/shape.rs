//! [`Shape`]: what serde lets through although it is not of the declared shape.
//!
//! serde passes over members that it does not know, reads an array as a struct, member after member, and a merge patch drops null
//! members before anybody looks at them. So an accepted body is held against its schema once more, for these things alone.

use contracts::endpoint::SchemaOf;
use contracts::problem::{Faults, Problem, ProblemCode};
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// What is said of a member, or of a query parameter, that is not known.
pub(crate) const UNKNOWN: &str = "is not known here";
/// So many faults are named, of as many as there may be.
pub(crate) const UNKNOWN_MAX: usize = 20;
const NAME_CHARS_MAX: usize = 64;

/// A name that is the client's own, not longer than an answer should be.
pub(crate) fn cut(name: &str) -> String {
    name.chars().take(NAME_CHARS_MAX).collect()
}

/// The schema of a body, with what it refers to inside it.
#[derive(Debug)]
pub(crate) struct Shape(Value);

impl Shape {
    /// Made once, when the route is mounted.
    pub(crate) fn of(schema: SchemaOf) -> Self {
        let mut generator = SchemaSettings::draft2020_12()
            .with(|settings| settings.inline_subschemas = true)
            .into_generator();
        Self(schema(&mut generator).to_value())
    }

    /// Refuses an array where an object belongs, and members that are not known.
    pub(crate) fn check(&self, body: &[u8]) -> Result<(), Problem> {
        let Ok(body) = serde_json::from_slice::<Value>(body) else { return Ok(()) };
        if body.is_array() && self.0["properties"].is_object() {
            return Err(Problem::new(ProblemCode::MalformedRequest).detail("The body must be a JSON object."));
        }
        let mut faults = Faults::new();
        check(&self.0, &body, "", &mut faults);
        faults.into_result().map_err(|mut problem| {
            problem.errors.truncate(UNKNOWN_MAX);
            problem
        })
    }
}

fn check(schema: &Value, value: &Value, path: &str, faults: &mut Faults) {
    if let Some(choices) = schema["anyOf"].as_array() {
        // An optional member: null, or the one other choice.
        for choice in choices.iter().filter(|choice| choice["type"] != "null") {
            check(choice, value, path, faults);
        }
        return;
    }
    match (schema["properties"].as_object(), value) {
        (Some(_), Value::Array(_)) => faults.add(path, "must be an object"),
        (Some(properties), Value::Object(members)) => {
            for (name, value) in members {
                let path = if path.is_empty() { cut(name) } else { format!("{path}.{}", cut(name)) };
                match properties.get(name) {
                    Some(schema) => check(schema, value, &path, faults),
                    None => faults.add(path, UNKNOWN),
                }
            }
        }
        (None, Value::Array(values)) => {
            let items = &schema["items"];
            for (at, value) in values.iter().enumerate() {
                check(items, value, &format!("{path}[{at}]"), faults);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::bills::BillRequest;
    use contracts::endpoint::schema_of;
    use contracts::merge_patch::MergePatch;
    use contracts::patients::{Patient, PatientRegistration};

    fn faults(schema: SchemaOf, body: &str) -> Vec<String> {
        let refused = Shape::of(schema).check(body.as_bytes()).err();
        refused
            .map(|problem| problem.errors.into_iter().map(|fault| fault.field).collect())
            .unwrap_or_default()
    }

    #[test]
    fn an_array_is_no_object() {
        let whole = Shape::of(schema_of::<PatientRegistration>).check(br#"["p1","A","1980-01-01",[],[]]"#);
        assert_eq!(whole.unwrap_err().status, 400);
        assert_eq!(faults(schema_of::<MergePatch<Patient>>, r#"{"medicalHistory":[]}"#), ["medicalHistory"]);
        assert_eq!(
            faults(schema_of::<BillRequest>, r#"{"services":[["s","d",1.0]],"insuranceClaim":["H",1]}"#),
            ["services[0]", "insuranceClaim"]
        );
    }

    #[test]
    fn an_unknown_member_is_named_though_it_is_null() {
        assert_eq!(
            faults(schema_of::<MergePatch<Patient>>, r#"{"fax":null,"contactInfo":{"fax":null}}"#),
            ["fax", "contactInfo.fax"]
        );
    }

    #[test]
    fn what_is_of_the_shape_passes() {
        let body = r#"{"name":"A","contactInfo":{"phone":null},"medicalHistory":{"allergies":["x"]}}"#;
        assert!(faults(schema_of::<MergePatch<Patient>>, body).is_empty());
    }

    #[test]
    fn of_many_unknown_members_a_few_are_named_and_not_in_full() {
        let long = "x".repeat(1000);
        let members: Vec<_> = (0..100).map(|at| format!("\"{at}{long}\":null")).collect();
        let named = faults(schema_of::<MergePatch<Patient>>, &format!("{{{}}}", members.join(",")));
        assert_eq!(named.len(), UNKNOWN_MAX);
        assert!(named.iter().all(|name| name.len() == NAME_CHARS_MAX));
    }

    /// A keyword that `check` does not look at would let unknown members through.
    #[test]
    fn every_public_body_is_described_in_words_that_are_understood() {
        let bodies = contracts::operations()
            .filter(|operation| !operation.is_internal())
            .filter_map(|operation| operation.body);
        let mut schemas: Vec<_> = bodies.map(|body| Shape::of(body).0).collect();
        assert!(schemas.len() > 10);
        while let Some(schema) = schemas.pop() {
            for keyword in ["$ref", "allOf", "patternProperties", "prefixItems"] {
                assert!(schema.get(keyword).is_none(), "{keyword} in {schema}");
            }
            let mut words = schema["oneOf"].as_array().into_iter().flatten();
            assert!(words.all(|word| word["type"] == "string"), "{schema}");
            let is_object = schema["type"].as_str() == Some("object");
            assert!(!is_object || schema["properties"].is_object(), "{schema}");
            let members = schema["properties"].as_object().into_iter().flatten().map(|(_, schema)| schema);
            let choices = schema["anyOf"].as_array().into_iter().flatten();
            schemas.extend(members.chain(choices).chain(schema.get("items")).cloned().collect::<Vec<_>>());
        }
    }
}
