//! Who follows a provider is told that something has changed, and of nobody's appointment.

use std::time::Duration;

use super::schedules::away;
use super::*;

/// A stream of events, read as it comes.
struct Stream {
    reply: reqwest::Response,
    text: String,
}

impl Stream {
    /// Waits for an event of a number; tells its data.
    async fn hears(&mut self, number: i64) -> Value {
        let head = format!("id: {number}\nevent: availability\ndata: ");
        loop {
            if let Some(at) = self.text.find(&head) {
                let data = &self.text[at + head.len()..];
                if let Some(end) = data.find("\n\n") {
                    return serde_json::from_str(&data[..end]).unwrap();
                }
            }
            let chunk =
                tokio::time::timeout(Duration::from_secs(10), self.reply.chunk()).await.unwrap().unwrap();
            self.text.push_str(std::str::from_utf8(&chunk.expect("the stream goes on")).unwrap());
        }
    }

    /// Waits for its end.
    async fn ends(mut self) -> String {
        while let Some(chunk) =
            tokio::time::timeout(Duration::from_secs(10), self.reply.chunk()).await.unwrap().unwrap()
        {
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        self.text
    }
}

async fn follow(stack: &Arc<TestStack>, who: impl Into<Who>, heard: Option<&str>, query: &str) -> Stream {
    let path = format!("/api/providers/prov001/availability/events{query}");
    let mut request =
        stack.request(ServiceName::AppointmentService, Method::GET, &path).bearer_auth(stack.token(who));
    if let Some(heard) = heard {
        request = request.header("last-event-id", heard);
    }
    let reply = request.send().await.unwrap();
    assert_eq!(
        (reply.status().as_u16(), &reply.headers()["content-type"]),
        (200, &"text/event-stream".parse().unwrap())
    );
    Stream { reply, text: String::new() }
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn bookings_moves_cancellations_and_time_off_are_told_and_of_no_patient(stack: Arc<TestStack>) {
        clinic(&stack).await;
        provider(&stack, "prov002").await;
        let mut stream = follow(&stack, Who::patient("12345"), None, "").await;
        assert_eq!(stream.hears(0).await, json!({"providerId": "prov001", "change": 0}));
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        let _ = stream.hears(1).await;
        // What frees or takes no time is not told, nor what others do.
        let _ = put(&stack, Role::Admin, "apt1", &json!({"status": "Confirmed", "reason": "knee"})).await.expect(200);
        let _ = book(&stack, Role::Admin, &at("apt2", "12345", "prov002", "11:00")).await.expect(201);
        let _ = put(&stack, Role::Admin, "apt1", &json!({"timeSlot": "10:30"})).await.expect(200);
        let _ = stream.hears(2).await;
        let _ = cancel(&stack, "apt1").await.expect(200);
        let _ = stream.hears(3).await;
        let _ = away(&stack, "prov001", MONDAY, MONDAY).await;
        let _ = stream.hears(4).await;
        for word in ["12345", "apt1", "knee"] {
            assert!(!stream.text.contains(word), "{}", stream.text);
        }
    }

    async fn who_comes_back_is_told_what_they_missed_and_nothing_twice(stack: Arc<TestStack>) {
        clinic(&stack).await;
        for (id, time) in [("apt1", "09:00"), ("apt2", "10:00")] {
            let _ = book(&stack, Role::Admin, &at(id, "12345", "prov001", time)).await.expect(201);
        }
        let told = async |heard: Option<&'static str>| {
            let text = follow(&stack, Role::Admin, heard, "?seconds=0").await.ends().await;
            text.matches("event: availability").count() + text.matches("id: 2\n").count()
        };
        // One event, and it is the last.
        for (heard, expected) in [(None, 2), (Some("0"), 2), (Some("1"), 2), (Some("2"), 0), (Some("9"), 2), (Some("x"), 2)] {
            assert_eq!(told(heard).await, expected, "{heard:?}");
        }
    }

    async fn a_stream_ends_with_the_token_and_there_is_none_of_nobody(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let mut stream = follow(&stack, Role::Receptionist, None, "").await;
        let _ = stream.hears(0).await;
        stack.clock.advance(chrono::TimeDelta::days(10 * 365 + 1));
        let _ = stream.ends().await;
        let nobody = "/api/providers/nobody/availability/events";
        let _ = call(&stack, Role::Admin, Method::GET, nobody, None).await.expect(404);
        let long = "/api/providers/prov001/availability/events?seconds=86401";
        assert_eq!(call(&stack, Role::Admin, Method::GET, long, None).await.expect(400).faults(), ["seconds"]);
        let without = stack.request(ServiceName::AppointmentService, Method::GET, "/api/providers/prov001/availability/events");
        let _ = testkit::stack::send(without).await.expect(401);
    }
}
