//! Pods of a stack's Jobs, carried out on this machine as they are planned; and what a person would ask the database.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::Server;
use super::files::{give, unprivileged};

impl Server {
    /// Runs the planned Job of this name. Answers what it said, or how it failed.
    pub(crate) fn job(&self, name: &str) -> Result<String, String> {
        let job = self.planned("Job", &format!("clinic-{name}"));
        self.carry_out(&job["spec"]["template"]["spec"])
    }

    /// Runs the Job of the planned `CronJob`.
    pub(crate) fn backup(&self) -> Result<String, String> {
        let job = self.planned("CronJob", "clinic-backup");
        self.carry_out(&job["spec"]["jobTemplate"]["spec"]["template"]["spec"])
    }

    /// The same of the keys alone.
    pub(crate) fn take_keys(&self) -> Result<String, String> {
        let job = self.planned("CronJob", "clinic-backup-keys");
        self.carry_out(&job["spec"]["jobTemplate"]["spec"]["template"]["spec"])
    }

    /// A pod's containers, one after another, until one fails. What is scratch of it is empty at the start.
    fn carry_out(&self, pod: &Value) -> Result<String, String> {
        for volume in
            pod["volumes"].as_array().unwrap().iter().filter(|volume| volume["emptyDir"].is_object())
        {
            let folder = self.path("backup").join(volume["name"].as_str().unwrap());
            if folder.exists() {
                fs::remove_dir_all(&folder).unwrap();
                fs::create_dir(&folder).unwrap();
                give(&folder);
            }
        }
        let before = pod["initContainers"].as_array().into_iter().flatten();
        let containers = before.chain(pod["containers"].as_array().unwrap());
        containers.map(|container| self.run_container(container)).try_fold(String::new(), |_, said| said)
    }

    fn run_container(&self, container: &Value) -> Result<String, String> {
        let words = |key: &str| -> Vec<String> {
            let words = container[key].as_array().into_iter().flatten();
            words.map(|word| self.here(word.as_str().unwrap())).collect()
        };
        let command = words("command");
        if command.is_empty() {
            assert!(container["image"].as_str().unwrap().contains("/healthcare-operator:"), "{container}");
            // Its image starts it; here it runs as we do, since another user may not come near it.
            let mut operator = Command::new(env!("CARGO_BIN_EXE_healthcare-operator"));
            return said(operator.env_clear().args(words("args")).output().unwrap());
        }
        said(self.command(&command[0], container).args(&command[1..]).output().unwrap())
    }

    /// Runs SQL as whoever stands in a URL.
    pub(crate) fn sql(&self, url: &str, sql: &str) -> Result<String, String> {
        let mut command = unprivileged("psql", self.dir.path());
        command.env("PGHOSTADDR", "127.0.0.1").args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            sql,
            url,
        ]);
        said(command.output().unwrap())
    }

    /// Runs a file of SQL.
    pub(crate) fn sql_file(&self, url: &str, search_path: &str, file: &Path) -> Result<String, String> {
        let mut command = unprivileged("psql", self.dir.path());
        command.env("PGHOSTADDR", "127.0.0.1").env("PGOPTIONS", format!("-c search_path={search_path}"));
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"]).arg("-").arg(url);
        said(command.stdin(fs::File::open(file).unwrap()).output().unwrap())
    }

    /// Everything that its superuser can read of some schemas, as text.
    pub(crate) fn dump(&self, schemas: &[&str]) -> String {
        let mut command = unprivileged("pg_dump", self.dir.path());
        let service_file = self.path("secrets/database-admin/pg_service.conf");
        command
            .env("PGHOSTADDR", "127.0.0.1")
            .env("PGSERVICEFILE", service_file)
            .env("PGSERVICE", "database");
        // What a restored schema says of itself is a comment.
        command.arg("--no-comments").args(schemas.iter().map(|schema| format!("--schema={schema}")));
        let text = said(command.output().unwrap()).unwrap();
        // These lines have a word that is new for each dump.
        let is_fixed = |line: &&str| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict");
        text.lines().filter(is_fixed).collect::<Vec<_>>().join("\n")
    }
}

fn said(output: Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
