//! Hands queued notifications on: at least once, with ever longer pauses, for a day; several at once, and no more than that.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use contracts::notifications::{Channel, NotificationType};
use db::Db;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};

use crate::channels::{Channels, LookUp, Outgoing};
use crate::domain::delivery::{Attempted, Cause, Outcome, Refusal, Verdict, decide};
use crate::domain::device::Target;
use crate::domain::notification::SMS_CHARS_MAX;
use crate::domain::preference::opt_out_of;
use crate::jobs::sent::SentNotes;
use crate::links::{Links, Purpose};
use crate::store::again::{HandOver, another_goes_on, scheduled_again};
use crate::store::claim::{
    Claimed, Unsure, notification_next_due, notification_note, notifications_claim, queued_wanted,
};
use crate::store::device::{device_find, device_forget, devices_of};
use crate::store::outcome::notification_is_known_as;
use crate::store::suppression::{suppression_of, suppression_put};

/// Claimed at a time. With what waits already, and [`AT_ONCE`], all are tried within the lease, though four adapters be as slow as they may.
const BATCH: u32 = 48;
/// Handed on at the same time.
const AT_ONCE: usize = 16;
/// When all that is due is claimed, what is due meanwhile is claimed together.
const GATHER: Duration = Duration::from_millis(20);
/// Looked for at least so often: another instance may have died with claims of its own.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The way out.
#[derive(Clone)]
pub struct Delivery {
    db: Db,
    channels: Channels,
    links: Links,
    due: Arc<Notify>,
}

impl Delivery {
    /// By these ways. What has none stays in the capture box.
    pub fn new(db: Db, channels: Channels, links: Links) -> Self {
        Self { db, channels, links, due: Arc::default() }
    }

    /// The links that messages carry.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// Whether anything hands on what goes this way.
    pub fn has_way(&self, channel: Channel) -> bool {
        !self.channels.of(channel).is_empty()
    }

    /// Who hands on.
    pub fn channels(&self) -> &Channels {
        &self.channels
    }

    /// Lets the job look at once.
    pub fn wake(&self) {
        self.due.notify_one();
    }

    /// One attempt, and what it means.
    pub async fn attempt(&self, claimed: &Claimed) -> Attempted {
        let (adapter, outcome) = match self.prepare(claimed).await {
            Ok(message) => self.hand_over(claimed, &message).await,
            Err(outcome) => (None, outcome),
        };
        let chance = u64::from_le_bytes(self.db.random().bytes());
        let verdict = decide(outcome, claimed.attempt, claimed.since, self.db.clock().now(), chance);
        if let Verdict::Failed(Refusal { why, .. }) | Verdict::Again { why, .. } = &verdict {
            tracing::warn!(notification = %claimed.id, attempt = claimed.attempt, why, "it was not handed on");
        }
        Attempted { verdict, adapter }
    }

    /// To whom it goes now; and whether it may: somebody may have said STOP since it was queued.
    async fn prepare(&self, claimed: &Claimed) -> Result<Outgoing, Outcome> {
        let not_now = |error: db::Error| {
            tracing::warn!(%error, notification = %claimed.id, "whom it goes to cannot be read");
            Outcome::not_now("The stack cannot read whom it goes to.")
        };
        let (content, mut tx) = (&claimed.content, self.db.read().await.map_err(not_now)?);
        let target = match claimed.channel {
            Channel::Push => device_find(&mut tx, &self.db, &content.to).await.map_err(not_now)?,
            Channel::Email | Channel::Sms => None,
        };
        // What was planned goes to a device by its id, which is nobody's token.
        if target.is_none() && claimed.channel == Channel::Push && content.wisher.is_some() {
            return Err(Outcome::refused("The device is gone."));
        }
        let target = target.map_or_else(|| Target::Address(content.to.clone()), |kept| kept.device.target());
        let to = address(&target);
        let cause = suppression_of(&mut tx, &self.db, claimed.channel, to).await.map_err(not_now)?;
        if is_kept_back(claimed.channel, cause, content.critical) {
            return Err(Outcome::refused("The address is suppressed."));
        }
        let (id, asked_at) = (claimed.id.clone(), claimed.created_at);
        let unsubscribe = self.unsubscribe(claimed).map_err(not_now)?;
        let name = match claimed.channel {
            Channel::Email => self.links.mail_name(&id, claimed.turn).map_err(not_now)?,
            Channel::Sms | Channel::Push => None,
        };
        let mut content = content.clone();
        if claimed.channel != Channel::Push {
            let counting = self.links.counting(&content.body, &id).map_err(not_now)?;
            // Rather uncounted than refused: such a link may be longer than the one it stands for.
            if claimed.channel != Channel::Sms || counting.chars().count() <= SMS_CHARS_MAX {
                content.body = counting;
            }
        }
        if claimed.kind == NotificationType::Reminder {
            content.body = self.links.signed(&content.body, &id).map_err(not_now)?;
        }
        Ok(Outgoing { id, turn: claimed.turn, name, asked_at, content, target, unsubscribe })
    }

    /// Where the reader ends such mails: of a kind that can be opted out of, written to somebody by whose wish it goes. One click has to be safe on its way.
    fn unsubscribe(&self, claimed: &Claimed) -> Result<Option<String>, db::Error> {
        let Claimed { id, channel, kind, content, .. } = claimed;
        let is_endable = *channel == Channel::Email
            && content.wisher.is_some()
            && !content.critical
            && opt_out_of(*kind).is_some();
        let url = if is_endable { self.links.url(Purpose::Unsubscribe, id)? } else { None };
        Ok(url.filter(|url| url.starts_with("https://")))
    }

    async fn hand_over(&self, claimed: &Claimed, message: &Outgoing) -> (Option<usize>, Outcome) {
        let mut first = None;
        if let Some(unsure) = claimed.unsure {
            match self.look_up(claimed.channel, message, unsure).await {
                Looked::Has(outcome) => return (None, outcome),
                Looked::HasNot => {}
                Looked::Ask(adapter) => first = adapter,
            }
        }
        let (adapter, outcome) = self.channels.hand_over(claimed.channel, message, first).await;
        let outcome = match outcome {
            // Whether it was taken before is as little known as it was.
            Outcome::NotNow { why, .. } if first.is_some() => Outcome::Unsure(why),
            outcome => outcome,
        };
        (Some(adapter), outcome)
    }

    /// Whether whoever may have it has it.
    async fn look_up(&self, channel: Channel, message: &Outgoing, unsure: Unsure) -> Looked {
        let mut looked = Looked::HasNot;
        for (index, adapter) in self.channels.of(channel).iter().enumerate() {
            if unsure != Unsure::BySome && unsure != Unsure::By(index) {
                continue;
            }
            match adapter.look_up(message).await {
                LookUp::Cannot => looked = Looked::Ask((unsure != Unsure::BySome).then_some(index)),
                LookUp::Unanswered(why) => return Looked::Has(Outcome::Unsure(why)),
                LookUp::Found(names) => {
                    for name in names {
                        // Another notification may have said the same to the same number.
                        match notification_is_known_as(&self.db, &name).await {
                            Ok(true) => {}
                            Ok(false) => return Looked::Has(Outcome::Sent(Some(name))),
                            Err(_) => {
                                let why = "The stack cannot read what it has sent.";
                                return Looked::Has(Outcome::unsure(why));
                            }
                        }
                    }
                }
            }
        }
        looked
    }
}

/// What is known of a message that may have been taken.
enum Looked {
    /// It was, or it is not known yet.
    Has(Outcome),
    /// It was not.
    HasNot,
    /// Nobody can say: this one is asked to take it again, under the same identity. `None`: whoever is first.
    Ask(Option<usize>),
}

/// By what an address is suppressed.
fn address(target: &Target) -> &str {
    match target {
        Target::Address(to) => to,
        Target::Browser(subscription) => &subscription.endpoint,
    }
}

/// Whether a message to a suppressed address is kept back: a critical one only from a number whose owner said STOP (47 CFR 64.1200(a)(10)).
pub fn is_kept_back(channel: Channel, cause: Option<Cause>, critical: bool) -> bool {
    match cause {
        None => false,
        Some(Cause::Stop) if channel == Channel::Sms => true,
        Some(_) => !critical,
    }
}

/// Notes what came of an attempt, with all that follows from it for the address. What tells of an appointment goes another way.
pub async fn note(
    tx: &mut db::Tx,
    db: &Db,
    claimed: &Claimed,
    attempted: &Attempted,
) -> Result<bool, db::Error> {
    if let Some(refusal) = lost(claimed, &attempted.verdict) {
        if let Some(cause) = refusal.cause {
            suppress(tx, db, claimed, cause).await?;
        }
        let of = HandOver { id: &claimed.id, channel: claimed.channel, turn: claimed.turn };
        if is_way_lost(tx, claimed).await?
            && scheduled_again(tx, db, (&of, Some(&claimed.claim)), &refusal).await?
        {
            return Ok(true);
        }
    }
    notification_note(tx, db, claimed, attempted).await
}

/// Why a message goes nowhere by this way: it was refused for good; or surely was not taken, and is tried next when it is not sent any more.
fn lost(claimed: &Claimed, verdict: &Verdict) -> Option<Refusal> {
    match verdict {
        Verdict::Failed(refusal) => Some(refusal.clone()),
        Verdict::Again { at, why, unsure: false } if claimed.send_until.is_some_and(|until| until <= *at) => {
            Some(Refusal { why: why.clone(), ..Refusal::default() })
        }
        Verdict::Sent(_) | Verdict::Again { .. } => None,
    }
}

async fn suppress(tx: &mut db::Tx, db: &Db, claimed: &Claimed, cause: Cause) -> Result<(), db::Error> {
    let device = match claimed.channel {
        Channel::Push => device_find(tx, db, &claimed.content.to).await?,
        Channel::Email | Channel::Sms => None,
    };
    let to = device.as_ref().map_or(claimed.content.to.as_str(), |kept| kept.device.address());
    suppression_put(tx, db, (claimed.channel, to), cause).await?;
    if cause == Cause::Gone {
        // Of two devices that go at once, each would see the other one.
        tx.lock(&["devices that go"]).await?;
        device_forget(tx, db, to).await?;
    }
    Ok(())
}

/// Whether a message goes nowhere by its channel. A push message goes to each of somebody's devices: while one is left, they are told on that.
async fn is_way_lost(tx: &mut db::Tx, claimed: &Claimed) -> Result<bool, db::Error> {
    match (claimed.channel, &claimed.content.wisher) {
        (Channel::Push, Some(person)) => {
            // Of two that were for the last devices, each would go another way.
            tx.lock(&["devices that go"]).await?;
            Ok(!another_goes_on(tx, &claimed.id).await?
                && !devices_of(tx, &HashSet::from([person.clone()])).await?.contains_key(person))
        }
        (Channel::Push, None) => Ok(false),
        (Channel::Email | Channel::Sms, _) => Ok(true),
    }
}

/// Delivers for as long as the future lives. What is claimed waits for its turn; more is claimed when hardly anything waits, so that one that is slow keeps
/// nobody else.
pub async fn run(delivery: Delivery) {
    let (mut waiting, mut under_way) = (VecDeque::new(), JoinSet::new());
    let (sent, noting) = SentNotes::new(delivery.db.clone());
    // Ends with this job.
    let mut notes = JoinSet::new();
    notes.spawn(noting);
    let mut look_at = Instant::now();
    loop {
        if waiting.len() < AT_ONCE && look_at <= Instant::now() {
            let claimed = claim(&delivery).await;
            // That was all there is: not asked for anew with each one that is handed on.
            look_at = Instant::now() + if claimed.len() < BATCH as usize { GATHER } else { Duration::ZERO };
            waiting.extend(claimed);
        }
        let next = waiting.drain(..waiting.len().min(AT_ONCE - under_way.len()));
        for claimed in wanted(&delivery, next.collect()).await {
            let (delivery, sent) = (delivery.clone(), sent.clone());
            under_way.spawn(async move { deliver(&delivery, &sent, &claimed).await });
        }
        if waiting.is_empty() && under_way.len() < AT_ONCE {
            tokio::select! {
                Some(ended) = under_way.join_next() => tell_of(&ended),
                () = wait(&delivery) => look_at = Instant::now(),
            }
        } else if let Some(ended) = under_way.join_next().await {
            tell_of(&ended);
        }
        while let Some(ended) = under_way.try_join_next() {
            tell_of(&ended);
        }
    }
}

async fn claim(delivery: &Delivery) -> Vec<Claimed> {
    notifications_claim(&delivery.db, BATCH).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the queue cannot be read");
        Vec::new()
    })
}

/// Those that are still to be sent: what they tell of may have changed while they waited for their turn.
async fn wanted(delivery: &Delivery, claimed: Vec<Claimed>) -> Vec<Claimed> {
    if claimed.is_empty() {
        return claimed;
    }
    let count = claimed.len();
    queued_wanted(&delivery.db, claimed).await.unwrap_or_else(|error| {
        // Their claims run out, and they are claimed once more.
        tracing::warn!(%error, notifications = count, "it is not known whether these are to be sent");
        Vec::new()
    })
}

fn tell_of(ended: &Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "an attempt ended early");
    }
}

async fn deliver(delivery: &Delivery, sent: &SentNotes, claimed: &Claimed) {
    let attempted = delivery.attempt(claimed).await;
    // Most are: and nothing follows from it for the address.
    if matches!(attempted.verdict, Verdict::Sent(None)) && sent.note(claimed).await {
        return;
    }
    let noted = db::retrying(&delivery.db, async |mut tx| {
        note(&mut tx, &delivery.db, claimed, &attempted).await?;
        tx.commit().await
    });
    if let Err(error) = noted.await {
        // The claim runs out, and it is handed on once more, under the same identity, if its provider does not say that it has it.
        tracing::warn!(%error, notification = %claimed.id, "an attempt could not be noted");
    }
}

async fn wait(delivery: &Delivery) {
    let pause = match notification_next_due(&delivery.db).await {
        Ok(Some(at)) => {
            let ahead = (at - delivery.db.clock().now()).to_std().unwrap_or_default();
            ahead.clamp(Duration::from_millis(50), LOOK_EVERY)
        }
        Ok(None) | Err(_) => LOOK_EVERY,
    };
    let _ = tokio::time::timeout(pause, delivery.due.notified()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_critical_goes_to_any_address_but_a_number_that_said_stop() {
        for channel in [Channel::Email, Channel::Sms, Channel::Push] {
            assert!(!is_kept_back(channel, None, false));
            for cause in [Cause::Bounce, Cause::Complaint, Cause::Gone] {
                assert!(is_kept_back(channel, Some(cause), false));
                assert!(!is_kept_back(channel, Some(cause), true));
            }
        }
        assert!(is_kept_back(Channel::Sms, Some(Cause::Stop), true));
    }
}
