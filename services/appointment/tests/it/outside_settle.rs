//! Calendars that leave the settings: what cannot be forgotten keeps nobody from starting.

use std::sync::OnceLock;
use std::time::Duration;

use appointment::domain::conflict::Conflict;
use appointment::domain::span::Span;
use appointment::jobs::outside::{Named, calendars_settle, settle_on};
use appointment::store::appointment::{appointment_find, appointment_lock, appointment_update};
use appointment::store::outside::{Lease, calendars_kept, lease_take};
use appointment::store::outside_busy::busy_replace;
use contracts::ambient::Random;
use contracts::auth::JwkSet;
use contracts::id::{AppointmentId, ProviderId};
use db::{Db, Engine, on};
use http_kit::keys::KeyRing;
use http_kit::kit::World;
use http_kit::serve::{self, Running};
use http_kit::token::Verifier;
use settings::{Address, ServiceSettings};

use super::*;

const SERVICES: &[http_kit::Service] = &[appointment::SERVICE, patient::SERVICE, provider::SERVICE];

fn named(name: &str, target: u8) -> Named {
    (name.to_owned(), vec![target])
}

async fn change(db: &Db, sql: &'static str) {
    let mut tx = db.begin().await.unwrap();
    on!(tx, |conn| sqlx::query(sql).execute(conn).await.map(drop)).unwrap();
    tx.commit_unaudited().await.unwrap();
}

/// An event in the calendar keeps the provider busy from nine to twelve.
async fn busy(db: &Db, calendar: &str) {
    let span = Span::of_minutes("2026-01-19T08:00:00Z".parse().unwrap(), 180);
    let mut tx = db.begin().await.unwrap();
    let of = (calendar, b"object".as_slice());
    let _ = busy_replace(&mut tx, of, &ProviderId::parse("prov001").unwrap(), &[span], 1).await.unwrap();
    tx.commit_unaudited().await.unwrap();
}

/// What the event made of an appointment.
async fn in_conflict(db: &Db, id: &str) {
    let sealed =
        appointment_find(&mut db.read().await.unwrap(), &AppointmentId::parse(id).unwrap()).await.unwrap();
    let kept = sealed.unwrap().open(db).await.unwrap().unwrap();
    let after = kept.appointment.conflicted(Conflict::OutsideEvent).unwrap();
    let mut tx = db.begin().await.unwrap();
    appointment_lock(&mut tx, &after).await.unwrap();
    appointment_update(&mut tx, db, &kept, &after, "calendar:gone").await.unwrap();
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
        in_conflict(db, id).await;
        assert_eq!(get(&stack, id).await.json()["conflict"], "OutsideEvent", "{id}");
    }
    change(db, "update appointment set body = substr(body, 1, 20) where id = 'apt1'").await;
    assert_eq!(get(&stack, "apt1").await.status, 500);
    // The calendar is not in its settings.
    let running = replica(&stack, &settings).await;
    for id in ["apt2", "apt3"] {
        assert_eq!(get(&stack, id).await.expect(200).json()["conflict"], Value::Null, "{id}");
    }
    assert_eq!(calendars_kept(&mut db.read().await.unwrap()).await.unwrap(), []);
    running.stop().await;
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
    an_appointment_that_cannot_be_opened_keeps_no_replica_from_starting,
    a_calendar_that_cannot_be_forgotten_at_the_start_is_forgotten_later
);
