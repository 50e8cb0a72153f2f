//! [`Namespace`]: a test's own place on the cluster.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;

use crate::cluster::{Cluster, said};
use crate::plugin::{Told, kubectl_with_plugin};
use crate::wait::eventually;

/// A namespace that a test has for itself; deleted when the test is done.
#[derive(Debug)]
pub struct Namespace {
    /// What it is called.
    pub name: String,
    cluster: &'static Cluster,
}

impl Namespace {
    /// A new namespace, called after the test.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn new(name: &str) -> Self {
        let cluster = Cluster::get();
        let namespace = Self { name: name.to_owned(), cluster };
        if cluster.is_kept() {
            namespace.remove();
        }
        cluster.kubectl(&["create", "namespace", name]);
        namespace
    }

    /// Takes away what an earlier run may have left: a stack that waits for an operator which is gone, too.
    fn remove(&self) {
        let stacks = self.ask(&["get", "healthcarestacks", "--output=name", "--ignore-not-found"]);
        for stack in stacks.lines().filter(|line| line.starts_with("healthcarestack.")) {
            self.ask(&["patch", stack, "--type=merge", "--patch={\"metadata\":{\"finalizers\":null}}"]);
        }
        self.cluster.kubectl(&["delete", "namespace", &self.name, "--ignore-not-found", "--timeout=60s"]);
    }

    /// The same, at the *restricted* Pod Security level: what asks for more rights than it needs does not start there.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn restricted(name: &str) -> Self {
        let namespace = Self::new(name);
        let level = "pod-security.kubernetes.io/enforce=restricted";
        namespace.cluster.kubectl(&["label", "namespace", name, level]);
        namespace
    }

    /// A client's view of one kind here.
    pub async fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        <K as kube::Resource>::DynamicType: Default,
    {
        Api::namespaced(self.cluster.client().await, &self.name)
    }

    /// `kubectl` here.
    ///
    /// # Panics
    /// If it fails; with its words.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        said(self.command().args(arguments))
    }

    /// One that somebody else has made; it goes in the same way.
    pub fn existing(name: &str) -> Self {
        Self { name: name.to_owned(), cluster: Cluster::get() }
    }

    /// What `kubectl` says here, or how it fails: for messages.
    pub fn ask(&self, arguments: &[&str]) -> String {
        self.command().args(arguments).output().map_or_else(
            |error| error.to_string(),
            |output| String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        )
    }

    /// `kubectl healthcare` here: a subcommand and its options.
    pub fn healthcare(&self, arguments: &[&str]) -> Told {
        Told::of(self.healthcare_command().args(arguments))
    }

    /// The same, to be started in some other way.
    pub fn healthcare_command(&self) -> Command {
        let mut command = kubectl_with_plugin();
        command.env("KUBECONFIG", self.cluster.kubeconfig());
        command.args(["healthcare", "--namespace", &self.name]);
        command
    }

    /// What `kubectl` says here of what it is given to read, or how it fails.
    ///
    /// # Panics
    /// If kubectl does not run.
    pub fn ask_with_input(&self, arguments: &[&str], input: &str) -> String {
        let output = self.with_input(arguments, input);
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// A client of the cluster's administrator, for the runtime that it is called on.
    pub async fn client(&self) -> kube::Client {
        self.cluster.client().await
    }

    /// Applies YAML here.
    ///
    /// # Panics
    /// If the API server refuses it; with its words.
    pub fn apply(&self, yaml: &str) {
        let applied = self.try_apply(yaml);
        assert_eq!(applied, Ok(()), "the API server refuses this:\n{yaml}");
    }

    /// Applies YAML here; if the API server refuses it, its words.
    ///
    /// # Errors
    /// The API server's words.
    ///
    /// # Panics
    /// If kubectl does not run.
    pub fn try_apply(&self, yaml: &str) -> Result<(), String> {
        let output = self.with_input(&["apply", "--server-side", "--filename=-"], yaml);
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// The pod, as soon as it is ready.
    ///
    /// # Panics
    /// If that takes longer than `within`; with what the cluster says of it.
    pub async fn ready_pod(&self, name: &str, within: Duration) -> Pod {
        let pods = self.api::<Pod>().await;
        eventually(&format!("ready pod {name}"), within, async || {
            let pod = pods.get(name).await.map_err(|error| error.to_string())?;
            let status = pod.status.clone().unwrap_or_default();
            let is_ready = status
                .conditions
                .iter()
                .flatten()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True");
            if is_ready {
                Ok(pod)
            } else {
                Err(serde_json::to_string(&status.container_statuses).unwrap_or_default())
            }
        })
        .await
    }

    fn with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut kubectl = command.spawn().expect("kubectl starts");
        kubectl.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
        kubectl.wait_with_output().expect("kubectl ends")
    }

    fn command(&self) -> Command {
        let mut command = self.cluster.tool("kubectl");
        command.args(["--namespace", &self.name]);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The cluster ends soon itself; until then, what the test started shall not take processor time from other tests.
        let _ = self
            .command()
            .args(["delete", "namespace", &self.name, "--wait=false"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}
