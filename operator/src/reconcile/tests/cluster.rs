//! [`Cluster`]: an API server that keeps what it is given. Workloads are where they should be at once, but for those that fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use kube::Client;
use serde_json::{Value, json};

use super::STACK;
use crate::answers;

/// An API server that keeps what it is given.
#[derive(Clone, Default)]
pub(super) struct Cluster(Arc<Mutex<Kept>>);

#[derive(Default)]
pub(super) struct Kept {
    /// By their paths.
    pub objects: BTreeMap<String, Value>,
    /// The status of the stack, as it was written last.
    pub status: Value,
    /// Tags of images whose Deployments do not come up.
    pub broken: Option<&'static str>,
    /// Tags of images whose Jobs fail.
    pub failing: Option<&'static str>,
    /// What is refused: parts of method and path, and how; and how often yet.
    pub refused: Vec<(&'static str, u16, u32)>,
    /// The tag of each Deployment that was applied, in order.
    pub deployed: Vec<String>,
    version: u64,
}

impl Cluster {
    pub(super) fn client(&self) -> Client {
        let cluster = self.clone();
        answers::reading(move |method, path, body| cluster.kept().answer(method, path, body.clone()))
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap()
    }
}

impl Kept {
    fn answer(&mut self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = format!("{method} {path}");
        let refusal = self.refused.iter_mut().find(|(part, _, times)| request.contains(part) && *times > 0);
        if let Some((_, code, times)) = refusal {
            *times -= 1;
            return answers::refused(*code, "Refused");
        }
        match method {
            "PATCH" if path == format!("{STACK}/status") => {
                self.status = body["status"].clone();
                (200, json!({"metadata": {"name": "clinic"}, "spec": {}}))
            }
            "GET" => match self.objects.get(path) {
                Some(found) => (200, found.clone()),
                None if is_named(path) => answers::not_found(),
                None => self.list(path),
            },
            "DELETE" => {
                self.objects.remove(path);
                (200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}))
            }
            "POST" => {
                let name = body["metadata"]["name"].as_str().unwrap_or("event").to_owned();
                (201, self.keep(format!("{path}/{name}"), body))
            }
            _ => (200, self.keep(path.to_owned(), body)),
        }
    }

    fn list(&self, path: &str) -> (u16, Value) {
        let of = format!("{path}/");
        let items: Vec<_> =
            self.objects.iter().filter(|(path, _)| path.starts_with(&of)).map(|(_, it)| it.clone()).collect();
        answers::list("Secret", &items)
    }

    fn keep(&mut self, path: String, mut object: Value) -> Value {
        let before = self.objects.get(&path);
        let is_same = before.is_some_and(|before| {
            ["spec", "data"].iter().all(|it| before[*it] == object[*it])
                && before["metadata"]["annotations"] == object["metadata"]["annotations"]
        });
        if !is_same {
            self.version += 1;
        }
        let metadata = &mut object["metadata"];
        metadata["uid"] =
            before.map_or_else(|| json!(self.version.to_string()), |it| it["metadata"]["uid"].clone());
        metadata["resourceVersion"] = match before {
            Some(before) if is_same => before["metadata"]["resourceVersion"].clone(),
            _ => json!(self.version.to_string()),
        };
        metadata["generation"] = json!(self.version);
        let image = object.pointer("/spec/template/spec/containers/0/image").and_then(Value::as_str);
        let tag = image.and_then(|image| image.rsplit(':').next()).unwrap_or_default().to_owned();
        let replicas = object["spec"].get("replicas").cloned().unwrap_or(json!(1));
        let rolled_out = json!({
            "observedGeneration": self.version, "replicas": replicas, "updatedReplicas": replicas,
            "readyReplicas": replicas, "availableReplicas": replicas,
        });
        object["status"] = match object["kind"].as_str() {
            Some("Deployment") => {
                self.deployed.push(tag.clone());
                if self.broken == Some(tag.as_str()) {
                    let late = json!({"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"});
                    json!({"observedGeneration": self.version, "conditions": [late]})
                } else {
                    rolled_out
                }
            }
            Some("StatefulSet") => rolled_out,
            Some("Job") => {
                let ended = if self.failing == Some(tag.as_str()) { "Failed" } else { "Complete" };
                json!({"conditions": [{"type": ended, "status": "True", "message": "ended"}]})
            }
            _ => Value::Null,
        };
        if object["status"].is_null() {
            object.as_object_mut().unwrap().remove("status");
        }
        self.objects.insert(path, object.clone());
        object
    }
}

/// Whether a path leads to one object, rather than to all of a kind: `…/namespaces/clinic/secrets/kek`.
fn is_named(path: &str) -> bool {
    path.split_once("/namespaces/").is_some_and(|(_, rest)| rest.split('/').count() > 2)
}
