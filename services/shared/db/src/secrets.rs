//! [`Secrets`]: the files that hold what must not be in a setting, an argument or a log line.

use std::fmt;
use std::path::PathBuf;

use settings::SecretRef;
use zeroize::Zeroizing;

/// Reads `DIR/<secret>/<key>`: a Kubernetes Secret's mount, or `DATA/secrets` (mode 0600) on a laptop.
///
/// Reads the file each time, so that a rotated secret is seen.
#[derive(Clone)]
pub struct Secrets {
    dir: PathBuf,
}

/// Why a secret could not be read. Names it, never shows it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file is not there, or not readable.
    #[error("secret {secret}/{key} cannot be read: {reason}")]
    Unreadable {
        /// The secret's name.
        secret: String,
        /// The key in it.
        key: String,
        /// The operating system's reason.
        reason: std::io::ErrorKind,
    },
    /// The name would leave the folder.
    #[error("{secret:?}/{key:?} does not name a secret")]
    BadName {
        /// The secret's name.
        secret: String,
        /// The key in it.
        key: String,
    },
    /// The value is not what its use needs.
    #[error("secret {secret}/{key} is not {expected}")]
    Malformed {
        /// The secret's name.
        secret: String,
        /// The key in it.
        key: String,
        /// What it should have been.
        expected: &'static str,
    },
}

impl Secrets {
    /// Secrets below `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The secret's bytes, as they stand in the file.
    pub fn read(&self, secret: &SecretRef) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        std::fs::read(self.path(secret)?).map(Zeroizing::new).map_err(|error| SecretError::Unreadable {
            secret: secret.secret.clone(),
            key: secret.key.clone(),
            reason: error.kind(),
        })
    }

    /// Where the secret's file is, for what reads it by itself.
    pub fn path(&self, secret: &SecretRef) -> Result<PathBuf, SecretError> {
        if !is_file_name(&secret.secret) || !is_file_name(&secret.key) {
            return Err(SecretError::BadName { secret: secret.secret.clone(), key: secret.key.clone() });
        }
        Ok(self.dir.join(&secret.secret).join(&secret.key))
    }

    /// Where the keys of a secret are, for what reads them again by itself.
    pub fn folder(&self, secret: &str) -> Result<PathBuf, SecretError> {
        if !is_file_name(secret) {
            return Err(SecretError::BadName { secret: secret.to_owned(), key: String::new() });
        }
        Ok(self.dir.join(secret))
    }

    /// The keys of a secret, in the order of their names. What begins with a dot is none: Kubernetes keeps its own links there.
    pub fn list(&self, secret: &str) -> Result<Vec<String>, SecretError> {
        let folder = self.folder(secret)?;
        let unreadable = |error: std::io::Error| SecretError::Unreadable {
            secret: secret.to_owned(),
            key: "*".to_owned(),
            reason: error.kind(),
        };
        let mut keys = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            keys.extend(
                name.to_str().filter(|name| is_file_name(name) && !name.starts_with('.')).map(str::to_owned),
            );
        }
        keys.sort_unstable();
        Ok(keys)
    }

    /// The secret as text, without the line end that editors and `echo` put after it.
    pub fn read_text(&self, secret: &SecretRef) -> Result<Zeroizing<String>, SecretError> {
        let bytes = self.read(secret)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| malformed(secret, "UTF-8 text"))?;
        Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

pub(crate) fn malformed(secret: &SecretRef, expected: &'static str) -> SecretError {
    SecretError::Malformed { secret: secret.secret.clone(), key: secret.key.clone(), expected }
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && name != "."
        && name != ".."
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}
