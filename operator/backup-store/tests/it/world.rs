//! [`World`]: an object store, and the two folders of a machine that takes backups or restores one.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use backup_store::{Error, Got, KeysPut, Patience, Place, Put, Store, get, put, put_keys};
use chrono::{DateTime, Utc};
use contracts::ambient::Clock;
use tempfile::TempDir;
use testkit::S3Server;

pub(crate) const BUCKET: &str = "backups";
pub(crate) const FOLDER: &str = "east/clinic";
/// Small files have several parts too. S3 itself takes none under 5 MiB; neither does the server.
pub(crate) const PART_BYTES: usize = 5 << 20;

pub(crate) struct World {
    pub(crate) server: S3Server,
    pub(crate) place: Place,
    pub(crate) patience: Patience,
    dir: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(S3Server::start(&[BUCKET, "keys"]))
    }

    pub(crate) fn with(server: S3Server) -> Self {
        let dir = testkit::folder::folder("healthcare-backup-").unwrap();
        for folder in ["data", "keys"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            // As people make Secrets: with a line's end.
            fs::write(&path, format!("{text}\n")).unwrap();
            path
        };
        let place = Place {
            endpoint: server.endpoint(),
            region: S3Server::REGION.to_owned(),
            bucket: BUCKET.to_owned(),
            keys_bucket: None,
            folder: FOLDER.to_owned(),
            path_style: true,
            access_key_id: file("id", S3Server::ACCESS_KEY_ID),
            secret_access_key: file("key", S3Server::SECRET_ACCESS_KEY),
            ca: None,
        };
        let patience =
            Patience { first: Duration::from_millis(10), longest: Duration::from_millis(100), tries: 4 };
        Self { server, place, patience, dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn store(&self) -> Store {
        self.store_at(Clock::system())
    }

    pub(crate) fn store_at(&self, clock: Clock) -> Store {
        Store::new(&self.place, clock, self.patience).unwrap().with_parts_of(PART_BYTES)
    }

    /// What `backup.sh` leaves: a backup of this name, and these keys in the place of those before.
    pub(crate) fn take(&self, name: &str, data: &[u8], keys: &[u8]) {
        let folder = self.path("data").join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("data.dump"), data).unwrap();
        let sums = Command::new("sha256sum").arg("data.dump").current_dir(&folder).output().unwrap();
        fs::write(folder.join("SHA256SUMS"), sums.stdout).unwrap();
        self.place_keys(keys);
    }

    /// What `backup.sh` leaves when it takes the keys alone, at this time.
    pub(crate) fn take_keys(&self, taken: &str, keys: &[u8]) {
        self.place_keys(keys);
        fs::write(self.path("keys/TAKEN"), format!("{taken}\n")).unwrap();
    }

    fn place_keys(&self, keys: &[u8]) {
        for old in self.files("keys") {
            fs::remove_file(self.path("keys").join(old)).unwrap();
        }
        let file = self.path("keys").join("new");
        fs::write(&file, keys).unwrap();
        let sum = Command::new("sha256sum").arg(&file).output().unwrap();
        let digest = String::from_utf8(sum.stdout[..64].to_vec()).unwrap();
        fs::rename(file, self.path("keys").join(format!("keys-{digest}.dump"))).unwrap();
    }

    /// Empties the folders, as those of another machine are.
    pub(crate) fn forget(&self) {
        for folder in ["data", "keys"] {
            fs::remove_dir_all(self.path(folder)).unwrap();
            fs::create_dir(self.path(folder)).unwrap();
        }
    }

    pub(crate) async fn put(&self, keep: usize) -> Result<Put, Error> {
        put(&self.store(), &self.path("data"), &self.path("keys"), keep).await
    }

    pub(crate) async fn put_keys(&self) -> Result<KeysPut, Error> {
        put_keys(&self.store(), &self.path("keys")).await
    }

    pub(crate) async fn get(&self, name: Option<&str>) -> Result<Got, Error> {
        let name = name.map(|name| name.parse().unwrap());
        get(&self.store(), name.as_ref(), &self.path("data"), &self.path("keys")).await
    }

    /// The names in one of the folders.
    pub(crate) fn files(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The objects in our folder of the bucket.
    pub(crate) fn objects(&self) -> Vec<String> {
        let objects = self.server.objects(BUCKET);
        objects.iter().map(|object| object.strip_prefix("east/clinic/").unwrap().to_owned()).collect()
    }

    /// What the script that fills a database does first.
    pub(crate) fn is_as_restore_sh_wants_it(&self, name: &str) -> bool {
        let check = Command::new("sha256sum")
            .args(["-c", "SHA256SUMS"])
            .current_dir(self.path("data").join(name))
            .output();
        let keys = self.files("keys");
        let file = keys.iter().find(|file| file.starts_with("keys-")).unwrap();
        let sum = Command::new("sha256sum").arg(self.path("keys").join(file)).output().unwrap();
        check.unwrap().status.success()
            && *file == format!("keys-{}.dump", String::from_utf8_lossy(&sum.stdout[..64]))
    }
}

pub(crate) fn at(time: &str) -> Clock {
    Clock::set_to(time.parse::<DateTime<Utc>>().unwrap())
}

/// Bytes that no two pieces share.
pub(crate) fn bytes(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}
