//! Whether a mail's signature is good, by somebody else's word: `dkimpy`, from the Python package index.

use std::io::Write;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::python::python;

const PACKAGE: &str = "dkimpy[ed25519]==1.1.8";
const VERIFIER: &str = include_str!("dkim.py");

/// What the verifier says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Verdict {
    /// Whether the signature is good.
    pub good: bool,
    /// The headers that it signs, of those that there are.
    pub signed: Vec<String>,
}

/// What it says of a mail, as it came over the wire, where the domain name system has one text record.
///
/// # Panics
/// With one line that says what is missing, if it does not run.
pub fn verify(mail: &str, (name, record): (&str, &str)) -> Verdict {
    let python = match python("dkim-venv", PACKAGE) {
        Ok(python) => python,
        #[expect(clippy::panic, reason = "a test that cannot run fails; it does not pass in silence")]
        Err(reason) => panic!("{reason}"),
    };
    let mut child = Command::new(python)
        .args(["-c", VERIFIER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let asked = serde_json::json!({"mail": mail, "name": name, "record": record}).to_string();
    child.stdin.take().expect("its input").write_all(asked.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    serde_json::from_slice(&output.stdout).expect("its verdict")
}
