//! No input is a panic: documents made from the samples by breaking them.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;
use stack::{LocalDatabase, Placement, Stack, plan_gateway, plan_service};

use crate::sample;

/// Reads a document, and plans it if it is a stack. A refusal says where, and says it once.
fn survives(text: &str) {
    match Stack::from_yaml(text) {
        Ok(stack) => {
            let local = Placement::Local {
                data_dir: "/data".into(),
                socket_dir: "/run".into(),
                database: LocalDatabase::Sqlite,
            };
            for placement in [local, Placement::Kubernetes] {
                let _ = plan_gateway(&stack, &placement);
                for service in settings::ServiceName::ALL {
                    let _ = plan_service(&stack, service, &placement);
                }
            }
        }
        Err(invalid) => {
            let mut faults = invalid.faults().to_vec();
            assert!(!faults.is_empty());
            assert!(faults.iter().all(|fault| !fault.message.is_empty()));
            faults.dedup();
            assert_eq!(faults, invalid.faults());
        }
    }
}

/// Every place in a document, as a JSON pointer.
fn places(value: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            places(value, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), into);
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| places(value, &format!("{at}/{index}"), into));
        }
        _ => {}
    }
}

fn odd_value() -> impl Strategy<Value = Value> {
    let odd = serde_json::json!([
        null, true, 0, -1, 1, 99, 1e300, 0.5, 18_446_744_073_709_551_615_u64, -9_223_372_036_854_775_808_i64, "", " ",
        "0s", "1ms", "99999d99999d99999d99999d", "9999999999999Ti", "a b", "\u{0}", "ß", "/api", "/", "/api/{x}", "None",
        "Required", "XAU", "JPY", "Mars/Phobos", "internal:call", "10.0.0.0/33", "::/128", [], [[]], [null], {}, {"a": {}}
    ]);
    let odd: Vec<Value> = odd.as_array().into_iter().flatten().cloned().collect();
    prop_oneof![select(odd), any::<String>().prop_map(Value::from), any::<i64>().prop_map(Value::from)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_document_with_odd_values_is_no_panic(
        name in select(vec!["healthcarestack", "full"]),
        changes in prop::collection::vec((any::<Index>(), odd_value()), 1..4),
    ) {
        let mut document: Value = serde_saphyr::from_str(&sample(name)).expect("a sample");
        for (index, odd) in changes {
            let mut all = Vec::new();
            places(&document, "", &mut all);
            if let Some(place) = document.pointer_mut(&all[index.index(all.len())]) {
                *place = odd;
            }
        }
        survives(&document.to_string());
    }

    #[test]
    fn a_document_with_odd_bytes_is_no_panic(
        name in select(vec!["minimal", "healthcarestack", "full"]),
        changes in prop::collection::vec((any::<Index>(), any::<Option<char>>()), 1..6),
    ) {
        let mut text: Vec<char> = sample(name).chars().collect();
        for (index, change) in changes {
            let at = index.index(text.len());
            match change {
                Some(char) => text[at] = char,
                None => text.truncate(at.max(1)),
            }
        }
        survives(&text.into_iter().collect::<String>());
    }

    #[test]
    fn any_text_is_no_panic(text in any::<String>()) {
        survives(&text);
    }
}

#[test]
fn documents_meant_to_hurt_are_refused() {
    let bomb = (1..30).fold("a0: &a0 [x,x]\n".to_owned(), |text, level| {
        let below = level - 1;
        text + &format!("a{level}: &a{level} [*a{below},*a{below},*a{below},*a{below},*a{below},*a{below},*a{below},*a{below}]\n")
    });
    for text in [
        "[".repeat(100_000),
        "a: ".repeat(50_000),
        "{a: ".repeat(100_000),
        format!("apiVersion: {}", "x".repeat(2_000_000)),
        bomb,
        "--- a\n--- b\n".repeat(1_000),
        "&a [*a]".to_owned(),
        "!!binary x".to_owned(),
    ] {
        survives(&text);
        assert!(Stack::from_yaml(&text).is_err());
    }
}
