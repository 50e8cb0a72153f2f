//! Calendars that leave the settings: what cannot be forgotten keeps nobody from starting.

use std::sync::OnceLock;
use std::time::Duration;

use appointment::domain::conflict::Conflict;
use appointment::domain::span::Span;
use appointment::jobs::outside::{Named, calendars_settle, settle, settle_on};
use appointment::store::appointment::{appointment_find, appointment_lock, appointment_update};
use appointment::store::outside::{Lease, calendars_kept, lease_take};
use appointment::store::outside_busy::busy_replace;
use appointment::store::outside_event::{OutsideEvent, event_keep};
use appointment::store::state::{due_after, heard};
use contracts::ambient::Random;
use contracts::auth::JwkSet;
use contracts::id::{AppointmentId, ProviderId};
use db::{Db, Engine};
use http_kit::keys::KeyRing;
use http_kit::kit::World;
use http_kit::serve::{self, Running};
use http_kit::token::Verifier;
use settings::{Address, ServiceSettings};

use super::schedules::away;
use super::unopenable::change;
use super::*;

const SERVICES: &[http_kit::Service] = &[appointment::SERVICE, patient::SERVICE, provider::SERVICE];

fn named(name: &str, target: u8) -> Named {
    (name.to_owned(), vec![target])
}

/// An event in the calendar keeps the provider busy from nine to twelve.
async fn busy(db: &Db, calendar: &str) {
    let span = Span::of_minutes("2026-01-19T08:00:00Z".parse().unwrap(), 180);
    let mut tx = db.begin().await.unwrap();
    let of = (calendar, b"object".as_slice());
    let _ = busy_replace(&mut tx, of, &ProviderId::parse("prov001").unwrap(), &[span], 1).await.unwrap();
    tx.commit_unaudited().await.unwrap();
}

/// What was done in a calendar made of an appointment.
async fn in_conflict(db: &Db, id: &str, conflict: Conflict, calendar: &str) {
    let sealed =
        appointment_find(&mut db.read().await.unwrap(), &AppointmentId::parse(id).unwrap()).await.unwrap();
    let kept = sealed.unwrap().open(db).await.unwrap().unwrap();
    let after = kept.appointment.conflicted(conflict).unwrap();
    let mut tx = db.begin().await.unwrap();
    appointment_lock(&mut tx, &after).await.unwrap();
    appointment_update(&mut tx, db, &kept, &after, &format!("calendar:{calendar}")).await.unwrap();
    let event = OutsideEvent {
        appointment_id: id.to_owned(),
        href: format!("{id}.ics"),
        etag: None,
        version: 0,
        starts_at: kept.starts_at,
        ends_at: kept.starts_at,
    };
    event_keep(&mut tx, calendar, &event).await.unwrap();
    tx.commit_unaudited().await.unwrap();
}

/// Another replica of the service, with these settings.
async fn replica(stack: &TestStack, settings: &ServiceSettings) -> Running {
    let database = stack.database(ServiceName::AppointmentService);
    let (clock, auth) = (stack.clock.clone(), &settings.auth);
    let ring = KeyRing::fixed(&JwkSet::default(), &JwkSet::default());
    let verifier = Verifier::new(&auth.issuer, &auth.audience, ring, Arc::default(), clock.clone());
    let world = World {
        clock,
        random: Random::seeded(8),
        secrets: database.secrets().clone(),
        verifier: Arc::new(verifier),
        metrics: http_kit::telemetry::Metrics::default(),
        tracer: stack.tracer.clone(),
        credentials: None,
        admin_password: None,
    };
    let listen = Address(format!("unix:{}", database.dir().join("replica.sock").display()));
    let settings = ServiceSettings { listen, ..settings.clone() };
    serve::start(appointment::SERVICE, settings, world).await.unwrap()
}

async fn an_appointment_that_cannot_be_opened_keeps_no_replica_from_starting(
    stack: Arc<TestStack>,
    settings: ServiceSettings,
) {
    clinic(&stack).await;
    for (id, time) in [("apt1", "09:00"), ("apt2", "09:30"), ("apt3", "10:00")] {
        let _ = book(&stack, Role::Admin, &at(id, "12345", "prov001", time)).await.expect(201);
    }
    let db = stack.database(ServiceName::AppointmentService).db();
    assert_eq!(calendars_settle(db, &[named("gone", 1)]).await.unwrap(), []);
    busy(db, "gone").await;
    for id in ["apt1", "apt2", "apt3"] {
        in_conflict(db, id, Conflict::OutsideEvent, "gone").await;
        assert_eq!(get(&stack, id).await.json()["conflict"], "OutsideEvent", "{id}");
    }
    change(db, "update appointment set body = substr(body, 1, 20) where id = 'apt1'").await;
    assert_eq!(get(&stack, "apt1").await.status, 500);
    // The calendar is not in its settings.
    let running = replica(&stack, &settings).await;
    until(|| async { calendars_kept(&mut db.read().await.unwrap()).await.unwrap().is_empty() }).await;
    for id in ["apt2", "apt3"] {
        assert_eq!(get(&stack, id).await.expect(200).json()["conflict"], Value::Null, "{id}");
    }
    running.stop().await;
}

async fn no_start_waits_until_it_is_settled_which_calendars_there_are(
    stack: Arc<TestStack>,
    settings: ServiceSettings,
) {
    let db = stack.database(ServiceName::AppointmentService).db();
    let _ = calendars_settle(db, &[named("gone", 1)]).await.unwrap();
    change(db, "alter table outside_calendar rename to outside_calendar_away").await;
    let running = replica(&stack, &settings).await;
    running.stop().await;
    let later = tokio::spawn(settle(db.clone(), vec![named("new", 1)], Duration::from_millis(20)));
    change(db, "alter table outside_calendar_away rename to outside_calendar").await;
    later.await.unwrap();
    assert_eq!(calendars_kept(&mut db.read().await.unwrap()).await.unwrap(), [named("new", 1)]);
}

async fn what_was_done_in_a_calendar_is_to_be_resolved_no_more_when_it_is_gone(
    stack: Arc<TestStack>,
    _: ServiceSettings,
) {
    clinic(&stack).await;
    let times = [("apt1", MONDAY, "09:00"), ("apt2", MONDAY, "09:30"), ("apt3", MONDAY, "10:00")];
    for (id, date, time) in times.into_iter().chain([("apt4", "2026-01-21", "10:00")]) {
        let mut body = at(id, "12345", "prov001", time);
        body["appointmentDate"] = json!(date);
        let _ = book(&stack, Role::Admin, &body).await.expect(201);
    }
    let db = stack.database(ServiceName::AppointmentService).db();
    let _ = calendars_settle(db, &[named("gone", 1), named("stays", 1)]).await.unwrap();
    in_conflict(db, "apt1", Conflict::OutsideMove, "gone").await;
    in_conflict(db, "apt2", Conflict::OutsideDeletion, "gone").await;
    in_conflict(db, "apt3", Conflict::OutsideMove, "stays").await;
    in_conflict(db, "apt4", Conflict::OutsideMove, "gone").await;
    // It does not show behind what is to be resolved already.
    let _ = away(&stack, "prov001", "2026-01-21", "2026-01-21").await;
    let is_reviewed = async || due_after(&mut db.read().await.unwrap(), "").await.unwrap().is_none();
    let provider = ProviderId::parse("prov001").unwrap();
    until(async || heard(&mut db.read().await.unwrap(), &provider).await.unwrap() > 0).await;
    until(is_reviewed).await;
    assert_eq!(get(&stack, "apt4").await.json()["conflict"], "OutsideMove");

    assert_eq!(calendars_settle(db, &[named("stays", 1)]).await.unwrap(), []);
    for (id, conflict) in [("apt1", Value::Null), ("apt2", Value::Null), ("apt3", json!("OutsideMove"))] {
        assert_eq!(get(&stack, id).await.expect(200).json()["conflict"], conflict, "{id}");
    }
    let path = "/api/appointments/apt2/history";
    let history = call(&stack, Role::Admin, Method::GET, path, None).await.expect(200).json();
    let last = history["items"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["by"], &last["action"]), (&json!("calendar:gone"), &json!("Updated")));
    let ended = json!({"field": "conflict", "from": "OutsideDeletion", "to": null});
    assert_eq!(last["changes"], json!([ended, {"field": "calendar", "from": "gone", "to": null}]));
    until(async || get(&stack, "apt4").await.json()["conflict"] == "TimeOff").await;
}

async fn a_calendar_that_cannot_be_forgotten_at_the_start_is_forgotten_later(
    stack: Arc<TestStack>,
    settings: ServiceSettings,
) {
    let db = stack.database(ServiceName::AppointmentService).db();
    let _ = calendars_settle(db, &[named("gone", 1), named("moved", 1)]).await.unwrap();
    change(db, "alter table outside_event rename to outside_event_away").await;
    let running = replica(&stack, &settings).await;
    running.stop().await;
    // Others are added meanwhile, and nobody takes what is known of one for what is known of another by its name.
    let calendars = [named("moved", 2), named("new", 1)];
    let left = calendars_settle(db, &calendars).await.unwrap();
    assert_eq!(left, [named("gone", 1), named("moved", 1)]);
    let lease = |name: &str, target| Lease {
        calendar: name.to_owned(),
        target: vec![target],
        by: "wrk_1".to_owned(),
    };
    assert!(lease_take(db, &lease("new", 1)).await.unwrap().is_some());
    assert!(lease_take(db, &lease("moved", 2)).await.unwrap().is_none());
    let later = tokio::spawn(settle_on(db.clone(), calendars.to_vec(), left, Duration::from_millis(20)));
    change(db, "alter table outside_event_away rename to outside_event").await;
    later.await.unwrap();
    assert_eq!(calendars_kept(&mut db.read().await.unwrap()).await.unwrap(), calendars);
    assert!(lease_take(db, &lease("moved", 2)).await.unwrap().is_some());
}

/// Each test on both engines, with the settings that the appointment service was started with.
macro_rules! settle_tests {
    ($($name:ident),*) => {$(
        mod $name {
use super::*;

            fn run(engine: Engine) {
                let seen = OnceLock::new();
                let see = |settings: &mut ServiceSettings| {
                    if settings.service == ServiceName::AppointmentService {
                        seen.set(settings.clone()).unwrap();
                    }
                };
                testkit::stack::run_with(engine, SERVICES, see, |stack| {
                    let settings = seen.get().unwrap().clone();
                    super::$name(stack, settings)
                });
            }

            #[test]
            fn sqlite() {
                run(Engine::Sqlite);
            }

            #[test]
            fn postgres() {
                run(Engine::Postgres);
            }
        }
    )*};
}

settle_tests!(
    no_start_waits_until_it_is_settled_which_calendars_there_are,
    what_was_done_in_a_calendar_is_to_be_resolved_no_more_when_it_is_gone,
    an_appointment_that_cannot_be_opened_keeps_no_replica_from_starting,
    a_calendar_that_cannot_be_forgotten_at_the_start_is_forgotten_later
);
