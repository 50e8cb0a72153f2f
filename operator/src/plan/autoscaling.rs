//! `HorizontalPodAutoscalers`, where the stack lets the load decide. The Deployment then says nothing of replicas.

use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, MetricSpec,
    MetricTarget, ResourceMetricSource,
};
use stack::Scale;
use stack::spec::Autoscaling;

use super::{Context, scales};
use crate::object::Object;

/// One for each part that is there and scales by itself.
pub(super) fn plan(context: &Context<'_>) -> Vec<Object> {
    scales(context)
        .filter_map(|(part, scale)| match scale {
            Scale::Fixed(_) => None,
            Scale::Auto(autoscaling) => Some(Object::of(&autoscaler(context, part, autoscaling))),
        })
        .collect()
}

fn autoscaler(context: &Context<'_>, part: &str, autoscaling: Autoscaling) -> HorizontalPodAutoscaler {
    let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    HorizontalPodAutoscaler {
        metadata: context.owned(part, context.name(part)),
        spec: Some(HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: "Deployment".to_owned(),
                name: context.name(part),
            },
            min_replicas: Some(number(autoscaling.min)),
            max_replicas: number(autoscaling.max),
            metrics: Some(vec![MetricSpec {
                type_: "Resource".to_owned(),
                resource: Some(ResourceMetricSource {
                    name: "cpu".to_owned(),
                    target: MetricTarget {
                        type_: "Utilization".to_owned(),
                        average_utilization: Some(number(autoscaling.target_cpu)),
                        ..MetricTarget::default()
                    },
                }),
                ..MetricSpec::default()
            }]),
            ..HorizontalPodAutoscalerSpec::default()
        }),
        ..HorizontalPodAutoscaler::default()
    }
}
