//! [`Error`]: why something could not be done, told so that a person knows what to do next.

use std::path::PathBuf;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("there is no usable kubeconfig: {0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    #[error("the cluster cannot be reached: {0}")]
    Unreachable(kube::Error),
    #[error(
        "there is no HealthcareStack {name} in the namespace {namespace}; `kubectl get healthcarestacks --all-namespaces` lists those that are"
    )]
    NoStack { namespace: String, name: String },
    #[error("the cluster knows no HealthcareStacks: install the operator first (docs/install.md)")]
    NoDefinition,
    #[error("you may not {what}: {message}")]
    Forbidden { what: String, message: String },
    #[error("cannot {what}: {source}")]
    Api { what: String, source: kube::Error },
    #[error("{0}")]
    Missing(String),
    #[error("{path}: {source}", path = path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{place} is no stack that can be planned:\n{faults}")]
    Invalid { place: String, faults: stack::Invalid },
    #[error("cannot listen on {address}: {source}; another port: --port")]
    Listen { address: std::net::SocketAddr, source: std::io::Error },
    #[error("{0}")]
    Failed(String),
    #[error(transparent)]
    Operator(#[from] operator::Error),
    #[error(transparent)]
    Output(#[from] std::io::Error),
    #[error("cannot be written as YAML: {0}")]
    Yaml(#[from] serde_saphyr::ser::Error),
    #[error("cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl Error {
    /// What the API server answered, when asked to do something (`read the pods`).
    pub(crate) fn api(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let what = what.into();
        move |source| match source {
            kube::Error::Api(status) if status.code == 403 => {
                Self::Forbidden { what, message: status.message }
            }
            kube::Error::HyperError(_) | kube::Error::Service(_) => Self::Unreachable(source),
            source => Self::Api { what, source },
        }
    }
}
