//! Who may pass.

use std::time::Duration;

use chrono::TimeDelta;
use contracts::auth::Revocation;
use contracts::permission::Role;
use settings::Method;

use crate::backend::Backend;
use crate::house::{House, config, guarded, public};

fn routes() -> Vec<settings::Route> {
    vec![
        guarded(Method::Get, "/api/patients/{patientId}", &["patients:read"]),
        guarded(Method::Delete, "/api/patients/{patientId}", &["patients:read", "patients:delete"]),
        guarded(Method::Get, "/api/auth/me", &[]),
        guarded(Method::Get, "/api/auth/me/second-factor", &[]),
        public(Method::Post, "/api/auth/login"),
    ]
}

#[tokio::test]
async fn without_a_token_of_ours_nobody_passes() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, routes()).await;
    let other = House::before(&backend, routes()).await;
    let stranger = other.token("usr_1", Role::Admin);
    let good = house.token("usr_1", Role::Admin);
    let wrong_audience = contracts_claims(&house, |claims| "elsewhere".clone_into(&mut claims.aud));
    let wrong_issuer = contracts_claims(&house, |claims| "elsewhere".clone_into(&mut claims.iss));
    let posing = contracts_claims(&house, |claims| "service:auth-1".clone_into(&mut claims.sub));
    let headers = [
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some("Bearer nonsense".to_owned()),
        Some(format!("Basic {good}")),
        Some(format!("Bearer {stranger}")),
        Some(format!("Bearer {}", &good[..good.len() - 4])),
        Some(format!("Bearer {wrong_audience}")),
        Some(format!("Bearer {wrong_issuer}")),
        Some(format!("Bearer {posing}")),
        Some(format!("Bearer {}", "x".repeat(10_000))),
    ];
    for header in &headers {
        let lines: Vec<_> = header.iter().map(|line| ("authorization", line.as_str())).collect();
        let answer = house.ask("GET", "/api/patients/1", &lines, "").await;
        answer.assert_problem(401, "unauthenticated");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
    }
    assert!(backend.requests().is_empty());
    assert_eq!(house.get_as(&good, "/api/patients/1").await.status, 200);
}

fn contracts_claims(house: &House, change: impl FnOnce(&mut http_kit::token::Claims)) -> String {
    let mut claims = house.claims("usr_1", Role::Admin);
    change(&mut claims);
    house.sign(claims)
}

#[tokio::test]
async fn whoever_may_only_enrol_a_second_factor_passes_to_nothing_else() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, routes()).await;
    let only_enrols = contracts_claims(&house, |claims| {
        claims.only_enrols = true;
        claims.scope.clear();
    });
    for path in ["/api/patients/1", "/api/auth/me", "/api/gateway"] {
        house.get_as(&only_enrols, path).await.assert_problem(403, "second-factor-enrolment-required");
    }
    // Not even one that says more of itself.
    let more = contracts_claims(&house, |claims| claims.only_enrols = true);
    house.get_as(&more, "/api/patients/1").await.assert_problem(403, "second-factor-enrolment-required");
    assert!(backend.requests().is_empty());
    assert_eq!(house.get_as(&only_enrols, "/api/auth/me/second-factor").await.status, 200);
    let login = house.ask("POST", "/api/auth/login", &[("authorization", "Bearer x")], "").await;
    assert_eq!(login.status, 200);
}

#[tokio::test]
async fn two_authorization_headers_are_refused_since_the_service_might_read_the_other() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, routes()).await;
    let line = format!("Bearer {}", house.token("usr_1", Role::Admin));
    let headers = [("authorization", line.as_str()), ("authorization", "Bearer other")];
    house.ask("GET", "/api/patients/1", &headers, "").await.assert_problem(400, "malformed-request");
}

#[tokio::test]
async fn an_expired_token_is_refused_though_it_was_good_before() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, routes()).await;
    let token = house.token("usr_1", Role::Admin);
    assert_eq!(house.get_as(&token, "/api/patients/1").await.status, 200);
    house.clock.advance(TimeDelta::seconds(601));
    house.get_as(&token, "/api/patients/1").await.assert_problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_revoked_session_is_refused_at_once_and_others_are_not() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, routes()).await;
    let (jane, john) = (house.token("jane", Role::Admin), house.token("john", Role::Admin));
    assert_eq!(house.get_as(&jane, "/api/patients/1").await.status, 200);
    house.clock.advance(TimeDelta::seconds(1));
    let now = house.clock.now();
    let revocation = Revocation {
        session: Some("session-jane".to_owned()),
        user: None,
        issued_before: now.timestamp_millis(),
        expires_at: now.timestamp() + 600,
    };
    house.revoked.apply(&[revocation], &house.clock);
    house.get_as(&jane, "/api/patients/1").await.assert_problem(401, "unauthenticated");
    assert_eq!(house.get_as(&john, "/api/patients/1").await.status, 200);
    assert_eq!(house.get_as(&house.token("jane", Role::Admin), "/api/patients/1").await.status, 200);
}

#[tokio::test]
async fn a_role_passes_where_it_has_every_permission_and_nowhere_else() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, routes()).await;
    let ask = async |role: Role, method: &str, path: &str| {
        let line = format!("Bearer {}", house.token(role.as_str(), role));
        house.ask(method, path, &[("authorization", &line)], "").await
    };
    assert_eq!(ask(Role::Admin, "DELETE", "/api/patients/1").await.status, 200);
    assert_eq!(ask(Role::Receptionist, "GET", "/api/patients/1").await.status, 200);
    let refused = ask(Role::Receptionist, "DELETE", "/api/patients/1").await;
    refused.assert_problem(403, "forbidden");
    assert_eq!(refused.json()["detail"], "This needs the permission patients:delete.");
    assert_eq!(ask(Role::Patient, "GET", "/api/auth/me").await.status, 200);
}

#[tokio::test]
async fn a_public_route_asks_for_nothing_and_passes_what_comes() {
    let backend = Backend::echo().await;
    let house = House::before(&backend, routes()).await;
    assert_eq!(house.ask("POST", "/api/auth/login", &[], "{}").await.status, 200);
    let answer = house.ask("POST", "/api/auth/login", &[("authorization", "Bearer old")], "{}").await;
    assert_eq!(answer.status, 200);
    assert_eq!(backend.requests()[1].headers["authorization"], "Bearer old");
}

#[tokio::test]
async fn while_nobody_says_who_was_logged_out_people_read_and_change_nothing() {
    let backend = Backend::echo().await;
    let at_auth = settings::Route {
        service: "auth-service".to_owned(),
        ..guarded(Method::Delete, "/api/auth/sessions", &[])
    };
    let mut config = config(vec![backend.address.clone()], [routes(), vec![at_auth]].concat());
    config.upstreams.insert("auth-service".to_owned(), config.upstreams["patient-service"].clone());
    let house = House::with(config).await;
    let token = house.token("usr_1", Role::Admin);
    let line = format!("Bearer {token}");
    let ask = async |method: &str, path: &str| house.ask(method, path, &[("authorization", &line)], "").await;
    assert_eq!(ask("DELETE", "/api/patients/1").await.status, 200);

    house.revoked.set_stale_after(Duration::ZERO);
    let refused = ask("DELETE", "/api/patients/1").await;
    refused.assert_problem(503, "unavailable");
    assert_eq!(refused.header("retry-after"), Some("5"));
    assert_eq!(ask("GET", "/api/patients/1").await.status, 200);
    assert_eq!(ask("HEAD", "/api/patients/1").await.status, 200);
    assert_eq!(ask("POST", "/api/auth/login").await.status, 200, "nobody in particular does that");
    assert_eq!(ask("DELETE", "/api/auth/sessions").await.status, 200, "auth itself knows");
    house.get_as("nonsense", "/api/patients/1").await.assert_problem(401, "unauthenticated");

    house.revoked.set_stale_after(Duration::from_mins(2));
    assert_eq!(ask("DELETE", "/api/patients/1").await.status, 200);
}
