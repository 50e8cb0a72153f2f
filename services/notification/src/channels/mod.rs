//! [`Adapter`]: whoever takes messages of a channel; and [`Channels`], all that the stack names, in the order in which they are asked.
//!
//! The next of a channel's adapters is asked only when the one before surely did not take the message. Where that is not known, the one that may
//! have it is asked again, and first of all whether it has: by what it can look up, or by an identity that makes a second copy known.

mod encrypted_push;
mod fcm;
mod http;
pub mod sms;
mod token;
mod web_push;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use contracts::ambient::{Clock, Random};
use contracts::deliveries::SmsForm;
use contracts::id::NotificationId;
use contracts::links::LinkToken;
use contracts::notifications::Channel;
use db::Secrets;
use http_kit::kit::{BoxFuture, BuildError};
use settings::Integrations;

use crate::domain::delivery::Outcome;
use crate::domain::device::Target;
use crate::domain::notification::Content;
use crate::mail::Mailer;
pub use sms::Twilio;

/// One attempt takes no longer: a caller waits for it.
pub const TIMEOUT: Duration = Duration::from_secs(3);

/// A message on its way.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Which: the same at every attempt.
    pub id: NotificationId,
    /// How many of its hand-overs did not arrive.
    pub turn: i64,
    /// What it is called outside, by which whoever reports on it names it: nobody else can make such a name.
    pub name: Option<LinkToken>,
    /// When it was asked for.
    pub asked_at: DateTime<Utc>,
    /// What it says.
    pub content: Content,
    /// To whom.
    pub target: Target,
    /// Where its reader ends such mails by one click, if they can (RFC 8058).
    pub unsubscribe: Option<String>,
}

/// Whether an adapter has a message that it may have been handed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookUp {
    /// It cannot say. A second copy is known by its identity, where the channel has one.
    Cannot,
    /// It does not answer.
    Unanswered(String),
    /// By these names of its own it has messages like it, the newest first.
    Found(Vec<String>),
}

/// Whoever takes messages of one channel.
pub trait Adapter: Send + Sync {
    /// Whether it is for messages to such an address.
    fn takes(&self, target: &Target) -> bool;

    /// One attempt.
    fn hand_over<'a>(&'a self, message: &'a Outgoing) -> BoxFuture<'a, Outcome>;

    /// Asked before a second attempt, when what came of the first is not known.
    fn look_up<'a>(&'a self, _message: &'a Outgoing) -> BoxFuture<'a, LookUp> {
        Box::pin(async { LookUp::Cannot })
    }
}

/// What hands messages on.
#[derive(Clone, Default)]
pub struct Channels {
    mail: Vec<Arc<dyn Adapter>>,
    sms: Vec<Arc<dyn Adapter>>,
    accounts: Vec<Arc<Twilio>>,
    push: Vec<Arc<dyn Adapter>>,
}

impl Channels {
    /// Those that the settings name.
    pub fn new(
        settings: &Integrations,
        (secrets, clock, random): (&Secrets, &Clock, &Random),
    ) -> Result<Self, BuildError> {
        let mut channels = Self::default();
        let mails: Vec<_> = settings.mail.iter().chain(&settings.mail_fallback).collect();
        for mail in &mails {
            channels.mail.push(Arc::new(Mailer::new(
                mail,
                (&mails[0].from, settings.mail_reports.as_ref()),
                secrets.clone(),
            )?));
        }
        channels.accounts = Twilio::all(settings, secrets)?;
        for sms in &channels.accounts {
            channels.sms.push(Arc::<Twilio>::clone(sms));
        }
        if let Some(push) = &settings.push {
            if let Some(fcm) = &push.fcm {
                channels.push.push(Arc::new(fcm::Fcm::new(fcm, secrets.clone(), clock.clone())?));
            }
            if let Some(web_push) = &push.web_push {
                channels.push.push(Arc::new(web_push::WebPush::new(
                    web_push,
                    secrets.clone(),
                    (clock.clone(), random.clone()),
                )?));
            }
        }
        Ok(channels)
    }

    /// Those of a channel, in the order in which they are asked.
    pub fn of(&self, channel: Channel) -> &[Arc<dyn Adapter>] {
        match channel {
            Channel::Email => &self.mail,
            Channel::Sms => &self.sms,
            Channel::Push => &self.push,
        }
    }

    /// Whether one of the SMS accounts signed a call of its provider to this path.
    pub fn has_signed(&self, path: &str, form: &SmsForm, signature: Option<&str>) -> bool {
        let signature = signature.unwrap_or_default();
        self.accounts.iter().any(|account| account.has_signed(path, form, signature))
    }

    /// One attempt, by the first adapter that takes the message. Each has its own deadline. `first`: the one that may have it already.
    pub async fn hand_over(
        &self,
        channel: Channel,
        message: &Outgoing,
        first: Option<usize>,
    ) -> (usize, Outcome) {
        let adapters = self.of(channel).iter().enumerate();
        let mut last = (0, Outcome::not_now("The stack has nothing that takes it."));
        for (index, adapter) in adapters {
            if first.is_some_and(|first| first != index) || !adapter.takes(&message.target) {
                continue;
            }
            let handed = tokio::time::timeout(TIMEOUT, adapter.hand_over(message)).await;
            let outcome = handed.unwrap_or_else(|_| Outcome::unsure("It was not taken in time."));
            let is_surely_not_taken = matches!(outcome, Outcome::NotNow { .. });
            last = (index, outcome);
            if !is_surely_not_taken {
                break;
            }
        }
        last
    }
}
