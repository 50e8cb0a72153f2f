//! What is wrong with a `HealthcareStack`: every fault, each with its path.

use std::fmt;

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where, such as `spec.gateway.routes[2].timeout`; empty for the document as a whole.
    pub path: String,
    /// What, such as `must be at most 5m`.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Why a document is no stack: all its faults, in the order of their paths. Displayed one a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(Vec<Fault>);

impl Invalid {
    /// Every fault; there is at least one.
    pub fn faults(&self) -> &[Fault] {
        &self.0
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

/// Faults found so far.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Fault { path: path.into(), message: message.into() });
    }

    /// Adds what later rules found, but for what they say of a place that is already known to be faulty, or of what holds one: they
    /// did not see it as it was meant.
    pub(crate) fn add_unless_known(&mut self, later: Self) {
        let known = self.0.len();
        for fault in later.0 {
            let follows_from =
                |earlier: &Fault| within(&earlier.path, &fault.path) || within(&fault.path, &earlier.path);
            if !self.0[..known].iter().any(follows_from) {
                self.0.push(fault);
            }
        }
    }

    /// `value` if there are none.
    pub(crate) fn none_or<T>(mut self, value: Option<T>) -> Result<T, Invalid> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => {
                self.0.sort();
                self.0.dedup();
                Err(Invalid(self.0))
            }
        }
    }
}

/// Whether `inner` is `outer` or a part of it.
fn within(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(path: &str) -> Faults {
        let mut faults = Faults::default();
        faults.add("spec.database.managed", "must be an object");
        let mut rules = Faults::default();
        rules.add(path, "is wrong");
        faults.add_unless_known(rules);
        faults
    }

    #[test]
    fn a_fault_that_follows_from_another_is_not_told() {
        for path in ["spec.database", "spec.database.managed", "spec.database.managed.version"] {
            assert_eq!(later(path).0.len(), 1, "{path}");
        }
        for path in ["spec.databases", "spec.database.managedBy", "spec.gateway"] {
            assert_eq!(later(path).0.len(), 2, "{path}");
        }
    }
}
