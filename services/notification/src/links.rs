//! [`Links`]: what a message carries for its reader to do with it, without signing in.
//!
//! `{publicUrl}/api/notifications/unsubscribe/{notificationId}.{signature}`: which message, and a keyed hash of what the link is for and of which message it
//! is, under this service's index key (HMAC-SHA256). Whoever was written to has it, nobody else can make one, and one that is for one thing is for nothing
//! else. It names nobody: whose it is stands in the message's row, and goes with it.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use contracts::id::NotificationId;
use contracts::links::LinkToken;
use db::Db;

use crate::domain::counted_link;

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// No more mails of this kind (RFC 8058).
    Unsubscribe,
    /// The appointment that a reminder tells of takes place.
    Confirm,
    /// It does not.
    Cancel,
    /// What somebody wrote in it is read: a link of theirs is followed, and counted.
    Follow,
}

impl Purpose {
    /// As it is signed, and stands in the link.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unsubscribe => "unsubscribe",
            Self::Confirm => "confirm",
            Self::Cancel => "cancel",
            Self::Follow => "links",
        }
    }
}

/// Makes links, and knows its own.
#[derive(Clone)]
pub struct Links {
    db: Db,
    /// Where the gateway is reached from outside, without a slash at its end; `None` where nobody says: there are no links then.
    base: Option<String>,
    /// Links to these hosts are counted.
    counted: Arc<[String]>,
}

impl Links {
    /// Below this address. Links that a message has to the hosts of `counted` are counted.
    pub fn new(db: Db, public_url: Option<&str>, counted: &[String]) -> Self {
        Self { db, base: public_url.map(|url| url.trim_end_matches('/').to_owned()), counted: counted.into() }
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
    fn token(&self, purpose: Purpose, id: &NotificationId) -> Result<Option<LinkToken>, db::Error> {
        Ok(LinkToken::new(id.clone(), &self.signature(purpose, id)?))
    }

    /// What a mail is called outside: what is reported on the hand-over of this turn names it so, and nobody else can.
    ///
    /// # Errors
    /// Before the keys store is migrated.
    pub fn mail_name(&self, id: &NotificationId, turn: i64) -> Result<Option<LinkToken>, db::Error> {
        Ok(LinkToken::new(id.clone(), &self.mail_signature(id, turn)?))
    }

    /// Whether a mail was called so when it was handed on at this turn.
    ///
    /// # Errors
    /// Before the keys store is migrated.
    pub fn is_mail_name(&self, name: &LinkToken, turn: i64) -> Result<bool, db::Error> {
        let signature = self.mail_signature(name.notification(), turn)?;
        Ok(verify_slices_are_equal(&signature, name.signature()).is_ok())
    }

    fn mail_signature(&self, id: &NotificationId, turn: i64) -> Result<Vec<u8>, db::Error> {
        match turn {
            0 => self.db.vault().blind("link", &format!("report:{id}")),
            turn => self.db.vault().blind("link", &format!("report:{id}:{turn}")),
        }
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

    /// A message's text with its links to the clinic's pages made such that count who follows them: as it goes out.
    ///
    /// # Errors
    /// Before the keys store is migrated.
    pub fn counting(&self, text: &str, id: &NotificationId) -> Result<String, db::Error> {
        let mut text = text.to_owned();
        if self.counted.is_empty() {
            return Ok(text);
        }
        let Some(url) = self.url(Purpose::Follow, id)? else { return Ok(text) };
        // From the last on, so that the others stay where they stand.
        for (number, at) in counted_link::links(&text).into_iter().enumerate().rev() {
            if self.target(&text[at.clone()]).is_some() {
                text.replace_range(at, &format!("{url}/{number}"));
            }
        }
        Ok(text)
    }

    /// Where a link of a message's text leads, if it is counted.
    pub fn followed(&self, text: &str, number: usize) -> Option<String> {
        let at = counted_link::links(text).into_iter().nth(number)?;
        self.target(&text[at])
    }

    /// Links of this service's own are counted by what they do.
    fn target(&self, link: &str) -> Option<String> {
        let base = self.base.as_ref()?;
        let is_own = link.strip_prefix(base.as_str()).is_some_and(|rest| rest.starts_with("/api/"));
        counted_link::target(link, &self.counted).filter(|_| !is_own)
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
