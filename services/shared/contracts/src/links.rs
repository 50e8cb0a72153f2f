//! Links that a message carries, and the pages behind them. The operations stand with the notifications'.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::endpoint::Representation;
use crate::id::NotificationId;

/// Bytes of a signature.
const SIGNATURE_BYTES: usize = 16;

/// The last segment of a link: which message carried it, and a signature of what it is for.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkToken {
    notification: NotificationId,
    signature: [u8; SIGNATURE_BYTES],
}

/// It is not of the form that each has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is the last segment of no link")]
pub struct NoLinkToken;

impl LinkToken {
    /// Of a message, with this signature; `None` if that has another length.
    pub fn new(notification: NotificationId, signature: &[u8]) -> Option<Self> {
        Some(Self { notification, signature: signature.try_into().ok()? })
    }

    /// The message.
    pub fn notification(&self) -> &NotificationId {
        &self.notification
    }

    /// What it is signed with.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }
}

impl FromStr for LinkToken {
    type Err = NoLinkToken;

    fn from_str(text: &str) -> Result<Self, NoLinkToken> {
        let (notification, signature) = text.rsplit_once('.').ok_or(NoLinkToken)?;
        let notification = NotificationId::parse(notification).map_err(|_| NoLinkToken)?;
        // Only one text stands for a signature: bits that are left over are refused.
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).map_err(|_| NoLinkToken)?;
        Self::new(notification, &signature).ok_or(NoLinkToken)
    }
}

/// As it stands in the link: for whom it is to be sent.
impl fmt::Display for LinkToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.notification, BASE64URL_NOPAD.encode(&self.signature))
    }
}

/// Without its signature.
impl fmt::Debug for LinkToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkToken").field("notification", &self.notification).finish_non_exhaustive()
    }
}

/// A page for a person: HTML that needs nothing else, and runs nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HtmlPage(pub String);

impl Representation for HtmlPage {
    const MEDIA_TYPE: &'static str = "text/html; charset=utf-8";

    fn to_bytes(&self) -> Vec<u8> {
        self.0.clone().into_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        String::from_utf8(bytes.to_vec()).map(Self).map_err(serde::de::Error::custom)
    }
}

/// It is told by its media type.
impl JsonSchema for HtmlPage {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "HtmlPage".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_as_it_was_sent_and_its_signature_is_shown_nowhere_else() {
        let id = NotificationId::generate(&crate::ambient::Random::seeded(1));
        let token = LinkToken::new(id, &[7; SIGNATURE_BYTES]).unwrap();
        let sent = token.to_string();
        assert_eq!(sent.parse::<LinkToken>().unwrap(), token);
        assert!(crate::id::check(&sent).is_ok(), "{sent}");
        assert!(!format!("{token:?}").contains("BwcHB"));
    }

    #[test]
    fn what_is_not_of_the_form_is_no_token() {
        for text in [
            "",
            "notif_1",
            "notif_1.",
            ".BwcHBwcHBwcHBwcHBwcHBw",
            "notif_1.BwcHBwcHBwcHBwcHBwcHBw==",
            "notif_1.BwcHBwcHBwcHBwcHBwcHBx",
            "notif_1.BwcHBwcHBwcHBwcHBwcHB",
            "notif 1.BwcHBwcHBwcHBwcHBwcHBw",
        ] {
            assert!(text.parse::<LinkToken>().is_err(), "{text}");
        }
        assert!("notif_1.BwcHBwcHBwcHBwcHBwcHBw".parse::<LinkToken>().is_ok());
    }
}
