//! Servers that answer anything, and workers that die.

use appointment::domain::outside::State;
use appointment::jobs::outside::calendars_settle;
use appointment::store::outside::{Lease, Lost, Outcome, lease_hold, lease_return, lease_take};
use axum::Router;
use axum::http::StatusCode;
use chrono::TimeDelta;
use db::Db;
use settings::{CalDavSettings, CalendarSettings, SecretRef};
use testkit::TestDb;

use super::outside::{look, run_with, standing};
use super::*;

/// A server that answers everything with this.
async fn answering(
    port: u16,
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let answer = move || async move {
        let mut answer = axum::http::Response::builder().status(StatusCode::from_u16(status).unwrap());
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        answer.body(axum::body::Body::from(body)).unwrap()
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
}

fn run(
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    (state, said): (&'static str, &'static str),
) {
    let port = testkit::smtp::free_port();
    let calendar = CalendarSettings {
        name: "work".to_owned(),
        provider_id: Some("prov001".to_owned()),
        poll_seconds: 60,
        caldav: Some(CalDavSettings {
            url: format!("http://127.0.0.1:{port}/c/"),
            username: "clinic".to_owned(),
            password: SecretRef { secret: "caldav".to_owned(), key: "password".to_owned() },
        }),
        google: None,
    };
    run_with(db::Engine::Sqlite, &calendar, move |stack| async move {
        clinic(&stack).await;
        answering(port, status, headers, body).await;
        let _ = stack.secret(ServiceName::AppointmentService, "caldav", "password", b"secret");
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        stack.clock.advance(TimeDelta::minutes(20));
        // What came of it before there was a password, or a server, is another thing.
        until(|| async { standing(&stack).await["error"] == said }).await;
        let standing = look(&stack, state).await;
        assert_eq!((&standing["error"], &standing["pending"]), (&json!(said), &json!(1)), "{standing}");
        assert_eq!(get(&stack, "apt1").await.json()["status"], "Scheduled");
    });
}

#[test]
fn whatever_a_server_answers_is_shown_as_what_it_is_and_nothing_is_lost() {
    let garbled = ("Garbled", "The calendar's server answers what cannot be read: it is no multistatus.");
    run(207, &[], "<html>", garbled);
    run(207, &[], "<!DOCTYPE a [<!ENTITY b 'c'>]><multistatus xmlns='DAV:'>&b;</multistatus>", garbled);
    let tokenless =
        ("Garbled", "The calendar's server answers what cannot be read: what has changed has no sync-token.");
    run(207, &[], "<multistatus xmlns='DAV:'/>", tokenless);
    let endless = ("Garbled", "The calendar's server answers more than can be read.");
    run(207, &[], Box::leak("a".repeat(17 << 20).into_boxed_str()), endless);
    run(
        503,
        &[("retry-after", "7")],
        "",
        ("Unreachable", "The calendar's server does not serve us now (503)."),
    );
    let moved = ("Refused", "The calendar's server says that it is elsewhere (302): set its new address.");
    run(302, &[("location", "http://127.0.0.1:1/")], "", moved);
    run(
        401,
        &[],
        "",
        ("CredentialRevoked", "The calendar's server does not take our credentials any more (401)."),
    );
    run(404, &[], "", ("Refused", "The calendar's server refuses what it is asked (404)."));
}

fn lease(by: &str) -> Lease {
    Lease { calendar: "work".to_owned(), target: vec![1], by: by.to_owned() }
}

async fn holds(db: &Db, lease: &Lease) -> bool {
    let mut tx = db.begin().await.unwrap();
    match lease_hold(&mut tx, lease).await {
        Ok(()) => tx.commit().await.is_ok(),
        Err(Lost::Lease) => false,
        Err(error) => panic!("{error}"),
    }
}

testkit::on_both_engines! {
    migrations = appointment::MIGRATIONS;
    service = ServiceName::AppointmentService;

    async fn one_worker_is_at_a_calendar_and_another_when_that_one_is_gone(test: TestDb) {
        let db = test.db();
        let calendars = [("work".to_owned(), vec![1])];
        calendars_settle(db, &calendars).await.unwrap();
        let (one, other) = (lease("one"), lease("other"));
        assert!(lease_take(db, &one).await.unwrap().is_some());
        assert!(lease_take(db, &other).await.unwrap().is_none());
        test.clock().advance(TimeDelta::seconds(50));
        assert!(holds(db, &one).await && !holds(db, &other).await);
        // Whoever shows that they are there has it for some time more, and whoever does not has not.
        test.clock().advance(TimeDelta::seconds(50));
        assert!(lease_take(db, &other).await.unwrap().is_none());
        test.clock().advance(TimeDelta::seconds(11));
        assert!(lease_take(db, &other).await.unwrap().is_some());
        assert!(!holds(db, &one).await && holds(db, &other).await);
        let outcome = Outcome {
            state: State::Ok, error: None, sync_token: Some("token"), whole_at: None, failures: 0, next_at: test.clock().now() + TimeDelta::seconds(60),
        };
        assert!(matches!(lease_return(db, &one, &outcome).await, Err(Lost::Lease)));
        lease_return(db, &other, &outcome).await.unwrap();
        assert!(lease_take(db, &one).await.unwrap().is_none());
        test.clock().advance(TimeDelta::seconds(60));
        assert_eq!(lease_take(db, &one).await.unwrap().unwrap().sync_token.as_deref(), Some("token"));
        // The same calendar goes on where it was; one at another address begins anew.
        calendars_settle(db, &calendars).await.unwrap();
        assert!(holds(db, &one).await);
        calendars_settle(db, &[("work".to_owned(), vec![2])]).await.unwrap();
        assert!(lease_take(db, &other).await.unwrap().is_none());
        let anew = Lease { target: vec![2], ..other };
        assert_eq!(lease_take(db, &anew).await.unwrap().unwrap().sync_token, None);
    }
}
