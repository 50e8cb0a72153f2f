//! `PodDisruptionBudgets`: a node that is drained takes one pod of a part at a time.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Context, labels, scales};
use crate::object::Object;

/// One for each part that is there and may have several pods. A part with one pod has none: whoever drains its node must get on.
pub(super) fn plan(context: &Context<'_>) -> Vec<Object> {
    scales(context)
        .filter(|(_, scale)| scale.max() > 1)
        .map(|(part, _)| Object::of(&budget(context, part)))
        .collect()
}

fn budget(context: &Context<'_>, part: &str) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: context.owned(part, context.name(part)),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector {
                match_labels: Some(labels::selector(&context.stack.name, part)),
                ..LabelSelector::default()
            }),
            // A pod that does not work protects nobody from anything.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}
