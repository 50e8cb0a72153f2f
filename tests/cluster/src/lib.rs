//! What the tests on a real Kubernetes stand on.
//!
//! | file | idea |
//! |---|---|
//! | `cluster.rs` | [`Cluster`], one for the test process and gone with it; its tools |
//! | `namespace.rs` | [`Namespace`], a test's own; what is applied there and looked at |
//! | `operator.rs` | [`Operator`], a test's own |
//! | `clinic.rs` | [`Clinic`], a stack; first a [`Draft`] of one |
//! | `enforce.rs` | [`Enforced`], `NetworkPolicies` in force; [`CutOff`], a pod whose connections go silent |
//! | `api_server.rs` | [`ApiServer`], alone with its etcd: for what needs no pods, or a cluster's whole attention |
//! | `plugin.rs` | `kubectl healthcare`, and what it [`Told`] |
//! | `image.rs` | archives of images, renamed and unpacked |
//! | `traffic.rs` | [`Traffic`], callers who do not stop |
//! | `traefik.rs` | [`Traefik`], an Ingress controller |
//! | `wait.rs` | [`eventually`], since a cluster gets there in its own time |
//! | `kubernetes/` | scripts that boot a cluster on this machine, without a container engine; see the README there |
//! | `images/` | images that only tests need |

mod api_server;
mod clinic;
mod cluster;
mod enforce;
mod image;
mod namespace;
mod operator;
mod plugin;
mod traefik;
mod traffic;
mod wait;

pub use api_server::{ApiServer, Replica, Write};
pub use clinic::{Clinic, Draft};
pub use cluster::{Cluster, KEPT, client, defined, definitions, repository};
pub use enforce::{CutOff, Enforced};
pub use namespace::Namespace;
pub use operator::{Operator, REGISTRY, RELEASE, VERSION};
pub use plugin::{Told, kubectl_with_plugin};
pub use traefik::Traefik;
pub use traffic::{Seen, Traffic};
pub use wait::eventually;
