//! Labels: what finds a stack's objects, and what a selector may stand on.

use std::collections::BTreeMap;

use stack::names;

/// Whose object it is; the operator lists and watches by it.
pub const STACK: &str = "healthcarestack.dev/stack";
/// Who looks after it.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "healthcare-operator");
/// Which part of a stack it is.
pub const NAME: &str = "app.kubernetes.io/name";
const INSTANCE: &str = "app.kubernetes.io/instance";
const PART_OF: (&str, &str) = ("app.kubernetes.io/part-of", "healthcare-stack");
/// The version of what runs. Never in a selector, since selectors cannot change.
pub const VERSION: &str = "app.kubernetes.io/version";

/// Marks the pods that speak to the database, Jobs among them; a network policy selects by it.
pub const DATABASE_CLIENT: (&str, &str) = ("healthcarestack.dev/database", "client");

/// Marks the pods that carry backups to an object store or from there; a network policy selects by it.
pub const OBJECT_STORE_CLIENT: (&str, &str) = ("healthcarestack.dev/object-store", "client");

/// The annotation that holds a digest of what a pod was started with: `healthcarestack.dev/checksum-<what>`.
pub fn checksum(what: &str) -> String {
    format!("healthcarestack.dev/{}", super::pod::short("checksum", what))
}

/// A tag as a label's value: 63 characters at most, the last a letter or a digit.
pub fn version(tag: &str) -> String {
    let cut: String = tag.chars().take(63).collect();
    cut.trim_matches(|char: char| !char.is_ascii_alphanumeric()).to_owned()
}

/// All labels of an object that belongs to this part of the stack.
pub fn all(stack: &str, part: &str) -> BTreeMap<String, String> {
    let mut labels = selector(stack, part);
    labels.insert(STACK.to_owned(), names::label(stack));
    for (key, value) in [MANAGED_BY, PART_OF] {
        labels.insert(key.to_owned(), value.to_owned());
    }
    labels
}

/// Whose object it is by its labels, as [`STACK`] calls the stack; `None` if it does not say that the operator made it.
pub fn stack_of(labels: &BTreeMap<String, String>) -> Option<&str> {
    let (key, value) = MANAGED_BY;
    let is_ours = labels.get(key).is_some_and(|manager| manager == value);
    labels.get(STACK).filter(|_| is_ours).map(String::as_str)
}

/// What selects the pods of this part of the stack, and no others.
pub fn selector(stack: &str, part: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(NAME.to_owned(), part.to_owned()), (INSTANCE.to_owned(), names::label(stack))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_tag_is_a_version() {
        for (tag, label) in [
            ("0.1.0-build.7".to_owned(), "0.1.0-build.7".to_owned()),
            ("_edge_".to_owned(), "edge".to_owned()),
            (format!("{}.{}", "a".repeat(62), "b".repeat(60)), "a".repeat(62)),
        ] {
            assert_eq!(version(&tag), label);
        }
    }

    #[test]
    fn any_secret_has_a_checksum() {
        assert_eq!(checksum("kek"), "healthcarestack.dev/checksum-kek");
        let name = checksum(&"a.".repeat(126));
        assert!(name.split_once('/').is_some_and(|(_, name)| name.len() <= 63), "{name}");
    }
}
