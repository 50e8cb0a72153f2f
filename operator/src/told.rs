//! Events: what happened to a stack, for people who run `kubectl describe`. One [`Recorder`] for all, which makes one Event of many alike.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;
use kube::runtime::events::{Event, EventType, Recorder};
use stack::condition::kind;
use stack::spec::{Condition, ConditionStatus, HealthcareStack, HealthcareStackStatus};

use crate::object::ObjectRef;

/// The API server's limit on an Event's note.
const NOTE_MAX: usize = 1_000;
/// Objects named in one Event.
const NAMED: usize = 5;

/// Tells of one stack.
#[derive(Clone, Copy)]
pub struct Teller<'a> {
    /// Who writes Events.
    pub recorder: &'a Recorder,
    /// The stack.
    pub stack: &'a HealthcareStack,
}

impl Teller<'_> {
    /// Tells of each condition that has become what it was not.
    pub async fn conditions(self, before: &HealthcareStackStatus, after: &HealthcareStackStatus) {
        for condition in news(before, after) {
            let is_bad = condition.r#type != kind::READY;
            let note = match condition.message.as_str() {
                "" => format!("{} is {:?}", condition.r#type, condition.status),
                message => message.to_owned(),
            };
            let type_ = if is_bad { EventType::Warning } else { EventType::Normal };
            // Events are alike if all but their notes is: of another generation, another is meant.
            let action =
                format!("Reconcile generation {}", self.stack.metadata.generation.unwrap_or_default());
            self.tell(type_, &condition.reason, &action, note).await;
        }
    }

    /// Tells what somebody had changed and is as it was again.
    pub async fn repaired(self, objects: &[ObjectRef]) {
        for object in objects.iter().take(NAMED) {
            let note = format!("somebody had changed or deleted {object}; it is as it was again");
            let related = ObjectReference {
                api_version: Some(object.group.clone()).filter(|group| !group.is_empty()),
                kind: Some(object.kind.clone()),
                name: Some(object.name.clone()),
                namespace: self.stack.metadata.namespace.clone(),
                ..ObjectReference::default()
            };
            self.publish(EventType::Warning, "DriftRepaired", "Apply", note, Some(related)).await;
        }
    }

    /// Tells what is not wanted any more.
    pub async fn pruned(self, objects: &[ObjectRef]) {
        if !objects.is_empty() {
            self.tell(
                EventType::Normal,
                "Pruned",
                "Prune",
                format!("not in the spec any more: {}", list(objects)),
            )
            .await;
        }
    }

    /// Tells something else.
    pub async fn tell(self, type_: EventType, reason: &str, action: &str, note: String) {
        self.publish(type_, reason, action, note, None).await;
    }

    async fn publish(
        self,
        type_: EventType,
        reason: &str,
        action: &str,
        mut note: String,
        secondary: Option<ObjectReference>,
    ) {
        note.truncate(note.floor_char_boundary(NOTE_MAX));
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(note),
            action: action.to_owned(),
            secondary,
        };
        if let Err(error) = self.recorder.publish(&event, &reference(self.stack)).await {
            tracing::debug!(%error, "an Event was not written");
        }
    }
}

/// Without the resource's version, so that Events about it are alike.
fn reference(stack: &HealthcareStack) -> ObjectReference {
    ObjectReference { resource_version: None, ..stack.object_ref(&()) }
}

fn list(objects: &[ObjectRef]) -> String {
    let text = objects.iter().take(NAMED).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match objects.len().saturating_sub(NAMED) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// Conditions whose status or reason is new. What only says of another type what one has said already is left out.
fn news<'a>(before: &HealthcareStackStatus, after: &'a HealthcareStackStatus) -> Vec<&'a Condition> {
    let mut told: Vec<&Condition> = Vec::new();
    for condition in &after.conditions {
        let is_known = before.conditions.iter().any(|known| {
            known.r#type == condition.r#type
                && known.status == condition.status
                && known.reason == condition.reason
        });
        // What else conditions say follows from these. The worse of two that say the same is Degraded.
        let is_told = match condition.r#type.as_str() {
            kind::READY => true,
            kind::DEGRADED | kind::FIELD_CONFLICT => condition.status == ConditionStatus::True,
            _ => false,
        };
        if is_known || !is_told {
            continue;
        }
        match told.iter_mut().find(|told| told.reason == condition.reason) {
            Some(told) if condition.r#type == kind::DEGRADED => *told = condition,
            Some(_) => {}
            None => told.push(condition),
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(r#type: &str, status: ConditionStatus, reason: &str) -> Condition {
        Condition {
            r#type: r#type.to_owned(),
            status,
            reason: reason.to_owned(),
            message: String::new(),
            last_transition_time: String::new(),
            observed_generation: None,
        }
    }

    fn status(conditions: Vec<Condition>) -> HealthcareStackStatus {
        HealthcareStackStatus { conditions, ..HealthcareStackStatus::default() }
    }

    #[test]
    fn only_what_is_new_is_told_and_only_once() {
        let before = status(vec![condition("Ready", ConditionStatus::True, "AsExpected")]);
        let after = status(vec![
            condition("Ready", ConditionStatus::False, "QuotaExceeded"),
            condition("Progressing", ConditionStatus::False, "QuotaExceeded"),
            condition("Degraded", ConditionStatus::True, "QuotaExceeded"),
        ]);
        let told: Vec<_> = news(&before, &after).into_iter().map(|it| it.r#type.as_str()).collect();
        assert_eq!(told, ["Degraded"]);
        assert!(news(&after, &after).is_empty());
    }
}
