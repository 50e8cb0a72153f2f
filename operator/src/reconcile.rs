//! One reconcile, step by step.
//!
//! ```text
//! deletion? ─> validate ─> paused? ─> finalizer ─> what stands in the cluster ─> Secrets ─> decide (which version each layer runs)
//!     ─> plan ─> apply ─> prune ─> status
//! ```
//!
//! What a person has to do something about ends in the status; everything else that goes wrong is tried again, later each time. In either
//! case what runs is left as it is.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use chrono::{DateTime, Utc};
use kube::runtime::controller::Action;
use kube::runtime::events::EventType;
use kube::{Api, Resource, ResourceExt};
use stack::condition::{kind, reason};
use stack::spec::{HealthcareStack, HealthcareStackStatus};
use stack::{Database, Stack, names};
use tokio::time::Instant;

use crate::apply::{self, Place};
use crate::controller::Operator;
use crate::image::MissingImage;
use crate::kinds::Kind;
use crate::live::{Key, StackId};
use crate::object::Object;
use crate::plan::{Context, Tags, plan, service_account};
use crate::rollout::{Decision, Facts, Progress, Stage, decide};
use crate::secrets::{self, Failure, Refusal};
use crate::stacks::Guarded;
use crate::status::{self, Report};
use crate::stuck::Stuck;
use crate::told::Teller;
use crate::trail::Trail;
use crate::validate::{self, Problem};
use crate::{Error, delete, facts, namespace, prune, rollout, stuck};

/// A stack at rest is looked at again so often, in case a watch missed something. It costs no request.
const RESYNC: Duration = Duration::from_mins(10);
/// What waits is looked at again so often.
const WAITING: Duration = Duration::from_secs(15);
/// While requests are answered, a pod more or less is nobody's worry for so long.
const LONG_PATIENCE: Duration = Duration::from_mins(2);
/// What was overtaken is looked at again after so long.
const AGAIN: Duration = Duration::from_secs(1);
/// What failed may yet come up by itself, as an image does that is pushed late.
const GIVEN_UP: Duration = Duration::from_mins(1);
/// Pods are asked why they do not come up after so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// A database that could not be prepared is tried anew after so long.
const SETUP_AGAIN: Duration = Duration::from_mins(10);

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
        Err(invalid) => return unreadable(operator, guarded, &invalid.error, memory).await,
    };
    let pass = Pass { operator, id: &id, resource };
    if resource.metadata.deletion_timestamp.is_some() {
        return delete::delete(pass, memory).await;
    }
    let stack = match Stack::from_resource(resource) {
        Ok(stack) => stack,
        Err(invalid) => {
            let problem = Problem { reason: reason::INVALID, message: invalid.to_string() };
            pass.block(memory, &[problem]).await?;
            return Ok(Action::await_change());
        }
    };
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
    delete::settle_finalizer(pass, &stack).await?;
    match Box::pin(pass.advance(&stack, memory)).await {
        Err(error) if error.is_namespace_terminating() => pass.end(memory).await,
        ended => ended,
    }
}

/// A resource that cannot be read as a stack at all: the definition in the cluster is not this operator's.
async fn unreadable(
    operator: &Operator,
    guarded: &Guarded,
    why: &str,
    memory: &mut Memory,
) -> Result<Action, Error> {
    let mut shell = HealthcareStack::new(&guarded.name_any(), stack::spec::HealthcareStackSpec::default());
    shell.metadata = guarded.meta().clone();
    let id = crate::stacks::id(guarded);
    let pass = Pass { operator, id: &id, resource: &shell };
    if shell.metadata.deletion_timestamp.is_none() {
        let problem = Problem { reason: reason::INVALID, message: format!("cannot be read: {why}") };
        pass.block(memory, &[problem]).await?;
    } else if namespace::is_ending(&operator.client, &id.namespace).await {
        return delete::let_go(pass).await;
    }
    Ok(Action::await_change())
}

impl<'a> Pass<'a> {
    /// The way of a stack that can be planned.
    async fn advance(self, stack: &Stack, memory: &mut Memory) -> Result<Action, Error> {
        let operator = self.operator;
        let capabilities = operator.capabilities();
        let spec = serde_json::to_value(&self.resource.spec).unwrap_or_default();
        let cluster =
            validate::Cluster { client: &operator.client, secrets: &operator.secrets, capabilities };
        let problems = validate::problems(cluster, self.id, stack, &spec, &mut memory.validate).await?;
        if !problems.is_empty() {
            self.block(memory, &problems).await?;
            return Ok(Action::requeue(validate::CLASS_TTL));
        }
        let secrets = match self.secrets(stack, memory).await {
            Ok(secrets) => secrets,
            Err(Failure::Refused(refusal)) => {
                self.block(memory, &[refused(&refusal)]).await?;
                return Ok(Action::requeue(RESYNC));
            }
            Err(Failure::Api(error)) => return self.give_up(memory, vec![error]).await,
        };
        let owner = self.resource.controller_owner_ref(&()).unwrap_or_default();
        let mut checksums = checksums(&secrets, &memory.validate);
        let all = all_at(&stack.image.tag);
        let begun =
            Context { stack, owner: owner.clone(), tags: all.clone(), capabilities, checksums: &checksums };
        let made = self.make_account(&begun, memory).await;
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
        let mut context = Context { stack, owner, tags: all.clone(), capabilities, checksums: &checksums };
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
        if let Some(failure) = decision.failure.as_mut().filter(|it| known_failure.as_ref() != Some(*it)) {
            self.explain(failure, stack, &objects, &facts, &sight).await;
        }
        if self.is_ending(&decision).await {
            return self.end(memory).await;
        }
        self.do_failed_jobs_anew(&objects, &sight, &facts, &decision, memory).await?;
        if decision.tags != all {
            context.tags = decision.tags.clone();
            objects = plan(&context);
        }
        let outcome = made.and(apply::apply(self.place(), &mut memory.apply, &objects).await);
        memory.trail.written += outcome.written.len();
        let teller = self.teller();
        teller.repaired(&outcome.repaired).await;
        for object in &outcome.repaired {
            tracing::info!(%object, "drift repaired");
        }
        if !outcome.errors.is_empty() {
            return self.give_up(memory, outcome.errors).await;
        }
        let pruned = prune::prune(self.place(), &objects).await?;
        memory.trail.deleted += pruned.len();
        teller.pruned(&pruned).await;
        let sight = operator.live.of_stack(self.id);
        if decision.stage == Stage::Healthy && !outcome.written.is_empty() {
            // It was, before this was written.
            facts = look(&objects, &sight);
            decision = decide(&facts);
        }
        let stuck = self.waits(stack, &objects, &facts, &decision, &sight, memory).await;
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
        let was_settled = std::mem::replace(
            &mut memory.settled,
            decision.stage == Stage::Healthy && outcome.written.is_empty(),
        );
        if secrets.rotating && memory.settled && !was_settled {
            return Ok(Action::requeue(Duration::from_millis(100)));
        }
        Ok(self.next(&decision, memory, secrets.wake_at))
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

    /// The stack's own Secrets. Asked for again only when something has changed that they come from.
    async fn secrets(self, stack: &Stack, memory: &mut Memory) -> Result<secrets::Outcome, Failure> {
        let operator = self.operator;
        let mark = self.secrets_mark(stack, memory);
        if let Some((known, outcome)) = &memory.secrets
            && *known == mark
            && outcome.wake_at.is_none_or(|at| at > operator.clock.now())
        {
            return Ok(outcome.clone());
        }
        let owner = self.resource.controller_owner_ref(&()).unwrap_or_default();
        let outcome = secrets::reconcile(
            &operator.client,
            stack,
            &owner,
            self.resource.metadata.annotations.as_ref(),
            memory.settled,
            (&operator.clock, &operator.random),
        )
        .await?;
        for refusal in &outcome.refused {
            self.teller().tell(EventType::Warning, "RotationRefused", "Rotate", refusal.to_string()).await;
        }
        memory.trail.written += outcome.written;
        memory.secrets = Some((mark, outcome.clone()));
        Ok(outcome)
    }

    fn secrets_mark(self, stack: &Stack, memory: &Memory) -> u64 {
        let mut hasher = DefaultHasher::new();
        let metadata = &self.resource.metadata;
        (self.generation(), &metadata.uid, &metadata.annotations).hash(&mut hasher);
        if memory.secrets.as_ref().is_some_and(|(_, outcome)| outcome.rotating) {
            memory.settled.hash(&mut hasher);
        }
        let secret = Kind::id("", "Secret");
        for ((kind, name), seen) in self.operator.live.of_stack(self.id) {
            if Some(kind) == secret {
                (name, seen.version).hash(&mut hasher);
            }
        }
        let cluster = names::object(&stack.name, names::POSTGRES);
        let named = match &stack.database {
            Database::Managed(_) => Vec::new(),
            Database::External(external) => vec![external.url.secret.clone()],
            Database::CloudNativePg(_) => vec![format!("{cluster}-superuser"), format!("{cluster}-ca")],
        };
        for name in named {
            self.operator.secrets.version(&self.id.namespace, &name).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Jobs that failed, and are to be done anew, are taken away: they are made again.
    async fn do_failed_jobs_anew(
        self,
        objects: &[Object],
        sight: &facts::Sight,
        facts: &Facts,
        decision: &Decision,
        memory: &mut Memory,
    ) -> Result<(), Error> {
        let has_rested = match (&facts.setup, memory.setup_failed_since) {
            (Progress::Failed(_), Some(since)) => since.elapsed() >= SETUP_AGAIN,
            (Progress::Failed(_), None) => {
                memory.setup_failed_since = Some(Instant::now());
                false
            }
            (Progress::Done | Progress::Waiting(_), _) => {
                memory.setup_failed_since = None;
                false
            }
        };
        let Some(job) = Kind::id("batch", "Job") else { return Ok(()) };
        for object in objects.iter().filter(|object| object.resource.kind == "Job") {
            let key: Key = (job, object.name.as_str().into());
            let failed = sight.get(&key).filter(|seen| {
                !seen.deleting && seen.workload().is_some_and(|workload| workload.failed.is_some())
            });
            let is_due = match facts::part(object) {
                // What is half restored is for a person to look at.
                part if part == names::RESTORE => false,
                // What failed while there was no database yet says nothing of the version.
                part if facts::is_migration(part) => {
                    decision.retry
                        || matches!(decision.stage, Stage::Database(_) | Stage::Setup(_))
                        // It never ran, and there is nothing to go back to: the image may yet come.
                        || (decision.stage == Stage::Failed && memory.missing_image.is_some())
                }
                _ => has_rested,
            };
            if let Some(seen) = failed.filter(|_| is_due) {
                prune::delete(self.place(), &key, seen).await?;
                memory.trail.deleted += 1;
            }
        }
        Ok(())
    }

    /// Why something that has been waited for does not come, if its pods say so.
    async fn waits(
        self,
        stack: &Stack,
        objects: &[Object],
        facts: &Facts,
        decision: &Decision,
        sight: &facts::Sight,
        memory: &mut Memory,
    ) -> Option<Stuck> {
        let patience = match decision.stage {
            Stage::Healthy | Stage::WentBack | Stage::GoingBack => {
                (memory.waiting_since, memory.reasons, memory.missing_image) = (None, None, None);
                return None;
            }
            // A pod that may not even be made does not come by waiting.
            Stage::Updating(_) if !is_refused(sight) => LONG_PATIENCE,
            _ => PATIENCE,
        };
        if memory.waiting_since.get_or_insert_with(Instant::now).elapsed() < patience {
            return None;
        }
        match &memory.reasons {
            Some((asked, known)) if asked.elapsed() < PATIENCE => known.clone(),
            _ => {
                let found = self.reasons(stack, objects, facts, sight).await;
                memory.reasons = Some((Instant::now(), found.clone()));
                let known = memory.missing_image.take();
                memory.missing_image = MissingImage::after(known, self.generation(), found.as_ref());
                found
            }
        }
    }

    /// Adds to a failure what pods say. They are asked at once, since those that know go away with the version.
    async fn explain(
        self,
        failure: &mut rollout::Failure,
        stack: &Stack,
        objects: &[Object],
        facts: &Facts,
        sight: &facts::Sight,
    ) {
        let said = self.reasons(stack, objects, facts, sight).await.map(|stuck| stuck.problem.message);
        if let Some(said) = said.filter(|said| !failure.why.contains(said)) {
            failure.why = format!("{}; {said}", failure.why.trim_end_matches('.'));
        }
    }

    async fn reasons(
        self,
        stack: &Stack,
        objects: &[Object],
        facts: &Facts,
        sight: &facts::Sight,
    ) -> Option<Stuck> {
        let client = &self.operator.client;
        let has_database = facts.database == Progress::Done;
        if !has_database && let Some(stuck) = stuck::pods(client, stack, [names::POSTGRES], sight).await {
            return Some(stuck);
        }
        let jobs: Vec<_> = facts::unfinished_jobs(objects, sight).collect();
        if (facts.setup != Progress::Done || facts.migrations != Progress::Done)
            && let Some(stuck) = stuck::jobs(client, stack, &jobs).await
        {
            return Some(stuck);
        }
        let parts: Vec<_> =
            stack.enabled().map(settings::ServiceName::as_str).chain([names::API_GATEWAY]).collect();
        // Without a database, services may well not come up.
        if has_database && let Some(stuck) = stuck::pods(client, stack, parts.iter().copied(), sight).await {
            return Some(stuck);
        }
        let workloads =
            [names::POSTGRES].into_iter().chain(parts).map(|part| names::object(&stack.name, part));
        let makers: Vec<_> = workloads.chain(jobs.into_iter().map(str::to_owned)).collect();
        stuck::not_made(client, stack, &makers).await
    }

    /// What the API server refused goes to the status if a person can do something about it; it is tried again in any case.
    async fn give_up(self, memory: &mut Memory, errors: Vec<Error>) -> Result<Action, Error> {
        memory.settled = false;
        let problems: Vec<_> = errors.iter().filter_map(refusal).collect();
        if !problems.is_empty() {
            self.block(memory, &problems).await?;
        }
        let first = errors.iter().position(Error::is_namespace_terminating).unwrap_or(0);
        errors.into_iter().nth(first).map_or_else(|| Ok(Action::requeue(WAITING)), Err)
    }

    async fn block(self, memory: &mut Memory, problems: &[Problem]) -> Result<(), Error> {
        memory.settled = false;
        let before = self.before(memory);
        let status = status::blocked(problems, self.generation(), &before, self.operator.clock.now());
        self.write(memory, status).await
    }

    /// Writes a status that is different, and tells of it.
    async fn write(self, memory: &mut Memory, status: HealthcareStackStatus) -> Result<(), Error> {
        let ready = status.conditions.iter().find(|condition| condition.r#type == kind::READY);
        memory.trail.outcome = ready.map(|ready| ready.reason.clone());
        let before = self.before(memory);
        if before == status {
            return Ok(());
        }
        let api: Api<HealthcareStack> = Api::namespaced(self.operator.client.clone(), &self.id.namespace);
        status::write(&api, &self.resource.name_any(), &status).await?;
        self.operator.metrics.status_written();
        memory.trail.status = true;
        self.teller().conditions(&before, &status).await;
        memory.status = Some(status);
        Ok(())
    }

    /// The status as it was written last.
    pub(crate) fn before(self, memory: &Memory) -> HealthcareStackStatus {
        memory.status.clone().or_else(|| self.resource.status.clone()).unwrap_or_default()
    }

    /// Says that the stack is going, and how far that is.
    pub(crate) async fn say_deleting(self, memory: &mut Memory, problem: Problem) -> Result<(), Error> {
        self.block(memory, &[problem]).await
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

/// Whether pods could not be made: a quota, an admission policy.
fn is_refused(sight: &facts::Sight) -> bool {
    sight.values().filter_map(|seen| seen.workload()).any(|workload| workload.refused.is_some())
}

/// Digests of the stack's Secrets, and of those that its users filled.
fn checksums(secrets: &secrets::Outcome, named: &validate::Memory) -> BTreeMap<String, String> {
    let named = named.digests().map(|(name, digest)| (name.clone(), secrets.seal.digest(digest)));
    named.chain(secrets.checksums.clone()).collect()
}

fn all_at(tag: &str) -> Tags {
    let tag = Some(tag.to_owned());
    Tags { migrations: tag.clone(), services: tag.clone(), gateway: tag }
}

/// What a person can do something about.
fn refusal(error: &Error) -> Option<Problem> {
    let reason = match error {
        _ if error.is_namespace_terminating() => return None,
        _ if error.is_quota_exceeded() => reason::QUOTA_EXCEEDED,
        Error::NameTaken(_) => reason::APPLY_REFUSED,
        _ if error.is_refusal() => reason::APPLY_REFUSED,
        _ => return None,
    };
    Some(Problem { reason, message: error.to_string() })
}

fn refused(refusal: &Refusal) -> Problem {
    let reason = match refusal {
        Refusal::KekLost { .. } => reason::KEK_MISSING,
        Refusal::Missing { .. } => reason::SECRET_MISSING,
        Refusal::ExternalUrl(_) => reason::DATABASE_REFUSES,
        Refusal::Taken { .. } => reason::APPLY_REFUSED,
        Refusal::Damaged { .. }
        | Refusal::EscrowedKey
        | Refusal::ExternalCa { .. }
        | Refusal::Unknown { .. }
        | Refusal::KekRotation => reason::SECRET_KEY_MISSING,
    };
    Problem { reason, message: refusal.to_string() }
}

#[cfg(test)]
mod tests;
