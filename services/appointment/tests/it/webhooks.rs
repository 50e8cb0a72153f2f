//! Whoever has a webhook is told what the stream tells, by a real server that answers well, badly and not at all.

use appointment::domain::webhook::{Verdict, Webhook};
use appointment::store::state::availability_changed;
use appointment::store::webhook::{
    LEASE, webhook_delete, webhook_insert, webhook_list, webhook_note, webhooks_claim,
};
use aws_lc_rs::hmac;
use contracts::id::{ProviderId, WebhookId};
use data_encoding::BASE64;
use db::Db;
use testkit::TestDb;
use testkit::fake::{Asked, Fake, Say};

use super::*;

const PATH: &str = "/api/providers/prov001/availability/webhooks";

async fn receiver() -> Fake {
    Fake::start(0, |_| Say::This(204, "", String::new())).await
}

async fn create(stack: &Arc<TestStack>, who: impl Into<Who>, url: &str) -> Reply {
    call(stack, who, Method::POST, PATH, Some(&json!({"url": url}).to_string())).await
}

/// Its id and its secret.
async fn created(stack: &Arc<TestStack>, at: &Fake) -> (String, String) {
    let made = create(stack, Role::Admin, &format!("http://{}/hook?key=Quetzalcoatl", at.at))
        .await
        .expect(201)
        .json();
    let text = |member: &str| made[member].as_str().unwrap().to_owned();
    (text("webhookId"), text("secret"))
}

async fn listed(stack: &Arc<TestStack>) -> Vec<Value> {
    let page = call(stack, Role::Receptionist, Method::GET, PATH, None).await.expect(200).json();
    page["items"].as_array().unwrap().clone()
}

/// Something changes in when the provider can be booked.
async fn change(stack: &Arc<TestStack>, id: &str, time: &str) {
    let _ = book(stack, Role::Admin, &at(id, "12345", "prov001", time)).await.expect(201);
}

async fn until_asked(fake: &Fake, times: usize) -> Vec<Asked> {
    until(|| async { fake.posted().len() >= times }).await;
    fake.posted()
}

/// Checks a signature as a receiver does; what was told.
fn verified(asked: &Asked, secret: &str) -> Value {
    let key = BASE64.decode(secret.strip_prefix("whsec_").unwrap().as_bytes()).unwrap();
    let signed = [
        format!("{}.{}.", asked.header("webhook-id"), asked.header("webhook-timestamp")).as_bytes(),
        &asked.body,
    ]
    .concat();
    let signature =
        BASE64.decode(asked.header("webhook-signature").strip_prefix("v1,").unwrap().as_bytes()).unwrap();
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &key), &signed, &signature).unwrap();
    serde_json::from_slice(&asked.body).unwrap()
}

fn within(settings: &mut settings::ServiceSettings) {
    settings.integrations.webhooks =
        Some(settings::WebhookSettings { own_hosts: vec!["127.0.0.1".to_owned()] });
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE], settings = within;
    async fn a_change_is_told_signed_and_of_nobody(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let fake = receiver().await;
        let (id, secret) = created(&stack, &fake).await;
        assert!(fake.posted().is_empty());
        change(&stack, "apt1", "09:00").await;
        let asked = until_asked(&fake, 1).await.remove(0);
        assert_eq!((asked.path.as_str(), asked.header("content-type")), ("/hook?key=Quetzalcoatl", "application/json"));
        let told = verified(&asked, &secret);
        assert_eq!((&told["type"], &told["data"]["providerId"]), (&json!("availability"), &json!("prov001")));
        assert_eq!(asked.header("webhook-id"), format!("msg_{id}_{}", told["data"]["change"]));
        assert_eq!(asked.header("webhook-timestamp"), stack.clock.now().timestamp().to_string());
        for nobodys in ["12345", "apt1", MONDAY] {
            assert!(!told.to_string().contains(nobodys), "{told}");
        }
        until(|| async { listed(&stack).await[0]["change"] == told["data"]["change"] }).await;
        let shown = listed(&stack).await.remove(0);
        assert_eq!((&shown["state"], &shown["failures"]), (&json!("Active"), &json!(0)));
        assert!(!shown.to_string().contains(secret.strip_prefix("whsec_").unwrap()), "{shown}");
        stack.database(ServiceName::AppointmentService).no_file_holds(&["Quetzalcoatl", secret.strip_prefix("whsec_").unwrap()]);
        // Once, and no more after it is deleted.
        assert_eq!(fake.posted().len(), 1);
        let path = format!("{PATH}/{id}");
        let _ = call(&stack, Role::Admin, Method::DELETE, &path, None).await.expect(200);
        let _ = call(&stack, Role::Admin, Method::DELETE, &path, None).await.expect(404);
        change(&stack, "apt2", "10:00").await;
        assert!(listed(&stack).await.is_empty());
    }

    async fn what_was_not_taken_is_told_again_under_the_same_id(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let fake = receiver().await;
        let (_, secret) = created(&stack, &fake).await;
        let elsewhere = receiver().await;
        let location: &'static str = format!("location: http://{}/\r\n", elsewhere.at).leak();
        for say in [
            Say::This(500, "", String::new()), Say::Drop, Say::This(503, "retry-after: 60\r\n", String::new()),
            Say::This(307, location, String::new()),
        ] {
            fake.next(say);
        }
        change(&stack, "apt1", "09:00").await;
        for (attempt, pause) in [(1, 5), (2, 30), (3, 300), (4, 1_800)] {
            let _ = until_asked(&fake, attempt).await;
            until(|| async { listed(&stack).await[0]["failures"] == json!(attempt) }).await;
            let shown = listed(&stack).await.remove(0);
            assert_eq!(shown["state"], "Failing", "{shown}");
            assert!(!shown["error"].as_str().unwrap().contains("Quetzalcoatl"), "{shown}");
            // Not before its time.
            assert_eq!(fake.posted().len(), attempt);
            stack.clock.advance(chrono::TimeDelta::seconds(pause));
        }
        let asked = until_asked(&fake, 5).await;
        let told: Vec<_> = asked.iter().map(|asked| verified(asked, &secret)["data"].clone()).collect();
        assert!(told.iter().all(|each| *each == told[0]), "{told:?}");
        assert!(elsewhere.asked().is_empty());
        assert!(asked.iter().all(|each| each.header("webhook-id") == asked[0].header("webhook-id")));
        until(|| async { listed(&stack).await[0]["state"] == "Active" }).await;
        assert_eq!(listed(&stack).await[0]["error"], Value::Null);
    }

    async fn who_says_that_they_are_gone_are_told_nothing_any_more_and_others_are(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let (gone, other) = (receiver().await, receiver().await);
        let (first, second) = (created(&stack, &gone).await.0, created(&stack, &other).await.0);
        let state = async |id: &str| listed(&stack).await.into_iter().find(|each| each["webhookId"] == id).unwrap()["state"].clone();
        gone.next(Say::This(410, "", String::new()));
        change(&stack, "apt1", "09:00").await;
        let _ = until_asked(&other, 1).await;
        until(|| async { state(&first).await == "Disabled" }).await;
        change(&stack, "apt2", "10:00").await;
        let _ = until_asked(&other, 2).await;
        assert_eq!(gone.posted().len(), 1);
        assert_eq!(state(&second).await, "Active");
    }

    async fn no_address_leads_inside_and_who_keeps_webhooks_is_staff(stack: Arc<TestStack>) {
        clinic(&stack).await;
        for url in [
            "http://hooks.example.com/x", "https://localhost/x", "https://10.0.0.1/x", "https://169.254.169.254/latest", "https://auth-service/x",
            "https://user:pass@hooks.example.com/x", "ftp://hooks.example.com/x", "x", "",
        ] {
            assert_eq!(create(&stack, Role::Admin, url).await.expect(422).faults(), ["url"], "{url}");
        }
        let good = "https://hooks.example.com/x";
        for who in [Who::patient("12345"), Who::from(Role::Billing), Who::clinician("prov002")] {
            let _ = create(&stack, who.clone(), good).await.expect(403);
            let _ = call(&stack, who, Method::GET, PATH, None).await.expect(403);
        }
        for who in [Who::clinician("prov001"), Who::from(Role::Receptionist)] {
            let _ = create(&stack, who, good).await.expect(201);
        }
        let nobodys = "/api/providers/nobody/availability/webhooks";
        let _ = call(&stack, Role::Admin, Method::POST, nobodys, Some(&json!({"url": good}).to_string())).await.expect(404);
        for _ in 2..10 {
            let _ = create(&stack, Role::Admin, good).await.expect(201);
        }
        assert_eq!(create(&stack, Role::Admin, good).await.expect(409).json()["code"], "invalid-transition");
    }
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn without_the_setting_there_are_none(stack: Arc<TestStack>) {
        clinic(&stack).await;
        assert_eq!(create(&stack, Role::Admin, "https://hooks.example.com/x").await.expect(422).faults(), ["url"]);
        assert!(listed(&stack).await.is_empty());
    }
}

async fn changed(db: &Db, provider: &ProviderId) {
    let mut tx = db.begin().await.unwrap();
    availability_changed(&mut tx, provider).await.unwrap();
    tx.commit_unaudited().await.unwrap();
}

testkit::on_both_engines! {
    migrations = appointment::MIGRATIONS;
    service = ServiceName::AppointmentService;

    async fn whoever_dies_with_a_claim_loses_nothing_and_no_two_have_the_same(test: TestDb) {
        let (db, provider) = (test.db(), ProviderId::parse("prov001").unwrap());
        let id = WebhookId::parse("hook_1").unwrap();
        let request = serde_json::from_value(json!({"url": "https://hooks.example.com/x"})).unwrap();
        let webhook = Webhook::parse(&request, &[], db.random(), "usr_1").unwrap();
        let mut tx = db.begin().await.unwrap();
        webhook_insert(&mut tx, db, (&id, &provider), &webhook).await.unwrap();
        tx.commit_unaudited().await.unwrap();
        assert!(webhooks_claim(db, 16).await.unwrap().is_empty());
        changed(db, &provider).await;
        let (one, other) = tokio::join!(webhooks_claim(db, 16), webhooks_claim(db, 16));
        let mut claimed = [one.unwrap(), other.unwrap()].concat();
        assert_eq!(claimed.len(), 1);
        let dead = claimed.remove(0);
        // It dies, and something changes meanwhile.
        changed(db, &provider).await;
        assert!(webhooks_claim(db, 16).await.unwrap().is_empty());
        test.clock().advance(LEASE);
        let next = webhooks_claim(db, 16).await.unwrap().remove(0);
        assert_eq!((dead.change, next.change), (1, 2));
        // What the dead one would have said is not heard any more.
        webhook_note(db, &dead, &Verdict::Told).await.unwrap();
        changed(db, &provider).await;
        webhook_note(db, &next, &Verdict::Told).await.unwrap();
        let last = webhooks_claim(db, 16).await.unwrap().remove(0);
        assert_eq!(last.change, 3);
        webhook_note(db, &last, &Verdict::Told).await.unwrap();
        assert!(webhooks_claim(db, 16).await.unwrap().is_empty());
        let mut tx = db.begin().await.unwrap();
        assert_eq!(webhook_list(&mut tx, db, &provider).await.unwrap()[0].standing.told, 3);
        assert!(!webhook_delete(&mut tx, &ProviderId::parse("prov002").unwrap(), &id).await.unwrap());
        assert!(webhook_delete(&mut tx, &provider, &id).await.unwrap());
    }
}
