//! What the database itself holds to.

use appointment::Error;
use appointment::domain::appointment::{Appointment, Booking, Cancellation};
use appointment::store::appointment::{appointment_find, appointment_insert, appointment_update};
use contracts::appointments::CancelledBy;
use contracts::id::AppointmentId;
use db::Db;
use settings::Database;
use testkit::TestDb;

use super::*;

fn booked(patient: &str, provider: &str, time: &str) -> Appointment {
    let request = serde_json::from_value(at("apt1", patient, provider, time)).unwrap();
    Booking::parse(&request).unwrap().at("Europe/Berlin".parse().unwrap())
}

fn id(text: &str) -> AppointmentId {
    AppointmentId::parse(text).unwrap()
}

/// Without any lock.
async fn insert(db: &Db, as_id: &str, appointment: &Appointment) -> Result<(), Error> {
    let mut tx = db.begin().await?;
    let span = appointment.span().unwrap();
    appointment_insert(&mut tx, db, &id(as_id), appointment, span, "usr_1").await?;
    Ok(tx.commit().await?)
}

async fn replace(db: &Db, as_id: &str, with: &Appointment) -> Result<(), Error> {
    let mut tx = db.begin().await?;
    let kept = appointment_find(&mut tx, &id(as_id)).await?.unwrap().open(db).await?.unwrap();
    appointment_update(&mut tx, db, &kept, with, "usr_1").await?;
    Ok(tx.commit().await?)
}

testkit::on_both_engines! {
    migrations = appointment::MIGRATIONS;
    service = ServiceName::AppointmentService;

    async fn no_double_booking_is_a_fact_of_the_database(db: Db) {
        insert(&db, "a", &booked("p1", "d1", "10:00")).await.unwrap();
        for (patient, provider, time) in
            [("p2", "d1", "10:00"), ("p2", "d1", "09:31"), ("p1", "d2", "10:29"), ("p1", "d1", "10:00")]
        {
            let refused = insert(&db, "b", &booked(patient, provider, time)).await.unwrap_err();
            assert!(matches!(refused, Error::Overlap(_)), "{patient} {provider} {time}: {refused}");
        }
        insert(&db, "b", &booked("p2", "d1", "10:30")).await.unwrap();
        insert(&db, "c", &booked("p1", "d2", "09:30")).await.unwrap();
        for (moved, to) in [("b", booked("p2", "d1", "10:29")), ("c", booked("p1", "d2", "09:35"))] {
            let refused = replace(&db, moved, &to).await.unwrap_err();
            assert!(matches!(refused, Error::Overlap(_)), "{moved}: {refused}");
        }
        let cancelled = booked("p1", "d1", "10:00").cancelled(Cancellation::by(CancelledBy::Clinic)).unwrap().unwrap();
        replace(&db, "a", &cancelled).await.unwrap();
        replace(&db, "b", &booked("p2", "d1", "10:00")).await.unwrap();
        // Back to life it does not come: the time is another's now.
        assert!(matches!(replace(&db, "a", &booked("p1", "d1", "10:00")).await, Err(Error::Overlap(_))));
        let stale = insert(&db, "a", &booked("p3", "d3", "10:00")).await.unwrap_err();
        assert!(matches!(stale, Error::Taken));
    }

    async fn two_stacks_fit_into_one_database(test: TestDb) {
        let Database::Postgres { url, max_connections, .. } = test.settings().clone() else { return };
        let other = Database::Postgres {
            url,
            schema: "other".to_owned(),
            keys_schema: "other_keys".to_owned(),
            max_connections,
        };
        let random = contracts::ambient::Random::seeded(2);
        let db = Db::open(ServiceName::AppointmentService, &other, test.secrets(), test.clock().clone(), random);
        let db = db.await.unwrap();
        for _ in 0..2 {
            db.migrate(&appointment::MIGRATIONS).await.unwrap();
        }
        for db in [test.db(), &db] {
            insert(db, "a", &booked("p1", "d1", "10:00")).await.unwrap();
            assert!(matches!(insert(db, "b", &booked("p1", "d1", "10:00")).await, Err(Error::Overlap(_))));
        }
        db.close().await;
    }
}
