//! `backup`: a backup now, as the stack's CronJob takes them.

use std::time::Duration;

use contracts::ambient::Clock;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::ResourceExt;
use kube::api::PostParams;
use stack::names;

use crate::Answer;
use crate::cluster::Cluster;
use crate::error::Error;

/// How often the Job is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The stack's name
    name: String,
    /// Do not wait until it is taken
    #[arg(long)]
    no_wait: bool,
}

pub(crate) async fn run(cluster: &Cluster, options: &Options) -> Result<Answer, Error> {
    cluster.stack(&options.name).await?;
    let cron_job = names::object(&options.name, names::BACKUP);
    let found = cluster.api::<CronJob>().get_opt(&cron_job).await;
    let found = found.map_err(Error::api(format!("read the CronJob {cron_job}")))?;
    let found = found.ok_or_else(|| {
        Error::Missing(format!("the stack {} takes no backups: set spec.database.backup", options.name))
    })?;
    if let Some(under_way) = found.status.iter().flat_map(|status| status.active.iter().flatten()).next() {
        let job = under_way.name.as_deref().unwrap_or("of its schedule");
        return Err(Error::Failed(format!("the Job {job} is taking a backup of {} already", options.name)));
    }
    let job = job(&found, Clock::system().now().timestamp());
    let created = cluster.api::<Job>().create(&PostParams::default(), &job).await;
    let name = created.map_err(Error::api("start the backup"))?.name_any();
    println!("Job {name} takes a backup of {}.", options.name);
    if !options.no_wait {
        wait(cluster, &name).await?;
        println!("It is taken.");
    }
    Ok(Answer::Yes)
}

/// As `kubectl create job --from=cronjob/…` makes it. It goes when the CronJob goes.
fn job(cron_job: &CronJob, seconds: i64) -> Job {
    let template = cron_job.spec.as_ref().map(|spec| spec.job_template.clone()).unwrap_or_default();
    let metadata = template.metadata.unwrap_or_default();
    let mut annotations = metadata.annotations.unwrap_or_default();
    annotations.insert("cronjob.kubernetes.io/instantiate".to_owned(), "manual".to_owned());
    let owner = OwnerReference {
        api_version: "batch/v1".to_owned(),
        kind: "CronJob".to_owned(),
        name: cron_job.name_any(),
        uid: cron_job.uid().unwrap_or_default(),
        controller: None,
        block_owner_deletion: None,
    };
    Job {
        metadata: ObjectMeta {
            name: Some(format!("{}-{seconds}", cron_job.name_any())),
            labels: metadata.labels,
            annotations: Some(annotations),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: template.spec,
        status: None,
    }
}

async fn wait(cluster: &Cluster, name: &str) -> Result<(), Error> {
    loop {
        let job = cluster.api::<Job>().get(name).await.map_err(Error::api(format!("read the Job {name}")))?;
        let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
        for condition in conditions.filter(|condition| condition.status == "True") {
            match condition.type_.as_str() {
                "Complete" => return Ok(()),
                "Failed" => {
                    let why = condition.message.as_deref().unwrap_or("no reason given");
                    return Err(Error::Failed(format!(
                        "the backup failed: {why}; `kubectl logs job/{name}` tells more"
                    )));
                }
                _ => {}
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::batch::v1::{CronJobSpec, JobSpec, JobTemplateSpec};

    use super::*;

    #[test]
    fn a_backup_now_is_one_of_the_schedule() {
        let spec = JobSpec { backoff_limit: Some(3), ..JobSpec::default() };
        let labels = Some([("app.kubernetes.io/name".to_owned(), "backup".to_owned())].into());
        let cron_job = CronJob {
            metadata: ObjectMeta {
                name: Some("clinic-backup".to_owned()),
                uid: Some("1".to_owned()),
                ..ObjectMeta::default()
            },
            spec: Some(CronJobSpec {
                job_template: JobTemplateSpec {
                    metadata: Some(ObjectMeta { labels: labels.clone(), ..ObjectMeta::default() }),
                    spec: Some(spec.clone()),
                },
                ..CronJobSpec::default()
            }),
            status: None,
        };
        let job = job(&cron_job, 1_800_000_000);
        assert_eq!(job.name_any(), "clinic-backup-1800000000");
        assert_eq!((job.metadata.labels.clone(), job.spec.clone()), (labels, Some(spec)));
        assert_eq!(job.owner_references()[0].name, "clinic-backup");
        // The longest name there can be is still one that a Job's pods can carry.
        assert!(names::OBJECT_NAME_MAX + "-1800000000".len() <= 63);
    }
}
