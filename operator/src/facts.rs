//! From what the watches saw to what [`crate::rollout::decide`] decides from. Pure.

use std::collections::BTreeMap;

use settings::ServiceName;
use stack::{Database, Stack, names};

use crate::kinds::Kind;
use crate::live::{Key, Seen, Workload};
use crate::object::Object;
use crate::plan::rewrap::is_rewrap;
use crate::plan::service_account::known_as;
use crate::rollout::{Facts, Failure, Progress};

/// Waiting is told of so many parts by name.
const NAMED: usize = 3;

/// What the watches last saw of a stack's objects.
pub type Sight = BTreeMap<Key, Seen>;

/// What was there before, and is remembered in the status.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The version that was last seen healthy.
    pub last_healthy: Option<String>,
    /// A version that failed.
    pub failure: Option<Failure>,
}

/// What is so. `planned` is the plan with every layer at the version asked for.
pub fn facts(
    stack: &Stack,
    generation: i64,
    record: Record,
    planned: &[Object],
    sight: &Sight,
    awaits_database: bool,
) -> Facts {
    let wanted = stack.image.tag.clone();
    let services = || stack.enabled().map(ServiceName::as_str);
    let gateway = [names::API_GATEWAY];
    let fallback = record
        .last_healthy
        .as_deref()
        .map_or(Progress::Done, |version| workloads(stack, services().chain(gateway), version, sight));
    let setup = if awaits_database {
        Progress::Waiting("the database's own operator has not made its Secrets yet".to_owned())
    } else {
        jobs(planned, sight, |part| !is_migration(part) && !is_rewrap(part))
    };
    Facts {
        running: running(stack, services(), sight),
        available: services()
            .chain(gateway)
            .all(|part| deployment(stack, part, sight).is_some_and(|seen| seen.available > 0)),
        database: database(stack, sight),
        setup,
        migrations: jobs(planned, sight, is_migration),
        rewrap: jobs(planned, sight, is_rewrap),
        // Into what is restored, nobody writes before. Another's server may refuse for reasons that only a person can mend.
        processes_wait: matches!(stack.database, Database::Managed(_))
            && !planned.iter().any(|object| part(object) == names::RESTORE),
        services: workloads(stack, services(), &wanted, sight),
        gateway: workloads(stack, gateway.into_iter(), &wanted, sight),
        fallback,
        wanted,
        generation,
        last_healthy: record.last_healthy,
        failure: record.failure,
    }
}

/// How the parts begin that migrate: [`names::migrate`].
const MIGRATE: &str = "migrate-";

/// Whether a part is a Job that migrates.
pub fn is_migration(part: &str) -> bool {
    part.starts_with(MIGRATE)
}

/// Whether every service's keys are wrapped anew: a Job for each is planned, and each is complete.
pub fn is_rewrapped(planned: &[Object], sight: &Sight) -> bool {
    let count = planned.iter().filter(|object| is_rewrap(part(object))).count();
    count == ServiceName::ALL.len() && jobs(planned, sight, is_rewrap) == Progress::Done
}

/// Planned Jobs that are not complete.
pub fn unfinished_jobs<'a>(planned: &'a [Object], sight: &Sight) -> impl Iterator<Item = &'a str> {
    let jobs = planned.iter().filter(|object| object.resource.kind == "Job");
    jobs.map(|object| object.name.as_str())
        .filter(|name| !workload(sight, "batch", "Job", name).is_some_and(|job| job.complete))
}

/// The Job that fills the database from a backup, if it has begun and is not done.
pub fn unfinished_restore<'a>(stack: &Stack, sight: &'a Sight) -> Option<&'a str> {
    let (job, prefix) =
        (Kind::id("batch", "Job")?, format!("{}-", names::object(&stack.name, names::RESTORE)));
    let mut jobs = sight.iter().filter(|((kind, name), _)| *kind == job && name.starts_with(&prefix));
    jobs.find(|(_, seen)| seen.workload().is_some_and(|seen| !seen.complete)).map(|((_, name), _)| &**name)
}

/// What was seen of a workload of the stack.
pub fn workload<'a>(sight: &'a Sight, group: &str, kind: &str, name: &str) -> Option<&'a Workload> {
    let id = Kind::id(group, kind)?;
    sight.get(&(id, name.into()))?.workload()
}

/// What was seen of a part's Deployment.
pub fn deployment<'a>(stack: &Stack, part: &str, sight: &'a Sight) -> Option<&'a Workload> {
    workload(sight, "apps", "Deployment", &names::object(&stack.name, part))
}

/// The accounts that there are, each with its uid, as [`known_as`] calls them.
pub fn accounts(sight: &Sight) -> impl Iterator<Item = (String, String)> {
    sight.iter().filter_map(|((_, name), seen)| Some((known_as(name), seen.account()?.uid.to_string())))
}

/// The backup that ended last, if it failed, or else the keys that were taken last, if that did: its Job and why. Jobs that have ended are not written again, so that their versions tell which
/// one that was.
pub fn failed_backup<'a>(stack: &Stack, sight: &'a Sight) -> Option<(&'a str, &'a str)> {
    let begins = |part| format!("{}-", names::object(&stack.name, part));
    let (all, keys) = (begins(names::BACKUP), begins(names::BACKUP_KEYS));
    // That keys were taken since makes good no backup that failed, nor the other way round.
    failed_last(sight, |name| name.starts_with(&all) && !name.starts_with(&keys))
        .or_else(|| failed_last(sight, |name| name.starts_with(&keys)))
}

/// Of these Jobs the one that ended last, if it failed, and why.
fn failed_last(sight: &Sight, is_one: impl Fn(&str) -> bool) -> Option<(&str, &str)> {
    let job = Kind::id("batch", "Job")?;
    let ended =
        sight.iter().filter(|((id, name), _)| *id == job && is_one(name)).filter_map(|((_, name), seen)| {
            let workload = seen.workload()?;
            let has_ended = workload.complete || workload.failed.is_some();
            has_ended.then_some((seen.version, name, workload))
        });
    let (_, name, last) = ended.max_by_key(|(version, ..)| *version)?;
    Some((name, last.failed.as_deref()?))
}

/// How far the database has come.
pub fn database(stack: &Stack, sight: &Sight) -> Progress {
    let (group, kind) = match &stack.database {
        Database::Managed(_) => ("apps", "StatefulSet"),
        Database::CloudNativePg(_) => ("postgresql.cnpg.io", "Cluster"),
        // Whether it answers is found out by the Job that prepares it.
        Database::External(_) => return Progress::Done,
    };
    let name = names::object(&stack.name, names::POSTGRES);
    match workload(sight, group, kind, &name) {
        None => Progress::Waiting(format!("{kind} {name} is not there yet")),
        Some(Workload { ready: 1.., .. }) => Progress::Done,
        Some(Workload { refused: Some(why), .. }) => Progress::Failed(format!("{kind} {name}: {why}")),
        Some(_) => Progress::Waiting(format!("no pod of {kind} {name} is ready")),
    }
}

fn jobs(planned: &[Object], sight: &Sight, of: impl Fn(&str) -> bool) -> Progress {
    let mut waiting = Vec::new();
    for object in planned.iter().filter(|object| object.resource.kind == "Job" && of(part(object))) {
        let name = &object.name;
        let seen = Kind::id("batch", "Job").and_then(|id| sight.get(&(id, name.as_str().into())));
        match seen.filter(|seen| !seen.deleting).and_then(|seen| seen.workload()) {
            Some(Workload { complete: true, .. }) => {}
            Some(Workload { failed: Some(why), .. }) => {
                return Progress::Failed(format!("Job {name}: {why}"));
            }
            Some(_) => waiting.push(format!("Job {name} is under way")),
            None => waiting.push(format!("Job {name} has not begun")),
        }
    }
    gathered(waiting)
}

/// The part of the stack that a planned object belongs to.
pub fn part(object: &Object) -> &str {
    object
        .body
        .pointer("/metadata/labels/app.kubernetes.io~1name")
        .and_then(|part| part.as_str())
        .unwrap_or_default()
}

fn workloads<'a>(
    stack: &Stack,
    parts: impl Iterator<Item = &'a str>,
    version: &str,
    sight: &Sight,
) -> Progress {
    let mut waiting = Vec::new();
    for part in parts {
        match deployment(stack, part, sight) {
            None => waiting.push(format!("{part} is not there yet")),
            Some(seen) if seen.tag.as_deref() != Some(version) => {
                waiting.push(format!("{part} is not at {version} yet"));
            }
            Some(Workload { observed: true, failed: Some(why), .. }) => {
                return Progress::Failed(format!("{part}: {why}"));
            }
            Some(seen) if seen.is_rolled_out() => {}
            Some(Workload { refused: Some(why), .. }) => waiting.push(format!("{part}: {why}")),
            Some(seen) => waiting.push(format!(
                "{part}: {} of {} pods available",
                seen.available.min(seen.updated),
                seen.desired
            )),
        }
    }
    gathered(waiting)
}

fn gathered(waiting: Vec<String>) -> Progress {
    let (more, named) = (waiting.len().saturating_sub(NAMED), waiting.len().min(NAMED));
    if named == 0 {
        return Progress::Done;
    }
    let text = waiting[..named].join("; ");
    Progress::Waiting(if more > 0 { format!("{text}; and {more} more") } else { text })
}

fn running<'a>(stack: &Stack, services: impl Iterator<Item = &'a str>, sight: &Sight) -> Option<String> {
    let mut versions = services.filter_map(|service| deployment(stack, service, sight)?.tag.clone());
    let first = versions.next()?;
    versions.all(|version| version == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::State;

    fn stack() -> Stack {
        let yaml = "apiVersion: healthcarestack.dev/v1alpha1\nkind: HealthcareStack\nmetadata: {name: clinic, namespace: clinic}\nspec: {version: 0.2.0}";
        Stack::from_yaml(yaml).expect("a stack")
    }

    fn seen(workload: Workload) -> Seen {
        Seen {
            version: 1,
            fingerprint: 1,
            applied: None,
            owner: None,
            deleting: false,
            state: State::Workload(Box::new(workload)),
        }
    }

    fn at(tag: &str) -> Workload {
        Workload {
            observed: true,
            tag: Some(tag.to_owned()),
            desired: 1,
            total: 1,
            updated: 1,
            ready: 1,
            available: 1,
            ..Workload::default()
        }
    }

    fn sight(change: impl Fn(&str, &mut Workload)) -> Sight {
        let parts = ServiceName::ALL.map(ServiceName::as_str).into_iter().chain([names::API_GATEWAY]);
        parts
            .map(|part| {
                let mut workload = at("0.2.0");
                change(part, &mut workload);
                let id = Kind::id("apps", "Deployment").expect("known");
                ((id, names::object("clinic", part).into()), seen(workload))
            })
            .collect()
    }

    fn of(sight: &Sight) -> Facts {
        facts(&stack(), 1, Record::default(), &[], sight, false)
    }

    #[test]
    fn services_are_done_when_each_is_at_the_version_and_available() {
        assert_eq!(of(&sight(|_, _| {})).services, Progress::Done);
        let late = sight(|part, seen| {
            if part == "patient-service" {
                seen.available = 0;
            }
        });
        assert_eq!(
            of(&late).services,
            Progress::Waiting("patient-service: 0 of 1 pods available".to_owned())
        );
        let old = sight(|part, seen| {
            if part == "patient-service" {
                seen.tag = Some("0.1.0".to_owned());
            }
        });
        assert_eq!(of(&old).services, Progress::Waiting("patient-service is not at 0.2.0 yet".to_owned()));
        assert_eq!(of(&old).running, None);
    }

    #[test]
    fn an_old_failure_is_none_of_the_new_version() {
        let failing = |tag: &'static str| {
            sight(move |part, seen| {
                if part == "patient-service" {
                    (seen.tag, seen.failed) = (Some(tag.to_owned()), Some("stuck".to_owned()));
                }
            })
        };
        assert_eq!(of(&failing("0.2.0")).services, Progress::Failed("patient-service: stuck".to_owned()));
        assert!(matches!(of(&failing("0.1.0")).services, Progress::Waiting(_)));
    }

    #[test]
    fn a_restore_is_under_way_until_its_job_is_complete() {
        let job = |name: &str, complete: bool| -> Sight {
            let id = Kind::id("batch", "Job").expect("known");
            [((id, name.into()), seen(Workload { complete, ..Workload::default() }))].into()
        };
        let begun = job("clinic-restore-0123456789", false);
        assert_eq!(unfinished_restore(&stack(), &begun), Some("clinic-restore-0123456789"));
        assert_eq!(unfinished_restore(&stack(), &job("clinic-restore-0123456789", true)), None);
        assert_eq!(unfinished_restore(&stack(), &job("clinic-migrate-auth-0123456789", false)), None);
    }

    #[test]
    fn a_backup_failed_if_the_last_one_did() {
        let job = Kind::id("batch", "Job").expect("known");
        let ended = |name: &str, version, failed: Option<&str>| {
            let workload =
                Workload { complete: failed.is_none(), failed: failed.map(str::to_owned), ..at("15") };
            ((job, name.into()), Seen { version, ..seen(workload) })
        };
        let mut sight = Sight::from([
            ended("clinic-backup-29000001", 7, None),
            // Of another part, whatever its name.
            ended("clinic-migrate-backup", 9, Some("no")),
        ]);
        assert_eq!(failed_backup(&stack(), &sight), None);
        sight.extend([ended("clinic-backup-1800000000", 8, Some("no room"))]);
        assert_eq!(failed_backup(&stack(), &sight), Some(("clinic-backup-1800000000", "no room")));
        // One that is under way says nothing yet.
        sight.insert(
            (job, "clinic-backup-29000002".into()),
            Seen { version: 12, ..seen(Workload::default()) },
        );
        assert!(failed_backup(&stack(), &sight).is_some());
        sight.extend([ended("clinic-backup-29000002", 13, None)]);
        assert_eq!(failed_backup(&stack(), &sight), None);
    }

    #[test]
    fn many_that_are_waited_for_are_counted() {
        let none = Sight::new();
        let Progress::Waiting(text) = of(&none).services else { panic!("not waiting") };
        assert!(text.ends_with("; and 4 more"), "{text}");
        assert!(matches!(of(&none).database, Progress::Waiting(_)));
    }

    #[test]
    fn keys_are_wrapped_anew_when_each_services_job_says_so() {
        let stack = stack();
        let kek = crate::plan::Kek { rewrap: Some("00c0ffee".to_owned()), restored: Vec::new() };
        let planned = crate::plan::tests::with(&stack, |context| {
            crate::plan::plan(&crate::plan::Context { kek: &kek, ..context.clone() })
        });
        let jobs: Vec<_> = planned.iter().filter(|object| is_rewrap(part(object))).cloned().collect();
        let at_rest = crate::plan::tests::with(&stack, crate::plan::plan);
        let job = Kind::id("batch", "Job").expect("known");
        let complete = || Workload { complete: true, ..Workload::default() };
        let all = |change: &dyn Fn(usize, &mut Seen)| -> Sight {
            let seen_at = |(at, job_object): (usize, &Object)| {
                let mut seen = seen(complete());
                change(at, &mut seen);
                ((job, job_object.name.as_str().into()), seen)
            };
            jobs.iter().enumerate().map(seen_at).collect()
        };
        assert!(is_rewrapped(&planned, &all(&|_, _| {})));
        assert!(!is_rewrapped(&at_rest, &all(&|_, _| {})), "nobody was asked");
        assert!(!is_rewrapped(&jobs[1..], &all(&|_, _| {})), "one was not asked");
        for at in 0..jobs.len() {
            let but_one = |work: &dyn Fn(&mut Seen)| {
                all(&|this, seen| {
                    if this == at {
                        work(seen);
                    }
                })
            };
            let under_way = but_one(&|seen| seen.state = State::Workload(Box::default()));
            let deleting = but_one(&|seen| seen.deleting = true);
            let failing = but_one(&|seen| {
                let failed = Some("no".to_owned());
                seen.state = State::Workload(Box::new(Workload { failed, ..Workload::default() }));
            });
            for sight in [under_way, deleting, failing] {
                assert!(!is_rewrapped(&planned, &sight));
            }
        }
        // None of it is what the stack waits for.
        let facts = facts(&stack, 1, Record::default(), &jobs, &Sight::new(), false);
        assert_eq!(facts.setup, Progress::Done);
        assert!(matches!(facts.rewrap, Progress::Waiting(_)));
    }
}
