//! `spec.encryption`.

use settings::{Encryption, KekProvider};

use super::bounds;
use crate::fault::Faults;
use crate::spec::{EncryptionSpec, Span};

const PATH: &str = "spec.encryption";

/// Hosts that are this machine, whose network nobody else listens to.
const THIS_MACHINE: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

pub(super) fn validate(spec: EncryptionSpec, faults: &mut Faults) -> Encryption {
    if let Some(transit) = &spec.transit {
        let (min, max) = (Span::from_secs(60), Span::from_secs(86_400));
        bounds::span(format!("{PATH}.transit.hold"), transit.hold, min, max, faults);
        if transit.address.strip_prefix("http://").is_some_and(|host| !is_this_machine(host)) {
            faults.add(format!("{PATH}.transit.address"), "must begin with https://: keys travel to it");
        }
    } else if spec.provider == KekProvider::Transit {
        faults.add(format!("{PATH}.provider"), "needs transit, which says who that is");
    }
    spec.into()
}

fn is_this_machine(host: &str) -> bool {
    let host = host.trim_end_matches('/');
    THIS_MACHINE
        .iter()
        .any(|name| host.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(':')))
}
