//! `kubectl healthcare`, as a person runs it: through kubectl, which finds the plugin by its name.

use std::process::{Command, Output};

use crate::cluster::tool;

/// What a program said and how it ended.
#[derive(Clone, Debug)]
pub struct Told {
    /// What it was asked.
    pub asked: String,
    /// Its exit code.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Told {
    /// What a command tells.
    ///
    /// # Panics
    /// If it does not start.
    pub fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().expect("the command starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            asked: format!("{:?}", command.get_args().collect::<Vec<_>>()),
            code: status.code(),
            out: text(&stdout),
            err: text(&stderr),
        }
    }

    /// The same, if it ended with this code.
    ///
    /// # Panics
    /// With all that it said, if not.
    #[track_caller]
    #[must_use]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}: {}\n{}", self.asked, self.out, self.err);
        self
    }

    /// The same, if each of these words stands in its error.
    ///
    /// # Panics
    /// With all that it said, if not.
    #[track_caller]
    #[must_use]
    pub fn names(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.err.contains(word), "{}: nothing of `{word}` in:\n{}", self.asked, self.err);
        }
        self
    }
}

/// kubectl with the plugin where it looks for plugins. What follows is the plugin's: `healthcare`, its subcommand, its options.
///
/// # Panics
/// If this process does not know where it is.
pub fn kubectl_with_plugin() -> Command {
    // `scripts/test-cluster` builds it into the same folder as the tests.
    let built = std::env::current_exe().expect("this program").with_file_name("../kubectl-healthcare");
    let built = built.canonicalize().expect("kubectl-healthcare: `make test-cluster` builds it");
    // Whoever starts the tests in the background has them ignore Ctrl-C, and so would whatever they start.
    let mut command = Command::new("/usr/bin/env");
    command.arg("--default-signal=INT").arg(tool("kubectl"));
    command.env("PATH", built.parent().expect("a folder"));
    command
}
