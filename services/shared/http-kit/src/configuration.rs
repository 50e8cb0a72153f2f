//! A configuration that is another one than before has an entry in the audit: which settings are others, which keys are used from now on, and
//! when a service first ran with them. Who changed them stands where that was done: in the API server's audit, or in the history of the
//! resource's file.

use std::convert::Infallible;
use std::time::Duration;

use contracts::trail::{self, Trail};
use db::{Db, LastTold};
use serde_json::{Map, Value};
use settings::ServiceSettings;

use crate::kit::Kit;

/// Where the parts find each other is their runner's affair, and may be another place at each start.
const PLACES: [&str; 3] = ["listen", "adminListen", "peers"];
/// Bytes of the paths in one entry; what there is no room for is counted.
const PATHS_MAX: usize = 1_000;
/// What may change while a service runs is looked at this often, in memory.
const EVERY: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_secs(5);

/// What a service runs with, in one respect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matter {
    /// Its settings.
    Settings,
    /// The key-encryption key that keys are wrapped under.
    KeyEncryptionKey,
    /// The keys that users' tokens are signed with.
    SigningKeys,
}

impl Matter {
    const fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::KeyEncryptionKey => "key-encryption-key",
            Self::SigningKeys => "signing-keys",
        }
    }

    /// As the audit calls a change of it.
    const fn operation(self) -> &'static str {
        match self {
            Self::Settings => "change_settings",
            Self::KeyEncryptionKey => "rotate_kek",
            Self::SigningKeys => "rotate_signing_keys",
        }
    }

    fn entry(self, db: &Db, before: &Map<String, Value>, after: &Map<String, Value>) -> Trail {
        let trail = Trail::of(self.operation());
        let changed = match self {
            Self::Settings => listed(&settings::changes(before, after)),
            Self::KeyEncryptionKey | Self::SigningKeys => Value::Object(after.clone()).to_string(),
        };
        trail.tell(|told| {
            told.who = format!("service:{}", db.service());
            told.reason = Some(changed);
        });
        trail
    }
}

/// Tells a service's settings, and its key-encryption key whenever that is another.
pub(crate) async fn run(kit: Kit) {
    tell(&kit.db, Matter::Settings, &of_settings(&kit.settings)).await;
    let vault = kit.db.vault();
    let now = || vault.kek_id_known().map(|id| Map::from_iter([("current".to_owned(), Value::from(id))]));
    match follow(&kit.db, Matter::KeyEncryptionKey, now).await {}
}

fn of_settings(settings: &ServiceSettings) -> Map<String, Value> {
    // Members are all named by text, so that there is nothing that could fail.
    let Ok(Value::Object(mut settings)) = serde_json::to_value(settings) else { return Map::new() };
    for place in PLACES {
        settings.remove(place);
    }
    settings
}

/// Tells what is so now, and whenever it has changed, for as long as the future lives. `now` may not know yet.
pub async fn follow(
    db: &Db,
    matter: Matter,
    now: impl Fn() -> Option<Map<String, Value>> + Send,
) -> Infallible {
    let mut told = None;
    loop {
        let current = now();
        if current != told
            && let Some(current) = current
        {
            tell(db, matter, &current).await;
            told = Some(current);
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Tells what is so, as soon as the audit takes it.
async fn tell(db: &Db, matter: Matter, current: &Map<String, Value>) {
    loop {
        match tell_once(db, matter, current).await {
            Ok(true) => return,
            // Another process was in between.
            Ok(false) => {}
            Err(error) => {
                let matter = matter.name();
                tracing::warn!(matter, %error, "what a service runs with cannot be written in the audit yet");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

async fn tell_once(db: &Db, matter: Matter, current: &Map<String, Value>) -> Result<bool, db::Error> {
    let mut tx = db.begin().await?;
    let before = db::last_told(&mut tx, db, matter.name()).await?;
    let version = before.as_ref().map_or(0, |before| before.version);
    let known: Option<Map<String, Value>> =
        before.as_ref().and_then(|before| serde_json::from_slice(&before.text).ok());
    if known.as_ref() == Some(current) {
        return Ok(true);
    }
    let text = Value::Object(current.clone()).to_string().into_bytes();
    if !db::last_told_put(&mut tx, db, matter.name(), &LastTold { version: version + 1, text }).await? {
        return Ok(false);
    }
    match known {
        Some(known) => {
            let entry = matter.entry(db, &known, current);
            trail::within(Some(entry), tx.commit()).await?;
        }
        // What it begins with is no change.
        None => tx.commit_unaudited().await?,
    }
    Ok(true)
}

/// Paths as one text, and how many there was no room for.
fn listed(paths: &[String]) -> String {
    let mut text = String::new();
    for (at, path) in paths.iter().enumerate() {
        if text.len() + path.len() > PATHS_MAX {
            return format!("{text} and {} more", paths.len() - at);
        }
        text.push_str(if at == 0 { "" } else { ", " });
        text.push_str(path);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let paths: Vec<_> = (0..300).map(|at| format!("setting{at:03}")).collect();
        let text = listed(&paths);
        assert!(text.starts_with("setting000, setting001, ") && text.len() < 1_050, "{text}");
        let told = text.matches("setting").count();
        assert!(text.ends_with(&format!(" and {} more", 300 - told)), "{text}");
        assert_eq!(listed(&paths[..1]), "setting000");
    }
}
