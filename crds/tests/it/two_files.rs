//! docs/gateway.md says what a stack's `spec.gateway` and the gateway's own file call the same thing. Its table is whole, and true of what the
//! planner writes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use stack::{Placement, Stack, plan_gateway};

use crate::{read, sample};

/// The first columns of the table: what a stack says, and what the gateway's file says for it.
fn table() -> BTreeMap<String, Vec<String>> {
    let page = read("docs/gateway.md");
    let rows = page.split("| in a stack, under `spec.gateway` |").nth(1).expect("the table");
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let rows = rows.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.flat_map(|row| {
        let cells: Vec<_> = row.split('|').collect();
        let there = names(cells[2]);
        names(cells[1]).into_iter().map(move |name| (name, there.clone()))
    })
    .collect()
}

/// Every member of a document, with `[]` for whichever item of a list and `*` for whichever upstream.
fn members(path: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let name = if path == "upstreams" { "*" } else { name.as_str() };
                let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                members(&path, value, found);
                found.insert(path);
            }
        }
        Value::Array(items) => {
            for item in items {
                members(&format!("{path}[]"), item, found);
            }
        }
        // What has nothing to set is written as a word.
        Value::String(choice) if path.ends_with(".fallback") => {
            found.insert(format!("{path}.{choice}"));
        }
        _ => {}
    }
}

fn members_of(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    members("", value, &mut found);
    found
}

/// What is of the gateway's pods and Service, and not of its configuration.
const OF_THE_CLUSTER: [&str; 6] = ["replicas", "autoscaling", "resources", "service", "ingress", "tls"];

#[test]
fn the_two_names_of_everything_are_told() {
    let text = sample("full");
    let document: Value = serde_saphyr::from_str(&text).unwrap();
    let stack = members_of(&document["spec"]["gateway"]);
    let config = plan_gateway(&Stack::from_yaml(&text).unwrap(), &Placement::Kubernetes);
    let file = members_of(&serde_json::to_value(config).unwrap());
    let table = table();
    for (name, there) in &table {
        assert!(stack.contains(name), "full.yaml has no spec.gateway.{name}");
        for there in there {
            assert!(file.contains(there), "what is planned has no {there}, which {name} is said to be");
        }
    }
    let is_told = |name: &String| {
        OF_THE_CLUSTER.contains(&name.split('.').next().unwrap_or_default())
            || file.contains(name)
            || table.contains_key(name)
            // All of something whose name is told, or what holds it.
            || table.keys().any(|told| name.starts_with(&format!("{told}.")) || told.starts_with(&format!("{name}.")))
    };
    let missing: Vec<_> = stack.iter().filter(|name| !is_told(name)).collect();
    assert!(
        missing.is_empty(),
        "docs/gateway.md does not tell what these are in the gateway's file: {missing:#?}"
    );
    let is_needless = |(name, there): (&String, &Vec<String>)| there.len() == 1 && there[0] == *name;
    assert!(!table.iter().any(is_needless), "a row for what is called the same");
}
