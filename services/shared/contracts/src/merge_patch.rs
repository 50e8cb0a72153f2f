//! [`MergePatch`]: the body of a PUT, merged into what stands (RFC 7396): lists are replaced whole, null takes a member away.
//!
//! It works on the JSON text (`RawValue`), so that an amount's own digits come through.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Objects within objects deeper than this are refused: no resource of ours comes near.
const DEPTH_MAX: usize = 16;

/// A partial `T`.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct MergePatch<T> {
    patch: Box<RawValue>,
    #[serde(skip)]
    target: PhantomData<fn() -> T>,
}

/// Why a patch cannot be merged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPatch {
    /// The body is no JSON object.
    #[error("must be a JSON object with the members to change")]
    NotAnObject,
    /// A member stands there twice, and nobody can say which is meant (RFC 8259 §4).
    #[error("has the member {0} twice")]
    Twice(String),
    /// Too many objects within objects.
    #[error("has more than {DEPTH_MAX} objects inside one another")]
    TooDeep,
}

type Members<'a> = BTreeMap<String, &'a RawValue>;

impl<T> MergePatch<T> {
    /// A patch of the members of `value`.
    pub fn of(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self { patch: serde_json::value::to_raw_value(value)?, target: PhantomData })
    }

    /// Whether the patch names this member, be it to take it away.
    pub fn names(&self, member: &str) -> bool {
        matches!(object(&self.patch), Ok(Some(members)) if members.contains_key(member))
    }

    /// The patch's own text.
    pub fn text(&self) -> &str {
        self.patch.get()
    }

    /// The text of `current` with this patch merged in.
    pub fn merged_into(&self, current: &T) -> Result<String, BadPatch>
    where
        T: Serialize,
    {
        let Ok(current) = serde_json::value::to_raw_value(current) else { return Err(BadPatch::NotAnObject) };
        if object(&self.patch)?.is_none() {
            return Err(BadPatch::NotAnObject);
        }
        let mut out = String::with_capacity(current.get().len() + self.patch.get().len());
        merge(Some(&current), &self.patch, DEPTH_MAX, &mut out)?;
        Ok(out)
    }
}

/// The members of an object; `None` for what is no object.
fn object(value: &RawValue) -> Result<Option<Members<'_>>, BadPatch> {
    if !value.get().starts_with('{') {
        return Ok(None);
    }
    let Ok(Pairs(pairs)) = serde_json::from_str(value.get()) else { return Ok(None) };
    let mut members = Members::new();
    for (name, value) in pairs {
        if members.contains_key(&name) {
            return Err(BadPatch::Twice(name.chars().take(64).collect()));
        }
        members.insert(name, value);
    }
    Ok(Some(members))
}

/// An object's members as they stand, a repeated one repeatedly.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Visitor).map(Self)
    }
}

/// RFC 7396 §2, `MergePatch(Target, Patch)`.
fn merge(
    target: Option<&RawValue>,
    patch: &RawValue,
    depth: usize,
    out: &mut String,
) -> Result<(), BadPatch> {
    let Some(patch) = object(patch)? else {
        out.push_str(patch.get());
        return Ok(());
    };
    if depth == 0 {
        return Err(BadPatch::TooDeep);
    }
    let target = target.map(object).transpose()?.flatten().unwrap_or_default();
    let mut separator = '{';
    let mut member = |name: &str, out: &mut String| {
        out.push(std::mem::replace(&mut separator, ','));
        out.push_str(&serde_json::Value::from(name).to_string());
        out.push(':');
    };
    for (name, value) in &target {
        if !patch.contains_key(name) {
            member(name, out);
            out.push_str(value.get());
        }
    }
    for (name, value) in &patch {
        if value.get() != "null" {
            member(name, out);
            merge(target.get(name).copied(), value, depth - 1, out)?;
        }
    }
    out.push_str(if separator == '{' { "{}" } else { "}" });
    Ok(())
}

impl<T> std::fmt::Debug for MergePatch<T> {
    /// Says nothing of the content, which may be health data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MergePatch({} bytes)", self.patch.get().len())
    }
}

impl<T: JsonSchema> JsonSchema for MergePatch<T> {
    fn schema_name() -> crate::id::Name {
        format!("{}Patch", T::schema_name()).into()
    }

    /// The target's schema with nothing required.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        schema.remove("required");
        schema.insert(
            "description".to_owned(),
            "The members to change (RFC 7396): lists are replaced whole, null clears.".into(),
        );
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn merged(current: &Value, patch: &str) -> Result<Value, BadPatch> {
        let patch: MergePatch<Value> = serde_json::from_str(patch).unwrap();
        patch.merged_into(current).map(|text| serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn the_examples_of_rfc_7396_appendix_a_hold() {
        for (target, patch, result) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ] {
            assert_eq!(merged(&target, &patch.to_string()), Ok(result), "{target} + {patch}");
        }
    }

    #[test]
    fn a_patch_names_the_members_it_changes_or_takes_away() {
        let patch: MergePatch<Value> = serde_json::from_str(r#"{"a": 1, "b": null, "c": {"d": 1}}"#).unwrap();
        assert_eq!(["a", "b", "d", "e"].map(|member| patch.names(member)), [true, true, false, false]);
    }

    #[test]
    fn a_member_that_stands_there_twice_is_refused() {
        assert_eq!(merged(&json!({}), r#"{"a":1,"a":2}"#), Err(BadPatch::Twice("a".to_owned())));
        assert_eq!(merged(&json!({}), r#"{"o":{"b":1,"b":2}}"#), Err(BadPatch::Twice("b".to_owned())));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for patch in ["[1]", "\"a\"", "1", "null"] {
            assert_eq!(merged(&json!({}), patch), Err(BadPatch::NotAnObject));
        }
    }

    #[test]
    fn a_numbers_own_digits_come_through() {
        let patch: MergePatch<Value> = serde_json::from_str(r#"{"amount": 0.10}"#).unwrap();
        assert_eq!(patch.merged_into(&json!({})).unwrap(), r#"{"amount":0.10}"#);
    }

    #[test]
    fn objects_within_objects_end_somewhere() {
        let deep = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
        assert_eq!(merged(&json!({}), &deep), Err(BadPatch::TooDeep));
    }
}
