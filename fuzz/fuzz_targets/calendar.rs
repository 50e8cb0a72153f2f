//! What a calendar's server answers with, and the events in it: whatever it is, no panic, and nothing without end.
#![no_main]

use appointment::outside::multistatus;
use calendar::read::{Reading, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // 2026-01-15, and a year and some weeks from then.
    let (from, before) = (instant(1_768_467_600), instant(1_803_000_000));
    let reading = Reading { zone: chrono_tz::Tz::Europe__Berlin, from, before };
    let mut texts = vec![String::from_utf8_lossy(data).into_owned()];
    if let Ok(read) = multistatus::parse(data) {
        assert!(read.responses.iter().all(|response| !response.href.is_empty()));
        texts.extend(read.responses.into_iter().filter_map(|response| response.data));
    }
    for text in texts {
        if let Ok(object) = read(&text, &reading) {
            assert!(object.busy.windows(2).all(|pair| pair[0].1 < pair[1].0));
            assert!(object.busy.iter().all(|(starts, ends)| starts < ends && *ends > from && *starts < before));
        }
    }
});

fn instant(seconds: i64) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp(seconds, 0).unwrap()
}
