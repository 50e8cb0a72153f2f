//! [`SecretFiles`]: secrets as files `<secret>/<key>`, made once and then left as they are.

use std::fs::{File, Permissions};
use std::io::{Result, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use contracts::ambient::Random;
use contracts::auth::JwkSet;
use http_kit::generate;
use http_kit::identity::{Part, generate_key, public_jwk};
use zeroize::Zeroizing;

use crate::signing_keys::keys_in;

/// So begins the name of a file that is not whole yet.
const UNFINISHED: &str = ".tmp";

/// A folder of secrets.
pub(crate) struct SecretFiles {
    path: PathBuf,
    dir_mode: u32,
    file_mode: u32,
}

impl SecretFiles {
    /// For this user alone.
    pub(crate) fn private(path: PathBuf) -> Self {
        Self { path, dir_mode: 0o700, file_mode: 0o600 }
    }

    /// For whoever gets at them: containers, whose user is another one than ours. The folder around it must be private.
    pub(crate) fn for_containers(path: PathBuf) -> Self {
        Self { path, dir_mode: 0o755, file_mode: 0o644 }
    }

    /// For whoever can read this file that is one of them, in its folder.
    pub(crate) fn like(present: &Path) -> Result<Self> {
        let mode = std::fs::metadata(present)?.permissions().mode() & 0o777;
        let path = present.parent().unwrap_or(present).to_path_buf();
        Ok(if mode & 0o044 == 0 { Self::private(path) } else { Self::for_containers(path) })
    }

    /// The key-encryption key, the key that users' tokens are signed with, and an identity for each part.
    pub(crate) fn make_keys(&self, random: &Random, parts: impl Iterator<Item = Part>) -> Result<()> {
        self.keep_once("kek/current", || Ok(Zeroizing::new(generate::kek(random).as_bytes().to_vec())))?;
        // Any of them will do: the first one may have been replaced.
        if !keys_in(&self.path.join("signing-keys")).is_ok_and(|kids| !kids.is_empty()) {
            self.keep("signing-keys/local-1.p8", &new_key("local-1")?)?;
        }
        let mut identities = JwkSet::default();
        for part in parts {
            let name = format!("{part}-identity/key.p8");
            let key = self.keep_once(&name, || new_key(part.as_str()))?;
            identities.keys.push(public_jwk(part.as_str(), &key).map_err(std::io::Error::other)?);
        }
        self.keep("service-identities/jwks.json", &serde_json::to_vec_pretty(&identities)?)
    }

    /// What is there, or else what `make` makes. What is there stays as it is: a key that is made anew opens nothing that was sealed
    /// before.
    pub(crate) fn keep_once(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<Zeroizing<Vec<u8>>>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let path = self.path.join(name);
        if !path.exists() {
            self.keep(name, &make()?)?;
        }
        std::fs::read(path).map(Zeroizing::new)
    }

    /// Writes a secret whole or not at all.
    pub(crate) fn keep(&self, name: &str, value: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        let dir = path.parent().unwrap_or(&self.path);
        make_dir(dir, self.dir_mode)?;
        let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(dir)?;
        file.write_all(value)?;
        file.as_file().set_permissions(Permissions::from_mode(self.file_mode))?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        File::open(dir)?.sync_all()
    }

    /// Takes away what runs that were killed have left in a secret's folder, half written. Only for whoever holds the lock of those who write there.
    pub(crate) fn sweep(&self, secret: &str) -> Result<()> {
        for entry in std::fs::read_dir(self.path.join(secret))? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Takes a secret away.
    pub(crate) fn forget(&self, name: &str) -> Result<()> {
        let path = self.path.join(name);
        std::fs::remove_file(&path)?;
        File::open(path.parent().unwrap_or(&self.path))?.sync_all()
    }
}

/// Makes a folder, and those around it, with this mode.
pub(crate) fn make_dir(path: &Path, mode: u32) -> Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(mode).create(path)
}

fn new_key(kid: &str) -> Result<Zeroizing<Vec<u8>>> {
    generate_key(kid).map(|(key, _)| key).map_err(std::io::Error::other)
}
