//! One key-encryption key takes the place of another, and whatever happens: what any row may be wrapped under is in the Secret.

use std::collections::BTreeMap;

use contracts::kek::kek_id;
use proptest::sample::Index;

use super::*;

fn id(value: &[u8]) -> String {
    kek_id(data_encoding::BASE64.decode(value).unwrap().as_slice().try_into().unwrap())
}

/// The keys in the Secret, by what they are for.
fn held(namespace: &Namespace) -> BTreeMap<String, String> {
    let data = namespace.secrets["clinic-kek"].data.clone().unwrap();
    data.into_iter().map(|(key, value)| (key, id(&value.0))).collect()
}

fn names_of(keys: &BTreeMap<String, String>) -> Vec<&str> {
    keys.keys().map(String::as_str).collect()
}

#[test]
fn another_key_is_known_then_used_then_alone() {
    let mut namespace = Namespace::managed();
    let first = held(&namespace)["current"].clone();
    namespace.ask("kek");
    assert!(namespace.go(true).unwrap().rotating);
    let published = held(&namespace);
    assert_eq!((names_of(&published), &published["current"]), (vec!["current", "next"], &first));

    // Not before every pod knows it.
    assert_eq!(namespace.go(false).unwrap().changes, []);
    assert_eq!(namespace.go(true).unwrap().news, [News::KekInUse]);
    let used = held(&namespace);
    assert_eq!((names_of(&used), &used["current"]), (vec!["current", "previous"], &published["next"]));
    assert_eq!(used["previous"], first);

    // When no pod wraps under the first any more, those on their way out are waited for; then all keys are wrapped anew.
    assert_eq!(namespace.go(false).unwrap().changes, []);
    let planned = namespace.go(true).unwrap();
    assert_eq!((planned.wake_at.unwrap() - namespace.now, planned.kek.rewrap), (TimeDelta::minutes(1), None));
    namespace.now += TimeDelta::minutes(1);
    for settled in [true, false, true] {
        let planned = namespace.go(settled).unwrap();
        assert!(planned.rotating && planned.changes.is_empty());
        assert_eq!(planned.kek.rewrap.as_ref(), Some(&used["current"]));
    }
    // That they are under the first is not what was asked for.
    namespace.rewrapped = Some(first);
    assert_eq!(namespace.go(true).unwrap().changes, []);
    namespace.rewrapped = Some(used["current"].clone());
    let planned = namespace.go(true).unwrap();
    assert_eq!((planned.news, planned.kek.rewrap, planned.rotating), (vec![News::KekRotated], None, false));
    let alone = held(&namespace);
    assert_eq!((names_of(&alone), &alone["current"]), (vec!["current"], &used["current"]));
    assert_eq!(namespace.go(true).unwrap().changes, []);
}

#[test]
fn each_step_rolls_the_pods_that_read_the_key() {
    let mut namespace = Namespace::managed();
    let mut sums = BTreeSet::new();
    let mut sum = |namespace: &Namespace| {
        sums.insert(checksums(namespace.secrets.values())["clinic-kek"].clone());
        sums.len()
    };
    assert_eq!(sum(&namespace), 1);
    namespace.ask("kek");
    for steps in [2, 3, 3] {
        namespace.go(true).unwrap();
        assert_eq!(sum(&namespace), steps);
    }
    namespace.now += TimeDelta::hours(1);
    namespace.rewrapped = Some(held(&namespace)["current"].clone());
    namespace.go(true).unwrap();
    assert_eq!(sum(&namespace), 4);
}

#[test]
fn a_rotation_that_the_old_stack_had_begun_is_gone_on_with_in_the_new_one() {
    let [first, second] = [[1; 32], [2; 32]].map(|key| data_encoding::BASE64.encode(&key).into_bytes());
    for (next, previous, current) in [(Some(&second), None, &first), (None, Some(&first), &second)] {
        let mut namespace = Namespace::new("{managed: {}}");
        namespace.sources.kek =
            Some(Escrowed { current: current.clone(), next: next.cloned(), previous: previous.cloned() });
        let planned = namespace.go(false).unwrap();
        assert_eq!(planned.kek.restored, [id(&second), id(&first)]);
        assert!(planned.rotating);
        let keys = held(&namespace);
        assert_eq!((&keys["current"], &keys["previous"], keys.len()), (&id(&second), &id(&first), 2));
        // Nothing is wrapped anew before it is restored, and all runs.
        namespace.now += TimeDelta::hours(1);
        assert_eq!(namespace.go(false).unwrap().kek.rewrap, None);
        namespace.go(true).unwrap();
        namespace.now += TimeDelta::hours(1);
        assert_eq!(namespace.go(true).unwrap().kek.rewrap, Some(id(&second)));
        namespace.rewrapped = Some(id(&second));
        let planned = namespace.go(true).unwrap();
        assert_eq!(names_of(&held(&namespace)), ["current"]);
        // The Job that restored it stays the same.
        assert_eq!(planned.kek.restored, [id(&second), id(&first)]);
    }
}

#[test]
fn a_key_that_cannot_be_read_is_left_alone() {
    let mut namespace = Namespace::managed();
    namespace.ask("kek");
    for _ in 0..3 {
        namespace.go(true).unwrap();
    }
    namespace.now += TimeDelta::hours(1);
    let secret = namespace.secrets.get_mut("clinic-kek").unwrap();
    secret.data.as_mut().unwrap().insert("current".to_owned(), ByteString(b"not a key".to_vec()));
    let damaged = Refusal::Damaged { secret: "clinic-kek".to_owned(), key: "current".to_owned() };
    assert_eq!(namespace.plan(true).unwrap_err(), damaged);
}

/// What may happen to a stack, in whatever order.
#[derive(Clone, Debug)]
enum Event {
    /// The operator looks at it. It may believe that all is settled when it is not.
    Pass { believes: bool },
    /// Somebody asks for another key.
    Ask,
    /// Time goes by.
    Wait(i64),
    /// A pod is started anew, with what the Secret holds, or held once: a machine may be late.
    Start { pod: Index, held: Option<Index> },
    /// A pod makes a key.
    Insert(Index),
    /// A service's Job runs, with what the Secret holds, or held once; and it may be killed before its end.
    Rewrap { service: Index, held: Option<Index>, is_killed: bool },
    /// The operator is started anew, and has forgotten what it saw.
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    let held = || prop_oneof![5 => Just(None), 1 => any::<Index>().prop_map(Some)];
    prop_oneof![
        6 => prop::bool::weighted(0.05).prop_map(|believes| Event::Pass { believes }),
        1 => Just(Event::Ask),
        2 => (0_i64..90).prop_map(Event::Wait),
        6 => (any::<Index>(), held()).prop_map(|(pod, held)| Event::Start { pod, held }),
        4 => any::<Index>().prop_map(Event::Insert),
        4 => (any::<Index>(), held(), prop::bool::weighted(0.2))
            .prop_map(|(service, held, is_killed)| Event::Rewrap { service, held, is_killed }),
        1 => Just(Event::Restart),
    ]
}

const SERVICES: usize = 2;
const PODS: usize = 4;

/// What a service's keys are wrapped under; what they may be, and what never again.
#[derive(Clone, Debug, Default)]
struct Store {
    rows: BTreeSet<String>,
    admitted: BTreeSet<String>,
    retired: BTreeSet<String>,
}

/// A stack with two services of two pods each, as far as this goes.
struct World {
    namespace: Namespace,
    history: Vec<BTreeMap<String, String>>,
    stores: [Store; SERVICES],
    pods: [BTreeMap<String, String>; PODS],
    /// Under which key the Jobs that are planned wrap, and which of them are done.
    jobs: Option<String>,
    done: BTreeSet<usize>,
    /// Nobody believed what is not so, and no machine was late.
    is_calm: bool,
}

impl World {
    fn new() -> Self {
        let namespace = Namespace::managed();
        let first = held(&namespace);
        let ids: BTreeSet<_> = first.values().cloned().collect();
        let store = Store { rows: ids.clone(), admitted: ids, retired: BTreeSet::new() };
        Self {
            stores: [store.clone(), store],
            pods: std::array::from_fn(|_| first.clone()),
            history: vec![first],
            namespace,
            jobs: None,
            done: BTreeSet::new(),
            is_calm: true,
        }
    }

    fn present(&self) -> BTreeMap<String, String> {
        held(&self.namespace)
    }

    fn at(&mut self, held: Option<Index>) -> BTreeMap<String, String> {
        self.is_calm &= held.is_none();
        held.map_or_else(|| self.present(), |at| at.get(&self.history).clone())
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Pass { believes } => self.pass(believes),
            Event::Ask => {
                self.namespace.now += TimeDelta::seconds(1);
                self.namespace.ask("kek");
            }
            Event::Wait(seconds) => self.namespace.now += TimeDelta::seconds(seconds),
            Event::Start { pod, held } => self.start(pod.index(PODS), held),
            Event::Insert(pod) => self.insert(pod.index(PODS)),
            Event::Rewrap { service, held, is_killed } => {
                self.rewrap(service.index(SERVICES), held, is_killed);
            }
            Event::Restart => self.namespace.rewrapped = None,
        }
    }

    fn pass(&mut self, believes: bool) {
        let is_settled = self.pods.iter().all(|pod| *pod == self.present());
        self.is_calm &= is_settled || !believes;
        let planned = self.namespace.go(is_settled || believes).unwrap();
        self.history.push(self.present());
        if planned.kek.rewrap != self.jobs {
            (self.jobs, self.done) = (planned.kek.rewrap, BTreeSet::new());
        }
        self.namespace.rewrapped = self.jobs.clone().filter(|_| self.done.len() == SERVICES);
    }

    fn start(&mut self, pod: usize, held: Option<Index>) {
        let keys = self.at(held);
        let store = &mut self.stores[pod % SERVICES];
        let opens = |row: &String| keys.values().any(|key| key == row);
        let current = keys["current"].clone();
        // One that cannot read what is there does not start, nor one that wraps under a key that is retired.
        if store.rows.iter().all(opens) && !store.retired.contains(&current) {
            store.admitted.insert(current);
            self.pods[pod] = keys;
        }
    }

    fn insert(&mut self, pod: usize) {
        let (store, current) = (&mut self.stores[pod % SERVICES], &self.pods[pod]["current"]);
        if store.retired.contains(current) {
            assert!(!self.is_calm, "a request failed");
        } else {
            store.rows.insert(current.clone());
        }
    }

    fn rewrap(&mut self, service: usize, held: Option<Index>, is_killed: bool) {
        let Some(meant) = self.jobs.clone() else { return };
        let keys = self.at(held);
        let store = &mut self.stores[service];
        if keys["current"] != meant || store.retired.contains(&meant) {
            return;
        }
        store.admitted.insert(meant.clone());
        let opens = |row: &String| keys.values().any(|key| key == row);
        store.rows =
            store.rows.iter().map(|row| if opens(row) { meant.clone() } else { row.clone() }).collect();
        if is_killed || store.rows.iter().any(|row| *row != meant) {
            return;
        }
        let others = store.admitted.iter().chain(keys.get("previous")).filter(|key| **key != meant);
        store.retired.extend(others.cloned());
        self.done.insert(service);
    }

    fn check(&self) {
        let present = self.present();
        for store in &self.stores {
            for row in &store.rows {
                assert!(present.values().any(|key| key == row), "{row} is lost: {present:?}");
                for pod in self.pods.iter().filter(|_| self.is_calm) {
                    assert!(pod.values().any(|key| key == row), "a request failed");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_key_that_any_row_may_be_wrapped_under_is_always_in_the_secret(
        events in prop::collection::vec(event(), 1..200),
    ) {
        let mut world = World::new();
        for event in events {
            world.happens(event);
            world.check();
        }
        // Left in peace, it comes to its end; and so does the next, if another was asked for meanwhile.
        for _ in 0..14 {
            world.namespace.now += TimeDelta::minutes(2);
            world.pass(false);
            (0..PODS).for_each(|pod| world.start(pod, None));
            (0..SERVICES).for_each(|service| world.rewrap(service, None, false));
            (0..PODS).for_each(|pod| world.insert(pod));
            world.check();
        }
        let present = world.present();
        prop_assert_eq!(names_of(&present), ["current"]);
    }
}
