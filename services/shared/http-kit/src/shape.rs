//! [`Shape`]: what serde lets through although it is not of the declared shape.
//!
//! serde reads an array as a struct, member after member, and a merge patch drops null members before anybody looks at them. So an
//! accepted body is held against its schema once more, for these two things alone.

use contracts::endpoint::SchemaOf;
use contracts::problem::{Faults, Problem, ProblemCode};
use schemars::generate::SchemaSettings;
use serde_json::Value;

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
        faults.into_result()
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
    let Some(properties) = schema["properties"].as_object() else {
        if let (Some(items), Value::Array(values)) = (schema.get("items"), value) {
            for (at, value) in values.iter().enumerate() {
                check(items, value, &format!("{path}[{at}]"), faults);
            }
        }
        return;
    };
    match value {
        Value::Array(_) => faults.add(path, "must be an object"),
        Value::Object(members) => {
            for (name, value) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match properties.get(name) {
                    Some(schema) => check(schema, value, &path, faults),
                    None => faults.add(path, "is not known here"),
                }
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
}
