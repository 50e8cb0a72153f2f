//! The stack's own Secrets, looked at only when something has changed that they come from.

use std::hash::{DefaultHasher, Hash, Hasher};

use kube::Resource;
use kube::runtime::events::EventType;
use stack::Stack;

use super::{Memory, Pass};
use crate::kinds::Kind;
use crate::secrets::{self, Failure};

impl Pass<'_> {
    /// The stack's own Secrets. Asked for again only when something has changed that they come from. `settled`: whether the reconcile before this
    /// one came to its end and had nothing left to do.
    pub(super) async fn secrets(
        self,
        stack: &Stack,
        settled: bool,
        memory: &mut Memory,
    ) -> Result<secrets::Outcome, Failure> {
        let operator = self.operator;
        let mark = self.secrets_mark(stack, settled, memory);
        if let Some((known, outcome)) = &memory.secrets
            && *known == mark
            && outcome.wake_at.is_none_or(|at| at > operator.clock.now())
        {
            return Ok(outcome.clone());
        }
        let owner = self.resource.controller_owner_ref(&()).unwrap_or_default();
        let come = secrets::Come { settled, rewrapped: memory.rewrapped.as_deref() };
        let (outcome, news) = secrets::reconcile(
            &operator.client,
            stack,
            &owner,
            self.resource.metadata.annotations.as_ref(),
            come,
            (&operator.clock, &operator.random),
        )
        .await?;
        for refusal in &outcome.refused {
            self.teller().tell(EventType::Warning, "RotationRefused", "Rotate", refusal.to_string()).await;
        }
        for news in news {
            self.teller().tell(EventType::Normal, "KeyEncryptionKey", "Rotate", news.to_string()).await;
        }
        memory.trail.written += outcome.written;
        memory.secrets = Some((mark, outcome.clone()));
        Ok(outcome)
    }

    fn secrets_mark(self, stack: &Stack, settled: bool, memory: &Memory) -> u64 {
        let mut hasher = DefaultHasher::new();
        let metadata = &self.resource.metadata;
        (self.generation(), &metadata.uid, &metadata.annotations).hash(&mut hasher);
        if memory.secrets.as_ref().is_some_and(|(_, outcome)| outcome.rotating) {
            (settled, &memory.rewrapped).hash(&mut hasher);
        }
        let secret = Kind::id("", "Secret");
        for ((kind, name), seen) in self.operator.live.of_stack(self.id) {
            if Some(kind) == secret {
                (name, seen.version).hash(&mut hasher);
            }
        }
        for name in secrets::of_database(stack) {
            self.operator.secrets.version(&self.id.namespace, &name).hash(&mut hasher);
        }
        hasher.finish()
    }
}
