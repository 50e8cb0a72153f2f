//! [`write()`]: what is said goes to the API server.

use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use stack::spec::{HealthcareStack, HealthcareStackStatus};

use crate::{Error, MANAGER};

/// Writes a status.
pub async fn write(
    api: &Api<HealthcareStack>,
    name: &str,
    status: &HealthcareStackStatus,
) -> Result<(), Error> {
    let patch = json!({ "apiVersion": stack::API_VERSION, "kind": stack::KIND, "status": status });
    let params = PatchParams::apply(MANAGER).force();
    match api.patch_status(name, &params, &Patch::Apply(patch)).await {
        Ok(_) => Ok(()),
        // It went meanwhile.
        Err(kube::Error::Api(answer)) if answer.code == 404 => Ok(()),
        Err(error) => Err(Error::api(format!("the status of {name}"))(error)),
    }
}
