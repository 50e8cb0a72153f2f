//! The time of day jumps, as when a machine wakes up or its clock is set right. What is good until a date is judged by it; what takes a time is not.

use std::time::Duration;

use chrono::TimeDelta;
use contracts::auth::Revocation;
use contracts::permission::Role;
use settings::{Breaker, Ejection, Method, RateLimit, RateLimits, Route};
use tokio::sync::watch;

use super::{before, metric};
use crate::backend::{Backend, eventually};
use crate::house::{House, guarded, public};

const HOUR: TimeDelta = TimeDelta::hours(1);

#[tokio::test]
async fn a_token_is_good_again_when_the_clock_that_was_wrong_is_right() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, vec![guarded(Method::Get, "/x", &["patients:read"])]).await;
    let token = house.token("usr_1", Role::Receptionist);
    assert_eq!(house.get_as(&token, "/x").await.status, 200);
    house.clock.advance(HOUR);
    house.get_as(&token, "/x").await.assert_problem(401, "unauthenticated");
    house.clock.advance(-HOUR);
    assert_eq!(house.get_as(&token, "/x").await.status, 200);
    // From before it was issued, by more than clocks may differ.
    house.clock.advance(-HOUR);
    house.get_as(&token, "/x").await.assert_problem(401, "unauthenticated");
    house.clock.advance(HOUR);
    assert_eq!(house.get_as(&token, "/x").await.status, 200);
}

/// While the clock is ahead, every revocation looks old enough to be forgotten.
#[tokio::test]
async fn who_was_logged_out_stays_so_whatever_the_clock_does() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, vec![guarded(Method::Get, "/x", &["patients:read"])]).await;
    let [jane, john, ann] = ["jane", "john", "ann"].map(|user| house.token(user, Role::Receptionist));
    house.clock.advance(TimeDelta::seconds(1));
    let revoked = |user: &str| {
        let now = house.clock.now();
        Revocation {
            session: Some(format!("session-{user}")),
            user: None,
            issued_before: now.timestamp_millis(),
            expires_at: now.timestamp() + 600,
        }
    };
    let heard_late = revoked("john");
    house.revoked.apply(&[revoked("jane")], &house.clock);
    house.clock.advance(HOUR);
    house.revoked.apply(&[heard_late], &house.clock);
    house.clock.advance(-HOUR);
    house.get_as(&jane, "/x").await.assert_problem(401, "unauthenticated");
    house.get_as(&john, "/x").await.assert_problem(401, "unauthenticated");
    assert_eq!(house.get_as(&ann, "/x").await.status, 200);
}

#[tokio::test]
async fn deadlines_rests_and_limits_do_not_look_at_the_time_of_day() {
    let (go, gone) = watch::channel(false);
    let slow = Backend::answering(move |request| {
        let mut gone = gone.clone();
        async move {
            if request.uri().path() == "/slow" {
                let _ = gone.wait_for(|go| *go).await;
            }
            http::Response::new(http_body_util::Full::new(bytes::Bytes::from_static(b"ok")))
        }
    })
    .await;
    let sick = Backend::status(500).await;
    let breaker = Breaker { window_calls: 2, min_calls: 2, open_ms: 60_000, ..Breaker::default() };
    let few =
        RateLimits { total: Some(RateLimit { requests_per_second: 1, burst: 2 }), ..RateLimits::default() };
    let routes = vec![
        Route { timeout_ms: 20_000, ..public(Method::Get, "/slow") },
        Route { rate_limits: Some(few), ..public(Method::Get, "/few") },
        Route { circuit_breaker: Some(breaker), service: "sick".to_owned(), ..public(Method::Get, "/sick") },
    ];
    let mut config = before(vec![slow.address.clone()], routes);
    let mut upstream = settings::Upstream::from(vec![sick.address.clone()]);
    upstream.ejection = Ejection { failures: 2, base_ms: 60_000, ..Ejection::default() };
    config.upstreams.insert("sick".to_owned(), upstream);
    let house = House::with(config).await;
    for (path, statuses) in [("/sick", [500, 500, 503]), ("/few", [200, 200, 429])] {
        for status in statuses {
            assert_eq!(house.get(path).await.status, status, "{path}");
        }
    }
    let mut client = house.client().await;
    client.send(crate::wire::request("GET", "/slow", &[], "")).await;
    eventually("it is under way", || {
        slow.requests().iter().any(|seen| seen.method == "GET")
            && metric(&house, "requests_in_flight", None) == Some(1)
    })
    .await;
    for jump in [HOUR * 24, -HOUR * 48] {
        house.clock.advance(jump);
        house.get("/sick").await.assert_problem(503, "unavailable");
        assert_eq!(metric(&house, "endpoint_state", Some(&sick.address)), Some(2));
        // A second gives one back; were it a question of the date, all would be there.
        let asked = [house.get("/few").await, house.get("/few").await];
        assert!(asked.iter().any(|answer| answer.status == 429));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(metric(&house, "requests_in_flight", None), Some(1), "it waits on");
    }
    go.send_replace(true);
    assert_eq!(client.answer().await.unwrap().text(), "ok");
}
