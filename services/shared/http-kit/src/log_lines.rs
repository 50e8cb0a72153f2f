//! Where lines of the log go: to standard error at once, but for those of the access log, which wait for each other for a moment. A call to
//! the kernel for each request would cost more than all else that the line costs.

use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

/// What lines of the access log call their target.
pub const ACCESS: &str = "access";
/// The longest that a line waits.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// So much is written without waiting for more.
const ENOUGH_BYTES: usize = 64 * 1024;
/// With so much waiting, because whoever reads the log does not, whoever logs waits too.
const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

static WAITING: Mutex<Vec<u8>> = Mutex::new(Vec::new());
/// Held while lines are written, so that they stay in order.
static OUT: Mutex<()> = Mutex::new(());
static ENOUGH: Condvar = Condvar::new();
static WRITER: Once = Once::new();

/// Makes writers of one line.
pub(crate) struct Lines;

/// Takes one line.
pub(crate) struct Line {
    may_wait: bool,
}

impl MakeWriter<'_> for Lines {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line { may_wait: false }
    }

    fn make_writer_for(&self, metadata: &Metadata<'_>) -> Line {
        Line { may_wait: metadata.target() == ACCESS }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut waiting = lock(&WAITING);
        let (before, now) = (waiting.len(), waiting.len() + bytes.len());
        waiting.extend_from_slice(bytes);
        drop(waiting);
        if !self.may_wait || now > WAITING_BYTES_MAX {
            flush();
            return Ok(bytes.len());
        }
        WRITER.call_once(|| {
            // Without the thread lines go out when there are enough, and at the end.
            let _ = std::thread::Builder::new().name("log".to_owned()).spawn(write_for_ever);
        });
        if before == 0 || (before < ENOUGH_BYTES && now >= ENOUGH_BYTES) {
            ENOUGH.notify_one();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes what waits. To be called before a process ends.
pub fn flush() {
    let _out = lock(&OUT);
    let lines = std::mem::take(&mut *lock(&WAITING));
    // Nobody is left to be told that nobody can be told.
    let _ = io::stderr().lock().write_all(&lines);
}

fn write_for_ever() {
    loop {
        let mut waiting = lock(&WAITING);
        while waiting.is_empty() {
            waiting = ENOUGH.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let (waiting, _) = ENOUGH
            .wait_timeout_while(waiting, WAIT_MAX, |waiting| waiting.len() < ENOUGH_BYTES)
            .unwrap_or_else(PoisonError::into_inner);
        drop(waiting);
        flush();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
