//! What a thief of a database would have: its files, or what a dump of it holds, and on PostgreSQL the server's own files.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use aho_corasick::AhoCorasick;
use settings::Database;

use crate::engines::TestDb;
use crate::postgres;

/// What bytes look like in a dump.
const BYTES: &[u8] = br"\\x";

impl TestDb {
    /// Everything that is written of it, by the place where it stands: the files of its folder (SQLite's among them), and on PostgreSQL a
    /// dump of all of its schemas, with columns of bytes both as they stand there and as what they mean.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let mut contents = files(self.dir());
        if let Database::Postgres { url, .. } = self.settings() {
            let url = self.secrets().read_text(url).expect("its URL");
            let dump = dump(&url);
            contents.push(("the dump's columns of bytes".to_owned(), bytes_of(&dump)));
            contents.push(("the dump".to_owned(), dump));
        }
        contents
    }

    /// Panics if one of its files, or a dump of it, holds one of these words readably.
    ///
    /// # Panics
    /// See above.
    pub fn no_file_holds(&self, words: &[&str]) {
        for (place, content) in self.contents() {
            let found = held(&content, words);
            assert!(found.is_empty(), "{found:?} stands in {place}");
        }
    }
}

/// Those of these words that stand there readably, in capitals or not (of ASCII's letters alone: words to be looked for have no others).
///
/// # Panics
/// If there are millions of them.
pub fn held<'a>(content: &[u8], words: &[&'a str]) -> Vec<&'a str> {
    let finder = AhoCorasick::builder().ascii_case_insensitive(true).build(words).expect("few words");
    let found: HashSet<usize> =
        finder.find_overlapping_iter(content).map(|found| found.pattern().as_usize()).collect();
    words.iter().enumerate().filter(|(at, _)| found.contains(at)).map(|(_, word)| *word).collect()
}

/// All files of the tests' own PostgreSQL server, once it has written out what it knows: tables, indexes, its log of changes. Empty if the
/// server is somebody else's.
///
/// # Panics
/// If they cannot be read.
pub async fn server_files() -> Vec<(String, Vec<u8>)> {
    let Some(folder) = postgres::data_folder() else { return Vec::new() };
    crate::engines::administer("checkpoint").await;
    files(&folder)
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let (mut left, mut found) = (vec![folder.to_path_buf()], Vec::new());
    while let Some(path) = left.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a folder");
            left.extend(entries.map(|entry| entry.expect("an entry").path()));
        } else if let Some(content) = read(&path) {
            found.push((path.display().to_string(), content));
        }
    }
    found
}

/// A server at work takes files away as it goes.
fn read(path: &PathBuf) -> Option<Vec<u8>> {
    match std::fs::read(path) {
        Ok(content) => Some(content),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            #[expect(clippy::panic, reason = "what was not looked at was not found to be clean")]
            {
                panic!("{}: {error}", path.display())
            }
        }
    }
}

/// As a backup has it.
fn dump(url: &str) -> Vec<u8> {
    // Beside the server itself, which may be found through a link.
    let server = postgres::find_bin().and_then(|bin| bin.join("postgres").canonicalize().ok());
    let beside = server.map(|server| server.with_file_name("pg_dump")).filter(|program| program.is_file());
    let dumped = Command::new(beside.unwrap_or_else(|| "pg_dump".into()))
        .arg(format!("--dbname={url}"))
        .output()
        .expect("pg_dump starts");
    assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
    dumped.stdout
}

/// What the columns of bytes in a dump mean, one after the other.
fn bytes_of(dump: &[u8]) -> Vec<u8> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = dump[at..].windows(BYTES.len()).position(|window| window == BYTES) {
        at += next + BYTES.len();
        let digits = dump[at..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let hex = dump[at..at + digits].to_ascii_lowercase();
        found.extend(data_encoding::HEXLOWER.decode(&hex).unwrap_or_default());
        found.push(b'\n');
        at += digits;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_column_of_bytes_is_found() {
        let dump = br"1\tname\t\\x536d697468\t\\x00\n";
        assert_eq!(bytes_of(dump), b"Smith\n\0\n");
        assert_eq!(held(&bytes_of(dump), &["smith", "jones"]), ["smith"]);
    }
}
