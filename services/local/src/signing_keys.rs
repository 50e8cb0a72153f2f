//! `healthcare rotate-signing-key`: users' tokens are signed with another key from now on, while the stack runs or not.
//!
//! ```text
//! current = A                              as it was
//! current = A, next = B                    the next one is published, and signs nothing
//! current = A, next = B, A.replaced = now
//! current = B, A.replaced                  what A signed is good until the last of it has expired; then auth believes A no more
//! current = B                              with --at-once; else by a rotation a day later
//! ```
//!
//! Auth reads the files every second, and asks nobody: who is signed in notices nothing. Broken off anywhere, the next run goes on where
//! this one stopped. The folder is that of `healthcare up`, or of `healthcare compose`.

use std::fs::File;
use std::io::{ErrorKind, Result};
use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use contracts::ambient::{Clock, Random};
use http_kit::generate;
use http_kit::identity::generate_key;

use crate::args::RotateSigningKey;
use crate::fault::Fault;
use crate::secret_files::SecretFiles;

const FOLDER: &str = "signing-keys";
const CURRENT: &str = "current";
const NEXT: &str = "next";
/// By then nothing is left that it signed: a token lives an hour at most.
const FORGOTTEN_AFTER: TimeDelta = TimeDelta::days(1);

/// Puts another key in the place of the present one.
pub fn rotate_signing_key(args: &RotateSigningKey) -> std::result::Result<(), Fault> {
    let folder = args.data_dir.join("secrets").join(FOLDER);
    if !folder.is_dir() {
        let path = args.data_dir.display();
        return Err(Fault::asked(format!("{path}: there are no secrets of a stack")));
    }
    let failed = |error| {
        Fault::failed(format!("the signing key in {} cannot be exchanged: {error}", folder.display()))
    };
    let keys = SigningKeys::open(folder.clone()).map_err(failed)?;
    let kid = keys.rotate(Clock::system().now(), &Random::system(), args.at_once).map_err(failed)?;
    println!("Users' tokens are signed with {kid}; a stack that runs does so within a second.");
    println!(
        "{}",
        if args.at_once {
            "What other keys signed is good no more: who is signed in has to refresh their token."
        } else {
            "What the key before signed is good until it expires, so that nobody has to sign in again."
        }
    );
    Ok(())
}

/// The keys that users' tokens are signed with, held by whoever exchanges them.
struct SigningKeys {
    folder: PathBuf,
    files: SecretFiles,
    /// One at a time: whoever comes second waits.
    _lock: File,
}

impl SigningKeys {
    fn open(folder: PathBuf) -> Result<Self> {
        let lock = File::open(&folder)?;
        lock.lock()?;
        let present = keys_in(&folder)?.into_iter().next().ok_or(ErrorKind::NotFound)?;
        let files = SecretFiles::like(&folder.join(file(&present)))?;
        files.sweep("")?;
        Ok(Self { folder, files, _lock: lock })
    }

    /// Puts the next key in the place of the present one, and tells its name.
    fn rotate(&self, now: DateTime<Utc>, random: &Random, at_once: bool) -> Result<String> {
        let present = match self.text(CURRENT)? {
            Some(kid) => kid,
            // As auth has it.
            None => keys_in(&self.folder)?.pop().unwrap_or_default(),
        };
        // What signs is named before there is another, or the other would.
        self.files.keep(CURRENT, present.as_bytes())?;
        let next = match self.text(NEXT)? {
            // Of a run that was broken off.
            Some(kid) if kid != present && self.folder.join(file(&kid)).exists() => kid,
            _ => self.make(now, random)?,
        };
        for kid in keys_in(&self.folder)?.iter().filter(|kid| **kid != next) {
            if *kid == present || self.text(&note(kid))?.is_none() {
                self.files.keep(&note(kid), written(now).as_bytes())?;
            }
        }
        self.files.keep(CURRENT, next.as_bytes())?;
        self.files.forget(NEXT)?;
        for kid in keys_in(&self.folder)?.iter().filter(|kid| **kid != next) {
            if at_once || self.is_long_gone(kid, now)? {
                self.files.forget(&file(kid))?;
                self.files.forget(&note(kid))?;
            }
        }
        Ok(next)
    }

    fn make(&self, now: DateTime<Utc>, random: &Random) -> Result<String> {
        let kid = generate::signing_kid(random, now);
        let (key, _) = generate_key(&kid).map_err(std::io::Error::other)?;
        self.files.keep(NEXT, kid.as_bytes())?;
        self.files.keep(&file(&kid), &key)?;
        Ok(kid)
    }

    fn is_long_gone(&self, kid: &str, now: DateTime<Utc>) -> Result<bool> {
        let since = self.text(&note(kid))?.and_then(|text| DateTime::parse_from_rfc3339(&text).ok());
        Ok(since.is_some_and(|since| now >= since + FORGOTTEN_AFTER))
    }

    /// What stands in a file, if it is there.
    fn text(&self, name: &str) -> Result<Option<String>> {
        match std::fs::read_to_string(self.folder.join(name)) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Their names, in order.
pub(crate) fn keys_in(folder: &Path) -> Result<Vec<String>> {
    let mut kids = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        // What begins with a dot is being written.
        let name = name.to_str().filter(|name| !name.starts_with('.'));
        kids.extend(name.and_then(|name| name.strip_suffix(".p8")).map(str::to_owned));
    }
    kids.sort_unstable();
    Ok(kids)
}

fn file(kid: &str) -> String {
    format!("{kid}.p8")
}

/// Where auth finds since when a key signs nothing any more.
fn note(kid: &str) -> String {
    format!("{kid}.replaced")
}

fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt;

    use chrono::TimeZone;

    use super::*;

    fn at(hour: u32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 1, 31, hour, 0, 0).unwrap()
    }

    /// A folder as it is when a stack has started for the first time.
    fn fresh(files: impl Fn(PathBuf) -> SecretFiles) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        files(dir.path().to_path_buf()).make_keys(&Random::seeded(1), std::iter::empty()).unwrap();
        let folder = dir.path().join(FOLDER);
        (dir, folder)
    }

    fn rotate(folder: &Path, now: DateTime<Utc>, at_once: bool) -> String {
        SigningKeys::open(folder.to_owned()).unwrap().rotate(now, &Random::system(), at_once).unwrap()
    }

    fn files(folder: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let file = |path: PathBuf| {
            let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            (path.file_name().unwrap().to_str().unwrap().to_owned(), (mode, std::fs::read(path).unwrap()))
        };
        entries.map(file).collect()
    }

    #[test]
    fn the_key_before_stays_with_a_note_and_is_forgotten_a_day_later() {
        let (_dir, folder) = fresh(SecretFiles::private);
        let second = rotate(&folder, at(1), false);
        let third = rotate(&folder, at(2), false);
        let there = files(&folder);
        let names: Vec<_> = there.keys().cloned().collect();
        let mut expected = vec![CURRENT.to_owned(), file(&second), note(&second), file(&third)];
        expected.extend(["local-1.p8", "local-1.replaced"].map(str::to_owned));
        expected.sort_unstable();
        assert_eq!(names, expected);
        assert_eq!(there[CURRENT].1, third.as_bytes());
        assert_eq!(there["local-1.replaced"].1, b"2026-01-31T01:00:00Z");
        assert!(there.values().all(|(mode, _)| *mode == 0o600));

        let last = rotate(&folder, at(1) + FORGOTTEN_AFTER, false);
        let there = files(&folder);
        assert_eq!(there[CURRENT].1, last.as_bytes());
        assert!(!there.contains_key("local-1.p8") && !there.contains_key("local-1.replaced"));
        assert!(there.contains_key(&file(&second)), "an hour more");
    }

    #[test]
    fn at_once_nothing_is_left_of_the_others() {
        let (_dir, folder) = fresh(SecretFiles::for_containers);
        rotate(&folder, at(1), false);
        let last = rotate(&folder, at(2), true);
        let there = files(&folder);
        assert_eq!(there.keys().cloned().collect::<Vec<_>>(), [file(&last), CURRENT.to_owned()]);
        assert!(there.values().all(|(mode, _)| *mode == 0o644), "containers read them");
    }

    #[test]
    fn a_run_that_was_broken_off_is_finished_with_the_key_that_it_made() {
        let (dir, folder) = fresh(SecretFiles::private);
        let second = rotate(&folder, at(1), false);
        // As it was before the last steps, and before the one before those.
        std::fs::write(folder.join(CURRENT), "local-1").unwrap();
        std::fs::write(folder.join(NEXT), &second).unwrap();
        assert_eq!(rotate(&folder, at(2), false), second);
        std::fs::remove_file(folder.join("local-1.replaced")).unwrap();
        std::fs::write(folder.join(CURRENT), "local-1").unwrap();
        std::fs::write(folder.join(NEXT), &second).unwrap();
        assert_eq!(rotate(&folder, at(3), false), second);
        assert!(!folder.join(NEXT).exists());
        // One that was broken off before its key was there makes another.
        std::fs::write(folder.join(NEXT), "nowhere").unwrap();
        assert!(!["nowhere", &second].contains(&&*rotate(&folder, at(4), true)));
        // A start makes no other key, however few there are.
        let before = files(&folder);
        let again = SecretFiles::private(dir.path().to_path_buf());
        again.make_keys(&Random::seeded(2), std::iter::empty()).unwrap();
        assert_eq!(files(&folder), before);
    }

    #[test]
    fn what_a_run_that_was_killed_has_half_written_goes_with_the_next() {
        let (_dir, folder) = fresh(SecretFiles::private);
        std::fs::write(folder.join(".tmpa1B2c3"), "half a ke").unwrap();
        rotate(&folder, at(1), false);
        assert!(files(&folder).keys().all(|name| !name.starts_with('.')), "{:?}", files(&folder).keys());
    }

    #[test]
    fn a_key_that_somebody_left_there_is_not_taken_for_the_next_one() {
        let (_dir, folder) = fresh(SecretFiles::private);
        let stray = generate_key("zz-old").unwrap().0;
        std::fs::write(folder.join("zz-old.p8"), stray).unwrap();
        std::fs::write(folder.join(CURRENT), "local-1\n").unwrap();
        let next = rotate(&folder, at(1), false);
        assert!(!["zz-old", "local-1"].contains(&&*next), "{next}");
        assert!(folder.join("zz-old.replaced").exists() && folder.join("local-1.replaced").exists());
    }

    #[test]
    fn where_no_stack_was_nothing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let args = RotateSigningKey { data_dir: dir.path().to_path_buf(), at_once: false };
        let refused = rotate_signing_key(&args).unwrap_err().to_string();
        assert!(refused.contains("no secrets of a stack"), "{refused}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
