//! Backups: a `CronJob` that takes them, another for the keys between them, a Job for the last one, and a Job that fills a new stack from one.
//!
//! Data and wrapped keys go to two volumes. A volume of data is copied, kept in versions and carried away, and may be; of the keys there
//! must be no older state anywhere, or what was erased since could be read again (see `docs/backup.md`).
//!
//! With an object store they lie in two volumes all the same, or in two scratch folders, and are carried there: see `object_store.rs`.

use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, JobTemplateSpec};
use k8s_openapi::api::core::v1::{EnvVar, PodTemplateSpec};
use settings::ServiceName;
use stack::names;
use stack::spec::{Backup, Quantity, RestoreFrom, Scratch, Storage};

use super::Context;
use super::claim::claim;
use super::database::{account, claimed, client, is_known};
use super::job::{self, Patience, job};
use super::object_store;
use super::pod::{self, Mounts, Pod};
use crate::object::Object;
use crate::secrets::{role_name, schemas};

const TAKE: &str = include_str!("postgres/backup.sh");
const RESTORE: &str = include_str!("postgres/restore.sh");

const DATA_DIR: &str = "/backup/data";
const KEYS_DIR: &str = "/backup/keys";
/// There, when a look at the database has shown that it is filled already.
const RESTORED: &str = "/backup/data/.restored";
/// Of the keys there is one state: 100 bytes for each patient and service.
const KEYS_MEBIBYTES: u32 = 1_024;

const PATIENCE: Patience = Patience { retries: 2, seconds_max: Some(6 * 3_600) };
/// Nothing is written before the whole of it is there, and what is wrong with a backup stays wrong.
const RESTORE_PATIENCE: Patience = Patience { retries: 2, seconds_max: Some(24 * 3_600) };
/// One that could not be started in time (nobody was there to start it) is not made up for in the middle of the day.
const LATE_SECONDS_MAX: i64 = 3_600;

/// The keys alone are taken anew by the next of them, and by the next backup.
const KEYS_PATIENCE: Patience = Patience { retries: 0, seconds_max: Some(600) };

/// The volumes and the two `CronJob`s, where backups are asked for; the restore, where the stack begins with one.
pub(super) fn plan(context: &Context<'_>) -> Vec<Object> {
    let mut objects = Vec::new();
    if let Some(backup) = &context.stack.backup {
        objects.extend(volumes(context, backup));
        if is_known(context) {
            objects.extend(Taken::BOTH.map(|what| cron_job(context, backup, what)));
        }
    }
    if let Some(restore) = &context.stack.restore_from
        && is_known(context)
    {
        objects.push(restored(context, restore));
    }
    objects
}

/// The last backup, for `deletionPolicy: Backup`, with what it needs. Take it when no service runs any more.
pub fn last(context: &Context<'_>) -> Vec<Object> {
    let Some(backup) = &context.stack.backup else { return Vec::new() };
    let template = taking(context, names::LAST_BACKUP, backup, Taken::All);
    let job = job(context, names::LAST_BACKUP, template, PATIENCE);
    // Of a stack that never came up, not even the account is there.
    let account = Object::of(&account(context));
    [account].into_iter().chain(volumes(context, backup)).chain([job]).collect()
}

/// The claim of the keys that belong to a claim of data.
pub(super) fn keys_claim(data_claim: &str) -> String {
    format!("{data_claim}-keys")
}

/// None, where backups go to an object store alone.
fn volumes(context: &Context<'_>, backup: &Backup) -> Vec<Object> {
    let Some(storage) = &backup.volume else { return Vec::new() };
    let name = context.name(names::BACKUP);
    let keys = Storage { size: keys_size(), class_name: storage.class_name.clone() };
    let keys = claim(context, names::BACKUP, keys_claim(&name), &keys);
    vec![Object::of(&claim(context, names::BACKUP, name, storage)), Object::of(&keys)]
}

fn keys_size() -> Quantity {
    Quantity::mebibytes(KEYS_MEBIBYTES)
}

/// What is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// The data, and then the keys.
    All,
    /// The keys alone, so that whoever is erased between two backups is gone from the copies, too.
    Keys,
}

impl Taken {
    const BOTH: [Self; 2] = [Self::All, Self::Keys];

    const fn part(self) -> &'static str {
        match self {
            Self::All => names::BACKUP,
            Self::Keys => names::BACKUP_KEYS,
        }
    }

    fn schedule(self, backup: &Backup) -> &str {
        match self {
            Self::All => &backup.schedule,
            Self::Keys => &backup.keys_schedule,
        }
    }

    const fn patience(self) -> Patience {
        match self {
            Self::All => PATIENCE,
            Self::Keys => KEYS_PATIENCE,
        }
    }
}

fn cron_job(context: &Context<'_>, backup: &Backup, what: Taken) -> Object {
    let template = taking(context, what.part(), backup, what);
    let metadata = context.owned(what.part(), context.name(what.part()));
    Object::of(&CronJob {
        spec: Some(CronJobSpec {
            schedule: what.schedule(backup).to_owned(),
            time_zone: Some(context.stack.time_zone.name().to_owned()),
            suspend: Some(backup.suspend),
            concurrency_policy: Some("Forbid".to_owned()),
            starting_deadline_seconds: Some(LATE_SECONDS_MAX),
            successful_jobs_history_limit: Some(1),
            failed_jobs_history_limit: Some(1),
            job_template: JobTemplateSpec {
                // Its Jobs are found like everything of the stack.
                metadata: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                    labels: metadata.labels.clone(),
                    ..Default::default()
                }),
                spec: Some(job::spec(template, what.patience())),
            },
        }),
        metadata,
        status: None,
    })
}

/// A pod that takes a backup: of the database it may read and nothing else. Where there is an object store, the dump is taken first, and then
/// carried there.
fn taking(context: &Context<'_>, part: &str, backup: &Backup, what: Taken) -> PodTemplateSpec {
    let claim = context.name(names::BACKUP);
    let folders = match (&backup.volume, &backup.object_store, what) {
        (None, Some(store), Taken::All) => scratch(&store.store.scratch),
        (None, Some(_), Taken::Keys) => scratch_of_keys(),
        (.., Taken::All) => volumes_of(&claim),
        (.., Taken::Keys) => volume_of_keys(Mounts::default(), &claim),
    };
    let reader =
        folders.clone().secret("database", context.name(names::DATABASE_READER)).scratch("tmp", "/tmp");
    let mut dump = client(context, part, TAKE, reader, "database");
    let names = |which: usize| ServiceName::ALL.map(|service| schemas(service)[which].clone()).join(" ");
    add(
        &mut dump,
        [
            pod::value("BACKUPS", DATA_DIR.to_owned()),
            pod::value("KEYS", KEYS_DIR.to_owned()),
            pod::value("DATA_SCHEMAS", names(0)),
            pod::value("KEYS_SCHEMAS", names(1)),
            pod::value("KEEP", backup.keep.to_string()),
        ],
    );
    if what == Taken::Keys {
        add(&mut dump, [pod::value("WHAT", "keys".to_owned())]);
    }
    let Some(store) = &backup.object_store else { return dump.template(context) };
    let Pod { mut container, mounts, .. } = dump.clone();
    "dump".clone_into(&mut container.name);
    let mut template = Pod {
        container: match what {
            Taken::All => object_store::put(context, store, backup, [DATA_DIR, KEYS_DIR]),
            Taken::Keys => object_store::put_keys(context, store, KEYS_DIR),
        },
        mounts: object_store::secrets(folders, &store.store),
        ..dump
    }
    .template(context);
    pod::before(&mut template, container, mounts);
    object_store::admit(&mut template);
    template
}

/// How the key-encryption keys of a transit engine are called, up to the version: what it has wrapped opens with no key that came along.
fn engine(context: &Context<'_>) -> String {
    let transit = context.stack.encryption.transit.as_ref();
    transit.map(|it| format!("{}/{}:v", it.mount, it.key)).unwrap_or_default()
}

/// The Job that fills the schemas. It waits for them, and whatever is made afterwards waits for it.
///
/// What it does may be planned anew, with another image, when it is long done: then nothing is brought from an object store, which may not
/// have it any more.
fn restored(context: &Context<'_>, restore: &RestoreFrom) -> Object {
    let folders = match (&restore.volume, &restore.object_store) {
        (Some(volume), _) => volumes_of(&volume.claim_name),
        (None, Some(store)) => scratch(&store.store.scratch),
        (None, None) => Mounts::default(),
    };
    let admin = folders
        .clone()
        .secret(names::DATABASE_ADMIN, context.name(names::DATABASE_ADMIN))
        .scratch("tmp", "/tmp");
    let mut fill = client(context, names::RESTORE, RESTORE, admin, names::DATABASE_ADMIN);
    let pairs = ServiceName::ALL.map(|service| {
        let role = role_name(context.stack, service.short());
        schemas(service).map(|schema| format!("{role}:{schema}")).join(" ")
    });
    add(
        &mut fill,
        [
            pod::value("BACKUPS", DATA_DIR.to_owned()),
            pod::value("KEYS", KEYS_DIR.to_owned()),
            pod::value("BACKUP", restore.backup.clone().unwrap_or_else(|| "latest".to_owned())),
            pod::value("SCHEMAS", pairs.join(" ")),
            pod::value("KEKS", context.kek.restored.join(" ")),
            pod::value("ENGINE", engine(context)),
        ],
    );
    let Some(store) = &restore.object_store else {
        return job(context, names::RESTORE, fill.template(context), RESTORE_PATIENCE);
    };
    let mut look = fill.clone();
    "look".clone_into(&mut look.container.name);
    add(&mut look, [pod::value("RESTORED", RESTORED.to_owned())]);
    let mut template = fill.template(context);
    pod::before(&mut template, look.container, look.mounts);
    let download = object_store::get(context, store, restore, [DATA_DIR, KEYS_DIR], RESTORED);
    pod::before(&mut template, download, object_store::secrets(folders, &store.store));
    object_store::admit(&mut template);
    job(context, names::RESTORE, template, RESTORE_PATIENCE)
}

fn volumes_of(data_claim: &str) -> Mounts {
    let data = Mounts::default().volume(claimed("data", data_claim.to_owned()), DATA_DIR.to_owned(), false);
    volume_of_keys(data, data_claim)
}

fn volume_of_keys(mounts: Mounts, data_claim: &str) -> Mounts {
    mounts.volume(claimed("keys", keys_claim(data_claim)), KEYS_DIR.to_owned(), false)
}

/// In the place of the two volumes: folders that go with the pod.
fn scratch(scratch: &Scratch) -> Mounts {
    let [data, keys] = [("data", &scratch.size), ("keys", &keys_size())]
        .map(|(name, size)| object_store::scratch(name, scratch, size));
    Mounts::default().volume(data, DATA_DIR.to_owned(), false).volume(keys, KEYS_DIR.to_owned(), false)
}

/// A folder of the pod's own, on its node's disk.
fn scratch_of_keys() -> Mounts {
    let on_the_node = Scratch { class_name: None, size: keys_size() };
    Mounts::default().volume(
        object_store::scratch("keys", &on_the_node, &keys_size()),
        KEYS_DIR.to_owned(),
        false,
    )
}

fn add<const N: usize>(pod: &mut Pod<'_>, variables: [EnvVar; N]) {
    pod.container.env.get_or_insert_default().extend(variables);
}
