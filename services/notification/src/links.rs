//! [`Links`]: what a message carries for its reader to do with it, without signing in.
//!
//! `{publicUrl}/api/notifications/unsubscribe/{notificationId}.{signature}`: which message, and a keyed hash of what the link is for and of which message it
//! is, under this service's index key (HMAC-SHA256). Whoever was written to has it, nobody else can make one, and one that is for one thing is for nothing
//! else. It names nobody: whose it is stands in the message's row, and goes with it.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use contracts::id::NotificationId;
use contracts::links::LinkToken;
use db::Db;

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// No more mails of this kind (RFC 8058).
    Unsubscribe,
    /// The appointment that a reminder tells of takes place.
    Confirm,
    /// It does not.
    Cancel,
    /// A mail server reports on a mail: no link, but what the mail is called outside.
    Report,
}

impl Purpose {
    /// As it is signed, and stands in the link.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unsubscribe => "unsubscribe",
            Self::Confirm => "confirm",
            Self::Cancel => "cancel",
            Self::Report => "report",
        }
    }
}

/// Makes links, and knows its own.
#[derive(Clone)]
pub struct Links {
    db: Db,
    /// Where the gateway is reached from outside, without a slash at its end; `None` where nobody says: there are no links then.
    base: Option<String>,
}

impl Links {
    /// Below this address.
    pub fn new(db: Db, public_url: Option<&str>) -> Self {
        Self { db, base: public_url.map(|url| url.trim_end_matches('/').to_owned()) }
    }

    /// A message's link for this.
    ///
    /// # Errors
    /// Before the keys store is migrated.
    pub fn url(&self, purpose: Purpose, id: &NotificationId) -> Result<Option<String>, db::Error> {
        let Some(base) = &self.base else { return Ok(None) };
        let token = self.token(purpose, id)?;
        Ok(token.map(|token| format!("{base}/api/notifications/{}/{token}", purpose.as_str())))
    }

    /// What names a message, for this: nobody else can make it.
    ///
    /// # Errors
    /// Before the keys store is migrated.
    pub fn token(&self, purpose: Purpose, id: &NotificationId) -> Result<Option<LinkToken>, db::Error> {
        Ok(LinkToken::new(id.clone(), &self.signature(purpose, id)?))
    }

    /// A message's link for this without its signature, which is good for nothing: what stands where the message can be read by others than its reader.
    pub fn unsigned(&self, purpose: Purpose, id: &NotificationId) -> Option<String> {
        let base = self.base.as_ref()?;
        Some(format!("{base}/api/notifications/{}/{id}", purpose.as_str()))
    }

    /// A message's text with its links signed: as it goes out.
    ///
    /// # Errors
    /// Before the keys store is migrated.
    pub fn signed(&self, text: &str, id: &NotificationId) -> Result<String, db::Error> {
        let mut text = text.to_owned();
        for purpose in [Purpose::Confirm, Purpose::Cancel] {
            if let Some(unsigned) = self.unsigned(purpose, id)
                && text.contains(&unsigned)
                && let Some(url) = self.url(purpose, id)?
            {
                text = text.replace(&unsigned, &url);
            }
        }
        Ok(text)
    }

    /// Whether we made this one, for this. It takes the same time wherever it differs.
    ///
    /// # Errors
    /// Before the keys store is migrated.
    pub fn is_ours(&self, purpose: Purpose, token: &LinkToken) -> Result<bool, db::Error> {
        let signature = self.signature(purpose, token.notification())?;
        Ok(verify_slices_are_equal(&signature, token.signature()).is_ok())
    }

    fn signature(&self, purpose: Purpose, id: &NotificationId) -> Result<Vec<u8>, db::Error> {
        // No id has a colon in it.
        self.db.vault().blind("link", &format!("{}:{id}", purpose.as_str()))
    }
}
