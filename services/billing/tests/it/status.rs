//! Bills found by where they stand, which the database does not know.

use std::collections::BTreeSet;

use billing::domain::bill::Bill;
use billing::store::bill::bill_insert;
use billing::store::renewal;
use contracts::bills::BillStatus;
use contracts::id::BillId;
use db::Db;

use super::*;

async fn insert(db: &Db, bills: impl IntoIterator<Item = (String, BillStatus)>) {
    let request = serde_json::from_str(BILL).unwrap();
    let (_, documented) = Bill::create(&request).unwrap();
    let mut tx = db.begin().await.unwrap();
    for (id, status) in bills {
        let bill = Bill { status, ..documented.clone() };
        bill_insert(&mut tx, db, &BillId::parse(&id).unwrap(), &bill).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn hashes(db: &Db) -> Vec<Vec<u8>> {
    let mut tx = db.read().await.unwrap();
    db::on!(tx, |conn| sqlx::query_scalar("select status from bill").fetch_all(conn).await.unwrap())
}

/// Leaves bills as the version before leaves them.
async fn make_old(db: &Db, bills: &[(String, BillStatus)]) {
    let mut tx = db.begin().await.unwrap();
    for (id, status) in bills {
        let old = db.vault().blind("status", status.as_str()).unwrap();
        db::on!(tx, |conn| sqlx::query("update bill set status = $2 where id = $1")
            .bind(id)
            .bind(&old)
            .execute(conn)
            .await
            .map(drop))
        .unwrap();
    }
    tx.commit().await.unwrap();
}

fn some_of_each(count: usize) -> Vec<(String, BillStatus)> {
    (0..count).map(|number| (format!("b{number:04}"), BillStatus::ALL[number * number % 7 % 4])).collect()
}

testkit::stack_tests! { services = [patient::SERVICE, billing::SERVICE];
    async fn bills_of_a_status_are_found_among_all_others(stack: Arc<TestStack>) {
        let db = stack.database(ServiceName::BillingService).db();
        let bills = some_of_each(24);
        insert(db, bills.clone()).await;
        for status in BillStatus::ALL {
            let of_it = bills.iter().rev().filter(|bill| bill.1 == status);
            let ids: Vec<_> = of_it.map(|bill| bill.0.clone()).collect();
            for filter in [format!("&status={status}"), format!("&status={status}&patientId=12345")] {
                assert_eq!(BILLS.paged(&stack, &filter).await, ids, "{filter}");
            }
        }
        let all: Vec<_> = bills.iter().rev().map(|bill| bill.0.clone()).collect();
        assert_eq!(BILLS.paged(&stack, "").await, all);
    }

    async fn one_bill_behind_hundreds_is_found(stack: Arc<TestStack>) {
        let db = stack.database(ServiceName::BillingService).db();
        let (first, last) = [("a", BillStatus::Void), ("z", BillStatus::Void)].map(|(id, status)| (id.to_owned(), status)).into();
        let between = (0..600).map(|number| (format!("b{number}"), BillStatus::Issued));
        insert(db, [first].into_iter().chain(between).chain([last])).await;
        tell_care(&stack, "evt_care", "12345", "prov001").await;
        for who in [Who::from(Role::Billing), Who::from(Role::Admin), Who::clinician("prov001")] {
            for query in ["status=Void", "status=Void&patientId=12345", "status=Void&limit=2"] {
                assert_eq!(BILLS.found(&stack, who.clone(), query).await, ["z", "a"], "{query}");
            }
            assert!(BILLS.found(&stack, who, "status=Paid").await.is_empty());
        }
    }
}

testkit::on_both_engines! {
    migrations = billing::MIGRATIONS;
    service = ServiceName::BillingService;

    async fn no_two_bills_have_the_same_hash_of_their_status(db: Db) {
        insert(&db, some_of_each(50)).await;
        let hashes: BTreeSet<_> = hashes(&db).await.into_iter().collect();
        assert_eq!(hashes.len(), 50);
    }

    async fn statuses_of_the_version_before_are_hashed_anew(test: testkit::TestDb) {
        let (db, bills) = (test.db(), some_of_each(700));
        insert(db, bills.clone()).await;
        let as_written: BTreeSet<_> = hashes(db).await.into_iter().collect();
        make_old(db, &bills).await;
        let alike: BTreeSet<_> = hashes(db).await.into_iter().collect();
        assert!(alike.len() <= 4);
        // Killed after the first of them; then two start at once.
        assert!(renewal::some(db.clone()).await.unwrap());
        let other = test.open_again().await;
        let (one, two) = tokio::join!(
            http_kit::renewal::renew(db, renewal::some),
            http_kit::renewal::renew(&other, renewal::some),
        );
        one.unwrap();
        two.unwrap();
        other.close().await;
        assert_eq!(hashes(db).await.into_iter().collect::<BTreeSet<_>>(), as_written);
        assert!(!renewal::some(db.clone()).await.unwrap());
    }
}
