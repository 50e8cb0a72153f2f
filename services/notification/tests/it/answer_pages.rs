//! What a person sees in their browser whose link is good for nothing: in their language, what is so, and what to do.

use chrono::TimeDelta;
use serde_json::json;
use testkit::SmtpServer;

use super::*;
use crate::answers::{ALL, appointments, links};
use crate::channels::channel_tests;
use crate::unsubscribe::in_public;

const BROWSER: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

/// Opens a link as a browser that speaks this language does.
async fn browse(stack: &Arc<TestStack>, method: Method, path: &str, language: &str) -> Reply {
    let request = stack.request(ServiceName::NotificationService, method, path);
    let reply =
        testkit::stack::send(request.header("accept", BROWSER).header("accept-language", language)).await;
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8", "{}", reply.text);
    assert!(reply.header("content-security-policy").contains("default-src 'none'"));
    assert_eq!(reply.header("cache-control"), "no-store");
    for named in ["12345", "John", "Jane", "prov001", "apt001"] {
        assert!(!reply.text.contains(named), "{}", reply.text);
    }
    reply
}

#[track_caller]
fn assert_says(reply: &Reply, status: u16, said: &[&str]) {
    assert_eq!(reply.status, status, "{}", reply.text);
    assert!(
        said.iter().all(|said| reply.text.contains(said)) && !reply.text.contains("<form"),
        "{}",
        reply.text
    );
}

async fn speak_german(stack: &Arc<TestStack>) {
    let (path, wish) = ("/api/notifications/preferences/12345", r#"{"language": "de"}"#);
    let _ = call(stack, Role::Receptionist, Method::PUT, path, Some(wish)).await.expect(200);
}

/// What becomes of an appointment is heard of here in a moment.
async fn until_over(stack: &Arc<TestStack>, path: &str) {
    for _ in 0..2_400 {
        if browse(stack, Method::GET, path, "en").await.status == 409 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("the link is good for something");
}

channel_tests! { services = crate::answer_pages::ALL;
    in_public: async fn a_link_that_is_over_says_in_its_readers_language_what_is_so(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        let [confirm, cancel] = links(&stack, &server).await;
        speak_german(&stack).await;
        let _ = browse(&stack, Method::POST, &confirm, "fr").await.expect(200);
        for method in [Method::GET, Method::POST] {
            let page = browse(&stack, method, &confirm, "fr").await;
            assert_says(&page, 409, &["lang=\"de\"", "Sie haben schon geantwortet", "rufen Sie bitte die Praxis an"]);
        }
        // Moved, it shows what is, and has no button for what was.
        let moved = json!({"timeSlot": "11:00"});
        let _ = appointments(&stack, Method::PUT, "/api/appointments/apt001", Some(moved)).await.expect(200);
        until_over(&stack, &cancel).await;
        for method in [Method::GET, Method::POST] {
            let page = browse(&stack, method, &cancel, "fr").await;
            assert_says(&page, 409, &["Der Termin wurde verschoben", "20. Januar 2026", "11:00"]);
        }
        let reason = json!({"reason": "x"});
        let _ = appointments(&stack, Method::DELETE, "/api/appointments/apt001", Some(reason)).await;
        let closed = async || browse(&stack, Method::GET, &cancel, "fr").await;
        for _ in 0..2_400 {
            if closed().await.text.contains("findet nicht mehr statt") {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        assert_says(&closed().await, 409, &["findet nicht mehr statt"]);
        stack.clock.advance(TimeDelta::days(1));
        assert_says(&closed().await, 409, &["Die Zeit dieses Termins ist vorbei"]);
    }

    in_public: async fn a_link_that_is_nobodys_says_no_more_than_that(stack: Arc<TestStack>, ports: [u16; 2]) {
        let server = SmtpServer::start(ports[0]);
        let [confirm, _] = links(&stack, &server).await;
        speak_german(&stack).await;
        let of_another = confirm.replace("/confirm/", "/cancel/");
        let unsubscribe = confirm.replace("/confirm/", "/unsubscribe/");
        for forged in [&confirm[..confirm.len() - 1], &of_another, &unsubscribe] {
            for method in [Method::GET, Method::POST] {
                let page = browse(&stack, method, forged, "fr-FR,fr;q=0.9,en;q=0.8").await;
                assert_says(&page, 404, &["lang=\"fr\"", "Ce lien n’est pas valable", "appelez le cabinet"]);
            }
        }
        // Programs are told as ever.
        let request = stack.request(ServiceName::NotificationService, Method::GET, &of_another);
        let told = testkit::stack::send(request.header("accept", "application/json")).await.expect(404);
        assert_eq!(told.json()["code"], "not-found");
    }
}
