//! Sessions: seen, and ended one by one or all together, by their owner and by an administrator; and when they end by themselves.

use chrono::TimeDelta;
use settings::{LogOff, ServiceSettings};

use super::*;

async fn get(stack: &Arc<TestStack>, token: &str, path: &str) -> Value {
    call_with(stack, token, Method::GET, path, None).await.expect(200).json()
}

async fn delete(stack: &Arc<TestStack>, token: &str, path: &str) -> Reply {
    call_with(stack, token, Method::DELETE, path, None).await
}

/// The ids of the sessions that somebody sees as theirs, newest first.
async fn own(stack: &Arc<TestStack>, token: &str) -> Vec<String> {
    let list = get(stack, token, "/api/auth/sessions").await;
    let id = |session: &Value| session["sessionId"].as_str().unwrap().to_owned();
    list["items"].as_array().unwrap().iter().map(id).collect()
}

testkit::stack_tests! { services = [auth::SERVICE];
    async fn one_sees_where_one_is_logged_in(stack: Arc<TestStack>) {
        let request = stack.request(ServiceName::AuthService, Method::POST, "/api/auth/login");
        let body = json!({"username": "admin", "password": ADMIN_PASSWORD}).to_string();
        let request = request.header("content-type", "application/json").header("user-agent", "x".repeat(400));
        let first = Tokens::of(&send(request.header("x-forwarded-for", "6.6.6.6, 2001:db8::7").body(body)).await.expect(200));
        stack.clock.advance(TimeDelta::minutes(1));
        let second = login(&stack, "admin", ADMIN_PASSWORD).await;
        stack.clock.advance(TimeDelta::minutes(1));
        let first = Tokens::of(&try_refresh(&stack, &first.refresh).await.expect(200));

        let list = get(&stack, &first.access, "/api/auth/sessions").await;
        let [newest, oldest] = list["items"].as_array().unwrap().as_slice() else { panic!("{list}") };
        assert_eq!((&oldest["isCurrent"], &newest["isCurrent"]), (&json!(true), &json!(false)));
        assert_eq!((&oldest["address"], &oldest["program"]), (&json!("2001:db8::7"), &json!("x".repeat(256))));
        assert_eq!((&newest["address"], &newest["refreshedAt"]), (&Value::Null, &Value::Null));
        let time = |session: &Value, member: &str| -> chrono::DateTime<chrono::Utc> { session[member].as_str().unwrap().parse().unwrap() };
        assert_eq!(time(oldest, "refreshedAt"), stack.clock.now());
        assert_eq!(time(oldest, "refreshedAt") - time(oldest, "createdAt"), TimeDelta::minutes(2));
        assert_eq!(time(oldest, "idleUntil") - stack.clock.now(), TimeDelta::days(1));
        assert_eq!(time(oldest, "expiresAt") - time(oldest, "createdAt"), TimeDelta::days(7));
        let again = get(&stack, &second.access, "/api/auth/sessions?limit=1").await;
        assert_eq!((&again["items"][0]["isCurrent"], &again["items"][0]["sessionId"]), (&json!(true), &newest["sessionId"]));
        let rest = get(&stack, &second.access, &format!("/api/auth/sessions?cursor={}", again["nextCursor"].as_str().unwrap())).await;
        assert_eq!(rest["items"][0]["sessionId"], oldest["sessionId"]);
        let bad = call_with(&stack, &second.access, Method::GET, "/api/auth/sessions?limit=0", None).await.expect(400);
        assert_eq!(bad.faults(), ["limit"]);
    }

    async fn one_that_is_ended_is_over_at_once_and_the_others_go_on(stack: Arc<TestStack>) {
        let (here, there) = (login(&stack, "admin", ADMIN_PASSWORD).await, login(&stack, "admin", ADMIN_PASSWORD).await);
        let current = get(&stack, &there.access, "/api/auth/sessions").await["items"].as_array().unwrap().iter()
            .find(|session| session["isCurrent"] == true).unwrap()["sessionId"].as_str().unwrap().to_owned();
        let path = format!("/api/auth/sessions/{current}");
        assert_eq!(delete(&stack, &here.access, &path).await.expect(200).text, r#"{"status":"Revoked"}"#);
        assert!(!is_good(&stack, &there.access).await && is_good(&stack, &here.access).await);
        let _ = try_refresh(&stack, &there.refresh).await.expect(401);
        let _ = try_refresh(&stack, &here.refresh).await.expect(200);
        let _ = delete(&stack, &here.access, &path).await.expect(404);
        assert_eq!(own(&stack, &here.access).await.len(), 1);
        let feed = call(&stack, Role::Service, Method::GET, "/internal/revocations?after=0", None).await.expect(200).json();
        assert_eq!(feed["items"][0]["session"], json!(current), "the others are told");
    }

    async fn all_others_can_be_ended_or_all_of_them(stack: Arc<TestStack>) {
        let mut tokens = Vec::new();
        for _ in 0..4 {
            tokens.push(login(&stack, "admin", ADMIN_PASSWORD).await);
        }
        let _ = delete(&stack, &tokens[2].access, "/api/auth/sessions?keepCurrent=true").await.expect(200);
        for (number, tokens) in tokens.iter().enumerate() {
            assert_eq!(is_good(&stack, &tokens.access).await, number == 2, "{number}");
        }
        let other = login(&stack, "admin", ADMIN_PASSWORD).await;
        let _ = delete(&stack, &other.access, "/api/auth/sessions").await.expect(200);
        assert!(!is_good(&stack, &other.access).await && !is_good(&stack, &tokens[2].access).await);
        let _ = try_refresh(&stack, &other.refresh).await.expect(401);
    }

    async fn of_others_sessions_one_sees_and_ends_none(stack: Arc<TestStack>) {
        let id = create(&stack, "jane.roe", &["billing"]).await;
        let (admin, jane) = (login(&stack, "admin", ADMIN_PASSWORD).await, login(&stack, "jane.roe", PASSWORD).await);
        let of_admin = own(&stack, &admin.access).await.remove(0);
        assert_eq!(own(&stack, &jane.access).await.len(), 1);
        let theirs = delete(&stack, &jane.access, &format!("/api/auth/sessions/{of_admin}")).await.expect(404);
        let nobodys = delete(&stack, &jane.access, "/api/auth/sessions/ses_nobodys").await.expect(404);
        assert_eq!(theirs.text, nobodys.text, "nobody is told that it is there");
        for (method, path) in [
            (Method::GET, format!("/api/auth/users/{id}/sessions")),
            (Method::DELETE, format!("/api/auth/users/{id}/sessions")),
            (Method::DELETE, format!("/api/auth/users/{id}/sessions/{of_admin}")),
        ] {
            let _ = call_with(&stack, &jane.access, method, &path, None).await.expect(403);
        }
        assert!(is_good(&stack, &admin.access).await && is_good(&stack, &jane.access).await);
    }

    async fn an_administrator_sees_and_ends_anybodys(stack: Arc<TestStack>) {
        let id = create(&stack, "jane.roe", &["billing"]).await;
        let admin = login(&stack, "admin", ADMIN_PASSWORD).await;
        let (one, other) = (login(&stack, "jane.roe", PASSWORD).await, login(&stack, "jane.roe", PASSWORD).await);
        let path = format!("/api/auth/users/{id}/sessions");
        let list = get(&stack, &admin.access, &path).await;
        assert_eq!(list["items"].as_array().unwrap().len(), 2);
        assert!(list["items"].as_array().unwrap().iter().all(|session| session["isCurrent"] == false));
        let first = own(&stack, &one.access).await;
        let of_admin = own(&stack, &admin.access).await.remove(0);
        let _ = delete(&stack, &admin.access, &format!("{path}/{of_admin}")).await.expect(404);
        let _ = delete(&stack, &admin.access, &format!("{path}/{}", first[0])).await.expect(200);
        assert!(is_good(&stack, &one.access).await != is_good(&stack, &other.access).await);
        let _ = delete(&stack, &admin.access, &path).await.expect(200);
        assert!(!is_good(&stack, &one.access).await && !is_good(&stack, &other.access).await);
        assert!(get(&stack, &admin.access, &path).await["items"].as_array().unwrap().is_empty());
        assert!(is_good(&stack, &admin.access).await);
        for path in ["/api/auth/users/usr_nobody/sessions", "/api/auth/users/usr_nobody/sessions/ses_1"] {
            let _ = delete(&stack, &admin.access, path).await.expect(404);
        }
        let officer = call(&stack, Role::PrivacyOfficer, Method::GET, &path, None).await;
        let _ = officer.expect(200);
        let _ = call(&stack, Role::PrivacyOfficer, Method::DELETE, &path, None).await.expect(403);
    }

    async fn two_hundred_who_end_it_at_once_end_it_once(stack: Arc<TestStack>) {
        let (here, there) = (login(&stack, "admin", ADMIN_PASSWORD).await, login(&stack, "admin", ADMIN_PASSWORD).await);
        let sessions = own(&stack, &here.access).await;
        let all = (0..200).map(|number| {
            let (stack, who) = (Arc::clone(&stack), [&here, &there][number % 2]);
            let token = who.access.clone();
            let path = format!("/api/auth/sessions/{}", sessions[number % 2]);
            tokio::spawn(async move { delete(&stack, &token, &path).await.status })
        });
        let mut ended = 0;
        for one in all.collect::<Vec<_>>() {
            match one.await.unwrap() {
                200 => ended += 1,
                // It was not there any more, or whoever asked.
                404 | 401 => {}
                status => panic!("{status}"),
            }
        }
        assert!((1..=2).contains(&ended), "{ended}");
        assert!(!is_good(&stack, &here.access).await || !is_good(&stack, &there.access).await);
    }
}

fn with_log_off(settings: &mut ServiceSettings) {
    let log_off = LogOff { idle_seconds: Some(900), session_seconds: Some(3_600) };
    settings.auth.log_off =
        [("clinician".to_owned(), log_off), ("a-role-to-come".to_owned(), log_off)].into();
}

async fn who_rests_is_logged_off_sooner_where_their_role_says_so(stack: Arc<TestStack>) {
    let _ = create(&stack, "jane.roe", &["clinician", "billing"]).await;
    let _ = create(&stack, "john.roe", &["billing"]).await;
    let lab = json!({"role": "lab", "permissions": ["records:read"]});
    let _ = call(&stack, Role::Admin, Method::POST, "/api/auth/roles", Some(lab)).await.expect(201);
    let _ = create(&stack, "lee.roe", &["lab"]).await;
    let lee = login(&stack, "lee.roe", PASSWORD).await;
    let (jane, john) = (login(&stack, "jane.roe", PASSWORD).await, login(&stack, "john.roe", PASSWORD).await);
    stack.clock.advance(TimeDelta::seconds(899));
    let mut jane = Tokens::of(&try_refresh(&stack, &jane.refresh).await.expect(200));
    stack.clock.advance(TimeDelta::seconds(900));
    let _ = try_refresh(&stack, &jane.refresh).await.expect(401);
    let _ = try_refresh(&stack, &john.refresh).await.expect(200);
    let _ = try_refresh(&stack, &lee.refresh).await.expect(401);

    jane = login(&stack, "jane.roe", PASSWORD).await;
    let mut lives = Vec::new();
    for _ in 0..4 {
        stack.clock.advance(TimeDelta::seconds(850));
        let answer = try_refresh(&stack, &jane.refresh).await.expect(200);
        lives.push(answer.json()["expiresIn"].as_i64().unwrap());
        jane = Tokens::of(&answer);
    }
    assert_eq!(lives, [600, 600, 600, 200], "no access token outlives the session");
    stack.clock.advance(TimeDelta::seconds(200));
    assert!(!is_good(&stack, &jane.access).await);
    let _ = try_refresh(&stack, &jane.refresh).await.expect(401);
}

#[test]
fn who_rests_is_logged_off_sooner_where_their_role_says_so_on_both_engines() {
    const SERVICES: &[http_kit::Service] = &[auth::SERVICE];
    for engine in [db::Engine::Sqlite, db::Engine::Postgres] {
        let test = who_rests_is_logged_off_sooner_where_their_role_says_so;
        testkit::stack::run_with(engine, SERVICES, with_log_off, test);
    }
}
