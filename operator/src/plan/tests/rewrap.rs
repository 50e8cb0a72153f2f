//! What is planned while keys are wrapped under another key-encryption key.

use std::collections::BTreeSet;

use settings::ServiceName;
use stack::{Stack, names};

use super::{find, of_part, planned, pod, sample, with, yaml};
use crate::object::Object;
use crate::plan::{Context, Kek, plan};

/// What is planned while keys are wrapped anew.
pub(super) fn planned_rewrapping(stack: &Stack) -> Vec<Object> {
    under(stack, "00c0ffee00c0ffee")
}

fn under(stack: &Stack, kek_id: &str) -> Vec<Object> {
    let kek = Kek { rewrap: Some(kek_id.to_owned()), restored: Vec::new() };
    with(stack, |context| plan(&Context { kek: &kek, ..context.clone() }))
}

/// Those that are switched off have keys, too.
#[test]
fn every_services_keys_are_wrapped_anew_by_a_job_that_knows_which_key_is_meant() {
    let mut stack = sample("minimal");
    stack.services.get_mut(&ServiceName::BillingService).unwrap().enabled = false;
    let (at_rest, objects) = (planned(&stack), planned_rewrapping(&stack));
    insta::assert_snapshot!(yaml(of_part(&objects, "rewrap-billing")));
    for service in ServiceName::ALL {
        let jobs = of_part(&objects, &names::rewrap(service));
        let [job] = jobs[..] else { panic!("{service}: {} Jobs", jobs.len()) };
        let pod = pod(&job.body);
        let account = pod["serviceAccountName"].as_str().unwrap();
        find(&objects, "ServiceAccount", account);
        for volume in pod["volumes"].as_array().unwrap() {
            if let Some(settings) = volume["configMap"]["name"].as_str() {
                find(&objects, "ConfigMap", settings);
            }
        }
    }
    // Nothing else is different, and afterwards nothing is left of it.
    let references = |objects: &[Object]| objects.iter().map(Object::reference).collect::<BTreeSet<_>>();
    let more: Vec<_> =
        references(&objects).difference(&references(&at_rest)).map(ToString::to_string).collect();
    let (jobs, others): (Vec<_>, Vec<_>) = more.iter().partition(|name| name.starts_with("Job "));
    assert_eq!(jobs.len(), 7);
    assert_eq!(others, ["ConfigMap minimal-billing-service", "ServiceAccount minimal-billing-service"]);
    assert!(at_rest.iter().all(|object| objects.contains(object)));
}

#[test]
fn keys_are_wrapped_under_another_key_by_other_jobs() {
    let stack = sample("minimal");
    let jobs = |kek_id: &str| {
        let jobs = under(&stack, kek_id).into_iter().filter(|object| object.name.contains("-rewrap-"));
        jobs.map(|job| job.name).collect::<BTreeSet<_>>()
    };
    assert_eq!(jobs("1"), jobs("1"));
    assert!(jobs("1").is_disjoint(&jobs("2")));
}
