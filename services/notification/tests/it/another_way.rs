//! What tells of an appointment and does not arrive goes by the person's next way, once.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use settings::Integrations;
use testkit::SmtpServer;
use testkit::fake::Fake;
use testkit::smtp::Mail;

use super::*;
use crate::channels::{PUBLIC, TOKEN, account, channel_tests, refusal, takes_all};
use crate::mail_reports::{self, complaint, failed, plain};
use crate::reminders::{STARTS, clinic, tell, until_told};

const CLINIC: &[http_kit::Service] = &[patient::SERVICE, provider::SERVICE, notification::SERVICE];
const SMS_FIRST: &str = r#"{"channels": ["Sms", "Email"]}"#;

fn both(outside: &mut Integrations, ports: [u16; 2]) {
    mail_reports::plain(outside, ports);
    outside.sms = Some(account(ports[1], "AC1"));
    outside.public_url = Some(PUBLIC.to_owned());
}

async fn wish(stack: &Arc<TestStack>, wish: &str) {
    let path = "/api/notifications/preferences/12345";
    let _ = call(stack, Role::Receptionist, Method::PUT, path, Some(wish)).await.expect(200);
}

/// Each of a type that is for the patient: by which channel, where it stands, why and with which code.
async fn ways(stack: &Arc<TestStack>, kind: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let all = listed(stack, &format!("type={kind}")).await;
    let theirs = all.iter().filter(|it| it["to"] == "johndoe@example.com" || it["channel"] == "Sms");
    theirs
        .map(|it| [&it["channel"], &it["status"], &it["error"], &it["providerCode"]].map(text).join(" "))
        .collect()
}

async fn until(stack: &Arc<TestStack>, kind: &str, expected: &str) {
    let mut last = Vec::new();
    for _ in 0..2_400 {
        last = ways(stack, kind).await;
        if last == [expected] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(last, [expected]);
}

/// The `n`th mail that the patient got.
async fn their_mail(server: &SmtpServer, n: usize) -> Mail {
    for _ in 0..2_400 {
        let theirs = server.mails().into_iter().filter(|mail| mail.to == ["johndoe@example.com"]).nth(n);
        if let Some(mail) = theirs {
            return mail;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("no such mail")
}

/// Where the provider tells what became of the `n`th text message, as it was told.
fn callback(texts: &Fake, n: usize) -> String {
    texts.posted()[n].form("StatusCallback").unwrap().strip_prefix(PUBLIC).unwrap().to_owned()
}

async fn undelivered(stack: &Arc<TestStack>, path: &str, sid: &str, code: &str) {
    let form = [
        ("AccountSid", "AC1"),
        ("MessageSid", sid),
        ("MessageStatus", "undelivered"),
        ("ErrorCode", code),
        ("To", "+1234567890"),
    ];
    let _ = crate::channels::tell(stack, path, &form, TOKEN).await.expect(200);
}

/// Of creations by a channel: how many were handed on, arrived and came back.
async fn counted(stack: &Arc<TestStack>, channel: &str) -> [u64; 3] {
    let counted = get(stack, "/api/notifications/statistics").await.expect(200).json();
    let effects = counted["effects"].as_array().unwrap().clone();
    let of = effects.iter().find(|it| it["channel"] == channel && it["type"] == "creation");
    ["sent", "delivered", "bounced"].map(|name| of.map_or(0, |it| it[name].as_u64().unwrap()))
}

/// Waits until both reminders that are due were refused, and are nobody's turn: an attempt that is under way takes the clock of its end for what comes next.
async fn until_waits(stack: &Arc<TestStack>) {
    let db = stack.database(ServiceName::NotificationService).db();
    let refused = "select count(*) from notification where kind = 'reminder' and status = 'Queued' and claim is null and error is not null";
    let mut now: i64 = 0;
    for _ in 0..2_400 {
        let mut tx = db.read().await.unwrap();
        now = db::on!(tx, |conn| sqlx::query_scalar(refused).fetch_one(conn).await).unwrap();
        if now == 2 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(now, 2);
}

/// Books, and waits until the patient has the mail of it.
async fn booked(stack: &Arc<TestStack>, server: &SmtpServer) -> Mail {
    clinic(stack).await;
    let _ = tell(stack, "booked", 1, STARTS).await;
    let mail = their_mail(server, 0).await;
    until(stack, "creation", "Email Sent - -").await;
    mail
}

channel_tests! { services = crate::another_way::CLINIC;
    both: async fn a_mail_that_comes_back_goes_by_text_message_and_no_report_on_it_concerns_that(stack: Arc<TestStack>, ports: [u16; 2]) {
        let (server, texts) = (SmtpServer::start(ports[0]), Fake::start(ports[1], takes_all).await);
        let mail = booked(&stack, &server).await;
        mail_reports::tell(&stack, &failed(1, "5.1.1", &mail.raw)).await;
        until(&stack, "creation", "Sms Sent - -").await;
        assert_eq!(texts.posted().len(), 1);
        // Both creations went by mail; the one that came back went on.
        assert_eq!((counted(&stack, "Email").await, counted(&stack, "Sms").await), ([2, 0, 1], [1, 0, 0]));
        mail_reports::tell(&stack, &failed(1, "5.1.1", &mail.raw)).await;
        mail_reports::tell(&stack, &failed(2, "5.2.2", &mail.raw)).await;
        mail_reports::tell(&stack, &complaint(3, &mail.raw)).await;
        assert_eq!(ways(&stack, "creation").await, ["Sms Sent - -"]);
        // It arrives by the second way, and stays where it is.
        let path = callback(&texts, 0);
        assert!(path.ends_with("&turn=1"), "{path}");
        for other in ["-1", "0", "2", "9223372036854775807"] {
            undelivered(&stack, &path.replace("&turn=1", &format!("&turn={other}")), &format!("SM{other}"), "30003").await;
        }
        let no_turn = crate::channels::tell(&stack, &path.replace("&turn=1", "&turn=x"), &[("AccountSid", "AC1")], TOKEN).await;
        assert!(matches!(no_turn.status, 400 | 422), "{}", no_turn.text);
        assert_eq!(ways(&stack, "creation").await, ["Sms Sent - -"]);
        let form = [("AccountSid", "AC1"), ("MessageSid", "SM1"), ("MessageStatus", "delivered"), ("To", "+1234567890")];
        let _ = crate::channels::tell(&stack, &path, &form, TOKEN).await.expect(200);
        undelivered(&stack, &path, "SM1", "30003").await;
        assert_eq!(ways(&stack, "creation").await, ["Sms Delivered - -"]);
        assert_eq!((counted(&stack, "Email").await, counted(&stack, "Sms").await), ([2, 0, 1], [1, 1, 0]));
    }

    both: async fn what_comes_back_by_each_way_has_failed(stack: Arc<TestStack>, ports: [u16; 2]) {
        let (server, texts) = (SmtpServer::start(ports[0]), Fake::start(ports[1], takes_all).await);
        let mail = booked(&stack, &server).await;
        // The mailbox is full: the address is good, and this message does not arrive there.
        mail_reports::tell(&stack, &failed(1, "5.2.2", &mail.raw)).await;
        until(&stack, "creation", "Sms Sent - -").await;
        let path = callback(&texts, 0);
        let of_the_first = path.strip_suffix("&turn=1").unwrap();
        undelivered(&stack, of_the_first, "SM0", "30003").await;
        assert_eq!(ways(&stack, "creation").await, ["Sms Sent - -"]);
        undelivered(&stack, &path, "SM1", "30003").await;
        until(&stack, "creation", "Sms Failed The provider could not deliver it (30003). 30003").await;
        assert_eq!((texts.posted().len(), server.mails().len()), (1, 2));
        assert_eq!((counted(&stack, "Email").await, counted(&stack, "Sms").await), ([2, 0, 1], [1, 0, 1]));
    }

    plain: async fn who_has_no_other_way_has_the_first_cause_beside_it(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        let mail = booked(&stack, &server).await;
        mail_reports::tell(&stack, &failed(1, "5.1.1", &mail.raw)).await;
        until(&stack, "creation", "Email Failed It came back (5.1.1). 5.1.1").await;
        let item = &listed(&stack, "type=creation&to=johndoe@example.com").await[0];
        assert_eq!(item["sentAt"], "2026-01-15T09:00:00Z");
        assert_eq!(counted(&stack, "Email").await, [2, 0, 1]);
    }

    both: async fn who_complained_of_it_has_it(stack: Arc<TestStack>, ports: [u16; 2]) {
        let (server, texts) = (SmtpServer::start(ports[0]), Fake::start(ports[1], takes_all).await);
        let mail = booked(&stack, &server).await;
        mail_reports::tell(&stack, &failed(1, "4.4.1", &mail.raw).replace("Action: failed", "Action: delayed")).await;
        assert_eq!(ways(&stack, "creation").await, ["Email Sent The mail server that it goes to has not taken it yet. 4.4.1"]);
        mail_reports::tell(&stack, &complaint(2, &mail.raw)).await;
        mail_reports::tell(&stack, &failed(3, "5.7.1", &mail.raw)).await;
        assert_eq!(ways(&stack, "creation").await, ["Email Failed It came back (5.7.1). 5.7.1"]);
        assert!(texts.posted().is_empty());
    }

    both: async fn who_says_stop_is_told_by_mail(stack: Arc<TestStack>, ports: [u16; 2]) {
        let (server, texts) = (SmtpServer::start(ports[0]), Fake::start(ports[1], takes_all).await);
        clinic(&stack).await;
        wish(&stack, SMS_FIRST).await;
        let _ = tell(&stack, "booked", 1, STARTS).await;
        until(&stack, "creation", "Sms Sent - -").await;
        let path = callback(&texts, 0);
        undelivered(&stack, &path, "SM1", "21610").await;
        until(&stack, "creation", "Email Sent - -").await;
        // A report on that mail is on that mail.
        let mail = their_mail(&server, 0).await;
        undelivered(&stack, &path, "SM9", "30003").await;
        assert_eq!(ways(&stack, "creation").await, ["Email Sent - -"]);
        mail_reports::tell(&stack, &failed(1, "5.1.1", &mail.raw)).await;
        until(&stack, "creation", "Email Failed It came back (5.1.1). 5.1.1").await;
        assert_eq!(texts.posted().len(), 1);
    }

    both: async fn who_says_stop_before_it_goes_out_is_told_by_mail(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        clinic(&stack).await;
        wish(&stack, SMS_FIRST).await;
        let _ = tell(&stack, "booked", 1, STARTS).await;
        until(&stack, "creation", "Sms Queued The provider cannot be reached. -").await;
        let stop = [("AccountSid", "AC1"), ("MessageSid", "SM1"), ("From", "+1234567890"), ("Body", "STOP")];
        let _ = crate::channels::tell(&stack, "/api/notifications/callbacks/sms/inbound", &stop, TOKEN).await.expect(200);
        let texts = Fake::start(ports[1], takes_all).await;
        stack.clock.advance(TimeDelta::seconds(16));
        until(&stack, "creation", "Email Sent - -").await;
        assert!(texts.asked().is_empty());
        drop(server);
    }

    both: async fn what_is_refused_for_itself_goes_another_way_too(stack: Arc<TestStack>, ports: [u16; 2]) {
        let (server, texts) = (SmtpServer::start(ports[0]), Fake::start(ports[1], takes_all).await);
        clinic(&stack).await;
        wish(&stack, SMS_FIRST).await;
        // To this country nothing is sent: the number may be good.
        texts.next(refusal(400, 21408));
        let _ = tell(&stack, "booked", 1, STARTS).await;
        until(&stack, "creation", "Email Sent - -").await;
        // What was never handed on is not counted.
        assert_eq!((counted(&stack, "Email").await, counted(&stack, "Sms").await), ([2, 0, 0], [0, 0, 0]));
        drop(server);
    }

    both: async fn what_is_not_so_any_more_is_told_no_other_way(stack: Arc<TestStack>, ports: [u16; 2]) {
        let (server, texts) = (SmtpServer::start(ports[0]), Fake::start(ports[1], takes_all).await);
        let mail = booked(&stack, &server).await;
        // Confirmed, it takes place as was told.
        let _ = tell(&stack, "confirmed", 2, STARTS).await;
        let _ = tell(&stack, "rescheduled", 3, "2026-01-21T09:00:00Z").await;
        until(&stack, "change", "Email Sent - -").await;
        mail_reports::tell(&stack, &failed(1, "5.2.2", &mail.raw)).await;
        assert_eq!(ways(&stack, "creation").await, ["Email Failed It came back (5.2.2). 5.2.2"]);
        // What is told now still is.
        let _ = tell(&stack, "confirmed", 4, "2026-01-21T09:00:00Z").await;
        mail_reports::tell(&stack, &failed(2, "5.2.2", &their_mail(&server, 1).await.raw)).await;
        until(&stack, "change", "Sms Sent - -").await;
        assert_eq!(texts.posted().len(), 1);
    }

    both: async fn nobody_is_disturbed_by_what_comes_back_at_night(stack: Arc<TestStack>, ports: [u16; 2]) {
        let (server, texts) = (SmtpServer::start(ports[0]), Fake::start(ports[1], takes_all).await);
        let mail = booked(&stack, &server).await;
        // It is ten in the morning in Berlin.
        wish(&stack, r#"{"quietHours": {"from": "09:30", "to": "10:30"}}"#).await;
        mail_reports::tell(&stack, &failed(1, "5.1.1", &mail.raw)).await;
        assert_eq!(ways(&stack, "creation").await, ["Email Scheduled It came back (5.1.1). 5.1.1"]);
        assert_eq!(counted(&stack, "Email").await, [2, 0, 1]);
        // Wishes that change in between keep it.
        wish(&stack, r#"{"quietHours": {"from": "09:00", "to": "10:30"}}"#).await;
        stack.clock.advance(TimeDelta::minutes(30));
        until(&stack, "creation", "Sms Sent - -").await;
        assert_eq!(texts.posted().len(), 1);
    }

    both: async fn what_waits_for_another_way_is_withdrawn_with_the_appointment(stack: Arc<TestStack>, ports: [u16; 2]) {
        let (server, texts) = (SmtpServer::start(ports[0]), Fake::start(ports[1], takes_all).await);
        let mail = booked(&stack, &server).await;
        wish(&stack, r#"{"quietHours": {"from": "09:30", "to": "10:30"}}"#).await;
        mail_reports::tell(&stack, &failed(1, "5.1.1", &mail.raw)).await;
        let _ = tell(&stack, "cancelled", 2, STARTS).await;
        assert_eq!(ways(&stack, "creation").await, ["Email Withdrawn The appointment has changed. 5.1.1"]);
        assert_eq!(counted(&stack, "Email").await, [2, 0, 1]);
        stack.clock.advance(TimeDelta::minutes(30));
        until(&stack, "cancellation", "Sms Sent - -").await;
        assert_eq!(texts.posted().len(), 1);
    }

    both: async fn a_reminder_that_comes_back_is_the_same_by_text_message(stack: Arc<TestStack>, ports: [u16; 2]) {
        let (server, texts) = (SmtpServer::start(ports[0]), Fake::start(ports[1], takes_all).await);
        let _ = booked(&stack, &server).await;
        stack.clock.advance(TimeDelta::days(4));
        let mail = their_mail(&server, 1).await;
        until_told(&stack, "&type=reminder&status=Sent&to=johndoe@example.com", &["reminder johndoe@example.com Sent 2026-01-19T09:00:00Z"]).await;
        let by_mail = listed(&stack, "type=reminder&status=Sent&to=johndoe@example.com").await;
        mail_reports::tell(&stack, &failed(1, "5.1.1", &mail.raw)).await;
        until_told(&stack, "&type=reminder&status=Sent&to=%2B1234567890", &["reminder +1234567890 Sent 2026-01-19T09:00:00Z"]).await;
        // Under the id that its links name.
        let by_text = listed(&stack, "type=reminder&status=Sent&to=%2B1234567890").await;
        assert_eq!(by_text[0]["notificationId"], by_mail[0]["notificationId"]);
        assert_eq!(texts.posted()[0].form("To").as_deref(), Some("+1234567890"));
    }

    both: async fn what_its_server_does_not_take_before_its_time_has_passed_goes_by_text_message(stack: Arc<TestStack>, ports: [u16; 2]) {
        let (server, texts) = (SmtpServer::start(ports[0]), Fake::start(ports[1], takes_all).await);
        let _ = booked(&stack, &server).await;
        drop(server);
        stack.clock.advance(TimeDelta::days(4));
        until_waits(&stack).await;
        // Ten seconds before it would be sent no more.
        stack.clock.advance(TimeDelta::seconds(2 * 3_600 - 10));
        until_told(&stack, "&type=reminder&status=Sent&to=%2B1234567890", &["reminder +1234567890 Sent 2026-01-19T09:00:00Z"; 2]).await;
        assert_eq!(texts.posted().len(), 2);
    }

    both: async fn of_an_erased_patient_nothing_goes_another_way(stack: Arc<TestStack>, ports: [u16; 2]) {
        let (server, texts) = (SmtpServer::start(ports[0]), Fake::start(ports[1], takes_all).await);
        let mail = booked(&stack, &server).await;
        let erased = json!({"id": "evt_erased", "occurredAt": "2026-01-15T09:00:00Z", "type": "patient.erased.v1", "data": {"patientId": "12345"}});
        let _ = call(&stack, Role::Service, Method::POST, "/internal/events", Some(&erased.to_string())).await.expect(200);
        mail_reports::tell(&stack, &failed(1, "5.1.1", &mail.raw)).await;
        assert!(listed(&stack, "type=creation").await.is_empty());
        assert!(texts.posted().is_empty());
    }
}
