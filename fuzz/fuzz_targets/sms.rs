//! What strangers post to the callbacks of SMS providers, and the addresses of browsers that they register.
#![no_main]

use contracts::deliveries::SmsForm;
use http_kit::outside::endpoint;
use libfuzzer_sys::fuzz_target;
use notification::api::callbacks::{news, word};
use notification::domain::reply_word::reply_word;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(form) = http_kit::form::read::<SmsForm>(bytes) {
        let _ = (news(&form), word(&form));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = reply_word(text);
        if let Some(url) = endpoint(text, &[]) {
            assert_eq!(url.scheme(), "https");
            assert!(url.host_str().is_some_and(|host| host.contains('.') || host.contains(':')));
        }
    }
});
