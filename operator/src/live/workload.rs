//! [`Workload`]: how far something that makes pods has come.

use crate::thin::{Thin, ThinCondition};

/// How far a Deployment, StatefulSet, Job or database cluster has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// Whether its status speaks of its newest spec.
    pub observed: bool,
    /// The tag of its first container's image.
    pub tag: Option<String>,
    /// Pods that there should be.
    pub desired: u32,
    /// Pods that there are, old ones among them.
    pub total: u32,
    /// Pods of the newest template.
    pub updated: u32,
    /// Pods that are ready.
    pub ready: u32,
    /// Pods that have been ready for long enough.
    pub available: u32,
    /// It has come to its end: a Job that is complete.
    pub complete: bool,
    /// It got no further, and why.
    pub failed: Option<String>,
    /// Pods could not be made, and why: a quota, an admission policy.
    pub refused: Option<String>,
}

impl Workload {
    /// All pods are of the newest template and available, and none is left of an older one.
    pub const fn is_rolled_out(&self) -> bool {
        self.observed
            && self.updated >= self.desired
            && self.available >= self.desired
            && self.total <= self.updated
    }

    pub(super) fn of(thin: &Thin) -> Self {
        let (spec, status) = (&thin.spec, &thin.status);
        let count = |number: Option<i32>| number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
        let image =
            spec.template.as_ref().and_then(|template| template.spec.containers.first()?.image.as_deref());
        let failed = status.holds("Failed").or_else(|| {
            status.fails("Progressing").filter(|it| it.reason.as_deref() == Some("ProgressDeadlineExceeded"))
        });
        let words = |it: &ThinCondition| it.message.clone().or_else(|| it.reason.clone()).unwrap_or_default();
        Self {
            observed: thin.metadata.generation.is_none_or(|generation| {
                status.observed_generation.is_none_or(|observed| observed >= generation)
            }) && (status.observed_generation.is_some()
                || status.conditions.iter().any(|it| it.r#type == "Complete" || it.r#type == "Failed")
                || status.ready_instances.is_some()),
            tag: image.and_then(tag).map(str::to_owned),
            desired: spec.replicas.or(spec.instances).map_or(1, |desired| count(Some(desired))),
            total: count(status.replicas),
            updated: count(status.updated_replicas),
            ready: count(status.ready_replicas.or(status.ready_instances)),
            available: count(status.available_replicas),
            complete: status.holds("Complete").is_some(),
            failed: failed.map(words),
            refused: status.holds("ReplicaFailure").map(words),
        }
    }
}

/// `0.1.0` of `registry.example.org:5000/patient-service:0.1.0`.
pub(super) fn tag(image: &str) -> Option<&str> {
    let (_, tag) = image.split('@').next()?.rsplit_once(':')?;
    (!tag.contains('/')).then_some(tag)
}
