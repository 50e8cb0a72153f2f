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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn progress() -> impl Strategy<Value = Progress> {
        prop_oneof![
            3 => Just(Progress::Done),
            2 => Just(Progress::Waiting("a pod".to_owned())),
            1 => Just(Progress::Failed("a pod".to_owned())),
        ]
    }

    fn version() -> impl Strategy<Value = String> {
        "[1-3]".prop_map(|digit| format!("0.{digit}.0"))
    }

    prop_compose! {
        fn failure()(version in version(), generation in 1..4_i64) -> Failure {
            Failure { version, generation, why: "a pod".to_owned() }
        }
    }

    prop_compose! {
        fn facts()(
            (wanted, generation) in (version(), 1..4_i64),
            last_healthy in proptest::option::of(version()),
            failure in proptest::option::of(failure()),
            running in proptest::option::of(version()),
            (database, setup, migrations) in (progress(), progress(), progress()),
            (services, gateway, fallback) in (progress(), progress(), progress()),
            (available, processes_wait) in any::<(bool, bool)>(),
        ) -> Facts {
            Facts {
                wanted, generation, last_healthy, failure, running, database, setup, migrations, processes_wait, services, gateway,
                fallback, available,
            }
        }
    }

    /// A first install, or an upgrade, in which everything is done.
    fn done(wanted: &str, last_healthy: Option<&str>) -> Facts {
        Facts {
            wanted: wanted.to_owned(),
            generation: 1,
            last_healthy: last_healthy.map(str::to_owned),
            failure: None,
            running: last_healthy.map(str::to_owned),
            database: Progress::Done,
            setup: Progress::Done,
            migrations: Progress::Done,
            processes_wait: false,
            services: Progress::Done,
            gateway: Progress::Done,
            fallback: Progress::Done,
            available: true,
        }
    }

    fn waiting() -> Progress {
        Progress::Waiting("a pod".to_owned())
    }

    fn failed() -> Progress {
        Progress::Failed("a pod".to_owned())
    }

    fn tags(migrations: Option<&str>, services: Option<&str>, gateway: Option<&str>) -> Tags {
        let owned = |tag: Option<&str>| tag.map(str::to_owned);
        Tags { migrations: owned(migrations), services: owned(services), gateway: owned(gateway) }
    }

    #[test]
    fn a_first_install_goes_layer_by_layer() {
        let mut facts = Facts { running: None, ..done("2", None) };
        for (layer, expected) in [
            (&mut |facts: &mut Facts| facts.gateway = waiting()) as &mut dyn FnMut(&mut Facts),
            &mut |facts: &mut Facts| facts.services = waiting(),
            &mut |facts: &mut Facts| facts.migrations = waiting(),
            &mut |facts: &mut Facts| facts.setup = waiting(),
            &mut |facts: &mut Facts| facts.database = waiting(),
        ]
        .into_iter()
        .zip([
            tags(Some("2"), Some("2"), Some("2")),
            tags(Some("2"), Some("2"), None),
            tags(Some("2"), None, None),
            tags(None, None, None),
            tags(None, None, None),
        ]) {
            layer(&mut facts);
            assert_eq!(decide(&facts).tags, expected);
        }
    }

    #[test]
    fn processes_that_wait_by_themselves_begin_with_the_database_but_only_at_first() {
        let start = Facts { running: None, processes_wait: true, database: waiting(), ..done("2", None) };
        assert_eq!(decide(&start).tags, tags(Some("2"), Some("2"), Some("2")));
        assert!(matches!(decide(&start).stage, Stage::Database(_)));
        let begun = Facts { running: Some("2".to_owned()), migrations: waiting(), ..start.clone() };
        assert_eq!(decide(&begun).tags, tags(Some("2"), Some("2"), Some("2")), "what has begun goes on");
        let another = Facts { running: Some("1".to_owned()), ..start };
        assert_eq!(decide(&another).tags, tags(None, Some("1"), Some("1")), "it has run another version");
        let upgrade = Facts { processes_wait: true, database: waiting(), ..done("2", Some("1")) };
        assert_eq!(decide(&upgrade).tags, tags(None, Some("1"), Some("1")));
    }

    #[test]
    fn an_upgrade_leaves_each_layer_where_it_was_until_its_turn() {
        let facts = Facts { migrations: waiting(), ..done("2", Some("1")) };
        assert_eq!(decide(&facts).tags, tags(Some("2"), Some("1"), Some("1")));
        let facts = Facts { services: waiting(), ..done("2", Some("1")) };
        assert_eq!(decide(&facts).tags, tags(Some("2"), Some("2"), Some("1")));
        assert_eq!(decide(&done("2", Some("1"))).last_healthy.as_deref(), Some("2"));
    }

    #[test]
    fn what_fails_goes_back_and_stays_there_until_the_spec_changes() {
        let mut facts = Facts { services: failed(), ..done("2", Some("1")) };
        let decision = decide(&facts);
        assert_eq!(decision.tags, tags(Some("2"), Some("1"), Some("1")));
        assert_eq!(decision.stage, Stage::WentBack);
        facts.failure = decision.failure;
        // The services are at the old version now, and so neither done nor failed at the new one.
        facts.services = waiting();
        assert_eq!(decide(&facts).tags, tags(Some("2"), Some("1"), Some("1")));
        facts.generation = 2;
        let decision = decide(&facts);
        assert_eq!(decision.tags, tags(Some("2"), Some("2"), Some("1")));
        assert_eq!((decision.retry, decision.failure), (true, None));
    }

    #[test]
    fn going_back_to_the_old_version_by_hand_ends_the_failure() {
        let failure = Failure { version: "2".to_owned(), generation: 1, why: String::new() };
        let facts = Facts { failure: Some(failure), generation: 2, ..done("1", Some("1")) };
        let decision = decide(&facts);
        assert_eq!((decision.stage, decision.failure), (Stage::Healthy, None));
    }

    #[test]
    fn changed_settings_come_up_while_the_stack_answers() {
        let facts = Facts { services: waiting(), ..done("1", Some("1")) };
        assert_eq!(decide(&facts).stage, Stage::Updating("a pod".to_owned()));
        let facts = Facts { available: false, ..facts };
        assert_eq!(decide(&facts).stage, Stage::Unwell("a pod".to_owned()));
    }

    #[test]
    fn a_failed_migration_is_done_anew_when_the_spec_changes() {
        let mut facts = Facts { migrations: failed(), ..done("2", Some("1")) };
        let decision = decide(&facts);
        assert_eq!(decision.failure.as_ref().map(|failure| failure.version.as_str()), Some("2"));
        (facts.failure, facts.generation) = (decision.failure, 2);
        let decision = decide(&facts);
        assert!(decision.retry && decision.failure.is_none());
    }

    #[test]
    fn a_first_install_that_fails_stays_and_says_so() {
        let facts = Facts { services: failed(), running: Some("2".to_owned()), ..done("2", None) };
        let decision = decide(&facts);
        assert_eq!((decision.stage, decision.tags), (Stage::Failed, tags(Some("2"), Some("2"), Some("2"))));
    }

    proptest! {
        #[test]
        fn nothing_runs_but_the_new_version_the_last_healthy_one_or_what_ran(facts in facts()) {
            let Decision { tags, .. } = decide(&facts);
            let known = [Some(&facts.wanted), facts.last_healthy.as_ref(), facts.running.as_ref()];
            for tag in [&tags.services, &tags.gateway].into_iter().flatten() {
                prop_assert!(known.contains(&Some(tag)));
            }
            prop_assert!(tags.migrations.is_none_or(|tag| tag == facts.wanted), "old migrations are never run again");
        }

        #[test]
        fn what_was_healthy_once_is_never_taken_away(facts in facts()) {
            let decision = decide(&facts);
            if facts.last_healthy.is_some() {
                prop_assert!(decision.tags.services.is_some() && decision.tags.gateway.is_some() && decision.last_healthy.is_some());
            }
        }

        #[test]
        fn no_service_is_new_before_its_migrations_and_no_gateway_before_its_services(facts in facts()) {
            prop_assume!(facts.last_healthy.as_ref() != Some(&facts.wanted) && facts.running.as_ref() != Some(&facts.wanted));
            prop_assume!(facts.last_healthy.is_some() || facts.running.is_some() || !facts.processes_wait);
            let Decision { tags, .. } = decide(&facts);
            let new = |tag: &Option<String>| tag.as_ref() == Some(&facts.wanted);
            prop_assert!(!new(&tags.services) || facts.migrations == Progress::Done);
            prop_assert!(!new(&tags.gateway) || facts.services == Progress::Done);
        }

        #[test]
        fn healthy_is_said_only_of_what_is(facts in facts()) {
            if decide(&facts).stage == Stage::Healthy {
                for layer in [&facts.database, &facts.setup, &facts.migrations, &facts.services, &facts.gateway] {
                    prop_assert_eq!(layer, &Progress::Done);
                }
            }
        }

        #[test]
        fn a_version_that_failed_is_not_tried_again_in_the_same_generation(facts in facts(), later in facts()) {
            let first = decide(&facts);
            let Some(failure) = first.failure else { return Ok(()) };
            prop_assume!(facts.last_healthy.is_some());
            let later = Facts {
                wanted: facts.wanted.clone(), generation: facts.generation,
                last_healthy: first.last_healthy.clone(), failure: Some(failure.clone()), ..later
            };
            let second = decide(&later);
            prop_assert_eq!(second.failure, Some(failure));
            prop_assert_eq!(second.tags, first.tags);
        }

        #[test]
        fn deciding_twice_decides_the_same(facts in facts()) {
            let first = decide(&facts);
            let again = Facts { last_healthy: first.last_healthy.clone(), failure: first.failure.clone(), ..facts };
            let second = decide(&again);
            // What was to be done anew has been asked for now.
            if !first.retry {
                prop_assert_eq!(second.tags, first.tags);
            }
        }
    }
}
