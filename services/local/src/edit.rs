//! [`Edit`]: a change of the resource's file that was taken, told in a line: where it is, and what became of it.

use std::fmt;

use settings::ServiceName;

/// So many places are named; more than that a person does not read in a line.
const PATHS_MAX: usize = 5;

/// A change that was taken.
#[derive(Debug)]
pub(crate) struct Edit {
    /// Where, as faults have it.
    pub(crate) paths: Vec<String>,
    pub(crate) effect: Effect,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Effect {
    /// The gateway goes by it.
    pub(crate) is_in_force: bool,
    /// Services are told otherwise by it than by what was there before.
    pub(crate) is_settled: bool,
    /// Those of them that run with something else until the next start.
    pub(crate) waits: Vec<ServiceName>,
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { paths, effect } = self;
        if paths.is_empty() {
            return f.write_str("The HealthcareStack says the same as before: nothing was changed.");
        }
        let shown = &paths[..paths.len().min(PATHS_MAX)];
        write!(f, "The HealthcareStack has changed: {}", shown.join(", "))?;
        if paths.len() > shown.len() {
            write!(f, " and {} more", paths.len() - shown.len())?;
        }
        write!(f, ". {effect}")
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = if self.waits.len() == ServiceName::ALL.len() {
            "all services".to_owned()
        } else {
            self.waits.iter().map(|service| service.as_str()).collect::<Vec<_>>().join(", ")
        };
        match (self.is_in_force, self.waits.is_empty()) {
            (true, true) => f.write_str("It is in force."),
            (true, false) => {
                write!(f, "The gateway goes by it; start again for the rest of it to reach: {waits}.")
            }
            (false, false) => write!(f, "Start again for it to reach: {waits}."),
            (false, true) if self.is_settled => f.write_str("That is what the services run with."),
            (false, true) => f.write_str("In one process that has no effect."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(paths: &[&str], is_in_force: bool, is_settled: bool, waits: &[ServiceName]) -> String {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        Edit { paths, effect: Effect { is_in_force, is_settled, waits: waits.to_vec() } }.to_string()
    }

    #[test]
    fn a_change_is_told_with_its_place_and_what_became_of_it() {
        let auth = &[ServiceName::AuthService][..];
        for (told, expected) in [
            (
                told(&[], false, false, &[]),
                "The HealthcareStack says the same as before: nothing was changed.",
            ),
            (told(&["spec.a"], true, false, &[]), "The HealthcareStack has changed: spec.a. It is in force."),
            (
                told(&["spec.a", "spec.b[1].c"], true, true, auth),
                "The HealthcareStack has changed: spec.a, spec.b[1].c. The gateway goes by it; start again for the rest of it to reach: auth-service.",
            ),
            (
                told(&["spec.a"], false, true, &ServiceName::ALL),
                "The HealthcareStack has changed: spec.a. Start again for it to reach: all services.",
            ),
            (
                told(&["spec.a"], false, true, &[]),
                "The HealthcareStack has changed: spec.a. That is what the services run with.",
            ),
            (
                told(&["spec.a"], false, false, &[]),
                "The HealthcareStack has changed: spec.a. In one process that has no effect.",
            ),
        ] {
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn of_many_places_the_first_are_named() {
        let told = told(&["a", "b", "c", "d", "e", "f", "g"], true, false, &[]);
        assert_eq!(told, "The HealthcareStack has changed: a, b, c, d, e and 2 more. It is in force.");
    }
}
