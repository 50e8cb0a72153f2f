//! [`python`]: a Python with a package of the Python package index, in a virtual environment that is made once and kept in the cache folder.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

/// Said when there is no Python to make it. A test is never skipped in silence.
const MISSING: &str = "no Python for the tests: install the Debian packages python3 and python3-venv";

/// The Python of the virtual environment with this name, with this package in it, such as `aiosmtpd==1.4.6`.
///
/// # Errors
/// In a line, what is missing.
pub fn python(venv: &str, package: &str) -> Result<PathBuf, String> {
    let cache = cache()?;
    let folder = cache.join(venv);
    let (python, made) = (folder.join("bin/python"), folder.join(package));
    let io = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(&cache).map_err(io)?;
    // Several test processes may want it at once: one makes it.
    let lock = File::create(cache.join(format!("{venv}.lock"))).map_err(io)?;
    lock.lock().map_err(io)?;
    // A Python that was upgraded away leaves a dead link behind.
    if !made.exists() || !python.exists() {
        succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder), MISSING)?;
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", package];
        succeed(Command::new(&python).args(install), &format!("{package} cannot be installed from PyPI"))?;
        File::create(made).map_err(io)?;
    }
    Ok(python)
}

/// Where what is made once is kept.
pub(crate) fn cache() -> Result<PathBuf, String> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    Ok(cache.ok_or("neither XDG_CACHE_HOME nor HOME is set")?.join("healthcare-stack"))
}

/// Runs a command; its complaint stands behind the reason, on one line.
pub(crate) fn succeed(command: &mut Command, reason: &str) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{reason} ({error})"))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("{reason} ({})", complaint.lines().last().unwrap_or_default()))
}
