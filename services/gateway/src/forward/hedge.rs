//! Hedging: a read whose answer does not come is made a second time, elsewhere, and whichever answers first is taken.
//!
//! A second attempt comes out of a budget of its own, and never replaces one: the first goes on, and is cut off only when the other has
//! answered well. What is cut off counts for and against nobody, but the balancer learns how long it has taken so far.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use resilience::balance::Pick;
use resilience::breaker::Permit;
use tokio::time::timeout_at;

use super::attempt::{Attempted, Sent, tell};
use super::{Errand, Load};
use crate::kept::Member;
use crate::pace::Hedging;
use crate::refusal::Refusal;
use crate::upstream::{Ask, ConnectionOption, OwnLines};

/// That there was a second attempt, and what it was good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hedged {
    /// The first answered after all, or neither did well.
    Made,
    /// It answered first, and well.
    Won,
}

impl Hedged {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Won => "won",
        }
    }
}

/// An endpoint, and leave to call it.
type Chosen = (Pick<Arc<Member>>, Option<Permit>);

impl Errand<'_> {
    /// Whether it may be made twice at once.
    pub(super) fn may_hedge(&self) -> bool {
        matches!(self.body, Load::Nothing) && self.is_read() && self.own.option != ConnectionOption::WebSocket
    }

    /// The first attempt, and a second one beside it if that takes long.
    pub(super) async fn hedged(
        &mut self,
        hedging: &Hedging,
        avoid: &mut Option<usize>,
    ) -> Result<Attempted, Refusal> {
        let started = self.time.begun;
        let until = self.until(started);
        let first = self.pick(started, None)?;
        *avoid = Some(first.0.index());
        let mut other = None;
        let mut early;
        let mut late = None;
        {
            let errand = &*self;
            let mut first_sent = pin!(errand.trial(&first.0, started, until));
            early = timeout_at((started + hedging.after).into(), first_sent.as_mut()).await.ok();
            if early.is_none() {
                other = errand.another(hedging, first.0.index());
            }
            match &other {
                None if early.is_none() => early = Some(first_sent.await),
                None => {}
                Some(((pick, _), since)) => {
                    let mut second_sent = pin!(errand.trial(pick, *since, errand.until(*since)));
                    std::future::poll_fn(|cx| {
                        if early.is_none()
                            && let Poll::Ready(sent) = first_sent.as_mut().poll(cx)
                        {
                            early = Some(sent);
                        }
                        if late.is_none()
                            && !early.as_ref().is_some_and(is_good)
                            && let Poll::Ready(sent) = second_sent.as_mut().poll(cx)
                        {
                            late = Some(sent);
                        }
                        let is_done = [&early, &late].into_iter().flatten().any(is_good)
                            || (early.is_some() && late.is_some());
                        if is_done { Poll::Ready(()) } else { Poll::Pending }
                    })
                    .await;
                }
            }
        }
        self.decided((first, early, started), other.map(|other| (other, late)), avoid)
    }

    /// Takes the one that counts, and says what is to be said of the other.
    fn decided(
        &mut self,
        (first, early, started): (Chosen, Option<Sent>, Instant),
        other: Option<((Chosen, Instant), Option<Sent>)>,
        avoid: &mut Option<usize>,
    ) -> Result<Attempted, Refusal> {
        let Some((((pick, permit), since), late)) = other else {
            return self.settle(first, early.unwrap_or_default(), started);
        };
        self.hedged = Some(Hedged::Made);
        // Of two that failed, the later one.
        let is_second = late.is_some() && !early.as_ref().is_some_and(is_good);
        let (winner, loser) = if is_second {
            *avoid = Some(pick.index());
            if late.as_ref().is_some_and(is_good) {
                self.core.meters.hedges_won.inc();
                self.hedged = Some(Hedged::Won);
            }
            (((pick, permit), late, since), (first, early, started))
        } else {
            ((first, early, started), ((pick, permit), late, since))
        };
        match loser {
            (chosen, Some(sent), since) => drop(self.settle(chosen, sent, since)),
            ((pick, _), None, _) => pick.answered(Instant::now()),
        }
        let (chosen, sent, since) = winner;
        self.settle(chosen, sent.unwrap_or_default(), since)
    }

    /// Another endpoint than the one that is slow, if there is one that is well, and the budget agrees.
    fn another(&self, hedging: &Hedging, slow: usize) -> Option<(Chosen, Instant)> {
        let now = Instant::now();
        let chosen = self.pick(now, Some(slow)).ok()?;
        if chosen.0.index() == slow || !hedging.budget.try_withdraw(now) {
            return None;
        }
        self.core.meters.hedges.inc();
        Some((chosen, now))
    }

    /// Sends once, and once more if a kept connection was closed just then.
    async fn trial(&self, endpoint: &Member, now: Instant, mut until: Instant) -> Sent {
        let mut kept = Some(now);
        loop {
            let mut own = OwnLines { time_left: self.pace.left(self.time.begun), ..self.own.clone() };
            let mut span = self.span(endpoint, &mut own);
            let (ask, mut body) = (Ask { own: Some(&own), ..self.ask() }, None);
            let mut sending = pin!(endpoint.endpoint.send(&ask, &mut body, None, kept));
            let sent: Sent = loop {
                match timeout_at(until.into(), sending.as_mut()).await {
                    Ok(sent) => break Some(sent),
                    Err(_) if until >= self.time.deadline || self.pays() => break None,
                    Err(_) => until = self.time.deadline,
                }
            };
            if let Some(span) = &mut span {
                tell(span, &sent);
            }
            kept = None;
            if !self.may_resend(&sent) {
                return sent;
            }
        }
    }
}

/// Whether the other need not be waited for.
fn is_good(sent: &Sent) -> bool {
    matches!(sent, Some(Ok((response, _))) if !matches!(response.status().as_u16(), 429 | 500 | 502..=504))
}
