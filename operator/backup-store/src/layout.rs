//! What lies where, in a bucket and in a folder of this machine, and what it is called.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::Error;

/// How a backup's name is written: when it was begun, in UTC. Names in their order are backups in theirs.
const NAME_FORMAT: &str = "%Y%m%dT%H%M%SZ";
/// The data of a backup, in the folder of its name.
pub(crate) const DATA: &str = "data.dump";
/// Beside it: its digest, as `sha256sum` writes it.
pub(crate) const SUMS: &str = "SHA256SUMS";
/// The keys, in the bucket.
pub(crate) const KEYS: &str = "keys/keys.dump";
/// Beside them while some are brought between backups.
pub(crate) const KEYS_ON_THEIR_WAY: &str = "keys/on-their-way";
/// Beside the keys in a folder of this machine: when they were taken.
const TAKEN: &str = "TAKEN";

/// A backup's name, such as `20261124T020000Z`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackupName(String);

impl BackupName {
    /// The name, as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// When it was begun.
    pub(crate) fn begun(&self) -> Option<DateTime<Utc>> {
        NaiveDateTime::parse_from_str(&self.0, NAME_FORMAT).ok().map(|time| time.and_utc())
    }
}

impl fmt::Display for BackupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BackupName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let name = Self(text.to_owned());
        match name.begun() {
            Some(begun) if begun.format(NAME_FORMAT).to_string() == text => Ok(name),
            _ => Err(Error::Setting(format!("{text} is no backup's name: one is such as 20261124T020000Z"))),
        }
    }
}

/// When keys were taken, by the database's clock: `20261124T020000.000000Z`; or as a backup's name has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Taken(DateTime<Utc>);

impl Taken {
    pub(crate) fn at(self) -> DateTime<Utc> {
        self.0
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y%m%dT%H%M%S%.6fZ"))
    }
}

impl FromStr for Taken {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let time = NaiveDateTime::parse_from_str(text.trim(), "%Y%m%dT%H%M%S%.fZ");
        let none = |_| Error::Unusable(format!("{text} is no time at which keys were taken"));
        time.map(|time| Self(time.and_utc())).map_err(none)
    }
}

/// Keys in a folder of this machine.
pub(crate) struct Keys {
    pub(crate) file: PathBuf,
    pub(crate) digest: Digest,
    pub(crate) taken: Taken,
}

/// A SHA-256, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Digest(String);

impl Digest {
    pub(crate) fn of(digest: &aws_lc_rs::digest::Digest) -> Self {
        Self(data_encoding::HEXLOWER.encode(digest.as_ref()))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 64 && text.bytes().all(is_hex)).then(|| Self(text.to_owned()))
    }

    /// From a line of `sha256sum`.
    pub(crate) fn in_sums(sums: &str) -> Option<Self> {
        let (digest, file) = sums.lines().next()?.split_once(' ')?;
        (file.trim_start_matches([' ', '*']) == DATA).then(|| Self::parse(digest))?
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The newest backup of the data in a folder.
pub(crate) fn newest_data(folder: &Path) -> Result<(BackupName, PathBuf, Digest), Error> {
    let newest = entries(folder)?.iter().filter_map(|entry| entry.parse::<BackupName>().ok()).max();
    let none = || Error::Unusable(format!("there is no backup in {}", folder.display()));
    let name = newest.ok_or_else(none)?;
    let dir = folder.join(name.as_str());
    let sums = fs::read_to_string(dir.join(SUMS)).map_err(Error::file(&dir.join(SUMS)))?;
    let damaged = || Error::Unusable(format!("{} holds no digest", dir.join(SUMS).display()));
    let digest = Digest::in_sums(&sums).ok_or_else(damaged)?;
    Ok((name, dir.join(DATA), digest))
}

/// The newest keys in a folder.
pub(crate) fn keys(folder: &Path) -> Result<Keys, Error> {
    let path = folder.join(TAKEN);
    // Read first: of keys that take their place meanwhile it is too early, which does no harm.
    let taken = fs::read_to_string(&path).map_err(Error::file(&path))?.parse()?;
    let (file, digest) = newest_keys(folder)?;
    Ok(Keys { file, digest, taken })
}

/// The newest keys in a folder, for the backup that was taken there. What a script of an earlier version has taken has no time but the backup's.
pub(crate) fn keys_of_backup(folder: &Path, name: &BackupName) -> Result<Keys, Error> {
    if folder.join(TAKEN).exists() {
        return keys(folder);
    }
    let (file, digest) = newest_keys(folder)?;
    let taken = name.as_str().parse()?;
    Ok(Keys { file, digest, taken })
}

/// The newest keys in a folder, whose file is called after its digest. If a backup was broken off there may be two.
fn newest_keys(folder: &Path) -> Result<(PathBuf, Digest), Error> {
    let mut newest: Option<(std::time::SystemTime, PathBuf, Digest)> = None;
    for entry in entries(folder)? {
        let Some(digest) = entry.strip_prefix("keys-").and_then(|rest| rest.strip_suffix(".dump")) else {
            continue;
        };
        let Some(digest) = Digest::parse(digest) else { continue };
        let path = folder.join(&entry);
        let modified = fs::metadata(&path).and_then(|it| it.modified()).map_err(Error::file(&path))?;
        if newest.as_ref().is_none_or(|(than, ..)| modified > *than) {
            newest = Some((modified, path, digest));
        }
    }
    let none = || Error::Unusable(format!("there are no keys in {}", folder.display()));
    newest.map(|(_, path, digest)| (path, digest)).ok_or_else(none)
}

/// What keys are called in a folder of this machine.
pub(crate) fn keys_file(digest: &Digest) -> String {
    format!("keys-{}.dump", digest.as_str())
}

fn entries(folder: &Path) -> Result<Vec<String>, Error> {
    let entries = fs::read_dir(folder).map_err(Error::file(folder))?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    names.collect::<Result<_, _>>().map_err(Error::file(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_time_is_a_name() {
        for text in ["20261124T020000Z", "20240229T235959Z"] {
            assert_eq!(text.parse::<BackupName>().expect("a name").as_str(), text);
        }
        for text in [
            "",
            "latest",
            ".partial",
            "20261324T020000Z",
            "20261124T020000",
            "20261124T020000Z/..",
            "+2026112T020000Z",
        ] {
            assert!(text.parse::<BackupName>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_digest_is_read_from_the_line_of_its_own_file() {
        let digest = "a".repeat(64);
        assert_eq!(Digest::in_sums(&format!("{digest}  data.dump\n")), Digest::parse(&digest));
        assert_eq!(Digest::in_sums(&format!("{digest} *data.dump\n")), Digest::parse(&digest));
        for sums in
            ["", "data.dump", &format!("{digest}  other.dump"), &format!("{}  data.dump", "A".repeat(64))]
        {
            assert_eq!(Digest::in_sums(sums), None, "{sums}");
        }
    }
}
