//! `restore`: the manifest of a new stack that is filled from a stack's backup. It is printed, not applied: a person reads it first.

use std::path::PathBuf;

use kube::core::ObjectMeta;
use serde_json::Value;
use stack::names;
use stack::spec::{
    Backup, BackupVolume, HealthcareStack, HealthcareStackSpec, KeySecretRef, RestoreFrom, RestoreStore,
};

use crate::Answer;
use crate::cluster::Cluster;
use crate::error::Error;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The stack whose backup it is
    name: String,
    /// What the new stack is to be called
    #[arg(long = "as", value_name = "NEW")]
    new: String,
    /// Which backup. Left out: the latest
    #[arg(long)]
    backup: Option<String>,
    /// The old stack's manifest, if it is not in the cluster any more
    #[arg(short, long)]
    filename: Option<PathBuf>,
}

pub(crate) async fn run(cluster: &Cluster, options: &Options) -> Result<Answer, Error> {
    let old = match &options.filename {
        Some(path) => {
            let text =
                std::fs::read_to_string(path).map_err(|source| Error::File { path: path.clone(), source })?;
            let place = path.display().to_string();
            stack::Stack::from_yaml(&text)
                .map_err(|faults| Error::Invalid { place: place.clone(), faults })?;
            serde_saphyr::from_str(&text).map_err(|error| Error::Failed(format!("{place}: {error}")))?
        }
        None => cluster.stack(&options.name).await?,
    };
    if cluster.stack_if_any(&options.new).await?.is_some() {
        return Err(Error::Failed(format!(
            "there is a HealthcareStack {} already: a backup fills new stacks only",
            options.new
        )));
    }
    if cluster.secret(&options.name, names::KEK).await?.is_none() {
        eprintln!(
            "warning: there is no Secret {}. Without the old stack's key nobody reads the backup: put your copy there first.",
            names::object(&options.name, names::KEK)
        );
    }
    let new = restored(&old, &cluster.namespace, options)?;
    print!("{}", manifest(&new)?);
    eprintln!("\nRead it, then: kubectl healthcare restore … | kubectl apply --filename -");
    Ok(Answer::Yes)
}

/// The old stack's spec under a new name, to be filled from the old one's backup.
fn restored(old: &HealthcareStack, namespace: &str, options: &Options) -> Result<HealthcareStack, Error> {
    let mut database = old.spec.database.clone().unwrap_or_default();
    let Some(backup) = &database.backup else {
        let why = format!("the stack {} has no backups: spec.database.backup is not set", options.name);
        return Err(Error::Missing(why));
    };
    let of = old.metadata.namespace.as_deref().unwrap_or(namespace);
    database.restore_from = Some(from(backup, of, options));
    let spec = HealthcareStackSpec { database: Some(database), paused: false, ..old.spec.clone() };
    let mut new = HealthcareStack::new(&options.new, spec);
    new.metadata = ObjectMeta { namespace: Some(namespace.to_owned()), ..new.metadata };
    Ok(new)
}

/// Where the old stack's backups are. What lies in a bucket is there whatever became of the cluster and its volumes.
fn from(backup: &Backup, namespace: &str, options: &Options) -> RestoreFrom {
    let object_store = backup.object_store.as_ref().map(|there| RestoreStore {
        store: there.store.clone(),
        folder: there.folder(namespace, &options.name),
    });
    let claim_name = names::object(&options.name, names::BACKUP);
    RestoreFrom {
        backup: options.backup.clone(),
        volume: object_store.is_none().then_some(BackupVolume { claim_name }),
        object_store,
        key_secret_ref: KeySecretRef { name: names::object(&options.name, names::KEK) },
    }
}

/// As a person would write it: what has not been set does not appear.
fn manifest(stack: &HealthcareStack) -> Result<String, Error> {
    let mut value = serde_json::to_value(stack)?;
    tidy(&mut value);
    Ok(serde_saphyr::to_string(&value)?)
}

fn tidy(value: &mut Value) {
    if let Value::Object(members) = value {
        members.values_mut().for_each(tidy);
        members
            .retain(|_, member| !member.is_null() && member.as_array().is_none_or(|items| !items.is_empty()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options { name: "clinic".to_owned(), new: "clinic-2".to_owned(), backup: None, filename: None }
    }

    fn old(backup: &str) -> HealthcareStack {
        let text = format!(
            "{{apiVersion: healthcarestack.dev/v1alpha1, kind: HealthcareStack, metadata: {{name: clinic}}, spec: {{currency: EUR, paused: true, database: {{managed: {{}}, backup: {backup}}}}}}}"
        );
        stack::Stack::from_yaml(&text).expect("a stack");
        serde_saphyr::from_str(&text).expect("a resource")
    }

    #[test]
    fn a_new_stack_takes_data_and_key_of_the_old_one() {
        let new = restored(&old("{volume: {size: 5Gi}}"), "health", &options()).expect("it has backups");
        let text = manifest(&new).expect("YAML");
        insta::assert_snapshot!(text);
        stack::Stack::from_yaml(&text).expect("it can be applied");
    }

    #[test]
    fn the_backup_that_was_named_is_taken() {
        let options = Options { backup: Some("20261124T020000Z".to_owned()), ..options() };
        let new = restored(&old("{volume: {}}"), "health", &options).expect("it has backups");
        let from = new.spec.database.and_then(|database| database.restore_from).expect("set");
        assert_eq!(
            (from.volume.expect("set").claim_name.as_str(), from.backup.as_deref()),
            ("clinic-backup", Some("20261124T020000Z"))
        );
    }

    #[test]
    fn what_lies_in_a_bucket_is_taken_from_there() {
        let backup = "{volume: {}, objectStore: {endpoint: 'https://s3.example.org', bucket: backups, prefix: east, accessKeyId: {secret: bucket, key: id}, secretAccessKey: {secret: bucket, key: key}}}";
        let new = restored(&old(backup), "health", &options()).expect("it has backups");
        let text = manifest(&new).expect("YAML");
        insta::assert_snapshot!(text);
        stack::Stack::from_yaml(&text).expect("it can be applied");
    }

    #[test]
    fn a_stack_without_backups_says_so() {
        let mut stack = old("{volume: {size: 5Gi}}");
        stack.spec.database = None;
        let error = restored(&stack, "health", &options()).expect_err("it has none").to_string();
        assert!(error.contains("spec.database.backup"), "{error}");
    }
}
