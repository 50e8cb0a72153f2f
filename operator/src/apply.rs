//! `apply`: makes the objects what the plan says, and writes nothing where they are so already.
//!
//! An object is left alone if it was applied as it is planned now (the digest of its body) and nobody has changed it since (the watch's
//! [`Seen::fingerprint`]). Else it is applied on the server, by one field manager, so that fields of others stay as they are. What is not known
//! to be there is looked for first: somebody else's is left to them.
//!
//! The digest stands in an annotation too. After a restart it tells, with the times of `managedFields`, which objects nobody has touched:
//! a thousand stacks cost no writes then either.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use futures_util::{FutureExt, StreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::Value;
use tokio::time::Instant;

use crate::conflict::{Contest, Contests};
use crate::digest::digest;
use crate::kinds::{Kind, KindId};
use crate::live::{Key, Live, Seen, StackId};
use crate::metrics::Metrics;
use crate::object::{Object, ObjectRef};
use crate::plan::labels;
use crate::thin::Thin;
use crate::{Error, MANAGER, handover, immutable};

/// The annotation that says as what an object was applied.
pub const APPLIED: &str = "healthcarestack.dev/applied";

/// Requests under way for one stack.
const AT_ONCE: usize = 6;

/// What the operator did to a stack's objects, and what has become of it.
#[derive(Debug, Default)]
pub struct Memory {
    objects: HashMap<Key, Done>,
    contests: Contests,
}

#[derive(Debug)]
struct Done {
    digest: Box<str>,
    fingerprint: u64,
}

impl Memory {
    /// When what is not fought over for now is tried again.
    pub fn next_try(&self) -> Option<std::time::Duration> {
        self.contests.next(Instant::now())
    }
}

/// Where to apply, and what to tell of it.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The API server.
    pub client: &'a Client,
    /// What the watches see.
    pub live: &'a Live,
    /// Whose objects they are.
    pub stack: &'a StackId,
    /// The stack's uid.
    pub uid: &'a str,
    /// What is counted.
    pub metrics: &'a Metrics,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Objects that were made or changed.
    pub written: Vec<ObjectRef>,
    /// Objects that somebody else had changed or deleted.
    pub repaired: Vec<ObjectRef>,
    /// Objects that somebody keeps taking back.
    pub contests: Vec<Contest>,
    /// What the API server refused.
    pub errors: Vec<Error>,
}

/// What is to be done about one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It is as it should be.
    Leave,
    /// It is as it should be, and was so before this process began.
    Adopt,
    /// It is not there.
    Make,
    /// It was applied differently.
    Change,
    /// It was applied as it should be, and somebody has changed it, or deleted it.
    Repair,
}

impl Outcome {
    /// What came of this, and of that afterwards.
    #[must_use]
    pub fn and(mut self, then: Self) -> Self {
        self.written.extend(then.written);
        self.repaired.extend(then.repaired);
        self.errors.extend(then.errors);
        Self { contests: then.contests, ..self }
    }
}

/// Applies a plan.
pub async fn apply(place: Place<'_>, memory: &mut Memory, objects: &[Object]) -> Outcome {
    let seen = place.live.of_stack(place.stack);
    memory
        .objects
        .retain(|key, _| seen.contains_key(key) || objects.iter().any(|object| *object.name == *key.1));
    apply_some(place, memory, objects).await
}

/// Applies some objects of a plan.
pub async fn apply_some(place: Place<'_>, memory: &mut Memory, objects: &[Object]) -> Outcome {
    let seen = place.live.of_stack(place.stack);
    let now = Instant::now();
    let mut outcome = Outcome::default();
    let mut due = Vec::new();
    for object in objects {
        let Some(id) = Kind::id(&object.resource.group, &object.resource.kind) else {
            tracing::error!(object = %object.reference(), "a kind that is not watched is planned: it is left out");
            continue;
        };
        let key: Key = (id, object.name.as_str().into());
        let body = with_digest(object);
        let step = step(&key, &body.digest, &seen, memory);
        match step {
            Step::Leave => place.metrics.left(1),
            Step::Adopt => {
                place.metrics.left(1);
                if let Some(seen) = seen.get(&key) {
                    memory
                        .objects
                        .insert(key, Done { digest: body.digest.into(), fingerprint: seen.fingerprint });
                }
            }
            Step::Repair if memory.contests.is_paused(&key, now) => {}
            Step::Make | Step::Change | Step::Repair => due.push(Due { key, object, body, step }),
        }
    }
    // What others stand on goes first: a RoleBinding needs its Role, a pod its ServiceAccount and its settings.
    let (first, then): (Vec<_>, Vec<_>) = due.into_iter().partition(|due| is_stood_on(due.object));
    let mut answers = Vec::new();
    for wave in [first, then] {
        let requests: Vec<_> = wave.into_iter().map(|due| send(place, due, &seen).boxed()).collect();
        answers.extend(futures_util::stream::iter(requests).buffered(AT_ONCE).collect::<Vec<_>>().await);
    }
    for Answer { due: Due { key, object, body, step }, contest, seen: answer } in answers {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                outcome.errors.push(error);
                continue;
            }
        };
        let changed = seen.get(&key).is_none_or(|before| before.fingerprint != answer.fingerprint);
        memory
            .objects
            .insert(key.clone(), Done { digest: body.digest.into(), fingerprint: answer.fingerprint });
        if changed {
            place.metrics.written();
            outcome.written.push(object.reference());
        }
        if changed && step == Step::Repair {
            place.metrics.repaired(&object.resource.kind);
            outcome.repaired.push(object.reference());
            if let Some(contest) = contest {
                memory.contests.count(key, contest, now);
            }
        }
    }
    outcome.contests = memory.contests.open(now);
    outcome
}

fn step(key: &Key, digest: &str, seen: &BTreeMap<Key, Seen>, memory: &Memory) -> Step {
    let done = memory.objects.get(key);
    match (seen.get(key), done) {
        // It goes first; then it is made again.
        (Some(seen), _) if seen.deleting => Step::Leave,
        // A Job is done once: what it was made as cannot be changed, and need not be.
        (Some(_), _) if is_job(key.0) => Step::Leave,
        (None, Some(done)) if &*done.digest == digest && !is_job(key.0) => Step::Repair,
        (None, _) => Step::Make,
        (Some(seen), None) if seen.applied.as_deref() == Some(digest) => Step::Adopt,
        (Some(_), None) => Step::Change,
        (Some(_), Some(done)) if &*done.digest != digest => Step::Change,
        (Some(seen), Some(done)) if seen.fingerprint != done.fingerprint => Step::Repair,
        (Some(_), Some(_)) => Step::Leave,
    }
}

fn is_stood_on(object: &Object) -> bool {
    let kinds = ["ServiceAccount", "Role", "ConfigMap", "PersistentVolumeClaim", "Service", "NetworkPolicy"];
    kinds.contains(&object.resource.kind.as_str())
}

fn is_job(id: KindId) -> bool {
    id.kind().resource.kind == "Job"
}

struct Body {
    value: Value,
    digest: String,
}

fn with_digest(object: &Object) -> Body {
    let digest = digest(object.body.to_string().as_bytes());
    let mut value = object.body.clone();
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        let annotations =
            metadata.entry("annotations").or_insert_with(|| Value::Object(serde_json::Map::new()));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(APPLIED.to_owned(), digest.clone().into());
        }
    }
    Body { value, digest }
}

/// An object that is to be written.
struct Due<'a> {
    key: Key,
    object: &'a Object,
    body: Body,
    step: Step,
}

/// What came of it.
struct Answer<'a> {
    due: Due<'a>,
    contest: Option<Contest>,
    seen: Result<Seen, Error>,
}

async fn send<'a>(place: Place<'_>, due: Due<'a>, seen: &BTreeMap<Key, Seen>) -> Answer<'a> {
    let known = seen.contains_key(&due.key);
    let contest = match due.step {
        Step::Repair if known => crate::conflict::contest(place.client, place.stack, due.object).await,
        Step::Repair => Some(Contest::of_deletion(due.object.reference())),
        Step::Leave | Step::Adopt | Step::Make | Step::Change => None,
    };
    let began = place.live.begin();
    let answer = write(place, due.object, &due.body.value, known).await;
    let seen = answer.map(|answer| Seen::of_answer(&answer, due.key.0.kind()));
    if let Ok(seen) = &seen {
        place.live.answer(place.stack, due.key.clone(), seen.clone(), began);
    }
    Answer { due, contest, seen }
}

/// Applies one object.
async fn write(place: Place<'_>, object: &Object, body: &Value, known: bool) -> Result<Thin, Error> {
    let api: Api<Thin> = Api::namespaced_with(place.client.clone(), &place.stack.namespace, &object.resource);
    let polite = PatchParams::apply(MANAGER);
    let what = || format!("applying {}", object.reference());
    if !known && !is_there(place, &api, object).await? {
        // Who makes one in this moment and wants it otherwise is not overruled; the next try looks whose it is.
        return api.patch(&object.name, &polite, &Patch::Apply(body)).await.map_err(Error::api(what()));
    }
    handover::keep_replicas(place, object).await?;
    let body = immutable::kept(place, object, body).await?;
    api.patch(&object.name, &polite.force(), &Patch::Apply(&body)).await.map_err(Error::api(what()))
}

/// Whether an object that no watch shows as the stack's is there, and is the stack's all the same. What is somebody else's is refused:
/// were anything written to it, it would have the stack's labels and owner, and go with the stack.
async fn is_there(place: Place<'_>, api: &Api<Thin>, object: &Object) -> Result<bool, Error> {
    let found = api.get_metadata_opt(&object.name).await;
    match found.map_err(Error::api(format!("looking for {}", object.reference())))? {
        None => Ok(false),
        Some(found) if is_ours(place, &found.metadata) => Ok(true),
        Some(_) => Err(Error::NameTaken(object.reference())),
    }
}

/// Whether an object is the stack's: by its owner; by its labels, if it outlived a stack of that name; or because the operator made it and
/// somebody has taken its labels off.
fn is_ours(place: Place<'_>, found: &ObjectMeta) -> bool {
    let label = place.stack.label.as_str();
    let labels = found.labels.as_ref();
    let is_anothers = labels.and_then(|labels| labels.get(labels::STACK)).is_some_and(|of| of != label);
    let is_applied = found.managed_fields.iter().flatten().any(|entry| {
        entry.manager.as_deref() == Some(MANAGER) && entry.operation.as_deref() == Some("Apply")
    });
    found.owner_references.iter().flatten().any(|owner| owner.uid == place.uid)
        || (!is_anothers && (is_applied || labels.and_then(labels::stack_of) == Some(label)))
}
