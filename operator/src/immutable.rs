//! [`kept`]: what cannot be changed of an object that is there stays as it is, so that all the rest can be.
//!
//! That is the `podManagementPolicy` of the database's StatefulSet: operators of before left it at `OrderedReady`, and the API server
//! refuses any write that would change it. Who deletes such a StatefulSet with `--cascade=orphan` gets a new one around the pod that runs.

use std::borrow::Cow;

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::Api;
use serde_json::Value;

use crate::Error;
use crate::apply::Place;
use crate::object::Object;

const POLICY: &str = "/spec/podManagementPolicy";

/// What is to be applied to an object that is there.
pub async fn kept<'a>(place: Place<'_>, object: &Object, body: &'a Value) -> Result<Cow<'a, Value>, Error> {
    if object.resource.kind != "StatefulSet" {
        return Ok(Cow::Borrowed(body));
    }
    let api: Api<StatefulSet> = Api::namespaced(place.client.clone(), &place.stack.namespace);
    let found = api.get_opt(&object.name).await;
    let found = found.map_err(Error::api(format!("looking at {}", object.reference())))?;
    let policy = found.and_then(|found| found.spec?.pod_management_policy);
    let mut body = Cow::Borrowed(body);
    if let Some(policy) = policy
        && let Some(planned) = body.to_mut().pointer_mut(POLICY)
    {
        *planned = policy.into();
    }
    Ok(body)
}
