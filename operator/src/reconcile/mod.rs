//! One reconcile, step by step.
//!
//! ```text
//! deletion? ─> validate ─> paused? ─> finalizer ─> what stands in the cluster ─> Secrets ─> decide (which version each layer runs)
//!     ─> plan ─> apply ─> prune ─> status
//! ```
//!
//! What a person has to do something about ends in the status; everything else that goes wrong is tried again, later each time. In either
//! case what runs is left as it is.

mod own_secrets;
mod tell;
#[cfg(test)]
mod tests;
mod unreadable;
mod waits;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};
use stack::condition::reason;
use stack::spec::{HealthcareStack, HealthcareStackStatus};
use stack::{Stack, names};
use tokio::time::Instant;
use traces::{step, step_with};

use tell::refused;
use unreadable::unreadable;

use crate::apply::{self, Place};
use crate::controller::Operator;
use crate::image::MissingImage;
use crate::kinds::Kind;
use crate::live::{Key, StackId};
use crate::object::Object;
use crate::plan::{Context, Kek, Tags, plan, service_account};
use crate::rollout::{Decision, Stage, decide};
use crate::secrets::{self, Failure};
use crate::stacks::Guarded;
use crate::status::{self, Report};
use crate::stuck::Stuck;
use crate::told::Teller;
use crate::trail::Trail;
use crate::validate::{self, Problem};
use crate::{Error, delete, facts, namespace, prune};

/// A stack at rest is looked at again so often, in case a watch missed something. It costs no request.
const RESYNC: Duration = Duration::from_mins(10);
/// What waits is looked at again so often.
const WAITING: Duration = Duration::from_secs(15);
/// What was overtaken is looked at again after so long.
const AGAIN: Duration = Duration::from_secs(1);
/// What failed may yet come up by itself, as an image does that is pushed late.
const GIVEN_UP: Duration = Duration::from_mins(1);

/// What is remembered of a stack from one reconcile to the next. Nothing here is lost that cannot be found out again.
#[derive(Debug, Default)]
pub struct Memory {
    trail: Trail,
    apply: apply::Memory,
    validate: validate::Memory,
    secrets: Option<(u64, secrets::Outcome)>,
    /// The status that was written last: the watch may not have shown it yet.
    status: Option<HealthcareStackStatus>,
    /// Nothing was left to do the last time.
    settled: bool,
    /// The key-encryption key under which every service's keys were wrapped, by its Job's word, the last time.
    rewrapped: Option<String>,
    waiting_since: Option<Instant>,
    setup_failed_since: Option<Instant>,
    /// The namespace is on its way out: nothing is done any more.
    ends: bool,
    /// What pods said, and when they were asked.
    reasons: Option<(Instant, Option<Stuck>)>,
    missing_image: Option<MissingImage>,
}

impl Memory {
    /// What the reconcile under way has done so far.
    pub(crate) const fn trail(&mut self) -> &mut Trail {
        &mut self.trail
    }

    /// What is remembered of what was applied.
    pub(crate) const fn applied(&mut self) -> &mut apply::Memory {
        &mut self.apply
    }

    /// Digests of the Secrets as they were seen last.
    pub(crate) fn checksums(&self) -> Option<BTreeMap<String, String>> {
        self.secrets.as_ref().map(|(_, outcome)| outcome.checksums.clone())
    }
}

/// One reconcile of one stack.
#[derive(Clone, Copy)]
pub struct Pass<'a> {
    /// What all share.
    pub operator: &'a Operator,
    /// Which stack.
    pub id: &'a StackId,
    /// Its resource.
    pub resource: &'a HealthcareStack,
}

/// Reconciles. Errors are tried again.
pub async fn reconcile(operator: &Operator, guarded: &Guarded, memory: &mut Memory) -> Result<Action, Error> {
    let id = crate::stacks::id(guarded);
    let resource = match &guarded.0 {
        Ok(resource) => resource,
        Err(invalid) => return Box::pin(unreadable(operator, guarded, &invalid.error, memory)).await,
    };
    let pass = Pass { operator, id: &id, resource };
    if resource.metadata.deletion_timestamp.is_some() {
        return Box::pin(step("delete", delete::delete(pass, memory))).await;
    }
    let stack = match operator.stack(resource) {
        Ok(stack) => stack,
        Err(invalid) => {
            let problem = Problem { reason: reason::INVALID, message: invalid.to_string() };
            pass.block(memory, &[problem]).await?;
            return Ok(Action::await_change());
        }
    };
    if let Some(problem) = validate::unseen(&operator.lists, &id, &stack) {
        pass.block(memory, &[problem]).await?;
        return Ok(Action::requeue(RESYNC));
    }
    if stack.paused {
        let sight = operator.live.of_stack(&id);
        let before = pass.before(memory);
        let status = status::paused(&stack, &sight, pass.generation(), &before, operator.clock.now());
        pass.write(memory, status).await?;
        return Ok(Action::requeue(RESYNC));
    }
    if memory.ends {
        return Ok(Action::requeue(RESYNC));
    }
    step("finalizer", delete::settle_finalizer(pass, &stack)).await?;
    match Box::pin(pass.advance(&stack, memory)).await {
        Err(error) if error.is_namespace_terminating() => pass.end(memory).await,
        ended => ended,
    }
}

impl<'a> Pass<'a> {
    /// The way of a stack that can be planned.
    async fn advance(self, stack: &Stack, memory: &mut Memory) -> Result<Action, Error> {
        let operator = self.operator;
        // However this ends, by an error or by being dropped half-way: only what comes to its end below can have settled.
        let was_settled = std::mem::take(&mut memory.settled);
        let capabilities = operator.capabilities();
        let spec = serde_json::to_value(&self.resource.spec).unwrap_or_default();
        let cluster =
            validate::Cluster { client: &operator.client, secrets: &operator.secrets, capabilities };
        let looking = validate::problems(cluster, self.id, stack, &spec, &mut memory.validate);
        let problems = step("validate", looking).await?;
        if !problems.is_empty() {
            self.block(memory, &problems).await?;
            return Ok(Action::requeue(validate::CLASS_TTL));
        }
        let secrets = match step_with("secrets", self.secrets(stack, was_settled, memory), api_error).await {
            Ok(secrets) => secrets,
            Err(Failure::Refused(refusal)) => {
                self.block(memory, &[refused(&refusal)]).await?;
                return Ok(Action::requeue(RESYNC));
            }
            Err(Failure::Api(error)) => return self.give_up(memory, vec![error]).await,
        };
        let mut checksums = checksums(&secrets, &memory.validate);
        let kek = &secrets.kek;
        let asked = self.context(stack, &checksums, kek);
        let making = self.make_account(&asked, memory);
        let made = step_with("account", making, first_error).await;
        if !made.errors.is_empty() {
            return self.give_up(memory, made.errors).await;
        }
        let sight = operator.live.of_stack(self.id);
        checksums.extend(facts::accounts(&sight));
        if !checksums
            .contains_key(&service_account::known_as(&names::object(&stack.name, names::API_GATEWAY)))
        {
            // Somebody has deleted it again at once. Without it the gateway would be planned as another.
            return Ok(Action::requeue(AGAIN));
        }
        let mut context = self.context(stack, &checksums, kek);
        let planning = traces::piece("plan");
        let mut objects = plan(&context);
        let record = status::record(&self.before(memory));
        let known_failure = record.failure.clone();
        let missing_image = memory.missing_image.clone();
        let look = |objects: &[Object], sight: &facts::Sight| {
            let (generation, awaits_database) = (self.generation(), secrets.awaits_database);
            let mut facts = facts::facts(stack, generation, record.clone(), objects, sight, awaits_database);
            MissingImage::give_up(missing_image.as_ref(), &mut facts);
            facts
        };
        let mut facts = look(&objects, &sight);
        let mut decision = decide(&facts);
        drop(planning);
        if let Some(failure) = decision.failure.as_mut().filter(|it| known_failure.as_ref() != Some(*it)) {
            self.explain(failure, stack, &objects, &facts, &sight).await;
        }
        if self.is_ending(&decision).await {
            return self.end(memory).await;
        }
        if decision.failure.is_some() && decision.last_healthy.is_some() {
            // Before anything goes back: whatever fails after that, the version is not tried again.
            self.remember(&decision, memory).await?;
        }
        self.do_failed_jobs_anew(&objects, &sight, &facts, &decision, memory).await?;
        if decision.tags != context.tags {
            context.tags = decision.tags.clone();
            objects = plan(&context);
        }
        let outcome = self.bring_about(made, &objects, memory).await;
        let sight = operator.live.of_stack(self.id);
        if decision.stage == Stage::Healthy && !outcome.written.is_empty() {
            // It was, before this was written.
            facts = look(&objects, &sight);
            decision = decide(&facts);
        }
        if !outcome.errors.is_empty() {
            self.remember(&decision, memory).await?;
            return self.give_up(memory, outcome.errors).await;
        }
        memory.rewrapped = kek.rewrap.clone().filter(|_| facts::is_rewrapped(&objects, &sight));
        facts.rewrap = self.rewrap_in_words(stack, &objects, facts.rewrap).await;
        let waiting = self.waits(stack, &objects, &facts, &decision, &sight, memory);
        let stuck = step_with("waits", waiting, |_| None::<&Error>).await;
        let report = Report {
            stack,
            facts: &facts,
            decision: &decision,
            sight: &sight,
            stuck: stuck.as_ref(),
            contests: &outcome.contests,
            rotating: secrets.moving,
        };
        let status = status::status(report, self.generation(), &self.before(memory), operator.clock.now());
        self.write(memory, status).await?;
        memory.settled = decision.stage == Stage::Healthy && outcome.written.is_empty();
        let goes_on = (memory.settled && !was_settled) || memory.rewrapped.is_some();
        if secrets.rotating && goes_on {
            return Ok(Action::requeue(Duration::from_millis(100)));
        }
        Ok(self.next(&decision, memory, secrets.wake_at))
    }

    /// What is planned from, with every layer at the version asked for.
    fn context<'b>(
        self,
        stack: &'b Stack,
        checksums: &'b BTreeMap<String, String>,
        kek: &'b Kek,
    ) -> Context<'b>
    where
        'a: 'b,
    {
        Context {
            stack,
            owner: self.resource.controller_owner_ref(&()).unwrap_or_default(),
            tags: all_at(&stack.image.tag),
            capabilities: self.operator.capabilities(),
            checksums,
            kek,
            operator_image: self.operator.image.as_deref(),
        }
    }

    /// Makes the account whose token pods have, if it is not there: pods carry its uid, so that it must be known when they are planned.
    async fn make_account(self, context: &Context<'_>, memory: &mut Memory) -> apply::Outcome {
        let account = service_account::with_token(context);
        let key = Kind::id("", "ServiceAccount").map(|id| (id, account.name.as_str().into()));
        if key.is_some_and(|key: Key| self.operator.live.of_stack(self.id).contains_key(&key)) {
            return apply::Outcome::default();
        }
        apply::apply_some(self.place(), &mut memory.apply, &[account]).await
    }

    /// Applies the plan, and if all of it could be, takes away what is not wanted any more. `made` is what was applied before.
    async fn bring_about(
        self,
        made: apply::Outcome,
        objects: &[Object],
        memory: &mut Memory,
    ) -> apply::Outcome {
        let applying = apply::apply(self.place(), &mut memory.apply, objects);
        let mut outcome = made.and(step_with("apply", applying, first_error).await);
        memory.trail.written += outcome.written.len();
        let teller = self.teller();
        teller.repaired(&outcome.repaired).await;
        for object in &outcome.repaired {
            tracing::info!(%object, "drift repaired");
        }
        if outcome.errors.is_empty() {
            match step("prune", prune::prune(self.place(), objects)).await {
                Ok(pruned) => {
                    memory.trail.deleted += pruned.len();
                    teller.pruned(&pruned).await;
                }
                Err(error) => outcome.errors.push(error),
            }
        }
        outcome
    }

    /// Whether what is missing is missing because the namespace is on its way out. Asked for those alone whose end waits for the operator.
    async fn is_ending(self, decision: &Decision) -> bool {
        let is_held = self.resource.finalizers().iter().any(|it| it == delete::FINALIZER);
        let is_well = matches!(decision.stage, Stage::Healthy | Stage::WentBack);
        is_held && !is_well && namespace::is_ending(&self.operator.client, &self.id.namespace).await
    }

    /// Nothing is done any more, and nothing waits for the operator.
    async fn end(self, memory: &mut Memory) -> Result<Action, Error> {
        tracing::info!("the namespace is on its way out: the stack is let go");
        memory.ends = true;
        delete::let_go(self).await
    }

    /// When there is something to do that no watch will tell of.
    fn next(self, decision: &Decision, memory: &Memory, wake_at: Option<DateTime<Utc>>) -> Action {
        let rest = match decision.stage {
            Stage::Healthy | Stage::WentBack => RESYNC,
            Stage::Failed => GIVEN_UP,
            _ => WAITING,
        };
        let woken =
            wake_at.map(|at| (at - self.operator.clock.now()).to_std().unwrap_or(Duration::from_secs(1)));
        let next = [Some(rest), memory.apply.next_try(), woken].into_iter().flatten().min().unwrap_or(rest);
        Action::requeue(next.max(Duration::from_millis(200)))
    }

    pub(crate) fn generation(self) -> i64 {
        self.resource.metadata.generation.unwrap_or_default()
    }

    pub(crate) fn place(self) -> Place<'a> {
        Place {
            client: &self.operator.client,
            live: &self.operator.live,
            stack: self.id,
            uid: self.resource.metadata.uid.as_deref().unwrap_or_default(),
            metrics: &self.operator.metrics,
        }
    }

    fn teller(self) -> Teller<'a> {
        Teller { recorder: &self.operator.recorder, stack: self.resource }
    }
}

/// Digests of the stack's Secrets, and of those that its users filled.
fn checksums(secrets: &secrets::Outcome, named: &validate::Memory) -> BTreeMap<String, String> {
    let named = named.digests().map(|(name, digest)| (name.clone(), secrets.seal.digest(digest)));
    named.chain(secrets.checksums.clone()).collect()
}

/// A refusal is no error: a person is told of it.
fn api_error(ended: &Result<secrets::Outcome, Failure>) -> Option<&Error> {
    match ended {
        Err(Failure::Api(error)) => Some(error),
        _ => None,
    }
}

fn first_error(outcome: &apply::Outcome) -> Option<&Error> {
    outcome.errors.first()
}

fn all_at(tag: &str) -> Tags {
    let tag = Some(tag.to_owned());
    Tags { migrations: tag.clone(), services: tag.clone(), gateway: tag }
}
