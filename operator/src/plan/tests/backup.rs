//! What takes backups and brings them back: on volumes, in a bucket, on both.

use clap::Parser;
use serde_json::{Value, json};
use stack::Stack;
use stack::spec::Storage;

use super::{find, full, of_part, planned, with, yaml};
use crate::cli::Options;
use crate::object::Object;
use crate::plan::backup;

fn in_a_bucket_alone() -> Stack {
    let mut stack = full();
    stack.backup.as_mut().unwrap().volume = None;
    stack
}

/// The pods of the CronJob, of the last backup, of the restore.
fn pods(stack: &Stack) -> Vec<Value> {
    let last = with(stack, backup::last);
    let objects: Vec<Object> = planned(stack).into_iter().chain(last).collect();
    let of_backups = |object: &&Object| {
        let of_keys = object.name.ends_with("-backup-keys");
        !of_keys && (object.name.contains("-backup") || object.name.contains("-restore-"))
    };
    let bodies = objects.iter().filter(of_backups).map(|object| &object.body["spec"]);
    let templates =
        bodies.filter_map(|spec| spec.pointer("/jobTemplate/spec/template").or(spec.get("template")));
    templates.cloned().collect()
}

fn names_of(containers: &Value) -> Vec<&str> {
    containers.as_array().into_iter().flatten().map(|container| container["name"].as_str().unwrap()).collect()
}

#[test]
fn a_backup_to_a_volume_and_a_bucket() {
    let mut objects = planned(&full());
    for object in &mut objects {
        if let Some(script) = object.body.pointer_mut(DUMP_SCRIPT) {
            *script = json!("the script");
        }
    }
    insta::assert_snapshot!("full_backup", yaml(of_part(&objects, stack::names::BACKUP)));
    let clients = of_part(&objects, stack::names::OBJECT_STORE_CLIENTS);
    insta::assert_snapshot!("full_object-store-clients", yaml(clients));
}

/// It has a test of its own, with a database.
const DUMP_SCRIPT: &str = "/spec/jobTemplate/spec/template/spec/initContainers/0/command/2";

#[test]
fn a_restore_is_told_where_the_old_stack_has_put_it_and_when_not_to_ask() {
    let pods = pods(&full());
    let containers = pods[1]["spec"]["initContainers"].as_array().unwrap();
    let args = &containers[1]["args"];
    for arg in [
        "get",
        "--folder=production/clinic/old-clinic",
        "--backup=20261123T013000Z",
        "--unless=/backup/data/.restored",
    ] {
        assert!(args.as_array().unwrap().contains(&json!(arg)), "{arg}: {args}");
    }
    let looks = containers[0]["env"].as_array().unwrap();
    assert!(looks.contains(&json!({ "name": "RESTORED", "value": "/backup/data/.restored" })), "{looks:?}");
}

#[test]
fn each_pod_dumps_before_it_uploads_and_downloads_before_it_restores() {
    for stack in [full(), in_a_bucket_alone()] {
        let pods = pods(&stack);
        let order: Vec<_> = pods
            .iter()
            .map(|pod| {
                [names_of(&pod["spec"]["initContainers"]), names_of(&pod["spec"]["containers"])].concat()
            })
            .collect();
        let taking = vec!["dump", "upload"];
        assert_eq!(order, [taking.clone(), vec!["look", "download", "restore"], taking]);
        assert!(
            pods.iter().all(|pod| pod["metadata"]["labels"]["healthcarestack.dev/object-store"] == "client")
        );
    }
}

#[test]
fn what_uploads_and_downloads_understands_what_it_is_told_and_knows_nothing_of_the_database() {
    for pod in pods(&in_a_bucket_alone()) {
        let containers = [&pod["spec"]["initContainers"], &pod["spec"]["containers"]];
        let ours = containers.into_iter().flat_map(|list| list.as_array().unwrap());
        for container in ours.filter(|container| container["args"].is_array()) {
            let args = container["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
            let line: Vec<_> = ["healthcare-operator"].into_iter().chain(args).collect();
            Options::try_parse_from(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
            let mounts = container["volumeMounts"].as_array().unwrap();
            let paths: Vec<_> = mounts.iter().map(|mount| mount["mountPath"].as_str().unwrap()).collect();
            let secret = "/var/run/healthcare/secrets/backup-bucket";
            assert_eq!(paths, ["/backup/data", "/backup/keys", secret]);
            assert_eq!(container["env"], Value::Null);
        }
    }
}

#[test]
fn between_backups_the_keys_alone_are_taken_by_whoever_is_given_no_data() {
    let mut on_a_volume = full();
    on_a_volume.backup.as_mut().unwrap().object_store = None;
    for (stack, uploads) in [(full(), true), (in_a_bucket_alone(), true), (on_a_volume, false)] {
        let objects = planned(&stack);
        let spec = &find(&objects, "CronJob", "full-backup-keys")["spec"];
        assert_eq!(spec["schedule"], "*/15 * * * *");
        assert_eq!(spec["concurrencyPolicy"], "Forbid");
        let pod = &spec["jobTemplate"]["spec"]["template"]["spec"];
        let lists = [&pod["initContainers"], &pod["containers"]];
        let containers: Vec<_> =
            lists.into_iter().flat_map(|list| list.as_array().into_iter().flatten()).collect();
        assert_eq!(containers.len(), if uploads { 2 } else { 1 });
        let what = json!({ "name": "WHAT", "value": "keys" });
        assert!(containers[0]["env"].as_array().unwrap().contains(&what));
        for container in &containers {
            let mounts = container["volumeMounts"].to_string();
            assert!(mounts.contains("/backup/keys") && !mounts.contains("/backup/data"), "{mounts}");
        }
        if uploads {
            let args = containers[1]["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
            let line: Vec<_> = ["healthcare-operator"].into_iter().chain(args).collect();
            Options::try_parse_from(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
            assert!(line.contains(&"put-keys") && line.contains(&"--keys=/backup/keys"), "{line:?}");
        }
    }
}

#[test]
fn with_a_bucket_alone_no_volume_stays_and_the_scratch_folders_have_a_bound() {
    let mut stack = in_a_bucket_alone();
    let claims = |stack: &Stack| {
        planned(stack).iter().filter(|object| object.resource.kind == "PersistentVolumeClaim").count()
    };
    assert_eq!(claims(&stack), 0);
    for pod in pods(&stack) {
        let volumes = pod["spec"]["volumes"].as_array().unwrap();
        let data = &volumes.iter().find(|volume| volume["name"] == "data").unwrap()["ephemeral"];
        assert_eq!(data["volumeClaimTemplate"]["spec"]["resources"]["requests"]["storage"], "50Gi");
    }
    stack.backup.as_mut().unwrap().object_store.as_mut().unwrap().store.scratch.class_name = None;
    let pod = &pods(&stack)[0];
    let volumes = pod["spec"]["volumes"].as_array().unwrap();
    assert!(volumes.contains(&json!({ "name": "data", "emptyDir": { "sizeLimit": "50Gi" } })), "{volumes:?}");
    assert!(
        volumes.contains(&json!({ "name": "keys", "emptyDir": { "sizeLimit": "1024Mi" } })),
        "{volumes:?}"
    );

    stack.backup.as_mut().unwrap().volume = Some(Storage::default());
    assert_eq!(claims(&stack), 2);
}

#[test]
fn without_a_bucket_nothing_is_let_out_to_one_and_no_image_of_ours_runs() {
    let mut stack = full();
    stack.backup.as_mut().unwrap().object_store = None;
    stack.restore_from = None;
    let objects = planned(&stack);
    assert!(of_part(&objects, stack::names::OBJECT_STORE_CLIENTS).is_empty());
    let cron_job = find(&objects, "CronJob", "full-backup");
    assert!(!cron_job.to_string().contains("healthcare-operator:"));
    assert_eq!(cron_job.pointer("/spec/jobTemplate/spec/template/spec/initContainers"), None);
}

#[test]
fn the_operators_own_image_is_the_one_that_it_was_told() {
    let stack = in_a_bucket_alone();
    let told = with(&stack, |context| {
        let context = crate::plan::Context { operator_image: Some("mirror/op@sha256:1"), ..context.clone() };
        crate::plan::plan(&context)
    });
    let image = |objects: &[Object]| {
        let pod = "/spec/jobTemplate/spec/template/spec/containers/0/image";
        find(objects, "CronJob", "full-backup").pointer(pod).unwrap().clone()
    };
    assert_eq!(image(&told), "mirror/op@sha256:1");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        image(&planned(&stack)),
        format!("registry.example.org/healthcare/healthcare-operator:{version}")
    );
}
