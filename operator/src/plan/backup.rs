//! Backups: a `CronJob` that takes them, a Job for the last one, and a Job that fills a new stack from one.
//!
//! Data and wrapped keys go to two volumes. A volume of data is copied, kept in versions and carried away, and may be; of the keys there
//! must be no older state anywhere, or what was erased since could be read again (see `docs/backup.md`).

use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, JobTemplateSpec};
use k8s_openapi::api::core::v1::EnvVar;
use settings::ServiceName;
use stack::names;
use stack::spec::{Backup, Quantity, RestoreFrom, Storage};

use super::Context;
use super::claim::claim;
use super::database::{claimed, client, is_known};
use super::job::{self, Patience, job};
use super::pod::{self, Mounts, Pod};
use crate::object::Object;
use crate::secrets::{role_name, schemas};

const TAKE: &str = include_str!("postgres/backup.sh");
const RESTORE: &str = include_str!("postgres/restore.sh");

const DATA_DIR: &str = "/backup/data";
const KEYS_DIR: &str = "/backup/keys";
/// Of the keys there is one state: 100 bytes for each patient and service.
const KEYS_MEBIBYTES: u32 = 1_024;

const PATIENCE: Patience = Patience { retries: 2, seconds_max: Some(6 * 3_600) };
/// Nothing is written before the whole of it is there, and what is wrong with a backup stays wrong.
const RESTORE_PATIENCE: Patience = Patience { retries: 2, seconds_max: Some(24 * 3_600) };
/// One that could not be started in time (nobody was there to start it) is not made up for in the middle of the day.
const LATE_SECONDS_MAX: i64 = 3_600;

/// The volumes and the `CronJob`, where backups are asked for; the restore, where the stack begins with one.
pub(super) fn plan(context: &Context<'_>) -> Vec<Object> {
    let mut objects = Vec::new();
    if let Some(backup) = &context.stack.backup {
        objects.extend(volumes(context, &backup.volume));
        if is_known(context) {
            objects.push(cron_job(context, backup));
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
    let template = taking(context, names::LAST_BACKUP, backup).template(context);
    let job = job(context, names::LAST_BACKUP, template, PATIENCE);
    volumes(context, &backup.volume).into_iter().chain([job]).collect()
}

/// The claim of the keys that belong to a claim of data.
pub(super) fn keys_claim(data_claim: &str) -> String {
    format!("{data_claim}-keys")
}

fn volumes(context: &Context<'_>, storage: &Storage) -> [Object; 2] {
    let name = context.name(names::BACKUP);
    let keys = Storage { size: Quantity::mebibytes(KEYS_MEBIBYTES), class_name: storage.class_name.clone() };
    let keys = claim(context, names::BACKUP, keys_claim(&name), &keys);
    [Object::of(&claim(context, names::BACKUP, name, storage)), Object::of(&keys)]
}

fn cron_job(context: &Context<'_>, backup: &Backup) -> Object {
    let template = taking(context, names::BACKUP, backup).template(context);
    let metadata = context.owned(names::BACKUP, context.name(names::BACKUP));
    Object::of(&CronJob {
        spec: Some(CronJobSpec {
            schedule: backup.schedule.clone(),
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
                spec: Some(job::spec(template, PATIENCE)),
            },
        }),
        metadata,
        status: None,
    })
}

/// A pod that takes a backup. It may read and nothing else.
fn taking<'a>(context: &Context<'_>, part: &'a str, backup: &Backup) -> Pod<'a> {
    let mounts = Mounts::default().secret("database", context.name(names::DATABASE_READER));
    let data_claim = context.name(names::BACKUP);
    let mut pod = client(context, part, TAKE, volumes_of(mounts, &data_claim), "database");
    let names = |which: usize| ServiceName::ALL.map(|service| schemas(service)[which].clone()).join(" ");
    add(
        &mut pod,
        [
            pod::value("BACKUPS", DATA_DIR.to_owned()),
            pod::value("KEYS", KEYS_DIR.to_owned()),
            pod::value("DATA_SCHEMAS", names(0)),
            pod::value("KEYS_SCHEMAS", names(1)),
            pod::value("KEEP", backup.keep.to_string()),
        ],
    );
    pod
}

/// The Job that fills the schemas. It waits for them, and whatever is made afterwards waits for it.
fn restored(context: &Context<'_>, restore: &RestoreFrom) -> Object {
    let data_claim = &restore.volume.claim_name;
    let mounts = Mounts::default().secret(names::DATABASE_ADMIN, context.name(names::DATABASE_ADMIN));
    let mut pod =
        client(context, names::RESTORE, RESTORE, volumes_of(mounts, data_claim), names::DATABASE_ADMIN);
    let pairs = ServiceName::ALL.map(|service| {
        let role = role_name(context.stack, service.short());
        schemas(service).map(|schema| format!("{role}:{schema}")).join(" ")
    });
    add(
        &mut pod,
        [
            pod::value("BACKUPS", DATA_DIR.to_owned()),
            pod::value("KEYS", KEYS_DIR.to_owned()),
            pod::value("BACKUP", restore.backup.clone().unwrap_or_else(|| "latest".to_owned())),
            pod::value("SCHEMAS", pairs.join(" ")),
            pod::value("KEKS", context.kek.restored.join(" ")),
        ],
    );
    job(context, names::RESTORE, pod.template(context), RESTORE_PATIENCE)
}

fn volumes_of(mounts: Mounts, data_claim: &str) -> Mounts {
    mounts
        .volume(claimed("data", data_claim.to_owned()), DATA_DIR.to_owned(), false)
        .volume(claimed("keys", keys_claim(data_claim)), KEYS_DIR.to_owned(), false)
        .scratch("tmp", "/tmp")
}

fn add<const N: usize>(pod: &mut Pod<'_>, variables: [EnvVar; N]) {
    pod.container.env.get_or_insert_default().extend(variables);
}
