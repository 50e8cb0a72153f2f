//! A row that cannot be opened, since somebody or something has altered it, stands in nobody else's way.

use chrono::TimeDelta;
use testkit::SmtpServer;

use super::*;
use crate::channels::{channel_tests, until_not};
use crate::reminders::{STARTS, clinic, tell};
use crate::unsubscribe::by_mail;

const CLINIC: &[http_kit::Service] = &[patient::SERVICE, provider::SERVICE, notification::SERVICE];

async fn alter(stack: &Arc<TestStack>, id: &Value) {
    let db = stack.database(ServiceName::NotificationService).db();
    let mut tx = db.begin().await.unwrap();
    let other = db::sql!("update notification set body = $1 where id = $2");
    let altered = db::on!(tx, |conn| sqlx::query(other)
        .bind(vec![7_u8; 99])
        .bind(id.as_str().unwrap())
        .execute(conn)
        .await
        .map(|done| done.rows_affected()))
    .unwrap();
    assert_eq!(altered, 1);
    tx.commit().await.unwrap();
}

channel_tests! { services = crate::unreadable::CLINIC;
    by_mail: async fn what_is_queued_after_it_is_sent(stack: Arc<TestStack>, ports: [u16; 2]) {
        let (first, second) = (send(&stack, "email", MAIL).await.expect(202), send(&stack, "email", MAIL).await.expect(202));
        alter(&stack, &first.json()["notificationId"]).await;
        let server = SmtpServer::start(ports[0]);
        stack.clock.advance(TimeDelta::seconds(16));
        assert_eq!(until_not(&stack, "Queued", second.header("location")).await["status"], "Sent");
        assert_eq!(server.mails().len(), 1);
    }

    by_mail: async fn what_has_its_time_with_it_is_sent(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        clinic(&stack).await;
        let _ = tell(&stack, "booked", 1, STARTS).await;
        let of = async |to: &str| {
            let reminders = listed(&stack, &format!("type=reminder&to={to}")).await;
            let of = reminders.iter().find(|it| it["sendAt"] == "2026-01-19T09:00:00Z").cloned();
            of.unwrap()["notificationId"].clone()
        };
        let (johns, janes) = (of("johndoe@example.com").await, of("janedoe@example.com").await);
        alter(&stack, &johns).await;
        stack.clock.advance(TimeDelta::days(4));
        let path = format!("/api/notifications/{}", janes.as_str().unwrap());
        let _ = until_not(&stack, "Scheduled", &path).await;
        assert_eq!(until_not(&stack, "Queued", &path).await["status"], "Sent");
        drop(server);
    }
}
