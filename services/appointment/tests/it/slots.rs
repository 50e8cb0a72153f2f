//! A provider's free slots.

use super::*;

async fn slots(stack: &Arc<TestStack>, provider: &str, query: &str) -> Vec<String> {
    let path = format!("/api/providers/{provider}/slots?{query}");
    slots_in(&call(stack, Who::patient("12345"), Method::GET, &path, None).await.expect(200).json()["items"])
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn free_slots_are_the_hours_less_what_is_booked(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        let monday = |times: &[&str]| -> Vec<String> { times.iter().map(|time| format!("{MONDAY} {time}")).collect() };
        let day = format!("from={MONDAY}&to={MONDAY}&durationMinutes=60");
        assert_eq!(slots(&stack, "prov001", &day).await, monday(&["09:00", "10:30", "14:00", "15:00", "16:00"]));
        // Each can be had.
        for (at_time, time) in ["09:00", "10:30", "14:00"].into_iter().enumerate() {
            let mut body = at(&format!("more{at_time}"), "12345", "prov001", time);
            body["durationMinutes"] = json!(60);
            let _ = book(&stack, Who::patient("12345"), &body).await.expect(201);
        }
        assert_eq!(slots(&stack, "prov001", &day).await, monday(&["15:00", "16:00"]));
        let _ = cancel(&stack, "apt1").await.expect(200);
        assert_eq!(slots(&stack, "prov001", &format!("from={MONDAY}&to={MONDAY}")).await, monday(&["10:00", "11:30", "15:00", "15:30", "16:00", "16:30"]));
    }

    async fn without_dates_it_is_the_next_week_and_never_the_past(stack: Arc<TestStack>) {
        provider_with(&stack, "prov001", json!([{"day": "Thursday", "slots": ["09:00-11:00"]}])).await;
        // It is Thursday, ten o'clock.
        let expected = ["2026-01-15 10:00", "2026-01-15 10:30", "2026-01-22 09:00", "2026-01-22 09:30", "2026-01-22 10:00", "2026-01-22 10:30"];
        assert_eq!(slots(&stack, "prov001", "").await, expected);
        assert!(slots(&stack, "prov001", "from=2026-01-01&to=2026-01-14").await.is_empty());
        stack.clock.advance(chrono::TimeDelta::minutes(7));
        assert_eq!(slots(&stack, "prov001", "to=2026-01-15").await, ["2026-01-15 10:10"]);
    }

    async fn slots_come_in_pages(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let all = slots(&stack, "prov001", "limit=200").await;
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/api/providers/prov001/slots?limit=4{cursor}");
            let page = call(&stack, Role::Admin, Method::GET, &path, None).await.expect(200).json();
            seen.extend(slots_in(&page["items"]));
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!((seen.len(), &seen), (18, &all));
        let _ = call(&stack, Role::Admin, Method::GET, "/api/providers/nobody/slots", None).await.expect(404);
    }
}
