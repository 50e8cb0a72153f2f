//! Changes as text: unified diffs, and what they come to.

use std::fmt::Write;

use similar::{ChangeTag, TextDiff};

use super::changes::Change;
use crate::style::Style;

/// Unchanged lines around a change.
const CONTEXT_LINES: usize = 3;

pub(super) fn render(changes: &[Change], brief: bool, style: Style) -> String {
    if changes.is_empty() {
        return "Nothing would change.\n".to_owned();
    }
    let mut out = String::new();
    for change in changes {
        let object = change.object.to_string();
        let (line, whole) = match (&change.before, &change.after) {
            (None, _) => (style.good(&format!("+ {object}")), false),
            (_, None) => (style.bad(&format!("- {object}")), false),
            (Some(_), Some(_)) => (style.pending(&format!("~ {object}")), true),
        };
        let note = if change.restarts { "  (its pods are replaced, one after the other)" } else { "" };
        let _ = writeln!(out, "{line}{note}");
        if let (false, true, Some(before), Some(after)) = (brief, whole, &change.before, &change.after) {
            hunks(&mut out, before, after, style);
        }
    }
    let count = |is: fn(&Change) -> bool| changes.iter().filter(|change| is(change)).count();
    let new = count(|change| change.before.is_none());
    let gone = count(|change| change.after.is_none());
    let _ = writeln!(out, "\n{new} new, {} changed, {gone} gone.", changes.len() - new - gone);
    out
}

fn hunks(out: &mut String, before: &str, after: &str, style: Style) {
    let diff = TextDiff::from_lines(before, after);
    for (index, group) in diff.grouped_ops(CONTEXT_LINES).iter().enumerate() {
        if index > 0 {
            let _ = writeln!(out, "    {}", style.faint("⋮"));
        }
        for change in group.iter().flat_map(|operation| diff.iter_changes(operation)) {
            let text = change.value().trim_end();
            let line = match change.tag() {
                ChangeTag::Delete => style.bad(&format!("- {text}")),
                ChangeTag::Insert => style.good(&format!("+ {text}")),
                ChangeTag::Equal => format!("  {text}"),
            };
            let _ = writeln!(out, "    {line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use operator::object::Object;
    use serde_json::{Value, json};

    use super::*;
    use crate::diff::changes;

    fn object(kind: &str, name: &str, mut body: Value) -> Object {
        body["metadata"] = json!({ "name": name });
        let resource = kube::core::ApiResource {
            group: String::new(),
            version: "v1".to_owned(),
            api_version: "v1".to_owned(),
            kind: kind.to_owned(),
            plural: format!("{}s", kind.to_lowercase()),
        };
        Object::foreign(resource, name.to_owned(), body)
    }

    fn changes() -> Vec<Change> {
        let deployment = |replicas: i32, tag: &str| {
            let lines: Vec<_> = (1..12).map(|number| format!("line {number}")).collect();
            json!({ "spec": { "replicas": replicas, "same": lines, "template": { "image": format!("auth:{tag}") } } })
        };
        let configuration =
            |limit: i32| json!({ "data": { "gateway.json": json!({ "limit": limit }).to_string() } });
        let before = vec![
            object("Deployment", "clinic-auth", deployment(1, "0.1.0")),
            object("ConfigMap", "clinic-gateway", configuration(100)),
            object("Service", "clinic-billing", json!({})),
            object("Service", "clinic-auth", json!({})),
        ];
        let after = vec![
            object("Deployment", "clinic-auth", deployment(3, "0.2.0")),
            object("ConfigMap", "clinic-gateway", configuration(50)),
            object("Service", "clinic-auth", json!({})),
            object("Ingress", "clinic-gateway", json!({})),
        ];
        changes::between(before, after)
    }

    #[test]
    fn each_change_shows_its_lines() {
        insta::assert_snapshot!(render(&changes(), false, Style::plain()));
    }

    #[test]
    fn colour_says_what_comes_and_what_goes() {
        let text = render(&changes(), true, Style::coloured());
        assert!(text.contains("\u{1b}[32m+ Ingress clinic-gateway\u{1b}[0m"), "{text:?}");
        assert!(text.contains("\u{1b}[31m- Service clinic-billing\u{1b}[0m"), "{text:?}");
    }
}
