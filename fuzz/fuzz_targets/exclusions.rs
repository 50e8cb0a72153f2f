//! The list of exclusions, as an administrator brings it, and the answer of the NPI registry.
#![no_main]

use libfuzzer_sys::fuzz_target;
use provider::domain::exclusion::{line_of, name_of, names_of, parse};
use provider::domain::{npi, registry};

fuzz_target!(|text: &str| {
    if let Ok(entries) = parse(text) {
        for entry in &entries {
            let _ = (name_of(entry), line_of(entry));
        }
    }
    let _ = (names_of(text), npi::parse(text), serde_json::from_str::<registry::Answer>(text));
});
