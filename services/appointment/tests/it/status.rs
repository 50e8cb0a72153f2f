//! Appointments found by where they stand, which the database does not know.

use std::collections::BTreeSet;

use appointment::domain::appointment::{Appointment, Booking};
use appointment::domain::status;
use appointment::store::appointment::appointment_insert;
use appointment::store::renewal;
use chrono::{Days, NaiveDate};
use contracts::appointments::AppointmentStatus;
use contracts::id::AppointmentId;
use db::Db;

use super::*;

/// One a day, in this order.
async fn insert(db: &Db, appointments: &[(String, AppointmentStatus)]) {
    let first = NaiveDate::from_ymd_opt(2026, 2, 1).unwrap();
    let mut tx = db.begin().await.unwrap();
    for (number, (id, status)) in (0..).zip(appointments) {
        let date = first.checked_add_days(Days::new(number)).unwrap();
        let request = json!({
            "appointmentId": id, "patientId": "12345", "providerId": "prov001", "appointmentDate": date, "timeSlot": "09:00",
        });
        let booking = Booking::parse(&serde_json::from_value(request).unwrap()).unwrap();
        let booked = booking.at("Europe/Berlin".parse().unwrap());
        let (booked, id) = (Appointment { status: *status, ..booked }, AppointmentId::parse(id).unwrap());
        let span = booked.span().unwrap();
        appointment_insert(&mut tx, db, &id, &booked, span, "usr_1").await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn hashes(db: &Db) -> Vec<Vec<u8>> {
    let mut tx = db.read().await.unwrap();
    db::on!(tx, |conn| sqlx::query_scalar("select status from appointment").fetch_all(conn).await.unwrap())
}

/// Leaves appointments as the version before leaves them.
async fn make_old(db: &Db, appointments: &[(String, AppointmentStatus)]) {
    let mut tx = db.begin().await.unwrap();
    for (id, status) in appointments {
        let old = db.vault().blind("status", status::name(*status)).unwrap();
        db::on!(tx, |conn| sqlx::query("update appointment set status = $2 where id = $1")
            .bind(id)
            .bind(&old)
            .execute(conn)
            .await
            .map(drop))
        .unwrap();
    }
    tx.commit().await.unwrap();
}

fn some_of_each(count: usize) -> Vec<(String, AppointmentStatus)> {
    (0..count).map(|number| (format!("a{number:04}"), status::ALL[number * number % 11 % 7])).collect()
}

async fn found(stack: &Arc<TestStack>, who: impl Into<Who>, query: &str) -> Vec<String> {
    let (who, mut ids, mut cursor) = (who.into(), Vec::new(), String::new());
    loop {
        let path = format!("/api/appointments?limit=2{query}{cursor}");
        let page = call(stack, who.clone(), Method::GET, &path, None).await.expect(200).json();
        ids.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["appointmentId"].as_str().unwrap().to_owned()),
        );
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
    }
}

testkit::stack_tests! { services = [appointment::SERVICE];
    async fn appointments_of_a_status_are_found_among_all_others(stack: Arc<TestStack>) {
        let appointments = some_of_each(30);
        insert(stack.database(ServiceName::AppointmentService).db(), &appointments).await;
        for status in status::ALL {
            let ids: Vec<_> = appointments.iter().filter(|it| it.1 == status).map(|it| it.0.clone()).collect();
            for narrower in ["", "&patientId=12345", "&providerId=prov001", "&from=2026-02-01"] {
                let query = format!("&status={}{narrower}", status::name(status));
                assert_eq!(found(&stack, Role::Receptionist, &query).await, ids, "{query}");
                assert_eq!(found(&stack, Who::clinician("prov001"), &query).await, ids, "{query}");
            }
        }
    }

    async fn one_appointment_behind_hundreds_is_found(stack: Arc<TestStack>) {
        let mut appointments: Vec<_> =
            (0..600).map(|number| (format!("a{number}"), AppointmentStatus::Scheduled)).collect();
        appointments.push(("last".to_owned(), AppointmentStatus::NoShow));
        insert(stack.database(ServiceName::AppointmentService).db(), &appointments).await;
        assert_eq!(found(&stack, Role::Receptionist, "&status=NoShow").await, ["last"]);
        assert!(found(&stack, Role::Receptionist, "&status=CheckedIn").await.is_empty());
    }
}

testkit::on_both_engines! {
    migrations = appointment::MIGRATIONS;
    service = ServiceName::AppointmentService;

    async fn no_two_appointments_have_the_same_hash_of_their_status(db: Db) {
        insert(&db, &some_of_each(50)).await;
        let hashes: BTreeSet<_> = hashes(&db).await.into_iter().collect();
        assert_eq!(hashes.len(), 50);
    }

    async fn statuses_of_the_version_before_are_hashed_anew(db: Db) {
        let appointments = some_of_each(600);
        insert(&db, &appointments).await;
        let as_written: BTreeSet<_> = hashes(&db).await.into_iter().collect();
        make_old(&db, &appointments).await;
        assert!(hashes(&db).await.into_iter().collect::<BTreeSet<_>>().len() <= 7);
        http_kit::renewal::renew(&db, renewal::some).await.unwrap();
        assert_eq!(hashes(&db).await.into_iter().collect::<BTreeSet<_>>(), as_written);
        assert!(!renewal::some(db.clone()).await.unwrap());
    }
}
