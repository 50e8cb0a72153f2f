//! Why the program ended: one clear message and an exit code.

use std::fmt;

/// Why the program ended.
#[derive(Debug)]
pub struct Fault {
    message: String,
    code: u8,
}

impl Fault {
    /// What was asked for is at fault: exit code 2.
    pub fn asked(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 2 }
    }

    /// It could not be done here and now: exit code 1.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
