//! What belongs to whom on this machine: PostgreSQL does not run as root, and a pod's folders are its user's.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::postgres::{find_bin, other_user};

/// A program as PostgreSQL's user, with PostgreSQL's programs on its path and an empty environment.
pub(super) fn unprivileged(program: &str, dir: &Path) -> Command {
    let bin = find_bin().expect("no PostgreSQL for the tests: install Debian package postgresql");
    let mut command = Command::new("env");
    command.env_clear().env("PATH", format!("{}:/usr/bin:/bin", bin.display())).arg(program).current_dir(dir);
    if let Some((uid, gid)) = as_whom() {
        command.uid(uid).gid(gid);
    }
    command
}

/// PostgreSQL does not run as root.
fn as_whom() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    is_root.then(|| {
        other_user().expect("the tests run as root, and there is neither a user postgres nor nobody")
    })
}

/// Gives a folder and what is in it to PostgreSQL's user.
pub(super) fn give(path: &Path) {
    let Some((uid, gid)) = as_whom() else { return };
    chown(path, Some(uid), Some(gid)).unwrap();
    if path.is_dir() && !path.ends_with("pgdata") {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path());
        }
    }
}

/// What is in a folder, in the order of names, without what begins with a dot.
pub(crate) fn list(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        entries.filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.')).collect();
    paths.sort();
    paths
}

pub(super) fn carry(from: &Path, to: &Path) {
    for path in list(from) {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir_all(&target).unwrap();
            carry(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
