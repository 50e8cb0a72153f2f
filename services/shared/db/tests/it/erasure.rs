//! A patient's erasure: asked for with the deletion, finished afterwards.

use db::{
    Db, Error, Place, Subject, erasure_finish, erasure_is_requested, erasure_request, erasures_pending,
};

const PLACE: Place<'_> = Place { table: "visit", column: "body", row: "v1" };

async fn requested(db: &Db, patient: &str) -> bool {
    erasure_is_requested(&mut db.read().await.unwrap(), patient).await.unwrap()
}

testkit::on_both_engines! {
    migrations = crate::MIGRATIONS;

    async fn a_requested_erasure_is_pending_until_the_key_is_destroyed(db: Db) {
        let sealed = db.vault().seal(&Subject::Patient("anna"), PLACE, b"flu").await.unwrap();
        for _ in 0..2 {
            let mut tx = db.begin().await.unwrap();
            erasure_request(&mut tx, "anna").await.unwrap();
            tx.commit().await.unwrap();
        }
        assert_eq!(erasures_pending(&db).await.unwrap(), ["anna"]);
        for _ in 0..2 {
            erasure_finish(&db, "anna").await.unwrap();
        }
        assert!(erasures_pending(&db).await.unwrap().is_empty());
        let opened = db.vault().open(&Subject::Patient("anna"), PLACE, &sealed).await;
        assert!(matches!(opened, Err(Error::KeyDestroyed { .. })));
        assert!(requested(&db, "anna").await);
        assert!(!requested(&db, "ben").await);
    }

    async fn an_erasure_rolled_back_was_never_requested(db: Db) {
        let mut tx = db.begin().await.unwrap();
        erasure_request(&mut tx, "anna").await.unwrap();
        tx.rollback().await.unwrap();
        assert!(!requested(&db, "anna").await);
        assert!(erasures_pending(&db).await.unwrap().is_empty());
    }
}
