//! The data folder: one process at a time, readable by its user alone, and holding every secret that a cluster would keep in Secrets.
//!
//! ```text
//! DATA/db/<service>.sqlite      data, sealed
//! DATA/keys/<service>.sqlite    wrapped keys: back these up apart from the data
//! DATA/secrets/<secret>/<key>   key-encryption key (while another takes its place: both), signing key, identities, the first administrator's password (0600)
//! DATA/run/<service>.sock       while it runs
//! ```

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use contracts::ambient::Random;
use db::Secrets;
use http_kit::generate;
use http_kit::identity::Part;
use settings::{SecretRef, ServiceName};
use tempfile::TempDir;

use crate::fault::Fault;
use crate::secret_files::{SecretFiles, make_dir};

/// A socket's path may have 107 bytes (`sockaddr_un`), and the longest name needs so many.
const SOCKET_DIR_BYTES_MAX: usize = 107 - "/medical-records-service.sock".len();
const ADMIN_PASSWORD: &str = "first-admin/password";

/// The data folder, held by this process or looked at beside another.
pub struct DataDir {
    path: PathBuf,
    sockets: Sockets,
    /// Held for as long as the process runs, if it is this one's.
    _lock: Option<File>,
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
        make_dir(path, 0o700).map_err(|error| unusable(path, error))?;
        let path = path.canonicalize().map_err(|error| unusable(path, error))?;
        let lock = lock(&path)?;
        for name in ["db", "keys", "secrets", "run"] {
            let dir = path.join(name);
            make_dir(&dir, 0o700).map_err(|error| unusable(&dir, error))?;
        }
        let run = path.join("run");
        let sockets = if run.as_os_str().len() <= SOCKET_DIR_BYTES_MAX {
            Sockets::Inside(run)
        } else {
            // Made with mode 0700, like everything that `tempfile` makes.
            Sockets::Elsewhere(TempDir::with_prefix("healthcare-").map_err(|error| unusable(&run, error))?)
        };
        let this = Self { path, sockets, _lock: Some(lock) };
        let parts = ServiceName::ALL.into_iter().map(Part::from);
        this.secret_files()
            .make_keys(random, parts)
            .map_err(|error| unusable(&this.path.join("secrets"), error))?;
        Ok(this)
    }

    /// Looks at a folder that a stack has used, and may be using.
    pub fn look_at(path: &Path) -> Result<Self, Fault> {
        check_used(path)?;
        let path =
            path.canonicalize().map_err(|error| Fault::failed(format!("{}: {error}", path.display())))?;
        let sockets = Sockets::Inside(path.join("run"));
        Ok(Self { path, sockets, _lock: None })
    }

    /// Whether there is such a secret.
    pub(crate) fn has_secret(&self, secret: &SecretRef) -> bool {
        self.path.join("secrets").join(&secret.secret).join(&secret.key).exists()
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
                let password = generate::readable_password(random);
                self.secret_files()
                    .keep(ADMIN_PASSWORD, format!("{password}\n").as_bytes())
                    .map_err(failed)?;
                Ok((password, true))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Keeps the URL of the database as a secret, where services look for it.
    pub fn keep_database_url(&self, url: &str) -> Result<SecretRef, Fault> {
        self.secret_files()
            .keep("database/url", url.as_bytes())
            .map_err(|error| Fault::failed(format!("the database URL cannot be kept: {error}")))?;
        Ok(SecretRef { secret: "database".to_owned(), key: "url".to_owned() })
    }

    pub(crate) fn secret_files(&self) -> SecretFiles {
        SecretFiles::private(self.path.join("secrets"))
    }
}

fn check_used(path: &Path) -> Result<(), Fault> {
    if path.join("secrets/kek/current").is_file() {
        return Ok(());
    }
    Err(Fault::asked(format!("{}: there is no data of a stack", path.display())))
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
