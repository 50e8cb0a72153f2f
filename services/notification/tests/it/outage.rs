//! What tells of appointments while the mail server is away.

use std::time::Duration;

use chrono::TimeDelta;
use settings::{MailSettings, MailTls, ServiceSettings};
use testkit::SmtpServer;
use testkit::smtp::free_port;

use super::reminders::{STARTS, clinic, tell, told, until_told};
use super::*;

const SERVICES: &[http_kit::Service] = &[patient::SERVICE, provider::SERVICE, notification::SERVICE];

fn run<T>(engine: db::Engine, test: fn(Arc<TestStack>, u16) -> T)
where
    T: Future<Output = ()> + Send + 'static,
{
    let port = free_port();
    let settings = |settings: &mut ServiceSettings| {
        settings.integrations.mail = Some(MailSettings {
            host: "127.0.0.1".to_owned(),
            port,
            tls: MailTls::None,
            from: "no-reply@clinic.example".to_owned(),
            username: None,
            password: None,
            dkim: None,
        });
    };
    testkit::stack::run_with(engine, SERVICES, settings, move |stack| test(stack, port));
}

macro_rules! outage_tests {
    ($(async fn $name:ident($stack:ident: Arc<TestStack>, $port:ident: u16) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn test($stack: Arc<TestStack>, $port: u16) $body

            #[test]
            fn sqlite() {
                run(db::Engine::Sqlite, test);
            }

            #[test]
            fn postgres() {
                run(db::Engine::Postgres, test);
            }
        }
    )*};
}

/// Waits until this many reminders were refused, and are nobody's turn: an attempt that is under way takes the clock of its end for what comes next.
async fn until_refused(stack: &Arc<TestStack>, count: i64) {
    let db = stack.database(ServiceName::NotificationService).db();
    let refused = "select count(*) from notification where kind = 'reminder' and status = 'Queued' and claim is null and error is not null";
    let mut now = 0;
    for _ in 0..2_400 {
        let mut tx = db.read().await.unwrap();
        now = db::on!(tx, |conn| sqlx::query_scalar(refused).fetch_one(conn).await).unwrap();
        if now == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(now, count);
}

outage_tests! {
    async fn a_cancellation_withdraws_what_is_queued_and_is_all_that_arrives(stack: Arc<TestStack>, port: u16) {
        clinic(&stack).await;
        let _ = tell(&stack, "booked", 1, STARTS).await;
        assert_eq!(told(&stack, "&type=creation&status=Queued").await.len(), 2);
        let _ = tell(&stack, "cancelled", 2, STARTS).await;
        assert_eq!(told(&stack, "&status=Withdrawn").await.len(), 6);
        let server = SmtpServer::start(port);
        stack.clock.advance(TimeDelta::seconds(31));
        let mails = server.wait_for(2).await;
        assert_eq!(mails.len(), 2);
        for mail in &mails {
            assert_eq!(mail.header("subject"), "Your appointment on Tuesday, January 20, 2026 was cancelled");
        }
        until_told(&stack, "&status=Sent", &[
            "cancellation janedoe@example.com Sent 2026-01-15T09:00:00Z",
            "cancellation johndoe@example.com Sent 2026-01-15T09:00:00Z",
        ]).await;
        assert!(told(&stack, "&status=Queued").await.is_empty());
    }

    async fn a_reminder_that_waited_too_long_is_not_sent_and_the_next_one_is(stack: Arc<TestStack>, port: u16) {
        clinic(&stack).await;
        let _ = tell(&stack, "booked", 1, STARTS).await;
        stack.clock.advance(TimeDelta::days(4));
        until_told(&stack, "&type=reminder&status=Queued", &[
            "reminder janedoe@example.com Queued 2026-01-19T09:00:00Z",
            "reminder johndoe@example.com Queued 2026-01-19T09:00:00Z",
        ]).await;
        until_refused(&stack, 2).await;
        stack.clock.advance(TimeDelta::hours(3));
        let server = SmtpServer::start(port);
        until_told(&stack, "&type=reminder&status=Withdrawn", &[
            "reminder janedoe@example.com Withdrawn 2026-01-19T09:00:00Z",
            "reminder johndoe@example.com Withdrawn 2026-01-19T09:00:00Z",
        ]).await;
        let late = server.mails().iter().filter(|mail| mail.header("subject").starts_with("Reminder")).count();
        assert_eq!(late, 0);
        stack.clock.advance(TimeDelta::hours(19));
        until_told(&stack, "&type=reminder&status=Sent", &[
            "reminder janedoe@example.com Sent 2026-01-20T07:00:00Z",
            "reminder johndoe@example.com Sent 2026-01-20T07:00:00Z",
        ]).await;
        let mails = server.wait_for(2).await;
        let reminded: Vec<_> = mails.iter().filter(|mail| mail.header("subject").starts_with("Reminder")).collect();
        assert_eq!(reminded.len(), 2);
        let planned = &listed(&stack, "type=reminder&status=Sent&to=johndoe@example.com").await[0];
        let id = format!("<{}.", planned["notificationId"].as_str().unwrap());
        assert!(reminded.iter().any(|mail| mail.header("message-id").starts_with(&id)));
    }
}
