//! [`remains`]: what a stack leaves behind, and what of it `deletionPolicy` takes away.
//!
//! Keys and volumes belong to no stack, so that the garbage collector never takes them. Under `Retain` nothing is to be done. Else they
//! are deleted before the stack goes, the keys first: what is left if that is interrupted, nobody can read. Whether what has such a name
//! is the stack's is looked at then.

use stack::spec::DeletionPolicy;
use stack::{Database, names};

use super::Context;
use super::backup::keys_claim;
use super::database::cluster_resource;
use crate::object::ObjectRef;
use crate::secrets::KEPT;

/// The objects to delete when the stack is deleted, in this order.
///
/// `Backup` leaves what is needed to read the backup: the two volumes and the key-encryption key; and the first administrator's password,
/// which is in the backup, as a hash.
pub fn remains(context: &Context<'_>) -> Vec<ObjectRef> {
    let policy = context.stack.deletion_policy;
    let kept_for_backup = [names::KEK, names::FIRST_ADMIN];
    let secrets = KEPT.into_iter().filter(|part| match policy {
        DeletionPolicy::Retain => false,
        DeletionPolicy::Delete => true,
        DeletionPolicy::Backup => !kept_for_backup.contains(part),
    });
    let mut remains: Vec<_> = secrets.map(|part| core("Secret", context.name(part))).collect();
    if policy == DeletionPolicy::Retain {
        return remains;
    }
    match context.stack.database {
        Database::Managed(_) => remains.push(core("PersistentVolumeClaim", context.name(names::POSTGRES))),
        Database::CloudNativePg(_) => {
            let resource = cluster_resource();
            let name = context.name(names::POSTGRES);
            remains.push(ObjectRef { group: resource.group, kind: resource.kind, name });
        }
        // It is somebody else's: its schemas stay, and without the keys nobody reads them.
        Database::External(_) => {}
    }
    // Those of a stack whose backups go to a bucket by now may be from before. What is in the bucket stays, and opens for nobody.
    if policy == DeletionPolicy::Delete && context.stack.backup.is_some() {
        let data = context.name(names::BACKUP);
        remains.extend([keys_claim(&data), data].map(|name| core("PersistentVolumeClaim", name)));
    }
    remains
}

fn core(kind: &str, name: String) -> ObjectRef {
    ObjectRef { group: String::new(), kind: kind.to_owned(), name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::{full, with};
    use stack::spec::ManagedDatabase;

    fn names_of(policy: DeletionPolicy) -> Vec<String> {
        let mut stack = full();
        stack.deletion_policy = policy;
        stack.database = Database::Managed(ManagedDatabase::default());
        with(&stack, |context| remains(context).into_iter().map(|object| object.to_string()).collect())
    }

    #[test]
    fn what_is_retained_is_not_touched() {
        assert_eq!(names_of(DeletionPolicy::Retain), [""; 0]);
    }

    #[test]
    fn the_keys_go_first_and_everything_with_them() {
        assert_eq!(
            names_of(DeletionPolicy::Delete),
            [
                "Secret full-kek",
                "Secret full-signing-keys",
                "Secret full-first-admin",
                "PersistentVolumeClaim full-postgres",
                "PersistentVolumeClaim full-backup-keys",
                "PersistentVolumeClaim full-backup",
            ]
        );
    }

    #[test]
    fn a_backup_keeps_what_opens_it() {
        assert_eq!(
            names_of(DeletionPolicy::Backup),
            ["Secret full-signing-keys", "PersistentVolumeClaim full-postgres"]
        );
    }

    /// Nothing that is to stay goes with the stack, and nothing stays that no policy takes away.
    #[test]
    fn what_belongs_to_no_stack_is_what_a_policy_takes_away() {
        let mut stack = full();
        stack.deletion_policy = DeletionPolicy::Delete;
        for database in [Database::Managed(ManagedDatabase::default()), stack.database.clone()] {
            stack.database = database;
            with(&stack, |context| {
                let left: Vec<_> =
                    remains(context).into_iter().filter(|object| object.kind != "Secret").collect();
                let objects = crate::plan::plan(context);
                let ownerless =
                    objects.iter().filter(|object| object.body["metadata"]["ownerReferences"].is_null());
                let mut ownerless: Vec<_> = ownerless.map(crate::object::Object::reference).collect();
                ownerless.sort();
                let mut expected = left;
                expected.sort();
                assert_eq!(ownerless, expected);
            });
        }
    }
}
