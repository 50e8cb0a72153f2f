//! Text messages over a provider that keeps to Twilio's documented shapes.

use std::time::Duration;

use chrono::TimeDelta;
use settings::Integrations;

use super::*;
use crate::channels::*;
use testkit::fake::{Fake, Say};

const CREATE: &str = "/2010-04-01/Accounts/AC1/Messages.json";
const TEXT: &str = "Your appointment is scheduled for August 1, 2024, at 10:00 AM.";
const WHY: &str = r#"{"reason": "The number was away."}"#;
const NOW: &str = "Thu, 15 Jan 2026 09:00:01 +0000";

fn one(outside: &mut Integrations, [port, _]: [u16; 2]) {
    outside.sms = Some(account(port, "AC1"));
    outside.public_url = Some(PUBLIC.to_owned());
}

fn two(outside: &mut Integrations, ports: [u16; 2]) {
    one(outside, ports);
    outside.sms_fallback = vec![account(ports[1], "AC2")];
}

fn status(id: &str) -> String {
    format!("/api/notifications/callbacks/sms?notificationId={id}")
}

async fn sent(stack: &Arc<TestStack>) -> (String, String) {
    let sent = send(stack, "sms", SMS).await.expect(201);
    assert_eq!(sent.json()["status"], "Sent");
    (sent.json()["notificationId"].as_str().unwrap().to_owned(), sent.header("location").to_owned())
}

channel_tests! {
    one: async fn a_text_message_goes_out_as_the_provider_documents(stack: Arc<TestStack>, ports: [u16; 2]) {
        let provider = Fake::start(ports[0], takes_all).await;
        let (id, _) = sent(&stack).await;
        let asked = provider.asked();
        assert_eq!((asked.len(), asked[0].method.as_str(), asked[0].path.as_str()), (1, "POST", CREATE));
        let login = data_encoding::BASE64.encode(format!("AC1:{TOKEN}").as_bytes());
        assert_eq!(asked[0].header("authorization"), format!("Basic {login}"));
        for (name, value) in [("To", "+1234567890"), ("From", "+4930123456"), ("Body", TEXT)] {
            assert_eq!(asked[0].form(name).as_deref(), Some(value), "{name}");
        }
        assert_eq!(asked[0].form("StatusCallback").unwrap(), format!("{PUBLIC}{}", status(&id)));
    }

    one: async fn a_number_that_said_stop_is_written_to_no_more(stack: Arc<TestStack>, ports: [u16; 2]) {
        let provider = Fake::start(ports[0], |_| refusal(400, 21610)).await;
        let failed = send(&stack, "sms", SMS).await.expect(201);
        let read = get(&stack, failed.header("location")).await.expect(200).json();
        assert_eq!((&read["status"], &read["providerCode"]), (&"Failed".into(), &"21610".into()));
        assert_eq!(read["error"], "The provider refused it (400, 21610).");
        for body in [SMS.to_owned(), SMS.replacen('{', r#"{"critical": true,"#, 1)] {
            assert_eq!(send(&stack, "sms", &body).await.expect(409).json()["code"], "suppressed");
        }
        assert_eq!(provider.asked().len(), 1);
        let list = call(&stack, Role::Admin, Method::GET, "/api/notifications/suppressions?to=%2B1234567890", None).await.expect(200).json();
        assert_eq!((list["items"].as_array().unwrap().len(), &list["items"][0]["reason"]), (1, &"Stop".into()));
        assert!(!list.to_string().contains("1234567890"));
        let path = format!("/api/notifications/suppressions/{}", list["items"][0]["suppressionId"].as_str().unwrap());
        assert_eq!(call(&stack, Role::Admin, Method::DELETE, &path, None).await.expect(409).json()["code"], "invalid-transition");
    }

    one: async fn a_number_that_does_not_exist_is_written_to_again_when_somebody_lifts_it(stack: Arc<TestStack>, ports: [u16; 2]) {
        let provider = Fake::start(ports[0], takes_all).await;
        provider.next(refusal(400, 21211));
        let _ = send(&stack, "sms", SMS).await.expect(201);
        let _ = send(&stack, "sms", SMS).await.expect(409);
        let _ = send(&stack, "sms", &SMS.replacen('{', r#"{"critical": true,"#, 1)).await.expect(201);
        let list = call(&stack, Role::Admin, Method::GET, "/api/notifications/suppressions", None).await.expect(200).json();
        assert_eq!(list["items"][0]["reason"], "Bounce");
        let path = format!("/api/notifications/suppressions/{}", list["items"][0]["suppressionId"].as_str().unwrap());
        let _ = call(&stack, Role::Receptionist, Method::DELETE, &path, None).await.expect(403);
        assert_eq!(call(&stack, Role::Admin, Method::DELETE, &path, None).await.expect(200).json()["status"], "Lifted");
        let _ = call(&stack, Role::Admin, Method::DELETE, &path, None).await.expect(404);
        let _ = sent(&stack).await;
    }

    one: async fn a_provider_that_says_when_is_not_asked_before(stack: Arc<TestStack>, ports: [u16; 2]) {
        let provider = Fake::start(ports[0], takes_all).await;
        provider.next(Say::This(429, "retry-after: 120\r\n", r#"{"code": 20429, "status": 429}"#.to_owned()));
        let queued = send(&stack, "sms", SMS).await.expect(202);
        stack.clock.advance(TimeDelta::seconds(100));
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(provider.asked().len(), 1);
        stack.clock.advance(TimeDelta::seconds(21));
        assert_eq!(until_not(&stack, "Queued", queued.header("location")).await["status"], "Sent");
        assert_eq!(provider.posted().len(), 2);
    }

    one: async fn what_a_provider_took_without_a_word_is_found_there_and_not_sent_twice(stack: Arc<TestStack>, ports: [u16; 2]) {
        let provider = Fake::start(ports[0], |asked| {
            if asked.method == "POST" { Say::Drop } else { messages(&[("SM7", TEXT, NOW), ("SM6", "another text", NOW)]) }
        }).await;
        let queued = send(&stack, "sms", SMS).await.expect(202);
        stack.clock.advance(TimeDelta::seconds(16));
        assert_eq!(until_not(&stack, "Queued", queued.header("location")).await["status"], "Sent");
        assert_eq!(provider.posted().len(), 1);
        assert!(provider.asked()[1].path.contains("To=%2B1234567890"));

        // The same words to the same number once more: what was found is the first's.
        let queued = send(&stack, "sms", SMS).await.expect(202);
        provider.next(messages(&[("SM7", TEXT, NOW)]));
        provider.next(created("SM8"));
        stack.clock.advance(TimeDelta::seconds(16));
        assert_eq!(until_not(&stack, "Queued", queued.header("location")).await["status"], "Sent");
        assert_eq!(provider.posted().len(), 3);
    }

    one: async fn what_a_provider_that_hangs_has_not_taken_is_sent_later(stack: Arc<TestStack>, ports: [u16; 2]) {
        let provider = Fake::start(ports[0], takes_all).await;
        provider.next(Say::Nothing);
        let queued = send(&stack, "sms", SMS).await.expect(202);
        assert_eq!(queued.json()["status"], "Queued");
        stack.clock.advance(TimeDelta::seconds(16));
        assert_eq!(until_not(&stack, "Queued", queued.header("location")).await["status"], "Sent");
        let methods: Vec<_> = provider.asked().into_iter().map(|asked| asked.method).collect();
        assert_eq!(methods, ["POST", "GET", "POST"]);
    }

    one: async fn what_whoever_died_had_in_hand_is_looked_for_first(stack: Arc<TestStack>, ports: [u16; 2]) {
        // Nobody answers, and so it is queued; then somebody else claims it, hands it on, and dies.
        let queued = send(&stack, "sms", SMS).await.expect(202);
        let id = queued.json()["notificationId"].as_str().unwrap().to_owned();
        let database = stack.database(ServiceName::NotificationService);
        let db = database.db();
        let mut tx = db.begin().await.unwrap();
        let claim = db::sql!("update notification set claim = $1 where id = $2");
        db::on!(tx, |conn| sqlx::query(claim).bind(vec![1_u8; 16]).bind(&id).execute(conn).await.map(drop)).unwrap();
        tx.commit().await.unwrap();
        let provider = Fake::start(ports[0], |asked| {
            if asked.method == "POST" { Say::Drop } else { messages(&[("SM7", TEXT, NOW)]) }
        }).await;
        stack.clock.advance(TimeDelta::seconds(16));
        assert_eq!(until_not(&stack, "Queued", queued.header("location")).await["status"], "Sent");
        assert!(provider.posted().is_empty());
    }

    two: async fn the_second_is_asked_only_when_the_first_surely_did_not_take_it(stack: Arc<TestStack>, ports: [u16; 2]) {
        // Nobody there.
        let second = Fake::start(ports[1], takes_all).await;
        let _ = sent(&stack).await;
        assert_eq!((second.posted().len(), second.asked()[0].path.contains("AC2")), (1, true));
        // There, and too busy.
        let first = Fake::start(ports[0], takes_all).await;
        first.next(refusal(503, 20503));
        let _ = sent(&stack).await;
        assert_eq!((first.posted().len(), second.posted().len()), (1, 2));
        // There, and nobody knows.
        for say in [Say::Drop, refusal(500, 20500)] {
            first.next(say);
            let queued = send(&stack, "sms", SMS).await.expect(202);
            assert_eq!(second.posted().len(), 2);
            first.next(messages(&[]));
            stack.clock.advance(TimeDelta::seconds(16));
            assert_eq!(until_not(&stack, "Queued", queued.header("location")).await["status"], "Sent");
        }
        assert_eq!((first.posted().len(), second.posted().len()), (5, 2));
        // Of a message that is refused for good the second is not asked.
        first.next(refusal(400, 21617));
        let _ = send(&stack, "sms", SMS).await.expect(201);
        assert_eq!(second.posted().len(), 2);
    }

    one: async fn a_provider_tells_what_became_of_it(stack: Arc<TestStack>, ports: [u16; 2]) {
        let _provider = Fake::start(ports[0], takes_all).await;
        let (id, path) = sent(&stack).await;
        let form = |status: &'static str| vec![("AccountSid", "AC1"), ("MessageSid", "SM1"), ("MessageStatus", status), ("To", "+1234567890")];
        let _ = tell(&stack, &status(&id), &form("sent"), TOKEN).await.expect(200);
        assert_eq!(get(&stack, &path).await.json()["status"], "Sent");
        let told = tell(&stack, &status(&id), &form("delivered"), TOKEN).await.expect(200);
        assert!(told.header("content-type").starts_with("text/xml") && told.text.contains("<Response>"));
        let read = get(&stack, &path).await.json();
        assert_eq!((&read["status"], &read["deliveredAt"]), (&"Delivered".into(), &"2026-01-15T09:00:00Z".into()));
        // It goes forward only.
        let mut late = form("undelivered");
        late.push(("ErrorCode", "30005"));
        let _ = tell(&stack, &status(&id), &late, TOKEN).await.expect(200);
        assert_eq!(get(&stack, &path).await.json()["status"], "Delivered");
        assert_eq!(listed(&stack, "status=Delivered").await.len(), 1);
        assert!(listed(&stack, "status=Sent").await.is_empty());
    }

    one: async fn what_comes_back_has_failed_with_the_providers_code_and_may_be_replayed(stack: Arc<TestStack>, ports: [u16; 2]) {
        let provider = Fake::start(ports[0], takes_all).await;
        let (id, path) = sent(&stack).await;
        let form = [("AccountSid", "AC1"), ("MessageSid", "SM1"), ("MessageStatus", "undelivered"), ("ErrorCode", "30003"), ("To", "+1234567890")];
        let _ = tell(&stack, &status(&id), &form, TOKEN).await.expect(200);
        let read = get(&stack, &path).await.json();
        assert_eq!((&read["status"], &read["providerCode"]), (&"Failed".into(), &"30003".into()));
        let replay = format!("{path}/replay");
        assert_eq!(call(&stack, Role::Receptionist, Method::POST, &replay, Some(WHY)).await.expect(200).json()["status"], "Queued");
        let read = until_not(&stack, "Queued", &path).await;
        assert_eq!((&read["status"], read.get("providerCode")), (&"Sent".into(), None));
        assert_eq!(provider.posted().len(), 2);
        let _ = call(&stack, Role::Receptionist, Method::POST, &replay, Some("{}")).await.expect(409);
        // What was told before, told once more, is no news.
        let _ = tell(&stack, &status(&id), &form, TOKEN).await.expect(200);
        assert_eq!(get(&stack, &path).await.json()["status"], "Sent");
        let counts = get(&stack, "/api/notifications/statistics").await.expect(200).json();
        assert_eq!(counts["items"], serde_json::json!([{"channel": "Sms", "status": "Sent", "count": 1}]));
    }

    one: async fn who_is_not_the_provider_changes_nothing_and_learns_nothing(stack: Arc<TestStack>, ports: [u16; 2]) {
        let _provider = Fake::start(ports[0], takes_all).await;
        let (id, path) = sent(&stack).await;
        let form = [("AccountSid", "AC1"), ("MessageSid", "SM1"), ("MessageStatus", "delivered")];
        let forged = tell(&stack, &status(&id), &form, "another token").await.expect(404);
        let unknown = tell(&stack, &status("notif_unknown"), &form, "another token").await.expect(404);
        assert_eq!(forged.json()["title"], unknown.json()["title"]);
        let other = [("AccountSid", "AC9"), ("MessageSid", "SM1"), ("MessageStatus", "delivered")];
        let _ = tell(&stack, &status(&id), &other, TOKEN).await.expect(404);
        let unsigned = stack.request(ServiceName::NotificationService, Method::POST, &status(&id)).form(&form);
        let _ = testkit::stack::send(unsigned).await.expect(404);
        assert_eq!(get(&stack, &path).await.json()["status"], "Sent");
        // Signed, and of a notification that there is none of: the same as of any.
        let _ = tell(&stack, &status("notif_unknown"), &form, TOKEN).await.expect(200);
        let _ = tell(&stack, "/api/notifications/callbacks/sms", &form, TOKEN).await.expect(200);
    }

    one: async fn stop_start_and_help_mean_what_the_carriers_say(stack: Arc<TestStack>, ports: [u16; 2]) {
        let _provider = Fake::start(ports[0], takes_all).await;
        let path = "/api/notifications/callbacks/sms/inbound";
        let write = async |sid: &str, word: &str, token: &str| {
            let form = [("AccountSid", "AC1"), ("MessageSid", sid), ("From", "+1234567890"), ("To", "+4930123456"), ("Body", word)];
            tell(&stack, path, &form, token).await
        };
        let _ = write("SMi0", "STOP", "another token").await.expect(404);
        let _ = sent(&stack).await;
        for (at, word) in ["STOP", "stopall", "Unsubscribe", "CANCEL", "END", "REVOKE", "OPTOUT", " quit. "].iter().enumerate() {
            let stop = format!("SMstop{at}");
            assert!(!write(&stop, word, TOKEN).await.expect(200).text.contains("<Message>"));
            // Of whichever patient it is: the number is written to no more.
            for patient in ["12345", "67890"] {
                assert_eq!(send(&stack, "sms", &about(SMS, patient)).await.expect(409).json()["code"], "suppressed", "{word}");
            }
            let _ = write(&format!("SMstart{at}"), if at % 2 == 0 { "Start" } else { "UNSTOP" }, TOKEN).await.expect(200);
            let _ = sent(&stack).await;
            // What was recorded and is sent again changes nothing.
            let _ = write(&stop, word, TOKEN).await.expect(200);
            let _ = sent(&stack).await;
        }
        let help = write("SMhelp", "HELP", TOKEN).await.expect(200);
        assert!(help.text.contains("<Message>") && help.text.contains("STOP"));
        assert!(!write("SMtalk", "Please cancel my appointment", TOKEN).await.expect(200).text.contains("<Message>"));
        let _ = sent(&stack).await;
    }

    one: async fn who_says_stop_gets_nothing_more_of_what_was_queued(stack: Arc<TestStack>, ports: [u16; 2]) {
        let queued = send(&stack, "sms", SMS).await.expect(202);
        let form = [("AccountSid", "AC1"), ("MessageSid", "SM1"), ("From", "+1234567890"), ("Body", "STOP")];
        let _ = tell(&stack, "/api/notifications/callbacks/sms/inbound", &form, TOKEN).await.expect(200);
        let provider = Fake::start(ports[0], takes_all).await;
        stack.clock.advance(TimeDelta::seconds(16));
        let read = until_not(&stack, "Queued", queued.header("location")).await;
        assert_eq!((&read["status"], &read["error"]), (&"Failed".into(), &"The address is suppressed.".into()));
        assert!(provider.asked().is_empty());
    }
}
