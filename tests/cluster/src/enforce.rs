//! [`Enforced`]: network policies in force. The cluster's pod network knows none, so the node's packet filter does it.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use crate::cluster::script;

/// While this lives, the `NetworkPolicies` of a namespace are enforced (a new pod's within a second).
#[derive(Debug)]
pub struct Enforced {
    enforcer: Child,
}

impl Enforced {
    /// From now on.
    ///
    /// # Panics
    /// If the node's packet filter cannot be set.
    pub fn in_namespace(name: &str) -> Self {
        let mut enforcer = Command::new(script())
            .args(["enforce", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("tests/cluster/kubernetes/cluster starts");
        let mut said = String::new();
        BufReader::new(enforcer.stdout.take().expect("its output"))
            .read_line(&mut said)
            .expect("it says something");
        assert_eq!(said, "enforced\n", "see above why it is not");
        Self { enforcer }
    }
}

impl Drop for Enforced {
    fn drop(&mut self) {
        // It ends with its input, and takes its rules away.
        drop(self.enforcer.stdin.take());
        let _ = self.enforcer.wait();
    }
}
