//! A second factor: enrolled, asked for, used once, lost and taken away; and whoever must have one and has none.

use auth::domain::recovery_code::RecoveryCode;
use auth::domain::second_factor::{Code, FAILURES_MAX};
use auth::domain::totp::Totp;
use auth::guard::Guard;
use auth::store::recovery_code::{recovery_code_spend, recovery_codes_give};
use auth::store::second_factor::{
    Offer, second_factor_enrol, second_factor_failed, second_factor_find, second_factor_offer,
    second_factor_purge, second_factor_spend,
};
use chrono::TimeDelta;
use contracts::id::UserId;
use data_encoding::BASE32_NOPAD;
use db::Db;
use settings::ServiceSettings;

use super::*;

const OWN: &str = "/api/auth/me/second-factor";
const CONFIRM: &str = "/api/auth/me/second-factor/confirm";
const REMOVE: &str = "/api/auth/me/second-factor/remove";

/// Somebody's phone, with the codes that they wrote down.
struct Enrolled {
    tokens: Tokens,
    app: Totp,
    recovery: Vec<String>,
}

/// What an app makes of what it is offered.
fn app(offered: &Value) -> Totp {
    let secret = offered["secret"].as_str().unwrap();
    assert!(offered["uri"].as_str().unwrap().contains(&format!("?secret={secret}&")));
    Totp::kept(BASE32_NOPAD.decode(secret.as_bytes()).unwrap())
}

/// What an app shows now.
fn code(stack: &Arc<TestStack>, app: &Totp) -> String {
    app.code(Totp::step(stack.clock.now())).to_string()
}

/// A code that an app does not show, neither now nor half a minute before or after.
fn wrong_code(stack: &Arc<TestStack>, app: &Totp) -> String {
    let now = Totp::step(stack.clock.now());
    let shown: Vec<_> = (now - 2..=now + 2).map(|step| app.code(step).to_string()).collect();
    let mut others = (0..).map(|number| format!("{number:06}"));
    others.find(|other| !shown.contains(other)).unwrap()
}

/// The next half minute.
fn later(stack: &Arc<TestStack>) {
    stack.clock.advance(TimeDelta::seconds(30));
}

async fn login_with(stack: &Arc<TestStack>, username: &str, code: &str) -> Reply {
    post(stack, "/api/auth/login", json!({"username": username, "password": PASSWORD, "code": code})).await
}

async fn post_with(stack: &Arc<TestStack>, token: &str, path: &str, body: Value) -> Reply {
    call_with(stack, token, Method::POST, path, Some(body)).await
}

async fn offer(stack: &Arc<TestStack>, token: &str) -> Totp {
    app(&post_with(stack, token, OWN, json!({"currentPassword": PASSWORD})).await.expect(201).json())
}

async fn enrol(stack: &Arc<TestStack>, tokens: Tokens) -> Enrolled {
    let app = offer(stack, &tokens.access).await;
    let confirmed = post_with(stack, &tokens.access, CONFIRM, json!({"code": code(stack, &app)}))
        .await
        .expect(200)
        .json();
    assert_eq!(confirmed["status"], "Active");
    let recovery = confirmed["recoveryCodes"].as_array().unwrap().iter();
    let recovery: Vec<_> = recovery.map(|code| code.as_str().unwrap().to_owned()).collect();
    assert_eq!(recovery.len(), 10);
    Enrolled { tokens, app, recovery }
}

/// A new user who has enrolled; the next code is not used yet.
async fn enrolled(stack: &Arc<TestStack>, username: &str) -> Enrolled {
    let _ = create(stack, username, &["billing"]).await;
    let tokens = login(stack, username, PASSWORD).await;
    let enrolled = enrol(stack, tokens).await;
    later(stack);
    enrolled
}

async fn own(stack: &Arc<TestStack>, token: &str) -> Value {
    call_with(stack, token, Method::GET, OWN, None).await.expect(200).json()
}

testkit::stack_tests! { services = [auth::SERVICE];
    async fn a_code_lets_in_once(stack: Arc<TestStack>) {
        let _ = create(&stack, "jane.roe", &["billing"]).await;
        let tokens = login(&stack, "jane.roe", PASSWORD).await;
        assert_eq!(own(&stack, &tokens.access).await, json!({"status": "None", "required": false, "recoveryCodesLeft": 0}));
        let jane = enrol(&stack, tokens).await;
        let shown = own(&stack, &jane.tokens.access).await;
        assert_eq!((&shown["status"], &shown["recoveryCodesLeft"]), (&json!("Active"), &json!(10)));

        let asked = try_login(&stack, "jane.roe", PASSWORD).await.expect(401);
        assert_eq!(asked.json()["code"], "second-factor-required");
        let confirmed_by = code(&stack, &jane.app);
        assert_eq!(login_with(&stack, "jane.roe", &confirmed_by).await.expect(401).json()["code"], "invalid-credentials");
        later(&stack);
        let _ = login_with(&stack, "jane.roe", &confirmed_by).await.expect(401);
        let right = code(&stack, &jane.app);
        let spaced = format!(" {} {}", &right[..3], &right[3..]);
        let answer = login_with(&stack, "jane.roe", &spaced).await.expect(200);
        assert_eq!(answer.json()["status"], "Authenticated");
        assert!(is_good(&stack, &Tokens::of(&answer).access).await);
        let _ = login_with(&stack, "jane.roe", &right).await.expect(401);
        later(&stack);
        let _ = login_with(&stack, "jane.roe", &right).await.expect(401);
        let _ = login_with(&stack, "jane.roe", &code(&stack, &jane.app)).await.expect(200);
    }

    async fn that_a_code_is_needed_is_told_only_to_whoever_has_the_password(stack: Arc<TestStack>) {
        let jane = enrolled(&stack, "jane.roe").await;
        let nobody = try_login(&stack, "nobody", "wrong").await.expect(401);
        let right = code(&stack, &jane.app);
        for body in [
            json!({"username": "jane.roe", "password": "wrong"}),
            json!({"username": "jane.roe", "password": "wrong", "code": right}),
            json!({"username": "jane.roe", "password": PASSWORD, "code": wrong_code(&stack, &jane.app)}),
            json!({"username": "jane.roe", "password": PASSWORD, "code": "no code"}),
        ] {
            assert_eq!(post(&stack, "/api/auth/login", body).await.expect(401).text, nobody.text);
        }
        let _ = login_with(&stack, "jane.roe", &right).await.expect(200);
    }

    async fn a_login_without_a_second_factor_is_as_it_was_and_a_code_with_it_means_nothing(stack: Arc<TestStack>) {
        let _ = enrolled(&stack, "jane.roe").await;
        let _ = create(&stack, "john.roe", &["billing"]).await;
        let _ = try_login(&stack, "john.roe", PASSWORD).await.expect(200);
        let _ = login_with(&stack, "john.roe", "123456").await.expect(200);
        for bad in [String::new(), "1".repeat(65)] {
            assert_eq!(login_with(&stack, "john.roe", &bad).await.expect(422).faults(), ["code"]);
        }
    }

    async fn of_fifty_logins_at_once_with_one_code_one_is_let_in(stack: Arc<TestStack>) {
        let jane = enrolled(&stack, "jane.roe").await;
        for code in [code(&stack, &jane.app), jane.recovery[0].clone()] {
            let logins = (0..50).map(|_| {
                let (stack, code) = (Arc::clone(&stack), code.clone());
                tokio::spawn(async move { login_with(&stack, "jane.roe", &code).await.status })
            });
            let mut statuses = Vec::new();
            for login in logins.collect::<Vec<_>>() {
                statuses.push(login.await.unwrap());
            }
            assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
            assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 49, "{statuses:?}");
            stack.clock.advance(TimeDelta::hours(1));
        }
    }

    async fn wrong_codes_count_like_wrong_passwords(stack: Arc<TestStack>) {
        let jane = enrolled(&stack, "jane.roe").await;
        for _ in 0..5 {
            let _ = login_with(&stack, "jane.roe", &wrong_code(&stack, &jane.app)).await.expect(401);
            let _ = try_login(&stack, "jane.roe", "wrong").await.expect(401);
        }
        let _ = login_with(&stack, "jane.roe", &code(&stack, &jane.app)).await.expect(401);
        let locked = try_login(&stack, "jane.roe", PASSWORD).await.expect(401);
        assert_eq!(locked.json()["code"], "invalid-credentials", "while it is locked nobody is told that the password is right");
        stack.clock.advance(TimeDelta::minutes(1));
        let _ = login_with(&stack, "jane.roe", &code(&stack, &jane.app)).await.expect(200);
    }

    async fn the_right_password_alone_gives_no_try_back(stack: Arc<TestStack>) {
        let jane = enrolled(&stack, "jane.roe").await;
        for _ in 0..5 {
            let _ = login_with(&stack, "jane.roe", &wrong_code(&stack, &jane.app)).await.expect(401);
            assert_eq!(try_login(&stack, "jane.roe", PASSWORD).await.expect(401).json()["code"], "second-factor-required");
        }
        let _ = login_with(&stack, "jane.roe", &code(&stack, &jane.app)).await.expect(401);
        stack.clock.advance(TimeDelta::minutes(1));
        let _ = login_with(&stack, "jane.roe", &code(&stack, &jane.app)).await.expect(200);
    }

    async fn a_recovery_code_lets_in_once_however_it_is_typed(stack: Arc<TestStack>) {
        let jane = enrolled(&stack, "jane.roe").await;
        let plain = jane.recovery[0].replace('-', "").to_lowercase();
        let tokens = Tokens::of(&login_with(&stack, "jane.roe", &plain).await.expect(200));
        assert_eq!(own(&stack, &tokens.access).await["recoveryCodesLeft"], 9);
        let _ = login_with(&stack, "jane.roe", &jane.recovery[0]).await.expect(401);
        let _ = login_with(&stack, "jane.roe", &jane.recovery[1]).await.expect(200);
        let _ = login_with(&stack, "jane.roe", &code(&stack, &jane.app)).await.expect(200);
        let other = enrolled(&stack, "john.roe").await;
        let _ = login_with(&stack, "jane.roe", &other.recovery[0]).await.expect(401);
    }

    async fn after_a_hundred_wrong_codes_a_recovery_code_is_needed(stack: Arc<TestStack>) {
        let jane = enrolled(&stack, "jane.roe").await;
        let (db, id) = (stack.database(ServiceName::AuthService).db(), UserId::parse(&id_of(&stack, "jane.roe").await).unwrap());
        let _ = login_with(&stack, "jane.roe", &wrong_code(&stack, &jane.app)).await.expect(401);
        for _ in 1..FAILURES_MAX {
            let mut tx = db.begin().await.unwrap();
            second_factor_failed(&mut tx, &id).await.unwrap();
            tx.commit().await.unwrap();
        }
        let _ = login_with(&stack, "jane.roe", &code(&stack, &jane.app)).await.expect(401);
        let _ = login_with(&stack, "jane.roe", &jane.recovery[0]).await.expect(200);
        let _ = login_with(&stack, "jane.roe", &code(&stack, &jane.app)).await.expect(200);
    }

    async fn a_token_is_not_enough_to_enrol(stack: Arc<TestStack>) {
        let _ = create(&stack, "jane.roe", &["billing"]).await;
        let tokens = login(&stack, "jane.roe", PASSWORD).await;
        for (body, fault) in [
            (json!({"currentPassword": "wrong"}), "currentPassword"),
            (json!({"currentPassword": ""}), "currentPassword"),
            (json!({"currentPassword": PASSWORD, "code": ""}), "code"),
        ] {
            assert_eq!(post_with(&stack, &tokens.access, OWN, body).await.expect(422).faults(), [fault]);
        }
        for _ in 0..9 {
            let _ = post_with(&stack, &tokens.access, OWN, json!({"currentPassword": "wrong"})).await.expect(422);
        }
        let locked = post_with(&stack, &tokens.access, OWN, json!({"currentPassword": PASSWORD})).await.expect(422);
        assert_eq!(locked.faults(), ["currentPassword"], "tries are counted");
        let _ = call(&stack, Role::Billing, Method::POST, OWN, Some(json!({"currentPassword": PASSWORD}))).await.expect(404);
        let _ = call(&stack, Role::Service, Method::GET, OWN, None).await.expect(404);
    }

    async fn what_is_offered_is_nothing_until_a_code_of_it_comes_in_time(stack: Arc<TestStack>) {
        let _ = create(&stack, "jane.roe", &["billing"]).await;
        let tokens = login(&stack, "jane.roe", PASSWORD).await;
        let confirm = |code: String| post_with(&stack, &tokens.access, CONFIRM, json!({"code": code}));
        assert_eq!(confirm("123456".to_owned()).await.expect(409).json()["code"], "invalid-transition");
        let first = offer(&stack, &tokens.access).await;
        assert_eq!(own(&stack, &tokens.access).await["status"], "None");
        let _ = login(&stack, "jane.roe", PASSWORD).await;
        for bad in [wrong_code(&stack, &first), "no code".to_owned(), "ABCD-EFGH-IJKL-MNOP".to_owned()] {
            assert_eq!(confirm(bad).await.expect(422).faults(), ["code"]);
        }
        let second = offer(&stack, &tokens.access).await;
        assert_eq!(confirm(code(&stack, &first)).await.expect(422).faults(), ["code"], "another was offered in its place");
        stack.clock.advance(TimeDelta::minutes(15));
        let tokens = login(&stack, "jane.roe", PASSWORD).await;
        let late = post_with(&stack, &tokens.access, CONFIRM, json!({"code": code(&stack, &second)})).await;
        assert_eq!(late.expect(409).json()["code"], "invalid-transition");
        let jane = enrol(&stack, tokens).await;
        let again = post_with(&stack, &jane.tokens.access, CONFIRM, json!({"code": code(&stack, &jane.app)})).await;
        let _ = again.expect(409);
    }

    async fn another_takes_the_place_of_one_by_its_code_and_not_before_it_is_confirmed(stack: Arc<TestStack>) {
        let jane = enrolled(&stack, "jane.roe").await;
        let token = jane.tokens.access.as_str();
        let ask = |code: Value| post_with(&stack, token, OWN, json!({"currentPassword": PASSWORD, "code": code}));
        assert_eq!(ask(Value::Null).await.expect(422).faults(), ["code"]);
        assert_eq!(ask(json!(wrong_code(&stack, &jane.app))).await.expect(422).faults(), ["code"]);
        let used = code(&stack, &jane.app);
        let next = app(&ask(json!(used)).await.expect(201).json());
        assert_eq!(ask(json!(used)).await.expect(422).faults(), ["code"], "it is used up");
        let _ = login_with(&stack, "jane.roe", &code(&stack, &next)).await.expect(401);
        later(&stack);
        let elsewhere = Tokens::of(&login_with(&stack, "jane.roe", &code(&stack, &jane.app)).await.expect(200));
        let _ = post_with(&stack, token, CONFIRM, json!({"code": code(&stack, &next)})).await.expect(200);
        assert!(is_good(&stack, token).await && !is_good(&stack, &elsewhere.access).await);
        later(&stack);
        for old in [code(&stack, &jane.app), jane.recovery[0].clone()] {
            let _ = login_with(&stack, "jane.roe", &old).await.expect(401);
        }
        let _ = login_with(&stack, "jane.roe", &code(&stack, &next)).await.expect(200);
    }

    async fn one_may_remove_ones_own_by_a_code(stack: Arc<TestStack>) {
        let jane = enrolled(&stack, "jane.roe").await;
        let elsewhere = Tokens::of(&login_with(&stack, "jane.roe", &jane.recovery[0]).await.expect(200));
        let token = jane.tokens.access.as_str();
        let remove = |password: &str, code: Value| {
            post_with(&stack, token, REMOVE, json!({"currentPassword": password, "code": code}))
        };
        assert_eq!(remove(PASSWORD, Value::Null).await.expect(422).faults(), ["code"]);
        assert_eq!(remove(PASSWORD, json!(wrong_code(&stack, &jane.app))).await.expect(422).faults(), ["code"]);
        assert_eq!(remove("wrong", json!(code(&stack, &jane.app))).await.expect(422).faults(), ["currentPassword"]);
        let removed = remove(PASSWORD, json!(code(&stack, &jane.app))).await.expect(200);
        assert_eq!(removed.text, r#"{"status":"Removed"}"#);
        assert!(is_good(&stack, token).await && !is_good(&stack, &elsewhere.access).await);
        let _ = login(&stack, "jane.roe", PASSWORD).await;
        let _ = remove(PASSWORD, Value::Null).await.expect(409);
    }

    async fn an_administrator_takes_it_from_whoever_has_lost_it_and_that_is_in_the_audit(stack: Arc<TestStack>) {
        let jane = enrolled(&stack, "jane.roe").await;
        let id = id_of(&stack, "jane.roe").await;
        let path = format!("/api/auth/users/{id}/second-factor");
        let admin = login(&stack, "admin", ADMIN_PASSWORD).await;
        let seen = call(&stack, Role::PrivacyOfficer, Method::GET, &path, None).await.expect(200).json();
        assert_eq!((&seen["status"], &seen["recoveryCodesLeft"]), (&json!("Active"), &json!(10)));
        let _ = call(&stack, Role::PrivacyOfficer, Method::DELETE, &path, None).await.expect(403);
        let _ = call_with(&stack, &jane.tokens.access, Method::GET, &path, None).await.expect(403);

        let reset = call_with(&stack, &admin.access, Method::DELETE, &path, None).await.expect(200);
        assert_eq!(reset.text, r#"{"status":"Removed"}"#);
        assert!(!is_good(&stack, &jane.tokens.access).await);
        let _ = try_refresh(&stack, &jane.tokens.refresh).await.expect(401);
        let tokens = login(&stack, "jane.roe", PASSWORD).await;
        assert_eq!(own(&stack, &tokens.access).await["recoveryCodesLeft"], 0);
        let _ = call_with(&stack, &admin.access, Method::DELETE, &path, None).await.expect(200);
        assert!(is_good(&stack, &tokens.access).await, "there was none any more");

        let audit = call(&stack, Role::Service, Method::GET, "/internal/audit?operation=reset_second_factor&limit=10", None).await.expect(200).json();
        let outcomes: Vec<_> = audit["items"].as_array().unwrap().iter()
            .map(|entry| (entry["username"].as_str().unwrap_or_default(), entry["outcome"].as_str().unwrap())).collect();
        assert_eq!(outcomes, [("admin", "Done"), ("admin", "Done"), ("", "Refused")]);
        assert_eq!(audit["items"][0]["reason"], format!("the second factor of {id}"), "whose it was");
    }

    async fn nobody_takes_their_own_nor_that_of_whoever_may_more(stack: Arc<TestStack>) {
        let admin = login(&stack, "admin", ADMIN_PASSWORD).await;
        let id = id_of(&stack, "admin").await;
        let path = format!("/api/auth/users/{id}/second-factor");
        let refused = call_with(&stack, &admin.access, Method::DELETE, &path, None).await.expect(409);
        assert_eq!(refused.json()["code"], "invalid-transition");
        let body = json!({"role": "helpdesk", "permissions": ["users:read", "users:write"]});
        let _ = call_with(&stack, &admin.access, Method::POST, "/api/auth/roles", Some(body)).await.expect(201);
        let _ = create(&stack, "help.desk", &["helpdesk"]).await;
        let desk = login(&stack, "help.desk", PASSWORD).await;
        let _ = call_with(&stack, &desk.access, Method::DELETE, &path, None).await.expect(403);
        for path in ["/api/auth/users/usr_nobody/second-factor"] {
            let _ = call_with(&stack, &admin.access, Method::GET, path, None).await.expect(404);
            let _ = call_with(&stack, &admin.access, Method::DELETE, path, None).await.expect(404);
        }
    }

    async fn a_login_at_the_moment_of_enrolling_comes_to_no_session_without_a_code(stack: Arc<TestStack>) {
        for round in 0..3 {
            let name = format!("jane.{round}");
            let _ = create(&stack, &name, &["billing"]).await;
            let tokens = login(&stack, &name, PASSWORD).await;
            let app = offer(&stack, &tokens.access).await;
            let (one, first) = (Arc::clone(&stack), code(&stack, &app));
            let logins = tokio::spawn(async move {
                let mut begun = Vec::new();
                for _ in 0..4 {
                    let answer = try_login(&one, &name, PASSWORD).await;
                    if answer.status == 200 {
                        begun.push(Tokens::of(&answer));
                    }
                }
                begun
            });
            let _ = post_with(&stack, &tokens.access, CONFIRM, json!({"code": first})).await.expect(200);
            for begun in logins.await.unwrap() {
                assert!(!is_good(&stack, &begun.access).await);
                let _ = try_refresh(&stack, &begun.refresh).await.expect(401);
            }
        }
    }

    async fn with_the_user_it_goes_and_no_file_ever_holds_a_secret_or_a_code(stack: Arc<TestStack>) {
        let jane = enrolled(&stack, "jane.roe").await;
        let secret = jane.app.text().to_lowercase();
        let codes: Vec<_> = jane.recovery.iter().flat_map(|code| [code.to_lowercase(), code.replace('-', "").to_lowercase()]).collect();
        let words: Vec<_> = codes.iter().chain([&secret]).map(String::as_str).collect();
        let database = stack.database(ServiceName::AuthService);
        database.no_file_holds(&words);
        let id = id_of(&stack, "jane.roe").await;
        let _ = call(&stack, Role::Admin, Method::DELETE, &format!("/api/auth/users/{id}"), None).await.expect(200);
        let mut tx = database.db().read().await.unwrap();
        for table in ["select count(*) from second_factor", "select count(*) from recovery_code"] {
            let rows: i64 = db::on!(tx, |conn| sqlx::query_scalar(table).fetch_one(conn).await).unwrap();
            assert_eq!(rows, 0, "{table}");
        }
    }
}

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

/// An account with a second factor, without any service.
async fn account(db: &Db) -> (UserId, Totp) {
    let id = auth::seed::user(db, "jane.roe", PASSWORD, &[Role::Billing]).await.unwrap();
    let totp = Totp::generate(db.random());
    let mut tx = db.begin().await.unwrap();
    let offer = Offer { totp: totp.clone(), until: tx.now() + TimeDelta::minutes(15) };
    second_factor_offer(&mut tx, db, &id, &offer).await.unwrap();
    second_factor_enrol(&mut tx, db, &id, &totp, 1).await.unwrap();
    tx.commit().await.unwrap();
    (id, totp)
}

/// How many of fifty that do the same at once are told that it was they.
async fn of_fifty<F>(work: impl Fn() -> F) -> usize
where
    F: Future<Output = bool> + Send + 'static,
{
    let mut done = 0;
    for one in (0..50).map(|_| tokio::spawn(work())).collect::<Vec<_>>() {
        done += usize::from(one.await.unwrap());
    }
    done
}

testkit::on_both_engines! {
    migrations = auth::MIGRATIONS;
    service = ServiceName::AuthService;

    async fn a_code_that_fifty_use_at_once_is_used_by_one(db: Db) {
        let (id, _) = account(&db).await;
        let recovery = RecoveryCode::generate(db.random());
        let mut tx = db.begin().await.unwrap();
        recovery_codes_give(&mut tx, &db, &id, std::slice::from_ref(&recovery)).await.unwrap();
        tx.commit().await.unwrap();
        let by_app = of_fifty(|| {
            let (db, id) = (db.clone(), id.clone());
            async move {
                db::retrying(&db, async |mut tx| {
                    let spent = second_factor_spend(&mut tx, &id, 7).await?;
                    tx.commit().await?;
                    Ok::<_, db::Error>(spent)
                })
                .await
                .unwrap()
            }
        });
        assert_eq!(by_app.await, 1);
        let by_recovery = of_fifty(|| {
            let (db, id, code) = (db.clone(), id.clone(), recovery.clone());
            async move {
                db::retrying(&db, async |mut tx| {
                    let spent = recovery_code_spend(&mut tx, &db, &id, &code).await?;
                    tx.commit().await?;
                    Ok::<_, db::Error>(spent)
                })
                .await
                .unwrap()
            }
        });
        assert_eq!(by_recovery.await, 1);
        let mut tx = db.begin().await.unwrap();
        for (step, is_good) in [(7, false), (6, false), (8, true)] {
            assert_eq!(second_factor_spend(&mut tx, &id, step).await.unwrap(), is_good, "{step}");
        }
    }

    async fn what_is_kept_is_sealed_and_hashed(db: Db) {
        let (id, totp) = account(&db).await;
        let codes: Vec<_> = (0..10).map(|_| RecoveryCode::generate(db.random())).collect();
        let mut tx = db.begin().await.unwrap();
        recovery_codes_give(&mut tx, &db, &id, &codes).await.unwrap();
        let offer = Offer { totp: Totp::generate(db.random()), until: tx.now() + TimeDelta::minutes(15) };
        second_factor_offer(&mut tx, &db, &id, &offer).await.unwrap();
        assert_eq!(second_factor_find(&mut tx, &db, &id).await.unwrap().unwrap().totp, totp, "an offer changes nothing");
        let (secret, offered): (Vec<u8>, Vec<u8>) =
            db::on!(tx, |conn| sqlx::query_as("select secret, offer from second_factor").fetch_one(conn).await).unwrap();
        let hashes: Vec<Vec<u8>> =
            db::on!(tx, |conn| sqlx::query_scalar("select hash from recovery_code").fetch_all(conn).await).unwrap();
        let holds = |kept: &[u8], bytes: &[u8]| kept.windows(bytes.len()).any(|window| window == bytes);
        assert!(!holds(&secret, totp.bytes()) && !holds(&offered, offer.totp.bytes()));
        for (code, hash) in codes.iter().flat_map(|code| hashes.iter().map(move |hash| (code, hash))) {
            assert!(matches!(Code::parse(code.as_str()), Some(Code::Recovery(_))));
            assert_ne!(*hash, aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, code.as_str().as_bytes()).as_ref());
            assert!(!holds(hash, code.as_str().as_bytes()));
        }
        assert_eq!(hashes.len(), 10);
    }

    async fn what_nobody_confirmed_goes_and_what_is_enrolled_stays(db: Db) {
        let (id, totp) = account(&db).await;
        let other = auth::seed::user(&db, "john.roe", PASSWORD, &[Role::Billing]).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        for account in [&id, &other] {
            let offer = Offer { totp: Totp::generate(db.random()), until: tx.now() };
            second_factor_offer(&mut tx, &db, account, &offer).await.unwrap();
        }
        second_factor_purge(&mut tx).await.unwrap();
        assert_eq!(second_factor_find(&mut tx, &db, &id).await.unwrap().unwrap().totp, totp);
        let left: Vec<(String, Option<Vec<u8>>)> =
            db::on!(tx, |conn| sqlx::query_as("select account_id, offer from second_factor").fetch_all(conn).await).unwrap();
        assert_eq!(left, [(id.to_string(), None)]);
    }

    async fn a_clinic_behind_one_address_logs_in_by_two_steps(db: Db) {
        let guard = Guard::new(&db);
        for at in 0..150 {
            let admitted = guard.admit(&format!("user{}", at % 20), Some("192.0.2.1")).await.unwrap();
            guard.halfway(&admitted.unwrap()).await.unwrap();
        }
        assert!(guard.admit("user0", Some("192.0.2.1")).await.unwrap().is_some());
        for _ in 0..10 {
            let _ = guard.admit("user0", Some("192.0.2.1")).await.unwrap();
        }
        assert!(guard.admit("user0", Some("192.0.2.1")).await.unwrap().is_none(), "the account's tries stay taken");
    }
}
