//! Request bodies, query strings and merge patches: whatever comes, an answer and no panic; and what is accepted reads back the same.
#![no_main]

use contracts::bills::{Bill, BillRequest};
use contracts::merge_patch::MergePatch;
use contracts::patients::{PatientFilter, PatientRegistration};
use http_kit::json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = json::read_leniently::<PatientRegistration>(data);
    if let Ok(bill) = json::read_leniently::<BillRequest>(data) {
        let text = serde_json_text(&bill);
        assert_eq!(json::read_leniently::<BillRequest>(text.as_bytes()).ok(), Some(bill));
    }
    if let Ok(patch) = json::read_leniently::<MergePatch<Bill>>(data)
        && let Ok(current) = json::read_leniently::<Bill>(CURRENT)
    {
        let _ = json::merge(&patch, &current);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = json::read_query::<PatientFilter>(text);
    }
});

const CURRENT: &[u8] =
    br#"{"billId":"b","patientId":"p","services":[{"serviceId":"s","description":"d","amount":1.00}],
    "totalAmount":1.00,"currency":"EUR","status":"Issued"}"#;

fn serde_json_text(bill: &BillRequest) -> String {
    MergePatch::<BillRequest>::of(bill).map(|patch| patch.text().to_owned()).unwrap_or_default()
}
