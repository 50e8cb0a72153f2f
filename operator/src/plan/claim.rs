//! [`claim`]: a volume that outlives what uses it.

use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use stack::spec::Storage;

use super::Context;

/// The volume of a part. It belongs to no stack, so that it does not go with one by itself. It can be enlarged where its class allows.
pub(super) fn claim(
    context: &Context<'_>,
    part: &str,
    name: String,
    storage: &Storage,
) -> PersistentVolumeClaim {
    let size = Quantity(storage.size.to_string());
    PersistentVolumeClaim {
        metadata: context.kept(part, name),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: storage.class_name.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), size)].into()),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}
