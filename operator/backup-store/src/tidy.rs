//! Afterwards: what is more than is kept, and what backups that were broken off have left. A new backup is there already; whatever fails here
//! is told, and fails nothing.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use rusty_s3::Bucket;

use crate::error::Refusal;
use crate::layout::{BackupName, DATA, SUMS};
use crate::{Error, Store};

/// No backup takes longer, so that what is older and not whole will not be.
const BROKEN_OFF_AFTER: TimeDelta = TimeDelta::days(1);

/// What lies in the folder: each backup's files, whole or not.
pub(crate) type Found = BTreeMap<BackupName, BTreeSet<String>>;

/// Whether all of a backup is there.
pub(crate) fn is_whole(files: &BTreeSet<String>) -> bool {
    files.contains(DATA) && files.contains(SUMS)
}

impl Store {
    /// Everything of backups that is there.
    pub(crate) async fn found(&self) -> Result<Found, Error> {
        let mut found = Found::new();
        let prefix = self.object("");
        for listed in self.list(&self.data, &prefix).await? {
            let of_ours = listed.object.strip_prefix(&prefix).and_then(|rest| rest.split_once('/'));
            let Some((name, file)) = of_ours else { continue };
            let Ok(name) = name.parse::<BackupName>() else { continue };
            found.entry(name).or_default().insert(file.to_owned());
        }
        Ok(found)
    }

    /// Takes away what is more than `keep`. Answers which, and what somebody should look at.
    pub(crate) async fn tidy(&self, keep: usize) -> (Vec<BackupName>, Vec<String>) {
        let (mut pruned, mut warnings) = (Vec::new(), Vec::new());
        if let Err(error) = self.prune(keep, &mut pruned).await {
            warnings.push(told("old backups stay", &error));
        }
        for bucket in [&self.data, &self.keys] {
            if let Err(error) = self.give_up(bucket).await {
                warnings.push(told("unfinished uploads stay", &error));
            }
        }
        warnings.dedup();
        (pruned, warnings)
    }

    async fn prune(&self, keep: usize, pruned: &mut Vec<BackupName>) -> Result<(), Error> {
        let found = self.found().await?;
        let too_many = surplus(&found, keep, self.clock.now());
        for name in too_many {
            // First what makes it a backup, so that half of one is never taken for one.
            let mut files: Vec<_> = found.get(&name).into_iter().flatten().collect();
            files.sort_by_key(|file| *file != SUMS);
            for file in files {
                self.delete(&self.data, &self.object(&format!("{name}/{file}"))).await?;
            }
            pruned.push(name);
        }
        Ok(())
    }

    async fn give_up(&self, bucket: &Bucket) -> Result<(), Error> {
        let broken_off = self.clock.now() - BROKEN_OFF_AFTER;
        for begun in self.begun(bucket, &self.object("")).await? {
            let at = DateTime::parse_from_rfc3339(&begun.at);
            if at.is_ok_and(|at| at < broken_off) {
                self.abort(bucket, &begun.object, &begun.id).await?;
            }
        }
        Ok(())
    }
}

/// The backups that are more than are kept, and those that were broken off long ago. One that may still be under way is left alone.
fn surplus(found: &Found, keep: usize, now: DateTime<Utc>) -> Vec<BackupName> {
    let whole = found.iter().filter(|(_, files)| is_whole(files)).map(|(name, _)| name);
    let more_than_kept = whole.rev().skip(keep);
    let is_over = |name: &BackupName| name.begun().is_some_and(|begun| begun < now - BROKEN_OFF_AFTER);
    let broken_off =
        found.iter().filter(|(name, files)| !is_whole(files) && is_over(name)).map(|(name, _)| name);
    let mut surplus: Vec<_> = more_than_kept.chain(broken_off).cloned().collect();
    surplus.sort();
    surplus
}

fn told(what: &str, error: &Error) -> String {
    if error.refusal().is_some_and(Refusal::is_forbidden) {
        return format!("{what}, since these credentials may not take them away or look for them ({error})");
    }
    format!("{what} for now: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(backups: &[(&str, &[&str])]) -> Found {
        let of = |(name, files): &(&str, &[&str])| {
            (name.parse().expect("a name"), files.iter().map(|file| (*file).to_owned()).collect())
        };
        backups.iter().map(of).collect()
    }

    #[test]
    fn the_newest_are_kept_and_what_may_be_under_way_is_left_alone() {
        let whole: &[&str] = &[DATA, SUMS];
        let found = found(&[
            ("20261101T020000Z", whole),
            ("20261102T020000Z", &[DATA]),
            ("20261103T020000Z", whole),
            ("20261104T020000Z", whole),
            ("20261104T120000Z", &[DATA]),
        ]);
        let now = "2026-11-05T02:00:00Z".parse().expect("a time");
        let names = |keep| surplus(&found, keep, now).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(2), ["20261101T020000Z", "20261102T020000Z"]);
        assert_eq!(names(3), ["20261102T020000Z"]);
        assert_eq!(names(1).len(), 3);
    }
}
