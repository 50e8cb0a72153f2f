//! [`decide`]: which version each layer runs now. Pure.
//!
//! ```text
//! database ready ─> setup, restore ─> migrations of the new version ─> services ─> gateway ─> healthy
//!                                              │ fail                     │ fail      │ fails
//!                                              └──────────────┬───────────┴───────────┘
//!                                                             └─> back to the last healthy version, and stay there
//! ```
//!
//! - On a first install, where nothing runs that could be harmed, everything begins at once if it can wait for the database by itself: images
//!   are pulled and processes start while the database does. Whoever gets there first migrates, under a lock; the others find it done.
//! - Whatever happens, what runs keeps running: a layer is at the new version, or where it was.
//! - A version that failed is tried again when the spec changes, whatever changes in it: the person who edits it decides that, and what
//!   was wrong may have been a limit or a name and not the image.
//! - Migrations are not undone. Version N−1 runs on N's schema (expand and contract), and its own migrations are not run again.
//! - A database that is not ready, or refuses, is no version's fault: it is waited for.

use Progress::{Done, Failed, Waiting};

use crate::plan::Tags;

/// How far one layer has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is where it should be.
    Done,
    /// Not yet, and on what it waits.
    Waiting(String),
    /// It got no further, and why.
    Failed(String),
}

/// What is so. Layers speak of the version that is asked for, but for `fallback`.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The version (image tag) that is asked for.
    pub wanted: String,
    /// The spec's generation.
    pub generation: i64,
    /// The version that was last seen healthy.
    pub last_healthy: Option<String>,
    /// A version that failed.
    pub failure: Option<Failure>,
    /// What the services run now, if it is one version, whether healthy or not.
    pub running: Option<String>,
    /// The database.
    pub database: Progress,
    /// What prepares it: roles, and what is restored into it.
    pub setup: Progress,
    /// The migrations.
    pub migrations: Progress,
    /// Keys that are wrapped under another key-encryption key. It holds nothing up.
    pub rewrap: Progress,
    /// Migrations and services may begin before the database is ready: they wait for it, and nothing else is going to be put into it.
    pub processes_wait: bool,
    /// The services.
    pub services: Progress,
    /// The gateway.
    pub gateway: Progress,
    /// Services and gateway, of the last healthy version.
    pub fallback: Progress,
    /// Services and gateway each have a pod that is available, of whatever version and settings: requests are answered.
    pub available: bool,
}

/// A version that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which one.
    pub version: String,
    /// In which generation of the spec.
    pub generation: i64,
    /// Why.
    pub why: String,
}

/// What is to be done and remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Which version each layer runs.
    pub tags: Tags,
    /// Where the rollout stands.
    pub stage: Stage,
    /// The version that was last seen healthy.
    pub last_healthy: Option<String>,
    /// A version that failed.
    pub failure: Option<Failure>,
    /// Migrations that failed in an earlier generation are to be done anew.
    pub retry: bool,
}

/// Where a rollout stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Waits for the database.
    Database(String),
    /// Waits for roles, schemas and restored data.
    Setup(String),
    /// Waits for migrations.
    Migrations(String),
    /// Waits for services.
    Services(String),
    /// Waits for the gateway.
    Gateway(String),
    /// All is there, in the version asked for.
    Healthy,
    /// The version asked for was healthy; changed settings come up while it goes on answering.
    Updating(String),
    /// The version asked for was healthy, and something of it is not well now.
    Unwell(String),
    /// The version asked for failed, and there is none to go back to.
    Failed,
    /// The version asked for failed; the last healthy one comes back.
    GoingBack,
    /// The version asked for failed; the last healthy one runs.
    WentBack,
}

/// Decides.
pub fn decide(facts: &Facts) -> Decision {
    if facts.last_healthy.as_deref() == Some(facts.wanted.as_str()) {
        return settled(facts);
    }
    let earlier = facts.failure.as_ref().filter(|failure| failure.generation != facts.generation);
    // With nothing to go back to, it may yet come up by itself: an image that is pushed late.
    let standing = facts.failure.as_ref().filter(|failure| {
        failure.generation == facts.generation
            && failure.version == facts.wanted
            && facts.last_healthy.is_some()
    });
    if let Some(failure) = standing {
        return fail(facts, failure.clone());
    }
    let retry = earlier.is_some();
    let failing = |why: &String| Failure {
        version: facts.wanted.clone(),
        generation: facts.generation,
        why: why.clone(),
    };
    let stage = match facts {
        Facts { database: Waiting(why) | Failed(why), .. } => Stage::Database(why.clone()),
        Facts { setup: Waiting(why) | Failed(why), .. } => Stage::Setup(why.clone()),
        Facts { migrations: Waiting(why), .. } => Stage::Migrations(why.clone()),
        // It failed in an earlier generation, and has not been done anew yet.
        Facts { migrations: Failed(why), .. } if retry => Stage::Migrations(why.clone()),
        Facts { migrations: Failed(why), .. } => return fail(facts, failing(why)),
        Facts { services: Failed(why), .. } if !retry => return fail(facts, failing(why)),
        Facts { services: Waiting(why) | Failed(why), .. } => Stage::Services(why.clone()),
        Facts { gateway: Failed(why), .. } if !retry => return fail(facts, failing(why)),
        Facts { gateway: Waiting(why) | Failed(why), .. } => Stage::Gateway(why.clone()),
        Facts { database: Done, setup: Done, migrations: Done, services: Done, gateway: Done, .. } => {
            return Decision {
                last_healthy: Some(facts.wanted.clone()),
                ..onwards(facts, Stage::Healthy, false)
            };
        }
    };
    onwards(facts, stage, retry)
}

/// The version asked for was healthy before: nothing is held back from it, and there is nothing better to go back to.
fn settled(facts: &Facts) -> Decision {
    // What answers requests first: that is what people ask about.
    let layers = [&facts.database, &facts.services, &facts.gateway, &facts.setup, &facts.migrations];
    let failed = layers.into_iter().find_map(|progress| match progress {
        Progress::Failed(why) => Some(why.clone()),
        Progress::Done | Progress::Waiting(_) => None,
    });
    let waiting = layers.into_iter().find_map(|progress| match progress {
        Progress::Waiting(why) => Some(why.clone()),
        Progress::Done | Progress::Failed(_) => None,
    });
    let answers = facts.available && facts.database == Progress::Done;
    let stage = match (failed, waiting) {
        (None, None) => Stage::Healthy,
        (None, Some(on)) if answers => Stage::Updating(on),
        (Some(why), _) | (None, Some(why)) => Stage::Unwell(why),
    };
    let version = Some(facts.wanted.clone());
    Decision {
        tags: Tags { migrations: version.clone(), services: version.clone(), gateway: version.clone() },
        stage,
        last_healthy: version,
        failure: None,
        retry: false,
    }
}

/// Each layer is at the new version if the one before it is done, else where it was.
fn onwards(facts: &Facts, stage: Stage, retry: bool) -> Decision {
    let done = |progress: &Progress| *progress == Progress::Done;
    let prepared = done(&facts.database) && done(&facts.setup);
    let migrated = prepared && done(&facts.migrations);
    let served = migrated && done(&facts.services);
    // On the first install nothing was healthy yet: what is there stays.
    let before = facts.last_healthy.clone().or_else(|| facts.running.clone());
    // No other version was ever there.
    let is_first = facts.last_healthy.is_none() && before.as_ref().is_none_or(|it| *it == facts.wanted);
    let at_once = is_first && facts.processes_wait;
    let new = |ready: bool, before: Option<String>| {
        if ready || at_once { Some(facts.wanted.clone()) } else { before }
    };
    Decision {
        tags: Tags {
            migrations: new(prepared, None),
            services: new(migrated, before.clone()),
            gateway: new(served, before),
        },
        stage,
        last_healthy: facts.last_healthy.clone(),
        failure: None,
        retry,
    }
}

fn fail(facts: &Facts, failure: Failure) -> Decision {
    let Some(last_healthy) = facts.last_healthy.clone() else {
        return Decision { failure: Some(failure), ..onwards(facts, Stage::Failed, false) };
    };
    let is_back = facts.fallback == Progress::Done;
    Decision {
        tags: Tags {
            // The Jobs of the failed version stay, for whoever looks into it.
            migrations: Some(facts.wanted.clone()),
            services: Some(last_healthy.clone()),
            gateway: Some(last_healthy.clone()),
        },
        stage: if is_back { Stage::WentBack } else { Stage::GoingBack },
        last_healthy: Some(last_healthy),
        failure: Some(failure),
        retry: false,
    }
}

#[cfg(test)]
mod tests;
