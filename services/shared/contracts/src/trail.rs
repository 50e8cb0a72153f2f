//! [`Trail`]: what work under way knows of whom it is done for, and of whose data it touches. From it comes the entry in the audit.
//!
//! It goes with the work as its deadline does, so that no handler passes it on and none can leave it out. A task that a handler starts
//! for itself takes it along with [`current`] and [`within`].

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::id;
use crate::role_name::RoleName;
use crate::target::{Target, TargetKind};

/// The header by which one service tells another for whom it asks. Believed from services alone.
pub const HEADER: &str = "x-on-behalf-of";

/// Patients in one entry at most: more than any page or body of ours holds.
pub const PATIENTS_MAX: usize = 256;
/// Users, roles and sessions in one entry at most. A role that more people have may be changed: those who are left out are counted.
pub const TARGETS_MAX: usize = 1_000;
/// What anybody typed is kept only so far.
const CHARS_MAX: usize = 500;

tokio::task_local! {
    static CURRENT: Option<Trail>;
}

/// The trail of one piece of work. Cheap to clone: all clones are the same trail.
#[derive(Clone)]
pub struct Trail(Arc<Inner>);

struct Inner {
    operation: &'static str,
    told: Mutex<Told>,
}

/// What is known of the work so far.
#[derive(Clone, Default)]
pub struct Told {
    /// A user's id, or `service:` and a name, or `feed:` and a calendar feed's id; empty for nobody in particular.
    pub who: String,
    /// The user's name, or what somebody who tried to sign in called themselves.
    pub name: Option<String>,
    /// What they are.
    pub roles: Vec<RoleName>,
    /// The session.
    pub session: Option<String>,
    /// The user for whom another service asks.
    pub on_behalf_of: Option<String>,
    /// Whose data it is about.
    pub patients: BTreeSet<String>,
    /// Whom the query asks for, whether or not anything of theirs is shown.
    pub asked: BTreeSet<String>,
    /// Which users, roles and sessions it is about.
    pub targets: BTreeSet<Target>,
    /// How many more of them, which the entry does not name.
    pub targets_left_out: u32,
    /// Why, if it was said.
    pub reason: Option<String>,
    /// The address that the gateway saw.
    pub from: Option<String>,
    /// Finds the request in logs and traces.
    pub trace_id: Option<String>,
    /// What the entry named that is written, if one is.
    written: Option<Named>,
}

/// How many an entry names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    patients: usize,
    targets: usize,
}

impl Told {
    /// How many it is about.
    pub fn named(&self) -> Named {
        Named { patients: self.patients.len(), targets: self.targets.len() }
    }

    /// Whom the query asks for, and nothing of theirs is shown.
    pub fn only_asked(&self) -> impl Iterator<Item = &String> {
        self.asked.difference(&self.patients)
    }
}

impl Trail {
    /// Begins one, of an operation or of a job.
    pub fn of(operation: &'static str) -> Self {
        Self(Arc::new(Inner { operation, told: Mutex::default() }))
    }

    /// What is done: an operation's id, or a job's name.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// What is known so far.
    pub fn told(&self) -> Told {
        self.lock().clone()
    }

    /// Tells more.
    pub fn tell(&self, more: impl FnOnce(&mut Told)) {
        more(&mut self.lock());
    }

    /// It is about this patient's data. What is no id is nobody's.
    pub fn concerns(&self, patient: &str) {
        let mut told = self.lock();
        if told.patients.len() < PATIENTS_MAX && id::check(patient).is_ok() {
            told.patients.insert(patient.to_owned());
        }
    }

    /// The query asks for this patient's data.
    pub fn asks_for(&self, patient: &str) {
        let mut told = self.lock();
        if told.asked.len() < PATIENTS_MAX && id::check(patient).is_ok() {
            told.asked.insert(patient.to_owned());
        }
    }

    /// It is about this user, role or session. What is no id is nothing.
    pub fn touches(&self, kind: TargetKind, id: &str) {
        let Some(target) = Target::new(kind, id) else { return };
        let mut told = self.lock();
        if told.targets.contains(&target) {
            return;
        }
        if told.targets.len() < TARGETS_MAX {
            told.targets.insert(target);
        } else {
            told.targets_left_out += 1;
        }
    }

    /// An entry is written that names so many.
    pub fn is_written_with(&self, named: Named) {
        self.lock().written = Some(named);
    }

    /// Whether an entry is written that names everybody whom the work is about.
    pub fn is_written(&self) -> bool {
        let told = self.lock();
        told.written == Some(told.named())
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        // Whatever is told is told by single assignments: it is whole even if a thread panicked while holding it.
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The trail of the work that is under way, if it leaves one.
pub fn current() -> Option<Trail> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

/// Does work that leaves this trail, or none.
pub async fn within<F: Future>(trail: Option<Trail>, work: F) -> F::Output {
    CURRENT.scope(trail, work).await
}

/// The work is about this patient's data.
pub fn concerns(patient: &str) {
    if let Some(trail) = current() {
        trail.concerns(patient);
    }
}

/// The query asks for this patient's data.
pub fn asks_for(patient: &str) {
    if let Some(trail) = current() {
        trail.asks_for(patient);
    }
}

/// The work is about this user, role or session.
pub fn touches(kind: TargetKind, id: &str) {
    if let Some(trail) = current() {
        trail.touches(kind, id);
    }
}

/// Somebody tries to sign in, and calls themselves this.
pub fn calls_themselves(name: &str) {
    if let Some(trail) = current() {
        trail.tell(|told| told.name = Some(name.chars().take(CHARS_MAX).collect()));
    }
}

/// Whoever calls has shown to be this user, in this session.
pub fn is_of(user: &str, session: &str) {
    if let Some(trail) = current() {
        trail.tell(|told| {
            user.clone_into(&mut told.who);
            told.session = Some(session.to_owned());
        });
    }
}

/// Whoever calls has shown to have this: a feed's address, or what a message carries. They are known by it.
pub fn has_shown(what: String) {
    if let Some(trail) = current() {
        trail.tell(|told| told.who = what);
    }
}

/// Why it is done.
pub fn because(reason: &str) {
    if let Some(trail) = current() {
        trail.tell(|told| told.reason = Some(reason.chars().take(CHARS_MAX).collect()));
    }
}

/// The user for whom a call to another service is made: who calls, or for whom they do.
pub fn on_behalf_of() -> Option<String> {
    let told = current()?.told();
    let user = if told.who.starts_with("service:") { told.on_behalf_of? } else { told.who };
    id::check(&user).is_ok().then_some(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_leaves_its_own_trail_and_what_it_does_beside_that_takes_it_along() {
        assert!(current().is_none());
        let trail = Trail::of("patient_by_id");
        within(Some(trail.clone()), async {
            concerns("pat_1");
            let beside = tokio::spawn(within(current(), async { concerns("pat_2") }));
            beside.await.unwrap();
            within(None, async { concerns("pat_3") }).await;
        })
        .await;
        assert!(trail.told().patients.iter().eq(["pat_1", "pat_2"]));
    }

    #[test]
    fn an_entry_that_names_fewer_than_it_is_about_is_not_enough() {
        let trail = Trail::of("patient_by_id");
        assert!(!trail.is_written());
        trail.concerns("pat_1");
        trail.is_written_with(trail.told().named());
        assert!(trail.is_written());
        trail.concerns("pat_1");
        assert!(trail.is_written());
        trail.concerns("pat_2");
        assert!(!trail.is_written());
        trail.is_written_with(trail.told().named());
        trail.touches(TargetKind::User, "usr_1");
        assert!(!trail.is_written());
    }

    #[test]
    fn who_is_asked_for_and_shown_was_not_only_asked_for() {
        let trail = Trail::of("list_bills");
        trail.asks_for("pat_1");
        trail.asks_for("pat_2");
        trail.concerns("pat_2");
        assert!(trail.told().only_asked().eq(["pat_1"]));
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let trail = Trail::of("update_role");
        for number in 0..TARGETS_MAX + 3 {
            trail.touches(TargetKind::Session, &format!("ses_{number}"));
            trail.touches(TargetKind::Session, "ses_0");
        }
        assert_eq!((trail.told().targets.len(), trail.told().targets_left_out), (TARGETS_MAX, 3));
    }

    #[test]
    fn what_is_no_id_is_nobody_and_their_number_is_bounded() {
        let trail = Trail::of("list_patients");
        for name in ["", "a b", "../x", &"a".repeat(65)] {
            trail.concerns(name);
        }
        assert!(trail.told().patients.is_empty());
        for number in 0..PATIENTS_MAX + 10 {
            trail.concerns(&format!("pat_{number}"));
        }
        assert_eq!(trail.told().patients.len(), PATIENTS_MAX);
    }

    #[tokio::test]
    async fn a_service_asks_for_the_user_that_asked_it() {
        let asks_for = |who: &str, for_whom: Option<&str>| {
            let trail = Trail::of("book_appointment");
            trail.tell(|told| {
                who.clone_into(&mut told.who);
                told.on_behalf_of = for_whom.map(str::to_owned);
            });
            within(Some(trail), async { on_behalf_of() })
        };
        assert_eq!(asks_for("usr_1", None).await.as_deref(), Some("usr_1"));
        assert_eq!(asks_for("service:appointment-service", Some("usr_1")).await.as_deref(), Some("usr_1"));
        assert_eq!(asks_for("service:appointment-service", None).await, None);
        assert_eq!(asks_for("", None).await, None);
    }
}
