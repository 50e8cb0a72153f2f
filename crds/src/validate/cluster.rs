//! `spec.scheduling`.

use crate::fault::Faults;
use crate::spec::{Scheduling, TaintEffect, Toleration, TolerationOperator};

pub(super) fn check(scheduling: &Scheduling, faults: &mut Faults) {
    for (index, toleration) in scheduling.tolerations.iter().enumerate() {
        check_toleration(&format!("spec.scheduling.tolerations[{index}]"), toleration, faults);
    }
}

/// As the API server has it for a pod.
fn check_toleration(path: &str, toleration: &Toleration, faults: &mut Faults) {
    let exists = toleration.operator == TolerationOperator::Exists;
    if exists && toleration.value.is_some() {
        faults.add(format!("{path}.value"), "must be left out with operator Exists");
    }
    if !exists && toleration.key.is_none() {
        faults.add(format!("{path}.operator"), "must be Exists without a key");
    }
    if toleration.toleration_seconds.is_some() && toleration.effect != Some(TaintEffect::NoExecute) {
        faults.add(format!("{path}.tolerationSeconds"), "needs effect NoExecute");
    }
}
