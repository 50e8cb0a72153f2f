//! Bodies that are a message as a mail server has it (RFC 5322).

use contracts::problem::{Problem, ProblemCode};
use serde::de::value::{Error, StringDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};

/// Reads a message. What is no UTF-8 is replaced: headers that mean something are ASCII.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let text: StringDeserializer<Error> = String::from_utf8_lossy(bytes).into_owned().into_deserializer();
    T::deserialize(text).map_err(|_| Problem::new(ProblemCode::MalformedRequest))
}

/// Whether a media type is that of messages (RFC 2046 §5.2.1, RFC 6532 §3.7).
pub(crate) fn is_mail(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    ["message/rfc822", "message/global"].iter().any(|known| essence.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_taken_as_it_is_whatever_bytes_it_has() {
        assert_eq!(read::<String>(b"Subject: a\r\n\r\nb").unwrap(), "Subject: a\r\n\r\nb");
        assert_eq!(read::<String>(b"a\xffb").unwrap(), "a\u{fffd}b");
        assert!(is_mail("Message/RFC822; charset=utf-8") && is_mail("message/global"));
        assert!(!is_mail("message/rfc8220") && !is_mail("text/plain"));
    }
}
