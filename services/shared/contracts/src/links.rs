//! Links that a message carries, and the pages behind them. The operations stand with the notifications'.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::endpoint::Representation;
use crate::id::NotificationId;
use crate::templates::Language;

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

/// What a page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words<'a> {
    /// In which language.
    pub language: Language,
    /// What it is about.
    pub title: &'a str,
    /// A sentence.
    pub text: &'a str,
    /// What the button says, if there is something to do.
    pub button: Option<&'a str>,
}

impl Words<'_> {
    /// As a page. Its form goes to the page's own address.
    pub fn page(&self) -> HtmlPage {
        let (title, text) = (escaped(self.title), escaped(self.text));
        let mut page = format!(
            "<!doctype html>\n<html lang=\"{}\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"robots\" content=\"noindex\">\n<title>{title}</title>\n<h1>{title}</h1>\n<p>{text}</p>\n",
            self.language.as_str()
        );
        if let Some(button) = self.button {
            let _ = writeln!(
                page,
                "<form method=\"post\"><button type=\"submit\">{}</button></form>",
                escaped(button)
            );
        }
        HtmlPage(page)
    }
}

impl HtmlPage {
    /// That what is looked for is there: for a program that does not go by itself.
    #[must_use]
    pub fn elsewhere(target: &str) -> Self {
        let target = escaped(target);
        Self(format!(
            "<!doctype html>\n<meta charset=\"utf-8\">\n<title>{target}</title>\n<a href=\"{target}\">{target}</a>\n"
        ))
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

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
    fn nothing_that_is_said_becomes_markup() {
        let said = "<script>&\"";
        let page = Words { language: Language::En, title: said, text: said, button: Some(said) }.page();
        assert!(!page.0.contains("<script>") && page.0.contains("&lt;script&gt;&amp;&quot;"), "{}", page.0);
    }

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
