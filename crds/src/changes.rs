//! [`changes`]: what a person changed in a document, by path. Not what comes of it: that is for whoever applies it to say.

use serde_json::{Map, Value};

/// The paths at which two documents differ, as faults name them (`spec.gateway.routes[2].timeout`). What is there in one alone is named, not what is
/// in it; so is a list of another length. Documents that cannot be read differ nowhere.
pub fn changes(before: &str, after: &str) -> Vec<String> {
    let read = |text| serde_saphyr::from_str::<Map<String, Value>>(text);
    match (read(before), read(after)) {
        (Ok(before), Ok(after)) => settings::changes(&before, &after),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_has_the_path_that_a_fault_would_have() {
        let before =
            "{spec: {timeZone: UTC, gateway: {routes: [{path: /a, timeout: 5s}, {path: /b}], tls: null}}}";
        for (after, expected) in [
            (before, &[][..]),
            (
                "# In other words.\nspec:\n  gateway: {routes: [{timeout: 5s, path: /a}, {path: /b}]}\n  timeZone: UTC",
                &[],
            ),
            (
                "{spec: {timeZone: CET, gateway: {routes: [{path: /a, timeout: 5s}, {path: /b, timeout: 4s}]}}}",
                &["spec.gateway.routes[1].timeout", "spec.timeZone"],
            ),
            ("{spec: {timeZone: UTC, gateway: {routes: [{path: /b}]}}}", &["spec.gateway.routes"]),
            ("{spec: {timeZone: UTC}, kind: x}", &["kind", "spec.gateway"]),
            ("{spec: [", &[]),
        ] {
            assert_eq!(changes(before, after), expected, "{after}");
        }
    }
}
