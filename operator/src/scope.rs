//! [`Scope`]: whose stacks the operator looks after.

use std::collections::BTreeSet;

/// Whose stacks the operator looks after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those in these namespaces. The operator has Roles there and sees nothing elsewhere.
    Namespaces(BTreeSet<String>),
    /// All of the cluster's. The operator may then read and write Secrets everywhere.
    All,
}

impl Scope {
    /// What is watched: each namespace, or everything at once.
    pub fn watched(&self) -> Vec<Option<String>> {
        match self {
            Self::Namespaces(namespaces) => namespaces.iter().cloned().map(Some).collect(),
            Self::All => vec![None],
        }
    }
}
