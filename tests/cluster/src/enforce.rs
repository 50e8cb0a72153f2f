//! [`Enforced`] and [`CutOff`]: what the node's packet filter does for as long as a test wants it.
//!
//! The cluster's pod network knows no network policies, so the packet filter enforces them.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use crate::cluster::script;

/// While this lives, the `NetworkPolicies` of a namespace are enforced (a new pod's within a second).
#[derive(Debug)]
pub struct Enforced {
    _filter: Filter,
}

impl Enforced {
    /// From now on.
    ///
    /// # Panics
    /// If the node's packet filter cannot be set.
    pub fn in_namespace(name: &str) -> Self {
        Self { _filter: Filter::set(&["enforce", name], "enforced") }
    }
}

/// While this lives, nothing that a pod sends gets to the API server, and nobody tells it so: its connections go silent.
#[derive(Debug)]
pub struct CutOff {
    _filter: Filter,
}

impl CutOff {
    /// From now on.
    ///
    /// # Panics
    /// If the node's packet filter cannot be set.
    pub fn of_pod(address: &str) -> Self {
        Self { _filter: Filter::set(&["cut-off", address], "cut off") }
    }
}

/// Held by a script whose standard input is ours: the rules go when that ends, however we end.
#[derive(Debug)]
struct Filter {
    holder: Child,
}

impl Filter {
    fn set(arguments: &[&str], done: &str) -> Self {
        let mut holder = Command::new(script())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("tests/cluster/kubernetes/cluster starts");
        let mut said = String::new();
        BufReader::new(holder.stdout.take().expect("its output"))
            .read_line(&mut said)
            .expect("it says something");
        assert_eq!(said.trim_end(), done, "see above why it is not");
        Self { holder }
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        // It ends with its input, and takes its rules away.
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}
