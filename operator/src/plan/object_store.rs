//! What carries a backup to an object store, or from there: a container of the operator's own image, `healthcare-operator object-store …`, in
//! the pod of a backup or a restore. It runs as that pod's user, reads credentials from files, and knows nothing of the database.

use k8s_openapi::api::core::v1::{
    Container, EmptyDirVolumeSource, EphemeralVolumeSource, PersistentVolumeClaimSpec,
    PersistentVolumeClaimTemplate, PodTemplateSpec, Volume, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource;
use settings::SecretRef;
use stack::Stack;
use stack::spec::{Backup, BackupStore, ObjectStore, Quantity, RestoreFrom, RestoreStore, Scratch};

use super::pod::{self, Mounts, SECRETS_DIR};
use super::{Context, labels};

/// What both directions are told.
const COMMAND: &str = "object-store";

/// The container that carries a backup there; `data` and `keys` are where it lies here.
pub(super) fn put(
    context: &Context<'_>,
    store: &BackupStore,
    backup: &Backup,
    [data, keys]: [&str; 2],
) -> Container {
    let folder = store.folder(&context.stack.namespace, &context.stack.name);
    let mut args = args("put", &store.store, &folder);
    args.extend([format!("--data={data}"), format!("--keys={keys}"), format!("--keep={}", backup.keep)]);
    container(context, "upload", args)
}

/// The container that carries the keys alone there; `keys` is where they lie here.
pub(super) fn put_keys(context: &Context<'_>, store: &BackupStore, keys: &str) -> Container {
    let folder = store.folder(&context.stack.namespace, &context.stack.name);
    let mut args = args("put-keys", &store.store, &folder);
    args.push(format!("--keys={keys}"));
    container(context, "upload", args)
}

/// The container that brings one from there, unless the file `unless` is there.
pub(super) fn get(
    context: &Context<'_>,
    store: &RestoreStore,
    restore: &RestoreFrom,
    [data, keys]: [&str; 2],
    unless: &str,
) -> Container {
    let mut args = args("get", &store.store, &store.folder);
    args.extend([format!("--data={data}"), format!("--keys={keys}"), format!("--unless={unless}")]);
    args.extend(restore.backup.iter().map(|backup| format!("--backup={backup}")));
    container(context, "download", args)
}

fn container(context: &Context<'_>, name: &str, args: Vec<String>) -> Container {
    Container { args: Some(args), ..pod::container(context, name, context.operator_image()) }
}

fn args(direction: &str, store: &ObjectStore, folder: &str) -> Vec<String> {
    let mut args = vec![
        COMMAND.to_owned(),
        direction.to_owned(),
        format!("--endpoint={}", store.endpoint),
        format!("--region={}", store.region),
        format!("--bucket={}", store.bucket),
        format!("--folder={folder}"),
        format!("--path-style={}", store.force_path_style),
        format!("--access-key-id={}", file(&store.access_key_id)),
        format!("--secret-access-key={}", file(&store.secret_access_key)),
    ];
    args.extend(store.keys_bucket.iter().map(|bucket| format!("--keys-bucket={bucket}")));
    args.extend(store.ca.iter().map(|ca| format!("--ca={}", file(ca))));
    args
}

fn file(secret: &SecretRef) -> String {
    format!("{SECRETS_DIR}/{}/{}", secret.secret, secret.key)
}

/// The Secrets that it reads.
pub(super) fn secrets(mounts: Mounts, store: &ObjectStore) -> Mounts {
    let named = [&store.access_key_id, &store.secret_access_key].into_iter().chain(&store.ca);
    named.fold(mounts, |mounts, secret| mounts.named_secret(&secret.secret))
}

/// Lets the pod reach the store.
pub(super) fn admit(template: &mut PodTemplateSpec) {
    let (key, value) = labels::OBJECT_STORE_CLIENT;
    let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
    labels.insert(key.to_owned(), value.to_owned());
}

/// A folder of the pod's own, as large as this at most.
pub(super) fn scratch(name: &str, scratch: &Scratch, size: &Quantity) -> Volume {
    let size = resource::Quantity(size.to_string());
    let Some(class) = &scratch.class_name else {
        let empty = EmptyDirVolumeSource { size_limit: Some(size), ..EmptyDirVolumeSource::default() };
        return Volume { name: name.to_owned(), empty_dir: Some(empty), ..Volume::default() };
    };
    let spec = PersistentVolumeClaimSpec {
        access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
        storage_class_name: Some(class.clone()),
        resources: Some(VolumeResourceRequirements {
            requests: Some([("storage".to_owned(), size)].into()),
            ..VolumeResourceRequirements::default()
        }),
        ..PersistentVolumeClaimSpec::default()
    };
    let template = PersistentVolumeClaimTemplate { metadata: None, spec };
    let ephemeral = EphemeralVolumeSource { volume_claim_template: Some(template) };
    Volume { name: name.to_owned(), ephemeral: Some(ephemeral), ..Volume::default() }
}

/// Where the stack's stores are: host and port.
pub(super) fn addresses(stack: &Stack) -> Vec<(String, u16)> {
    let backup = stack.backup.as_ref().and_then(|backup| backup.object_store.as_ref());
    let restore = stack.restore_from.as_ref().and_then(|restore| restore.object_store.as_ref());
    let stores = backup.map(|store| &store.store).into_iter().chain(restore.map(|store| &store.store));
    stores.filter_map(|store| address(&store.endpoint)).collect()
}

/// Host and port of an address.
pub(super) fn address(endpoint: &str) -> Option<(String, u16)> {
    let uri: http::Uri = endpoint.parse().ok()?;
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
    Some((uri.host()?.trim_matches(['[', ']']).to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_the_port_of_its_scheme_if_it_names_none() {
        for (endpoint, host, port) in [
            ("https://s3.example.org", "s3.example.org", 443),
            ("https://s3.example.org/", "s3.example.org", 443),
            ("http://minio", "minio", 80),
            ("https://10.0.0.7:9000", "10.0.0.7", 9000),
            ("https://[fd00::7]:9000", "fd00::7", 9000),
        ] {
            assert_eq!(address(endpoint), Some((host.to_owned(), port)), "{endpoint}");
        }
    }
}
