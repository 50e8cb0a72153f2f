//! `spec.database`, its backups among it.

use crate::Database;
use crate::fault::Faults;
use crate::spec::{DatabaseSpec, DeletionPolicy, HealthcareStackSpec, ManagedDatabase};

const PATH: &str = "spec.database";

pub(super) fn validate(spec: &HealthcareStackSpec, faults: &mut Faults) -> Option<Database> {
    let backup = spec.database.as_ref().and_then(|database| database.backup.as_ref());
    if spec.deletion_policy == DeletionPolicy::Backup && backup.is_none() {
        faults.add("spec.deletionPolicy", "Backup needs database.backup, where the last backup goes");
    }
    if backup.is_some_and(|backup| backup.volume.is_none() && backup.object_store.is_none()) {
        faults.add(format!("{PATH}.backup"), "must have volume, objectStore or both");
    }
    let restore_from = spec.database.as_ref().and_then(|database| database.restore_from.as_ref());
    if restore_from.is_some_and(|from| from.volume.is_some() == from.object_store.is_some()) {
        faults.add(format!("{PATH}.restoreFrom"), "must have exactly one of volume and objectStore");
    }
    let Some(spec) = &spec.database else {
        return Some(Database::Managed(ManagedDatabase::default()));
    };
    kind(spec, faults)
}

fn kind(spec: &DatabaseSpec, faults: &mut Faults) -> Option<Database> {
    let chosen = [
        spec.managed.clone().map(Database::Managed),
        spec.external.clone().map(Database::External),
        spec.cloud_native_pg.clone().map(Database::CloudNativePg),
    ];
    let mut chosen = chosen.into_iter().flatten();
    let database = chosen.next();
    if database.is_none() || chosen.next().is_some() {
        faults.add(PATH, "must have exactly one of managed, external and cloudNativePG");
    }
    database
}
