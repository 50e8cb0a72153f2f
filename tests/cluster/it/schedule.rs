//! Backups by the clock: taken when the schedule says so, as many kept as the stack says, and one that fails is told of.

use std::time::Duration;

use cluster_tests::{Clinic, eventually};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};
use stack::condition::{kind, reason};
use stack::spec::ConditionStatus;

/// A minute until it is due, and the time that it takes.
const TAKEN_IN: Duration = Duration::from_mins(2);
const SOON: Duration = Duration::from_secs(20);

fn backup(spec: Value) -> Value {
    json!({"spec": {"database": {"backup": spec}}})
}

/// The backups that lie on the volume, by their names, which are times.
async fn kept(clinic: &Clinic) -> Vec<String> {
    let looker = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "looker"}, "spec": {
        "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": false,
        "securityContext": {"runAsNonRoot": true, "runAsUser": 999, "runAsGroup": 999, "fsGroup": 999, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "looker", "image": "hcs.local/busybox:1", "command": ["sleep", "600"],
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            "volumeMounts": [{"name": "data", "mountPath": "/backup"}]}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": clinic.object("backup")}}],
    }});
    clinic.namespace().apply(&looker.to_string());
    clinic.namespace().ready_pod("looker", Duration::from_mins(1)).await;
    let listed = clinic.namespace().kubectl(&["exec", "looker", "--", "ls", "/backup"]);
    listed.lines().map(str::to_owned).collect()
}

/// The Jobs of a schedule that are complete.
async fn taken(clinic: &Clinic, schedule: &str) -> Vec<String> {
    let jobs = clinic.api::<Job>().list(&ListParams::default()).await.unwrap().items;
    let name = clinic.object(schedule);
    let of_schedule = |job: &&Job| {
        let mut owners = job.owner_references().iter();
        owners.any(|owner| owner.kind == "CronJob" && owner.name == name && owner.controller == Some(true))
    };
    let is_complete = |job: &&Job| job.status.as_ref().is_some_and(|status| status.completion_time.is_some());
    jobs.iter().filter(of_schedule).filter(is_complete).map(ResourceExt::name_any).collect()
}

#[tokio::test]
async fn backups_are_taken_by_the_clock_and_one_that_fails_is_told_of() {
    let nightly = json!({"schedule": "0 2 * * *", "keep": 1, "volume": {"size": "1Gi"}});
    let spec = json!({"timeZone": "Europe/Berlin", "database": {"backup": nightly}});
    let clinic = Clinic::new("schedule").await.small().with(spec).ready().await;
    let by_hand = clinic.namespace().healthcare(&["backup", "clinic"]).expect(0).out;
    assert!(by_hand.ends_with("It is taken.\n"), "{by_hand}");
    let first = kept(&clinic).await;
    assert_eq!(first.len(), 1, "{first:?}");

    clinic.edit(backup(json!({"schedule": "* * * * *", "keysSchedule": "* * * * *"}))).await;
    for schedule in ["backup", "backup-keys"] {
        eventually("a backup by the clock", TAKEN_IN, async || {
            let taken = taken(&clinic, schedule).await;
            if taken.is_empty() { Err(clinic.story()) } else { Ok(()) }
        })
        .await;
    }
    let schedule: CronJob = clinic.api().get(&clinic.object("backup")).await.unwrap();
    assert_eq!(schedule.spec.as_ref().unwrap().time_zone.as_deref(), Some("Europe/Berlin"));
    let second = kept(&clinic).await;
    assert!(second.len() == 1 && second[0] > first[0], "`keep` is 1: {first:?}, then {second:?}");

    // Switched off, so that none comes in between; one by hand is taken all the same, and fails, since its role may not read everything.
    clinic.edit(backup(json!({"schedule": "0 2 * * *", "suspend": true}))).await;
    clinic.settled().await;
    sql(&clinic, "revoke usage on schema patient from reader").await;
    let failed = clinic
        .namespace()
        .healthcare(&["backup", "clinic"])
        .expect(2)
        .names(&["the backup failed", "kubectl logs job/clinic-backup-"]);
    let job = failed.err.split("job/").nth(1).unwrap().split('`').next().unwrap();
    let log = clinic.namespace().kubectl(&["logs", &format!("job/{job}")]);
    assert!(log.contains("permission denied"), "{log}");
    let condition = clinic.says(kind::DEGRADED, reason::BACKUP_FAILED, SOON).await;
    assert_eq!(condition.status, ConditionStatus::True);
    assert!(condition.message.contains(job), "{}", condition.message);
    assert_eq!(
        clinic.condition(kind::READY).await.unwrap().status,
        ConditionStatus::True,
        "it goes on all the same"
    );
    assert_eq!(kept(&clinic).await, second, "what was there stays there");

    sql(&clinic, "grant usage on schema patient to reader").await;
    let _ = clinic.namespace().healthcare(&["backup", "clinic"]).expect(0);
    clinic.says(kind::DEGRADED, reason::AS_EXPECTED, SOON).await;
}

async fn sql(clinic: &Clinic, statement: &str) {
    let superuser: Secret = clinic.api().get(&clinic.object("postgres")).await.unwrap();
    let password = String::from_utf8(superuser.data.unwrap()["password"].0.clone()).unwrap();
    let (server, password) = (format!("{}-0", clinic.object("postgres")), format!("PGPASSWORD={password}"));
    let as_superuser = ["exec", &server, "--", "env", &password, "psql", "-X", "-U", "postgres"];
    let there = ["-h", "/var/run/postgresql", "-d", "healthcare", "-c", statement];
    clinic.namespace().kubectl(&[&as_superuser[..], &there[..]].concat());
}
