//! The data folder: one process at a time, readable by its user alone, and holding every secret that a cluster would keep in Secrets.
//!
//! ```text
//! DATA/db/<service>.sqlite      data, sealed
//! DATA/keys/<service>.sqlite    wrapped keys: back these up apart from the data
//! DATA/secrets/<secret>/<key>   key-encryption key, signing key, identities, the first administrator's password (0600)
//! DATA/run/<service>.sock       while it runs
//! ```

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use contracts::ambient::Random;
use contracts::auth::JwkSet;
use db::Secrets;
use http_kit::identity::{generate_key, public_jwk};
use settings::{SecretRef, ServiceName};
use tempfile::TempDir;

use crate::fault::Fault;

/// A socket's path may have 107 bytes (`sockaddr_un`), and the longest name needs so many.
const SOCKET_DIR_BYTES_MAX: usize = 107 - "/medical-records-service.sock".len();
const ADMIN_PASSWORD: &str = "first-admin/password";

/// The data folder, held by this process.
pub struct DataDir {
    path: PathBuf,
    sockets: Sockets,
    /// Held for as long as the process runs.
    _lock: File,
}

enum Sockets {
    Inside(PathBuf),
    /// The data folder's own path is too long for a socket.
    Elsewhere(TempDir),
}

impl DataDir {
    /// Opens the folder, or makes it, with every secret that is not there yet.
    pub fn open(path: &Path, random: &Random) -> Result<Self, Fault> {
        let unusable = |what: &Path, error: std::io::Error| {
            Fault::failed(format!("the data folder cannot be used: {}: {error}", what.display()))
        };
        make_dir(path).map_err(|error| unusable(path, error))?;
        let path = path.canonicalize().map_err(|error| unusable(path, error))?;
        let lock = lock(&path)?;
        for name in ["db", "keys", "secrets", "run"] {
            let dir = path.join(name);
            make_dir(&dir).map_err(|error| unusable(&dir, error))?;
        }
        let run = path.join("run");
        let sockets = if run.as_os_str().len() <= SOCKET_DIR_BYTES_MAX {
            Sockets::Inside(run)
        } else {
            // Made with mode 0700, like everything that `tempfile` makes.
            Sockets::Elsewhere(TempDir::with_prefix("healthcare-").map_err(|error| unusable(&run, error))?)
        };
        let this = Self { path, sockets, _lock: lock };
        this.make_secrets(random).map_err(|error| unusable(&this.path.join("secrets"), error))?;
        Ok(this)
    }

    /// Its path, whole.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the services' sockets are.
    pub fn socket_dir(&self) -> &Path {
        match &self.sockets {
            Sockets::Inside(path) => path,
            Sockets::Elsewhere(dir) => dir.path(),
        }
    }

    /// Its secrets.
    pub fn secrets(&self) -> Secrets {
        Secrets::new(self.path.join("secrets"))
    }

    /// Where the generated first password is kept.
    pub fn admin_password_path(&self) -> PathBuf {
        self.path.join("secrets").join(ADMIN_PASSWORD)
    }

    /// The generated first password: the one made earlier, or a new one; and whether it is new.
    pub fn admin_password(&self, random: &Random) -> Result<(String, bool), Fault> {
        let path = self.admin_password_path();
        let failed = |error| Fault::failed(format!("{}: {error}", path.display()));
        match std::fs::read_to_string(&path) {
            Ok(password) => Ok((password.trim().to_owned(), false)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let password = generated_password(random);
                self.keep(ADMIN_PASSWORD, format!("{password}\n").as_bytes()).map_err(failed)?;
                Ok((password, true))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Keeps the URL of the database as a secret, where services look for it.
    pub fn keep_database_url(&self, url: &str) -> Result<SecretRef, Fault> {
        self.keep("database/url", url.as_bytes())
            .map_err(|error| Fault::failed(format!("the database URL cannot be kept: {error}")))?;
        Ok(SecretRef { secret: "database".to_owned(), key: "url".to_owned() })
    }

    /// What is there stays as it is: a key that is made anew opens nothing that was sealed before.
    fn make_secrets(&self, random: &Random) -> std::io::Result<()> {
        self.keep_once("kek/current", || {
            Ok(data_encoding::BASE64.encode(&random.bytes::<32>()).into_bytes())
        })?;
        self.keep_once("signing-keys/local-1.p8", || new_key("local-1"))?;
        let mut identities = JwkSet::default();
        for service in ServiceName::ALL {
            let name = format!("{service}-identity/key.p8");
            self.keep_once(&name, || new_key(service.as_str()))?;
            let key = std::fs::read(self.path.join("secrets").join(&name))?;
            identities.keys.push(public_jwk(service.as_str(), &key).map_err(std::io::Error::other)?);
        }
        self.keep("service-identities/jwks.json", &serde_json::to_vec_pretty(&identities)?)
    }

    fn keep_once(&self, name: &str, make: impl FnOnce() -> std::io::Result<Vec<u8>>) -> std::io::Result<()> {
        if self.path.join("secrets").join(name).exists() { Ok(()) } else { self.keep(name, &make()?) }
    }

    /// Writes a secret whole or not at all.
    fn keep(&self, name: &str, value: &[u8]) -> std::io::Result<()> {
        let path = self.path.join("secrets").join(name);
        let dir = path.parent().unwrap_or(&self.path);
        make_dir(dir)?;
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(value)?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        File::open(dir)?.sync_all()
    }
}

fn new_key(kid: &str) -> std::io::Result<Vec<u8>> {
    generate_key(kid).map(|(key, _)| key).map_err(std::io::Error::other)
}

/// Five groups of letters and digits: 100 random bits, and can be read over a phone.
fn generated_password(random: &Random) -> String {
    let text = data_encoding::BASE32_NOPAD.encode(&random.bytes::<15>()).to_ascii_lowercase();
    let groups: Vec<_> = (0..5).map(|at| &text[at * 4..at * 4 + 4]).collect();
    groups.join("-")
}

fn make_dir(path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn lock(path: &Path) -> Result<File, Fault> {
    let name = path.join("lock");
    let failed = |error: std::io::Error| {
        Fault::failed(format!("the data folder cannot be used: {}: {error}", name.display()))
    };
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&name)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Fault::failed(format!("the data folder {} is in use by another process", path.display())))
        }
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn files(dir: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }

    #[test]
    fn secrets_are_made_once_and_are_this_users_alone() {
        let dir = tempfile::tempdir().unwrap();
        let read = || {
            let data = DataDir::open(&dir.path().join("data"), &Random::system()).unwrap();
            let password = data.admin_password(&Random::system()).unwrap();
            let all: Vec<_> = files(&data.path().join("secrets"))
                .into_iter()
                .map(|path| {
                    assert_eq!(
                        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                        0o600,
                        "{path:?}"
                    );
                    (path.clone(), std::fs::read(path).unwrap())
                })
                .collect();
            (password, all)
        };
        let ((password, new), first) = read();
        assert!(new && password.len() == 24);
        assert_eq!(read(), ((password, false), first));
    }

    #[test]
    fn a_second_process_is_told_that_the_folder_is_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let _first = DataDir::open(dir.path(), &Random::system()).unwrap();
        let second = DataDir::open(dir.path(), &Random::system()).err().unwrap();
        assert!(second.to_string().contains("in use by another process"));
    }

    #[test]
    fn a_long_path_gets_its_sockets_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(&dir.path().join("d".repeat(120)), &Random::system()).unwrap();
        assert!(data.socket_dir().as_os_str().len() <= SOCKET_DIR_BYTES_MAX);
    }
}
