//! What is decided, whatever is so.

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
        (database, setup, migrations, rewrap) in (progress(), progress(), progress(), progress()),
        (services, gateway, fallback) in (progress(), progress(), progress()),
        (available, processes_wait) in any::<(bool, bool)>(),
    ) -> Facts {
        Facts {
            wanted, generation, last_healthy, failure, running, database, setup, migrations, rewrap, processes_wait, services, gateway,
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
        rewrap: Progress::Done,
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
