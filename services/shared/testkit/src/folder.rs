//! [`folder`]: where a test's databases are.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use tempfile::TempDir;

/// Linux's own file system in memory.
const IN_MEMORY: &str = "/dev/shm";
/// So much must be free there, bytes: containers often have 64 MiB, which a PostgreSQL server alone would fill.
const ENOUGH: u64 = 4 << 30;

/// A folder that goes with what is returned; in memory where there is room. Each test makes a database and drops it again, which a disk's file system is slow at
/// (ext4 looks for an inode that was not deleted a moment ago, and SQLite waits for the disk at each commit): a third of the time that the tests took. What a killed
/// process has written is there afterwards all the same. A socket's path in it is short enough, whatever `TMPDIR` says.
/// Benchmarks, which are built for release, are of a disk.
///
/// # Errors
/// If there is no place for it.
pub fn folder(prefix: &str) -> io::Result<TempDir> {
    static PARENT: LazyLock<PathBuf> = LazyLock::new(|| {
        let has_room = cfg!(debug_assertions)
            && rustix::fs::statvfs(IN_MEMORY)
                .is_ok_and(|found| found.f_bavail.saturating_mul(found.f_frsize) >= ENOUGH);
        Path::new(if has_room { IN_MEMORY } else { "/tmp" }).to_path_buf()
    });
    tempfile::Builder::new().prefix(prefix).tempdir_in(&*PARENT)
}
