//! Devices of people who are no longer who they were, and of those who wish no push messages.

use serde_json::json;

use super::*;
use crate::reminders::{STARTS, clinic, tell};

const PATH: &str = "/api/notifications/devices";

async fn register(stack: &Arc<TestStack>, who: &Who, token: &str) -> String {
    let body = json!({"token": token}).to_string();
    let made = call(stack, who.clone(), Method::POST, PATH, Some(&body)).await.expect(201);
    made.json()["deviceId"].as_str().unwrap().to_owned()
}

/// As an administrator sees them.
async fn of_user(stack: &Arc<TestStack>, user: &str) -> usize {
    let list =
        call(stack, Role::Admin, Method::GET, &format!("{PATH}?userId={user}"), None).await.expect(200);
    list.json()["items"].as_array().unwrap().len()
}

/// Tells who a user is now.
async fn changed(stack: &Arc<TestStack>, user: &str, version: i64, who: Value) {
    let mut data = json!({"userId": user, "version": version});
    data.as_object_mut().unwrap().extend(who.as_object().cloned().unwrap());
    let event = json!({
        "id": format!("evt_{user}_{version}"), "occurredAt": "2026-01-15T09:00:00Z", "type": "user.changed.v1", "data": data,
    });
    let _ = call(stack, Role::Service, Method::POST, "/internal/events", Some(&event.to_string()))
        .await
        .expect(200);
}

async fn wish(stack: &Arc<TestStack>, whose: &str, wish: &str) {
    let path = format!("/api/notifications/preferences/{whose}");
    let _ = call(stack, Role::Receptionist, Method::PUT, &path, Some(wish)).await.expect(200);
}

/// By which channels the provider is told of the booking.
async fn told_by(stack: &Arc<TestStack>) -> Vec<String> {
    let told = listed(stack, "type=creation").await;
    let theirs = told.iter().filter(|item| item["to"] != "johndoe@example.com");
    theirs.map(|item| item["channel"].as_str().unwrap().to_owned()).collect()
}

testkit::stack_tests! { services = [patient::SERVICE, provider::SERVICE, notification::SERVICE];
    async fn a_users_device_is_removed_by_them_and_by_an_administrator_and_by_nobody_else(stack: Arc<TestStack>) {
        let jane = Who::clinician("prov001");
        let (first, second) = (register(&stack, &jane, "phone").await, register(&stack, &jane, "tablet").await);
        let path = |device: &str| format!("{PATH}/{device}");
        for who in [Who::clinician("prov002"), Role::Receptionist.into(), Who::patient("12345")] {
            let _ = call(&stack, who.clone(), Method::DELETE, &path(&first), None).await.expect(404);
            let seen = call(&stack, who, Method::GET, &format!("{PATH}?userId=usr_prov001"), None).await.expect(422);
            assert_eq!(seen.faults(), ["userId"]);
        }
        assert_eq!(of_user(&stack, "usr_prov001").await, 2);
        let _ = call(&stack, jane, Method::DELETE, &path(&first), None).await.expect(200);
        let _ = call(&stack, Role::Admin, Method::DELETE, &path(&second), None).await.expect(200);
        assert_eq!(of_user(&stack, "usr_prov001").await, 0);
        let both = format!("{PATH}?userId=usr_prov001&patientId=12345");
        let _ = call(&stack, Role::Admin, Method::GET, &both, None).await.expect(422);
    }

    async fn who_is_that_provider_no_more_is_told_of_their_appointments_no_more(stack: Arc<TestStack>) {
        clinic(&stack).await;
        wish(&stack, "providers/prov001", r#"{"channels": ["Push", "Email"]}"#).await;
        let jane = Who::clinician("prov001");
        let _ = register(&stack, &jane, "phone").await;
        changed(&stack, "usr_prov001", 3, json!({"isActive": true})).await;
        // What was so before is heard of late.
        changed(&stack, "usr_prov001", 2, json!({"isActive": true, "providerId": "prov001"})).await;
        // And her token still says what she was.
        let _ = register(&stack, &jane, "tablet").await;
        let _ = tell(&stack, "booked", 1, STARTS).await;
        assert_eq!(told_by(&stack).await, ["Email"]);
        assert_eq!(of_user(&stack, "usr_prov001").await, 2);
        // Who is that provider again is told on what they have.
        changed(&stack, "usr_prov001", 4, json!({"isActive": true, "providerId": "prov001"})).await;
        let _ = tell(&stack, "rescheduled", 2, "2026-01-20T10:00:00Z").await;
        assert_eq!(listed(&stack, "type=change&channel=Push").await.len(), 2);
    }

    async fn who_may_not_sign_in_any_more_has_no_devices(stack: Arc<TestStack>) {
        let (jane, desk, john) = (Who::clinician("prov001"), Who::from(Role::Receptionist), Who::patient("12345"));
        for (at, who) in [&jane, &desk, &john].into_iter().enumerate() {
            let _ = register(&stack, who, &format!("t{at}")).await;
        }
        let of_john = async || {
            let list = call(&stack, Role::Receptionist, Method::GET, &format!("{PATH}?patientId=12345"), None).await.expect(200);
            list.json()["items"].as_array().unwrap().len()
        };
        changed(&stack, "usr_prov001", 2, json!({"isActive": false})).await;
        assert_eq!((of_user(&stack, "usr_prov001").await, of_user(&stack, "usr_receptionist").await, of_john().await), (0, 1, 1));
        let refused = call(&stack, jane, Method::POST, PATH, Some(r#"{"token": "t"}"#)).await.expect(403);
        assert_eq!(refused.json()["code"], "forbidden");
        // What the front desk registered for a patient is the patient's.
        let by_desk = json!({"token": "t9", "patientId": "12345"}).to_string();
        let _ = call(&stack, desk, Method::POST, PATH, Some(&by_desk)).await.expect(201);
        changed(&stack, "usr_receptionist", 2, json!({"isActive": false})).await;
        assert_eq!((of_user(&stack, "usr_receptionist").await, of_john().await), (0, 2));
        // What a patient's account registered goes when it is somebody else's.
        changed(&stack, "usr_patient", 2, json!({"isActive": true, "patientId": "12345"})).await;
        assert_eq!(of_john().await, 2);
        changed(&stack, "usr_patient", 3, json!({"isActive": true, "patientId": "67890"})).await;
        assert_eq!(of_john().await, 1);
    }

    async fn who_may_not_sign_in_any_more_is_known_for_as_long_as_what_was_before_may_be_told(stack: Arc<TestStack>) {
        let database = stack.database(ServiceName::NotificationService);
        let db = database.db();
        let pass = |days| {
            for clock in [&stack.clock, database.clock()] {
                clock.advance(chrono::TimeDelta::days(days));
            }
        };
        let known = async || {
            notification::jobs::forget::forget(db).await.unwrap();
            let mut tx = db.read().await.unwrap();
            let mut known = Vec::new();
            for user in ["usr_gone", "usr_early", "usr_here"] {
                known.push(notification::store::told_user::user_told(&mut tx, user).await.unwrap().is_some());
            }
            known
        };
        changed(&stack, "usr_gone", 2, json!({"isActive": false})).await;
        changed(&stack, "usr_early", 2, json!({"isActive": false})).await;
        changed(&stack, "usr_here", 2, json!({"isActive": false})).await;
        changed(&stack, "usr_here", 3, json!({"isActive": true})).await;
        // As the version before noted it.
        let mut tx = db.begin().await.unwrap();
        let unstamped = db::sql!("update told_user set ended_at = null where user_id = 'usr_early'");
        db::on!(tx, |conn| sqlx::query(unstamped).execute(conn).await.map(drop)).unwrap();
        tx.commit().await.unwrap();
        pass(44);
        assert_eq!(known().await, [true, true, true]);
        // What was before is heard of late, and is not so any more.
        changed(&stack, "usr_gone", 1, json!({"isActive": true, "providerId": "prov001"})).await;
        pass(2);
        assert_eq!(known().await, [false, true, true]);
        pass(44);
        assert_eq!(known().await, [false, false, true]);
    }

    async fn who_wishes_no_push_gets_none_on_a_device_that_is_named_alone(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let john = register(&stack, &Who::patient("12345"), "johns-phone").await;
        let jane = register(&stack, &Who::clinician("prov001"), "janes-phone").await;
        let desk = register(&stack, &Role::Receptionist.into(), "desks-phone").await;
        let push = |to: &str| PUSH.replace("deviceToken123", to);
        for to in [&john, &jane, &desk] {
            let _ = send(&stack, "push", &push(to)).await.expect(201);
        }
        for whose in ["12345", "providers/prov001"] {
            wish(&stack, whose, r#"{"optOuts": [{"channel": "Push"}]}"#).await;
        }
        // By its id, by its token, and in somebody else's name.
        for body in [push(&john), push("johns-phone"), about(&push(&john), "67890"), push(&jane)] {
            assert_eq!(send(&stack, "push", &body).await.expect(409).json()["code"], "opted-out", "{body}");
        }
        let _ = send(&stack, "push", &push(&desk)).await.expect(201);
        let critical = push(&john).replacen('{', r#"{"critical": true,"#, 1);
        let _ = send(&stack, "push", &critical).await.expect(201);
    }
}
