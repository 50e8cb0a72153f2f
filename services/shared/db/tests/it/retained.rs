//! What is kept under a hold's key: as long as anything needs that key, whatever goes beside it.

use db::{
    Db, Item, Kept, LegalHold, NO_YEARS, Subject, hold_keys_destroy, legal_hold_take, retained_list,
    retained_put, retained_settle,
};
use serde_json::{Value, json};
use testkit::TestDb;

const PATIENT: &str = "12345";
const HOLD: Subject<'static> = Subject::Hold { patient: PATIENT, version: 1 };

async fn hold(db: &Db, version: i64, is_active: bool) {
    let mut tx = db.begin().await.unwrap();
    legal_hold_take(&mut tx, PATIENT, LegalHold { version, is_active, until: None }).await.unwrap();
    tx.commit().await.unwrap();
}

/// Keeps so many under the first hold, from these years on.
async fn put(db: &Db, from_years: impl IntoIterator<Item = i64>) {
    let mut tx = db.begin().await.unwrap();
    for (at, from_year) in from_years.into_iter().enumerate() {
        let id = format!("r{at:03}");
        let item = Item { kind: "records", id: &id, patient: PATIENT, from_year };
        retained_put(&mut tx, db, item, Kept::Held(1), &json!({ "id": id })).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// Carries out what is due, in as many transactions as it takes; gives how many went.
async fn settle(db: &Db, years: u32, on: Option<i64>) -> u64 {
    let mut gone = 0;
    loop {
        let mut tx = db.begin().await.unwrap();
        let settled = retained_settle(&mut tx, db, PATIENT, (years, on), 100).await.unwrap();
        tx.commit().await.unwrap();
        gone += settled.gone.iter().map(|(_, count)| count).sum::<u64>();
        if settled.seen == 0 {
            return gone;
        }
    }
}

async fn readable(db: &Db) -> usize {
    let mut tx = db.read().await.unwrap();
    let rows = retained_list::<Value>(&mut tx, db, PATIENT, ("", ""), 1_000).await.unwrap();
    rows.iter().filter(|(_, kept)| kept.is_some()).count()
}

testkit::on_both_engines! {
    migrations = crate::MIGRATIONS;

    async fn one_that_is_over_takes_none_along_that_has_years_to_go(db: Db) {
        hold(&db, 1, true).await;
        // The first of them is over; there are more of the others than one transaction takes.
        put(&db, std::iter::once(2010).chain(std::iter::repeat_n(2026, 129))).await;
        hold(&db, 2, false).await;
        assert_eq!(settle(&db, 10, None).await, 1);
        assert_eq!(hold_keys_destroy(&db).await.unwrap(), 1);
        assert!(db.vault().is_destroyed(&HOLD).await.unwrap());
        assert_eq!(readable(&db).await, 129);
    }

    async fn a_holds_key_goes_with_the_last_that_is_under_it_and_not_while_the_hold_is_on(test: TestDb) {
        let db = test.db();
        hold(db, 1, true).await;
        put(db, [NO_YEARS, NO_YEARS]).await;
        assert_eq!((settle(db, 10, Some(1)).await, hold_keys_destroy(db).await.unwrap()), (0, 0));
        hold(db, 2, false).await;
        assert_eq!(hold_keys_destroy(db).await.unwrap(), 0, "two are under it");
        // Rolled back: they are there as they were.
        let mut tx = db.begin().await.unwrap();
        let settled = retained_settle(&mut tx, db, PATIENT, (10, None), 1).await.unwrap();
        assert_eq!(settled.seen, 1);
        tx.rollback().await.unwrap();
        assert_eq!((hold_keys_destroy(db).await.unwrap(), readable(db).await), (0, 2));
        assert_eq!(settle(db, 10, None).await, 2, "what a hold alone kept has no years");
        assert_eq!((hold_keys_destroy(db).await.unwrap(), readable(db).await), (1, 0));
    }
}
