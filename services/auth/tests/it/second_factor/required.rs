//! Whoever must have a second factor and has none.

use settings::ServiceSettings;

use super::*;

fn asked_of_clinicians(settings: &mut ServiceSettings) {
    settings.auth.second_factor.roles = ["clinician".to_owned(), "a-role-to-come".to_owned()].into();
}

/// Asks for something that only whoever is let in gets, and gives the code of the refusal.
async fn refusal(stack: &Arc<TestStack>, service: ServiceName, token: &str, path: &str) -> String {
    let answer = send(stack.request(service, Method::GET, path).bearer_auth(token)).await.expect(403);
    answer.json()["code"].as_str().unwrap().to_owned()
}

async fn whoever_must_have_one_may_do_nothing_else_before(stack: Arc<TestStack>) {
    let _ = create(&stack, "jane.roe", &["clinician", "billing"]).await;
    let _ = create(&stack, "john.roe", &["billing"]).await;
    assert_eq!(try_login(&stack, "john.roe", PASSWORD).await.expect(200).json()["status"], "Authenticated");
    let answer = try_login(&stack, "jane.roe", PASSWORD).await.expect(200);
    assert_eq!(answer.json()["status"], "Enrolment required");
    let (here, thief) = (Tokens::of(&answer), login(&stack, "jane.roe", PASSWORD).await);
    for (service, path) in [
        (ServiceName::AuthService, "/api/auth/me"),
        (ServiceName::AuthService, "/api/auth/sessions"),
        (ServiceName::PatientService, "/api/patients"),
    ] {
        assert_eq!(refusal(&stack, service, &here.access, path).await, "second-factor-enrolment-required");
    }
    let refused =
        post_with(&stack, &here.access, REMOVE, json!({"currentPassword": PASSWORD})).await.expect(403);
    assert_eq!(refused.json()["code"], "second-factor-enrolment-required");
    let answer = try_refresh(&stack, &here.refresh).await.expect(200);
    assert_eq!(answer.json()["status"], "Enrolment required", "to refresh brings no more");
    let here = Tokens::of(&answer);
    let form = stack.request(ServiceName::AuthService, Method::POST, "/api/auth/introspect");
    let form = form.bearer_auth(stack.token(Role::Admin));
    let told = send(form.form(&[("token", &here.refresh)])).await.expect(200).json();
    assert_eq!((&told["active"], &told["scope"]), (&json!(true), &json!("")));
    assert_eq!(own(&stack, &here.access).await["required"], true);

    let jane = enrol(&stack, here).await;
    let before = refusal(&stack, ServiceName::AuthService, &jane.tokens.access, "/api/auth/me").await;
    assert_eq!(before, "second-factor-enrolment-required", "a token says what was so when it was issued");
    let answer = try_refresh(&stack, &jane.tokens.refresh).await.expect(200);
    assert_eq!(answer.json()["status"], "Authenticated");
    let whole = Tokens::of(&answer).access;
    assert!(is_good(&stack, &whole).await);
    let patients =
        stack.request(ServiceName::PatientService, Method::GET, "/api/patients").bearer_auth(&whole);
    let _ = send(patients).await.expect(200);
    let _ = call_with(&stack, &thief.access, Method::GET, OWN, None).await.expect(401);
    let _ = try_refresh(&stack, &thief.refresh).await.expect(401);
    later(&stack);
    let body = json!({"currentPassword": PASSWORD, "code": code(&stack, &jane.app)});
    let kept = post_with(&stack, &whole, REMOVE, body).await.expect(409);
    assert_eq!(kept.json()["code"], "invalid-transition");
    let _ = login_with(&stack, "jane.roe", &code(&stack, &jane.app)).await.expect(200);
}

#[test]
fn whoever_must_have_one_may_do_nothing_else_before_on_both_engines() {
    const SERVICES: &[http_kit::Service] = &[auth::SERVICE, patient::SERVICE];
    for engine in [db::Engine::Sqlite, db::Engine::Postgres] {
        testkit::stack::run_with(
            engine,
            SERVICES,
            asked_of_clinicians,
            whoever_must_have_one_may_do_nothing_else_before,
        );
    }
}
