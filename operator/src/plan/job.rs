//! [`job`]: work that is done once for each thing it depends on.
//!
//! A Job's pods cannot be changed, so its name has a digest of the whole of it: what depends on something else is another Job, and the old
//! one is pruned. A Job that is done stays for as long as it is planned; were it to go by itself, it would be made and run again.

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::PodTemplateSpec;

use super::Context;
use crate::digest::digest;
use crate::object::Object;

/// As many characters as [`stack::names::OBJECT_NAME_MAX`] leaves of a label, less the dash.
const DIGEST_LEN: usize = 10;

/// How long a Job goes on trying.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Attempts after the first.
    pub(super) retries: i32,
    /// The longest that all attempts together may take.
    pub(super) seconds_max: Option<i64>,
}

/// A Job of a part.
pub(super) fn job(
    context: &Context<'_>,
    part: &str,
    template: PodTemplateSpec,
    patience: Patience,
) -> Object {
    let spec = spec(template, patience);
    let mut mark = digest(serde_json::to_string(&spec).unwrap_or_default().as_bytes());
    mark.truncate(DIGEST_LEN);
    let name = format!("{}-{mark}", context.name(part));
    Object::of(&Job { metadata: context.owned(part, name), spec: Some(spec), status: None })
}

/// Each attempt is a pod of its own, so that what it said can be read afterwards; the next begins when it has ended, never beside it.
pub(super) fn spec(mut template: PodTemplateSpec, patience: Patience) -> JobSpec {
    if let Some(pod) = &mut template.spec {
        pod.restart_policy = Some("Never".to_owned());
    }
    JobSpec {
        backoff_limit: Some(patience.retries),
        active_deadline_seconds: patience.seconds_max,
        pod_replacement_policy: Some("Failed".to_owned()),
        template,
        ..JobSpec::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::object::Object;
    use crate::plan::tests::{full, with};

    fn jobs(change: impl Fn(&mut stack::Stack)) -> Vec<String> {
        let mut stack = full();
        change(&mut stack);
        let objects = with(&stack, crate::plan::plan);
        let jobs = objects.iter().filter(|object| object.resource.kind == "Job");
        jobs.map(|object: &Object| object.name.clone()).collect()
    }

    #[test]
    fn a_job_is_another_when_what_it_depends_on_is() {
        let (before, same) =
            (jobs(|_| {}), jobs(|stack| stack.deletion_policy = stack::spec::DeletionPolicy::Delete));
        assert_eq!(before, same);
        let newer = jobs(|stack| "9.9.9".clone_into(&mut stack.image.tag));
        let (kept, changed): (Vec<_>, Vec<_>) = before.iter().partition(|name| newer.contains(name));
        assert!(kept.iter().all(|name| !name.contains("-migrate-")) && kept.len() == 2, "{kept:?}");
        assert!(changed.iter().all(|name| name.contains("-migrate-")), "{changed:?}");
    }

    #[test]
    fn the_name_of_a_job_is_a_label() {
        for name in jobs(|stack| stack.name = "n".repeat(253)) {
            assert!(name.len() <= 63, "{name}");
        }
    }
}
