//! What strangers' mail servers write to the address that mail comes back to.
#![no_main]

use libfuzzer_sys::fuzz_target;
use notification::domain::mail_report::read;

fuzz_target!(|bytes: &[u8]| {
    if let Some(report) = read(&String::from_utf8_lossy(bytes)) {
        assert!(report.names.len() <= 8);
    }
});
