//! A stack at rest costs nothing: nobody writes to it, and the operator writes nothing but its Lease.

use std::collections::BTreeMap;
use std::time::Duration;

use cluster_tests::Clinic;
use kube::ResourceExt;

const REST: Duration = Duration::from_secs(20);
/// The operator renews its Lease more seldom than so often.
const LEASE_RENEWED_EVERY: Duration = Duration::from_secs(1);

/// Versions of everything that is the stack's, itself included. Any write moves one.
pub(crate) async fn versions(clinic: &Clinic) -> BTreeMap<(String, String), String> {
    let version = |object: &dyn Fn() -> Option<String>| object().unwrap_or_default();
    let objects = clinic.objects().await;
    let mut versions: BTreeMap<_, _> = objects
        .iter()
        .map(|object| {
            let kind = object.types.as_ref().unwrap().kind.clone();
            ((kind, object.name_any()), version(&|| object.resource_version()))
        })
        .collect();
    let resource = clinic.resource().await;
    versions.insert((stack::KIND.to_owned(), clinic.name.clone()), version(&|| resource.resource_version()));
    versions
}

async fn writes(clinic: &Clinic) -> [u64; 4] {
    let count = async |name: &str| clinic.operator.metric(name).await;
    [
        count("healthcare_objects_written_total").await,
        count("healthcare_status_writes_total").await,
        count("healthcare_drift_repairs_total").await,
        count("healthcare_reconcile_errors_total").await,
    ]
}

async fn requests(clinic: &Clinic) -> u64 {
    clinic.operator.metric("healthcare_api_requests_total").await
}

#[tokio::test]
async fn a_stack_at_rest_is_not_written_to() {
    let clinic = Clinic::new("rest").await.small().ready().await;
    // What Kubernetes itself still has to do with a stack that has just got ready.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let (before, written, asked) = (versions(&clinic).await, writes(&clinic).await, requests(&clinic).await);
    assert_eq!(written[2], 0, "nobody has changed anything, and yet something was repaired");
    assert!(before.len() > 30 && written[0] > 20 && asked > 50, "{before:?} {written:?} {asked}");
    tokio::time::sleep(REST).await;
    assert_eq!(versions(&clinic).await, before);
    assert_eq!(writes(&clinic).await, written, "writes, status writes, repairs, errors");
    let asked = requests(&clinic).await - asked;
    assert!(asked <= REST.as_secs() / LEASE_RENEWED_EVERY.as_secs(), "{asked} requests in {REST:?}");
}
