//! What the database itself holds to, of holds and of who waits.

use appointment::Error;
use appointment::domain::appointment::Booking;
use appointment::domain::hold::{Hold, Kept};
use appointment::domain::span::Span;
use appointment::domain::visit::Buffers;
use appointment::domain::waitlist::{Asked, Kept as Entry};
use appointment::store::appointment::appointment_insert;
use appointment::store::hold::{hold_insert, holder, holds_sweep};
use appointment::store::waitlist::{freed_done, freed_next, waitlist_find, waitlist_insert, waitlist_update};
use chrono::TimeDelta;
use contracts::id::{AppointmentId, SlotHoldId, WaitlistId};
use db::Db;
use testkit::TestDb;

use super::*;

/// Without any lock, for five minutes.
async fn hold(db: &Db, id: &str, time: &str) -> Result<(), Error> {
    let request = serde_json::from_value(at("a", "p1", "d1", time)).unwrap();
    let plan = Booking::parse(&request).unwrap().plan;
    let zone = "Europe/Berlin".parse().unwrap();
    let span = plan.span(zone).unwrap();
    let hold = Hold { plan, zone, buffers: Buffers::NONE, by: "usr_1".to_owned() };
    let mut tx = db.begin().await?;
    let expires_at = tx.now() + TimeDelta::minutes(5);
    let kept = Kept { id: SlotHoldId::trusted(id.to_owned()), patient: None, expires_at, hold };
    let holder = holder(db, "usr_1")?;
    hold_insert(&mut tx, db, &kept, &holder, span).await?;
    Ok(tx.commit().await?)
}

/// Without any lock.
async fn booked(db: &Db, id: &str, time: &str) -> Result<(), Error> {
    let request = serde_json::from_value(at(id, "p1", "d1", time)).unwrap();
    let appointment = Booking::parse(&request).unwrap().at("Europe/Berlin".parse().unwrap());
    let mut tx = db.begin().await?;
    let span: Span = appointment.span().unwrap();
    appointment_insert(&mut tx, db, &AppointmentId::trusted(id.to_owned()), &appointment, span, "usr_1")
        .await?;
    Ok(tx.commit().await?)
}

async fn waits(db: &Db, id: &str) -> Entry {
    let request = json!({"patientId": "p1", "specialization": "Cardiology", "from": MONDAY, "to": MONDAY});
    let request = serde_json::from_value(request).unwrap();
    let now = db.clock().now();
    let asked = Asked::parse(&request, "Europe/Berlin".parse().unwrap(), now, "usr_1").unwrap();
    let Asked { patient, provider, span, entry } = asked;
    let id = WaitlistId::trusted(id.to_owned());
    let kept = Entry { id, version: 1, patient, provider, span, created_at: now, held: None, entry };
    let mut tx = db.begin().await.unwrap();
    waitlist_insert(&mut tx, db, &kept).await.unwrap();
    tx.commit().await.unwrap();
    kept
}

testkit::on_both_engines! {
    migrations = appointment::MIGRATIONS;
    service = ServiceName::AppointmentService;

    async fn a_hold_and_an_appointment_exclude_each_other_without_any_lock(test: TestDb) {
        let db = test.db();
        hold(db, "h1", "10:00").await.unwrap();
        for time in ["10:00", "09:31", "10:29"] {
            assert!(matches!(booked(db, "a", time).await, Err(Error::Overlap(_))), "{time}");
            assert!(matches!(hold(db, "h2", time).await, Err(Error::Overlap(_))), "{time}");
        }
        booked(db, "a", "10:30").await.unwrap();
        assert!(matches!(hold(db, "h2", "10:45").await, Err(Error::Overlap(_))));
        hold(db, "h2", "09:30").await.unwrap();
        // What has expired is in nobody's way.
        test.clock().advance(TimeDelta::minutes(5));
        booked(db, "b", "10:00").await.unwrap();
    }

    async fn what_frees_time_while_somebody_waits_is_noted_until_it_was_looked_at(test: TestDb) {
        let db = test.db();
        hold(db, "h1", "10:00").await.unwrap();
        test.clock().advance(TimeDelta::minutes(5));
        let sweep = async || {
            let mut tx = db.begin().await.unwrap();
            assert!(!holds_sweep(&mut tx).await.unwrap());
            tx.commit().await.unwrap();
            let mut tx = db.begin().await.unwrap();
            freed_next(&mut tx).await.unwrap()
        };
        // Nobody waits: nothing is noted.
        assert_eq!(sweep().await, None);
        let entry = waits(db, "w1").await;
        hold(db, "h2", "10:00").await.unwrap();
        test.clock().advance(TimeDelta::minutes(5));
        let (provider, upto) = sweep().await.unwrap();
        assert_eq!(provider.as_str(), "d1");
        let mut tx = db.begin().await.unwrap();
        freed_done(&mut tx, &provider, upto).await.unwrap();
        assert_eq!(freed_next(&mut tx).await.unwrap(), None);
        tx.commit().await.unwrap();
        // Of two that decide on the same entry, one finds it changed.
        for outcome in [true, false] {
            let mut tx = db.begin().await.unwrap();
            let updated = waitlist_update(&mut tx, db, &entry.withdrawn()).await;
            assert_eq!(updated.is_ok(), outcome);
            assert!(outcome || matches!(updated, Err(Error::Changed)));
            if outcome {
                tx.commit().await.unwrap();
            }
        }
        let mut tx = db.begin().await.unwrap();
        assert!(!waitlist_find(&mut tx, db, &entry.id).await.unwrap().unwrap().is_open());
    }
}
