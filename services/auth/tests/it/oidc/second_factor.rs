//! A second factor behind a login at a provider: shown there, or asked for here.

use auth::domain::totp::Totp;
use chrono::TimeDelta;
use data_encoding::BASE32_NOPAD;

use super::*;

const OWN: &str = "/api/auth/me/second-factor";

fn asked_of_clinicians(settings: &mut ServiceSettings) {
    settings.auth.second_factor.roles = ["clinician".to_owned()].into();
}

fn code(scene: &Scene, app: &Totp) -> String {
    app.code(Totp::step(scene.stack.clock.now())).to_string()
}

fn wrong_code(scene: &Scene, app: &Totp) -> String {
    let now = Totp::step(scene.stack.clock.now());
    let shown: Vec<_> = (now - 2..=now + 2).map(|step| app.code(step).to_string()).collect();
    (0..1_000_000).map(|number| format!("{number:06}")).find(|other| !shown.contains(other)).unwrap()
}

async fn with_code(scene: &Scene, started: &Started, code: &str) -> Reply {
    let body = json!({"flow": started.flow, "code": code});
    post(&scene.stack, "/api/auth/oidc/staff/second-factor", body).await
}

/// Enrols, having just logged in; the next code is not used yet.
async fn enrol(scene: &Scene, tokens: &Tokens) -> Totp {
    let stack = &scene.stack;
    let offer = call_with(stack, &tokens.access, Method::POST, OWN, Some(json!({}))).await.expect(201).json();
    let app = Totp::kept(BASE32_NOPAD.decode(offer["secret"].as_str().unwrap().as_bytes()).unwrap());
    let body = json!({"code": code(scene, &app)});
    let path = "/api/auth/me/second-factor/confirm";
    let _ = call_with(stack, &tokens.access, Method::POST, path, Some(body)).await.expect(200);
    stack.clock.advance(TimeDelta::seconds(30));
    app
}

/// Logs in as far as the code.
async fn half(scene: &Scene) -> Started {
    let (started, back) = scene.visit("jane").await;
    let told = finish(&scene.stack, &started, &back).await.expect(401).json();
    assert_eq!(told["code"], "second-factor-required", "{told}");
    started
}

with_providers! { settings = asked_of_clinicians;
    async fn one_that_was_shown_there_is_not_asked_for_here(scene: Scene) {
        let stack = &scene.stack;
        scene.provider.knows(json!({"jane": {"roles": ["doctors"], "amr": ["pwd", "mfa"]}}));
        let answer = scene.log_in("jane").await.expect(200);
        assert_eq!(answer.json()["status"], "Authenticated");
        let tokens = Tokens::of(&answer);
        assert!(is_good(stack, &tokens.access).await);
        let answer = try_refresh(stack, &tokens.refresh).await.expect(200);
        assert_eq!(answer.json()["status"], "Authenticated", "and that goes for the whole session");
        let form = stack.request(ServiceName::AuthService, Method::POST, "/api/auth/introspect");
        let form = form.bearer_auth(stack.token(Role::Admin)).form(&[("token", &Tokens::of(&answer).refresh)]);
        assert!(send(form).await.expect(200).json()["scope"].as_str().unwrap().contains("patients:read"));
    }

    async fn whoever_has_shown_none_enrols_by_having_just_logged_in(scene: Scene) {
        let stack = &scene.stack;
        scene.provider.knows(json!({"jane": {"roles": ["doctors"], "amr": ["pwd"]}}));
        let answer = scene.log_in("jane").await.expect(200);
        assert_eq!(answer.json()["status"], "Enrolment required");
        let late = Tokens::of(&answer);
        stack.clock.advance(TimeDelta::minutes(9));
        let late = Tokens::of(&try_refresh(stack, &late.refresh).await.expect(200));
        stack.clock.advance(TimeDelta::minutes(6));
        let told = call_with(stack, &late.access, Method::POST, OWN, Some(json!({}))).await.expect(409).json();
        assert_eq!(told["detail"], "Log in at the identity provider again: this session began more than 15 minutes ago.");

        stack.clock.advance(-TimeDelta::minutes(15));
        let app = enrol(&scene, &scene.tokens("jane").await).await;
        let started = half(&scene).await;
        let answer = with_code(&scene, &started, &code(&scene, &app)).await.expect(200);
        assert_eq!(answer.json()["status"], "Authenticated");
        assert_eq!(me(stack, &Tokens::of(&answer).access).await["username"], "staff.jane");
        let entry = last_entry(stack).await;
        assert_eq!((&entry["operation"], &entry["outcome"], &entry["username"]), (&json!("finish_oidc_with_code"), &json!("Done"), &json!("staff.jane")));
        refused(stack, with_code(&scene, &started, "123456").await, "no such flow").await;
    }

    async fn a_code_works_once_and_wrong_ones_lock_the_account(scene: Scene) {
        let stack = &scene.stack;
        let app = enrol(&scene, &scene.tokens("jane").await).await;
        let started = half(&scene).await;
        refused(stack, with_code(&scene, &started, &wrong_code(&scene, &app)).await, "code is wrong").await;
        let right = code(&scene, &app);
        let tries: Vec<_> = (0..4).map(|_| {
            let (stack, body) = (Arc::clone(stack), json!({"flow": started.flow, "code": right}));
            tokio::spawn(async move { post(&stack, "/api/auth/oidc/staff/second-factor", body).await.status })
        }).collect();
        let mut all = Vec::new();
        for one in tries {
            all.push(one.await.unwrap());
        }
        all.sort_unstable();
        assert_eq!(all, [200, 401, 401, 401]);
        refused(stack, with_code(&scene, &half(&scene).await, &right).await, "code is wrong").await;

        stack.clock.advance(TimeDelta::seconds(30));
        let _ = with_code(&scene, &half(&scene).await, &code(&scene, &app)).await.expect(200);
        stack.clock.advance(TimeDelta::seconds(30));
        let started = half(&scene).await;
        for _ in 0..10 {
            refused(stack, with_code(&scene, &started, &wrong_code(&scene, &app)).await, "code is wrong").await;
        }
        refused(stack, with_code(&scene, &started, &code(&scene, &app)).await, "locked").await;
        stack.clock.advance(TimeDelta::seconds(61));
        let _ = with_code(&scene, &started, &code(&scene, &app)).await.expect(200);
    }

    async fn a_flow_that_waits_for_a_code_is_good_for_nothing_else(scene: Scene) {
        let stack = &scene.stack;
        let app = enrol(&scene, &scene.tokens("jane").await).await;
        let (started, back) = scene.visit("jane").await;
        refused(stack, with_code(&scene, &started, &code(&scene, &app)).await, "waits for a code").await;
        let _ = finish(stack, &started, &back).await.expect(401);
        refused(stack, finish(stack, &started, &back).await, "no such flow").await;
        stack.clock.advance(TimeDelta::minutes(11));
        refused(stack, with_code(&scene, &started, &code(&scene, &app)).await, "waits for a code").await;
    }
}
