//! The forms of fields and headers: amounts, dates, phones, mail addresses, ids, trace context, tokens of links.
#![no_main]

use contracts::field;
use contracts::links::LinkToken;
use contracts::money::Amount;
use libfuzzer_sys::fuzz_target;
use traces::TraceContext;

fuzz_target!(|text: &str| {
    if let Ok(amount) = text.parse::<Amount>() {
        assert_eq!(amount.to_string().parse::<Amount>(), Ok(amount));
    }
    if let Ok(date) = field::date(text) {
        assert_eq!(date.to_string(), text);
    }
    if let Ok(time) = field::time(text) {
        assert_eq!(field::time_text(time), text);
    }
    if let Ok(token) = text.parse::<LinkToken>() {
        assert_eq!(token.to_string(), text);
    }
    if let Some(context) = TraceContext::parse(text) {
        assert_eq!(std::str::from_utf8(&context.header()).ok().and_then(TraceContext::parse), Some(context));
    }
    let _ =
        (field::line(text, 50), field::prose(text, 50), field::Phone::parse(text), field::Email::parse(text));
    let _ = (contracts::id::check(text), field::normalised_words(text), http_kit::token::bearer(Some(text)));
});
