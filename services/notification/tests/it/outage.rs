//! What tells of appointments while the mail server is away.

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
        let reminded: Vec<_> =
            server.mails().into_iter().filter(|mail| mail.header("subject").starts_with("Reminder")).collect();
        assert_eq!(reminded.len(), 2);
        let planned = &listed(&stack, "type=reminder&status=Sent&to=johndoe@example.com").await[0];
        let id = format!("<{}@clinic.example>", planned["notificationId"].as_str().unwrap());
        assert!(reminded.iter().any(|mail| mail.header("message-id") == id));
    }
}
