//! Links in messages: counted when they are followed, and leading nowhere else.

use serde_json::json;
use settings::Integrations;
use testkit::SmtpServer;
use testkit::fake::Fake;

use super::*;
use crate::channels::{PUBLIC, account, channel_tests, takes_all};
use crate::unsubscribe::in_public;

const TEXT: &str = "Prepare: https://www.clinic.example/prepare?for=visit. More: https://other.example/a, https://www.clinic.example.evil.example/b and https://www.clinic.example/c";
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

fn counted(outside: &mut Integrations, ports: [u16; 2]) {
    in_public(outside, ports);
    outside.sms = Some(account(ports[1], "AC1"));
    outside.link_hosts = vec!["www.clinic.example".to_owned()];
}

fn body() -> String {
    json!({"to": "johndoe@example.com", "subject": "Visit", "body": TEXT, "patientId": "12345"}).to_string()
}

async fn open(stack: &Arc<TestStack>, method: Method, path: &str, browser: &str) -> Reply {
    let request = stack.request(ServiceName::NotificationService, method, path);
    testkit::stack::send(request.header("user-agent", browser)).await
}

/// The paths of the two links of a text that are counted.
fn links(text: &str) -> [String; 2] {
    let start = format!("{PUBLIC}/api/notifications/links/");
    let mut links = text.split_whitespace().filter(|word| word.starts_with(&start));
    [(); 2].map(|()| links.next().unwrap().trim_end_matches('.').strip_prefix(PUBLIC).unwrap().to_owned())
}

channel_tests! {
    counted: async fn a_link_is_counted_and_leads_where_the_message_says(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        let sent = send(&stack, "email", &body()).await.expect(201);
        let mail = server.wait_for(1).await.remove(0).body.replace("\r\n", "\n");
        let [prepare, other] = links(&mail);
        assert!(!mail.contains("https://www.clinic.example/"), "{mail}");
        assert!(mail.contains("More: https://other.example/a, https://www.clinic.example.evil.example/b and "), "{mail}");
        let path = sent.header("location");
        let before = get(&stack, path).await.expect(200);
        assert_eq!((&before.json()["body"], before.json().get("clicks")), (&TEXT.into(), None));

        // Neither who only asks nor a program that looks at every link reads it.
        for (method, browser) in [(Method::HEAD, BROWSER), (Method::GET, "Mozilla/5.0 (compatible; Googlebot/2.1)")] {
            let led = open(&stack, method, &prepare, browser).await;
            assert_eq!((led.status, led.header("location")), (303, "https://www.clinic.example/prepare?for=visit"));
        }
        assert_eq!(get(&stack, path).await.expect(200).header("etag"), before.header("etag"));
        for link in [&prepare, &prepare, &other] {
            let led = open(&stack, Method::GET, link, BROWSER).await;
            assert_eq!((led.status, led.header("cache-control")), (303, "no-store"));
        }
        let after = get(&stack, path).await.expect(200);
        assert_eq!((&after.json()["clicks"], &after.json()["firstClickedAt"]), (&3.into(), &"2026-01-15T09:00:00Z".into()));
        assert_ne!(after.header("etag"), before.header("etag"));
        let counted = get(&stack, "/api/notifications/statistics").await.expect(200).json();
        assert_eq!((&counted["effects"][0]["clicked"], &counted["effects"][0]["clicks"]), (&1.into(), &3.into()));
    }

    counted: async fn nobody_can_have_a_link_lead_elsewhere(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        let _ = send(&stack, "email", &body()).await.expect(201);
        let mail = server.wait_for(1).await.remove(0).body;
        let [prepare, other] = links(&mail);
        let (whole, _) = prepare.rsplit_once('/').unwrap();
        let (unsigned, signature) = whole.rsplit_once('.').unwrap();
        // The links that are not counted, one that there is not, and what somebody made up.
        for forged in [
            format!("{whole}/1"), format!("{whole}/2"), format!("{whole}/4"), format!("{whole}/255"), format!("{whole}/https:%2F%2Fevil.example"),
            format!("{unsigned}/0"), format!("{unsigned}.BwcHBwcHBwcHBwcHBwcHBw/0"), format!("{unsigned}x.{signature}/0"),
            whole.replace("/links/", "/confirm/"),
        ] {
            let reply = open(&stack, Method::GET, &forged, BROWSER).await;
            assert_eq!((reply.status, reply.header("location")), (404, ""), "{forged}");
        }
        let led = open(&stack, Method::GET, &other, BROWSER).await;
        assert_eq!((led.status, led.header("location")), (303, "https://www.clinic.example/c"));
        // It ends with the message.
        stack.clock.advance(chrono::TimeDelta::days(500));
        assert_eq!(open(&stack, Method::GET, &other, BROWSER).await.status, 404);
    }

    counted: async fn text_messages_are_counted_too(stack: Arc<TestStack>, ports: [u16; 2]) {
        let provider = Fake::start(ports[1], takes_all).await;
        let _ = send(&stack, "sms", &json!({"to": "+1234567890", "message": TEXT}).to_string()).await.expect(201);
        let [prepare, _] = links(&provider.asked()[0].form("Body").unwrap());
        assert_eq!(open(&stack, Method::GET, &prepare, BROWSER).await.header("location"), "https://www.clinic.example/prepare?for=visit");
    }

    in_public: async fn where_no_host_is_named_links_stay_as_they_are(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        let _ = send(&stack, "email", &body()).await.expect(201);
        assert_eq!(server.wait_for(1).await[0].body.replace("\r\n", "\n").trim_end(), TEXT);
    }
}
