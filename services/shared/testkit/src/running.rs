//! [`Running`]: a program that a test has started. It is told signals, cut off as by a power cut, and gone with the test, however that ends.
//!
//! Not for a server that outlives one test: those end with the test's process (`postgres.rs`, `s3.rs`).

use std::process::{Child, Command};
use std::time::Duration;

/// A program that runs, or did.
#[derive(Debug)]
pub struct Running(Child);

/// How long a program may take to end by itself.
const END_TIMEOUT: Duration = Duration::from_secs(30);

impl Running {
    /// Starts it.
    ///
    /// # Panics
    /// If it is not there.
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap_or_else(|error| {
            #[expect(clippy::panic, reason = "a test that cannot run fails; it does not pass in silence")]
            {
                panic!("{}: {error}; is it installed?", command.get_program().display())
            }
        }))
    }

    /// Tells it a signal: `TERM`, `INT`, `STOP`, `CONT`.
    ///
    /// # Panics
    /// If it has ended, and that was seen.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.0.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "cannot be told {name}");
    }

    /// Ends it as a power cut would.
    pub fn cut(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Whether it has not ended.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    /// Its exit code, once it has ended by itself; `None` if that was a signal.
    ///
    /// # Panics
    /// If it does not end.
    pub async fn ended(&mut self) -> Option<i32> {
        let ended = async {
            loop {
                if let Ok(Some(status)) = self.0.try_wait() {
                    return status.code();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(END_TIMEOUT, ended).await.expect("it ends")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cut();
    }
}
