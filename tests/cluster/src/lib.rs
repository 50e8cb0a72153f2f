//! What the tests on a real Kubernetes stand on.
//!
//! | file | idea |
//! |---|---|
//! | `cluster.rs` | [`Cluster`], one for the test process and gone with it; its tools |
//! | `namespace.rs` | [`Namespace`], a test's own; what is applied there and looked at |
//! | `wait.rs` | [`eventually`], since a cluster gets there in its own time |
//! | `kubernetes/` | scripts that boot a cluster on this machine, without a container engine; see the README there |
//! | `images/` | images that only tests need |

mod cluster;
mod namespace;
mod wait;

pub use cluster::Cluster;
pub use namespace::Namespace;
pub use wait::eventually;
