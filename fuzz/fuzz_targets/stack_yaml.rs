//! `HealthcareStack` files: whatever they hold, a stack or its faults.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = stack::Stack::from_yaml(text);
});
