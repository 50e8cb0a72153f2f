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
pub(crate) struct Faults {
    found: Vec<Fault>,
    /// Lists that later rules see without their faulty items: where, and the indices of the items that are left.
    shortened: Vec<(String, Vec<usize>)>,
}

impl Faults {
    pub(crate) fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.found.push(Fault { path: path.into(), message: message.into() });
    }

    /// Later rules see only these items of a list.
    pub(crate) fn kept(&mut self, path: &str, indices: Vec<usize>) {
        self.shortened.push((path.to_owned(), indices));
    }

    /// Adds what later rules found, but for what they say of a place that is already known to be faulty, or of what holds one: they
    /// did not see it as it was meant.
    pub(crate) fn add_unless_known(&mut self, later: Self) {
        let known = self.found.len();
        for mut fault in later.found {
            fault.path = self.as_written(fault.path);
            let follows_from =
                |earlier: &Fault| within(&earlier.path, &fault.path) || within(&fault.path, &earlier.path);
            if !self.found[..known].iter().any(follows_from) {
                self.found.push(fault);
            }
        }
    }

    /// A path in what later rules saw, with the indices that the document has. Lists inside of lists were noted first.
    fn as_written(&self, path: String) -> String {
        self.shortened.iter().rev().fold(path, |path, (list, indices)| {
            let written = path.strip_prefix(list.as_str()).and_then(|rest| {
                let (index, rest) = rest.strip_prefix('[')?.split_once(']')?;
                let index = indices.get(index.parse::<usize>().ok()?)?;
                Some(format!("{list}[{index}]{rest}"))
            });
            written.unwrap_or(path)
        })
    }

    /// `value` if there are none.
    pub(crate) fn none_or<T>(mut self, value: Option<T>) -> Result<T, Invalid> {
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            _ => {
                self.found.sort();
                self.found.dedup();
                Err(Invalid(self.found))
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
            assert_eq!(later(path).found.len(), 1, "{path}");
        }
        for path in ["spec.databases", "spec.database.managedBy", "spec.gateway"] {
            assert_eq!(later(path).found.len(), 2, "{path}");
        }
    }

    #[test]
    fn a_fault_has_the_index_that_the_document_has() {
        let mut faults = Faults::default();
        faults.kept("a[3].b", vec![1, 4]);
        faults.kept("a", vec![0, 3]);
        assert_eq!(faults.as_written("a[1].b[1].c".to_owned()), "a[3].b[4].c");
        assert_eq!(faults.as_written("a[0].b[1].c".to_owned()), "a[0].b[1].c");
    }
}
