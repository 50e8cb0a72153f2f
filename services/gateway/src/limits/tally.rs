//! [`Tally`]: what one request is counted against, in the order in which that becomes known.
//!
//! A request that any limit refuses has cost nothing: what was counted before is given back. So one who is refused again and again takes
//! nothing of what all callers share.

use http::HeaderMap;

use super::buckets::Subject;
use super::line::Line;
use super::store::{Question, Store, rounded};
use super::tell::Known;
use super::{Buckets, By, Limits, Standing};

/// One request's counts.
pub(crate) struct Tally<'a> {
    limits: &'a Limits,
    buckets: &'a Buckets,
    /// The limiters' time.
    nanos: u64,
    /// By whole limits, since all gateways are asked too; else by this one's share.
    whole: bool,
    counted: [Option<Subject<'a>>; 4],
    known: Known,
    standing: Option<Standing>,
}

impl<'a> Tally<'a> {
    /// Nothing yet. `whole`: [`Tally::settle`] follows.
    pub(crate) fn new(limits: &'a Limits, buckets: &'a Buckets, nanos: u64, whole: bool) -> Self {
        Self { limits, buckets, nanos, whole, counted: [None; 4], known: Known::default(), standing: None }
    }

    /// Counts one request of a client address.
    pub(crate) fn client(&mut self, address: u128) -> Option<Standing> {
        self.count(Subject::Client(address));
        self.standing
    }

    /// Counts it for whoever else it is: a user, a program that names itself, one of all.
    pub(crate) fn caller(&mut self, user: Option<&'a str>, headers: &'a HeaderMap) -> Option<Standing> {
        let subjects =
            [user.map(Subject::User), self.limits.key(headers).map(Subject::Key), Some(Subject::Total)];
        for subject in subjects.into_iter().flatten() {
            if !self.count(subject) {
                break;
            }
        }
        self.standing
    }

    /// Asks where all gateways count. What was counted here has only kept away what would be refused there; if nobody answers in time, this
    /// gateway's share of the limits decides.
    pub(crate) async fn settle(&mut self, store: &Store, line: &Line) -> Option<Standing> {
        let questions: Vec<Question> = self
            .counted
            .iter()
            .flatten()
            .filter_map(|subject| {
                let limit = rounded(self.limits.terms(subject.by())?.whole);
                Some(Question { key: store.key(&self.limits.scope, subject), limit })
            })
            .collect();
        if questions.is_empty() {
            return self.standing;
        }
        let counted = std::mem::take(&mut self.counted);
        self.standing = None;
        let Some(answer) = store.ask(line, &questions).await else {
            self.alone(counted);
            return self.standing;
        };
        for ((subject, question), reset) in counted.iter().flatten().zip(&questions).zip(answer.resets) {
            if !answer.allowed {
                self.give_back(subject);
            }
            let full_at = self.nanos.saturating_add(u64::try_from(reset.as_nanos()).unwrap_or(0));
            self.buckets.learn(subject, full_at);
            let mut decision = question.limit.decision(answer.allowed, reset);
            // Where one refuses, the others need not.
            decision.allowed |= decision.retry_after.is_zero();
            let standing = Standing { by: subject.by(), decision, known: self.known };
            self.standing = Some(standing.tighter(self.standing));
        }
        self.standing
    }

    /// Counts by this gateway's shares what was counted by whole limits.
    fn alone(&mut self, counted: [Option<Subject<'a>>; 4]) {
        for subject in counted.iter().flatten() {
            self.give_back(subject);
        }
        self.whole = false;
        for subject in counted.into_iter().flatten() {
            if !self.count(subject) {
                break;
            }
        }
    }

    /// Whether it may go on.
    fn count(&mut self, subject: Subject<'a>) -> bool {
        let by = subject.by();
        let Some(terms) = self.limits.terms(by) else { return true };
        match by {
            By::User => self.known.user = true,
            By::Key => self.known.key = true,
            By::Client | By::Total => {}
        }
        let decision = self.buckets.check(&subject, terms.limit(self.whole), self.nanos);
        let standing = Standing { by, decision, known: self.known };
        self.standing = Some(standing.tighter(self.standing));
        if decision.allowed {
            self.counted[by as usize] = Some(subject);
        } else {
            for subject in std::mem::take(&mut self.counted).iter().flatten() {
                self.give_back(subject);
            }
        }
        decision.allowed
    }

    fn give_back(&self, subject: &Subject<'_>) {
        if let Some(terms) = self.limits.terms(subject.by()) {
            self.buckets.give_back(subject, terms.limit(self.whole));
        }
    }
}
