//! Who may see whom: what sources of care tell, in any order, and the glass that was broken.

use chrono::{DateTime, TimeDelta, Utc};
use db::{
    Care, Carer, Db, Tie, Tx, access_forget, care_take, carers_of, erasure_request, glass_of, glass_open,
    glass_shut, on, tie,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

const JANE: Carer<'_> = Carer { user: "usr_jane", provider: Some("prov001") };

/// What a source says in one version: with whom, and for how many days, if any.
type Said = (usize, Option<i64>);

const PROVIDERS: [&str; 3] = ["prov001", "prov002", "prov003"];

/// Three sources with some versions each, and an order in which they come: each once or more, none left out.
fn tellings() -> impl Strategy<Value = (Vec<Vec<Said>>, Vec<(usize, usize)>)> {
    let said = (0..3_usize, prop::option::of(1..60_i64));
    prop::collection::vec(prop::collection::vec(said, 1..5), 3).prop_flat_map(|sources| {
        let all: Vec<_> = (0..3)
            .flat_map(|source| (0..sources[source].len()).map(move |version| (source, version)))
            .collect();
        let again = prop::collection::vec(prop::sample::select(all.clone()), 0..6);
        let order = again.prop_flat_map(move |again| Just([all.clone(), again].concat()).prop_shuffle());
        (Just(sources), order)
    })
}

async fn take(tx: &mut Tx, source: &str, version: i64, (provider, days): Said) {
    let until = days.map(|days| tx.now() + TimeDelta::days(days));
    let care = Care { source, version, patient: "12345", provider: PROVIDERS[provider], until };
    care_take(tx, &care).await.unwrap();
}

async fn kept(tx: &mut Tx) -> Vec<(String, i64, String, Option<DateTime<Utc>>)> {
    on!(tx, |conn| sqlx::query_as("select source, version, provider_id, until from care order by source")
        .fetch_all(conn)
        .await)
    .unwrap()
}

async fn jane_sees(db: &Db, patient: &str) -> Option<Tie> {
    tie(&mut db.read().await.unwrap(), JANE, patient).await.unwrap()
}

testkit::on_both_engines! {
    migrations = crate::MIGRATIONS;

    async fn in_whatever_order_and_however_often_it_is_told_the_last_version_of_each_source_stands(db: Db) {
        let mut runner = TestRunner::deterministic();
        for _ in 0..60 {
            let (sources, order) = tellings().new_tree(&mut runner).unwrap().current();
            let mut tx = db.begin().await.unwrap();
            for (source, version) in &order {
                let number = i64::try_from(*version).unwrap() + 1;
                take(&mut tx, &format!("appointment:{source}"), number, sources[*source][*version]).await;
            }
            let now = tx.now();
            let last = |(at, said): (usize, &Vec<Said>)| {
                let (provider, days) = *said.last().unwrap();
                let until = days.map(|days| now + TimeDelta::days(days));
                (format!("appointment:{at}"), i64::try_from(said.len()).unwrap(), PROVIDERS[provider].to_owned(), until)
            };
            let expected: Vec<_> = sources.iter().enumerate().map(last).collect();
            assert_eq!(kept(&mut tx).await, expected, "{order:?}");
            // And so does what comes of it.
            let treats = |provider: &str| expected.iter().any(|(_, _, by, until)| by == provider && until.is_some());
            for provider in PROVIDERS {
                let carer = Carer { user: "usr_1", provider: Some(provider) };
                let sees = tie(&mut tx, carer, "12345").await.unwrap();
                assert_eq!(sees.is_some(), treats(provider), "{provider}: {expected:?}");
            }
            tx.rollback().await.unwrap();
        }
    }

    async fn care_holds_until_its_end_and_for_that_patient_and_provider(db: Db) {
        let mut tx = db.begin().await.unwrap();
        take(&mut tx, "appointment:1", 1, (0, Some(10))).await;
        tx.commit().await.unwrap();
        assert_eq!(jane_sees(&db, "12345").await, Some(Tie::Care));
        assert_eq!(jane_sees(&db, "67890").await, None);
        for provider in [None, Some("prov002")] {
            let carer = Carer { provider, ..JANE };
            assert_eq!(tie(&mut db.read().await.unwrap(), carer, "12345").await.unwrap(), None);
        }
        assert_eq!(carers_of(&mut db.read().await.unwrap(), "12345", 5).await.unwrap(), ["prov001"]);
        db.clock().advance(TimeDelta::days(10));
        assert_eq!(jane_sees(&db, "12345").await, None);
        assert!(carers_of(&mut db.read().await.unwrap(), "12345", 5).await.unwrap().is_empty());
    }

    async fn a_broken_glass_holds_for_that_user_and_patient_until_its_end_or_until_it_is_shut(db: Db) {
        let mut tx = db.begin().await.unwrap();
        let until = tx.now() + TimeDelta::hours(1);
        for (grant, patient) in [("grant_1", "12345"), ("grant_2", "67890")] {
            glass_open(&mut tx, grant, "usr_jane", patient, until).await.unwrap();
        }
        tx.commit().await.unwrap();
        assert_eq!(jane_sees(&db, "12345").await, Some(Tie::Glass("grant_1".to_owned())));
        let other = Carer { user: "usr_1", ..JANE };
        assert_eq!(tie(&mut db.read().await.unwrap(), other, "12345").await.unwrap(), None);
        assert_eq!(glass_of(&mut db.read().await.unwrap(), "usr_jane", "12345").await.unwrap(), Some(("grant_1".to_owned(), until)));

        let mut tx = db.begin().await.unwrap();
        glass_shut(&mut tx, "grant_2").await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(jane_sees(&db, "67890").await, None);
        db.clock().advance(TimeDelta::hours(1));
        assert_eq!(jane_sees(&db, "12345").await, None);
        assert_eq!(glass_of(&mut db.read().await.unwrap(), "usr_jane", "12345").await.unwrap(), None);
    }

    async fn a_glass_that_was_shut_stays_shut_in_whatever_order_it_is_told(db: Db) {
        let mut tx = db.begin().await.unwrap();
        let (now, until) = (tx.now(), tx.now() + TimeDelta::hours(1));
        for (grant, patient, told) in [("grant_1", "12345", [until, now, until]), ("grant_2", "67890", [now, until, until])] {
            for until in told {
                glass_open(&mut tx, grant, "usr_jane", patient, until).await.unwrap();
            }
        }
        tx.commit().await.unwrap();
        for patient in ["12345", "67890"] {
            assert_eq!(jane_sees(&db, patient).await, None);
        }
    }

    async fn of_an_erased_patient_nothing_stands_and_nothing_comes_back(db: Db) {
        let mut tx = db.begin().await.unwrap();
        take(&mut tx, "appointment:1", 1, (0, Some(10))).await;
        let until = tx.now() + TimeDelta::hours(1);
        glass_open(&mut tx, "grant_1", "usr_jane", "12345", until).await.unwrap();
        access_forget(&mut tx, "12345").await.unwrap();
        erasure_request(&mut tx, "12345").await.unwrap();
        take(&mut tx, "appointment:1", 2, (0, Some(10))).await;
        glass_open(&mut tx, "grant_1", "usr_jane", "12345", until).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(jane_sees(&db, "12345").await, None);
    }

    async fn what_is_long_over_is_purged_and_what_holds_is_not(db: Db) {
        let mut tx = db.begin().await.unwrap();
        take(&mut tx, "appointment:1", 1, (0, Some(1))).await;
        take(&mut tx, "appointment:2", 1, (0, None)).await;
        take(&mut tx, "appointment:3", 1, (0, Some(200))).await;
        let until = tx.now() + TimeDelta::hours(1);
        glass_open(&mut tx, "grant_1", "usr_jane", "12345", until).await.unwrap();
        tx.commit().await.unwrap();
        db.clock().advance(TimeDelta::days(59));
        assert_eq!(db.purge().await.unwrap().access, 0);
        db.clock().advance(TimeDelta::days(3));
        assert_eq!(db.purge().await.unwrap().access, 3);
        assert_eq!(jane_sees(&db, "12345").await, Some(Tie::Care));
    }
}
