//! What stands in a feed's calendar, as a calendar program reads it.

use icalendar::{Component, Event, EventStatus};
use testkit::stack::send;

use super::feeds::{feed, of_patient, of_provider, read};
use super::*;

async fn events(stack: &Arc<TestStack>, url: &str) -> Vec<Event> {
    let calendar: icalendar::Calendar = read(stack, url).await.expect(200).text.parse().unwrap();
    calendar.events().cloned().collect()
}

/// What a calendar program goes by: what it is, which version of it, and whether it takes place.
async fn versions(stack: &Arc<TestStack>, url: &str) -> Vec<(String, u32, EventStatus)> {
    let version = |event: &Event| {
        (event.get_uid().unwrap().to_owned(), event.get_sequence().unwrap(), event.get_status().unwrap())
    };
    events(stack, url).await.iter().map(version).collect()
}

async fn starts(stack: &Arc<TestStack>, url: &str) -> Vec<String> {
    let events = events(stack, url).await;
    events.iter().map(|event| event.property_value("DTSTART").unwrap().to_owned()).collect()
}

async fn book_on(stack: &Arc<TestStack>, provider: &str, date: &str, time: &str) {
    let mut body = at("", "12345", provider, time);
    body.as_object_mut().unwrap().remove("appointmentId");
    body["appointmentDate"] = json!(date);
    let _ = book(stack, Role::Admin, &body).await.expect(201);
}

async fn provider_in(stack: &Arc<TestStack>, id: &str, zone: &str) {
    provider(stack, id).await;
    let body = json!({"timeZone": zone}).to_string();
    let path = format!("/api/providers/{id}");
    let _ = stack
        .call(ServiceName::ProviderService, Role::Admin, Method::PUT, &path, Some(&body))
        .await
        .expect(200);
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn a_change_is_a_higher_version_of_the_same_event_and_a_cancellation_says_so(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        let _ = book(&stack, Role::Admin, &at("apt2", "12345", "prov001", "11:00")).await.expect(201);
        let (mine, theirs) = (feed(&stack, Role::Admin, &of_patient("12345")).await, feed(&stack, Role::Admin, &of_provider("prov001")).await);
        let booked = versions(&stack, &mine).await;
        let [(first, 0, EventStatus::Confirmed), (second, 0, EventStatus::Confirmed)] = &booked[..] else { panic!("{booked:?}") };
        assert_ne!(first, second);
        // Whoever has both calendars has one event.
        assert_eq!(versions(&stack, &theirs).await, booked);

        stack.clock.advance(chrono::TimeDelta::minutes(5));
        let _ = put(&stack, Role::Admin, "apt1", &json!({"timeSlot": "09:00"})).await.expect(200);
        let moved = (first.clone(), 1, EventStatus::Confirmed);
        assert_eq!(versions(&stack, &mine).await[0], moved);
        assert_eq!(starts(&stack, &mine).await[0], "20260119T080000Z");
        let changed = events(&stack, &mine).await[0].property_value("LAST-MODIFIED").unwrap().to_owned();
        assert_eq!(changed, "20260115T090500Z");

        let _ = cancel(&stack, "apt1").await.expect(200);
        let cancelled = (first.clone(), 2, EventStatus::Cancelled);
        for url in [&mine, &theirs] {
            assert_eq!(versions(&stack, url).await, [cancelled.clone(), (second.clone(), 0, EventStatus::Confirmed)]);
        }
    }

    async fn a_calendar_that_has_not_changed_is_not_sent_again(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        let url = feed(&stack, Role::Admin, &of_patient("12345")).await;
        let etag = read(&stack, &url).await.expect(200).header("etag").to_owned();
        let again = async |etag: &str| {
            send(stack.request(ServiceName::AppointmentService, Method::GET, &url).header("if-none-match", etag)).await
        };
        stack.clock.advance(chrono::TimeDelta::hours(1));
        let same = again(&etag).await.expect(304);
        assert_eq!((same.text.as_str(), same.header("etag")), ("", etag.as_str()));
        let _ = again("\"another\"").await.expect(200);
        let _ = cancel(&stack, "apt1").await.expect(200);
        let changed = again(&etag).await.expect(200);
        assert_ne!(changed.header("etag"), etag);
    }

    async fn a_time_is_the_same_instant_whichever_side_of_a_change_of_clocks_it_is_on(stack: Arc<TestStack>) {
        patient(&stack, "12345").await;
        for (id, zone, days) in [
            ("berlin", "Europe/Berlin", [
                ("2026-03-28", "10:00", "20260328T090000Z"), ("2026-03-29", "10:00", "20260329T080000Z"),
                // Comes twice, and is the first.
                ("2026-10-25", "02:30", "20261025T003000Z"), ("2026-10-25", "10:00", "20261025T090000Z"),
            ]),
            ("newyork", "America/New_York", [
                ("2026-03-07", "10:00", "20260307T150000Z"), ("2026-03-08", "10:00", "20260308T140000Z"),
                ("2026-11-01", "01:30", "20261101T053000Z"), ("2026-11-01", "10:00", "20261101T150000Z"),
            ]),
        ] {
            provider_in(&stack, id, zone).await;
            for (date, time, _) in days {
                book_on(&stack, id, date, time).await;
            }
            let url = feed(&stack, Role::Admin, &of_provider(id)).await;
            assert_eq!(starts(&stack, &url).await, days.map(|(_, _, instant)| instant), "{zone}");
        }
    }

    async fn a_calendar_goes_sixty_days_back_and_four_hundred_ahead(stack: Arc<TestStack>) {
        clinic(&stack).await;
        for date in ["2025-11-15", "2025-11-17", "2027-02-18", "2027-02-20"] {
            book_on(&stack, "prov001", date, "10:00").await;
        }
        let url = feed(&stack, Role::Admin, &of_patient("12345")).await;
        assert_eq!(starts(&stack, &url).await, ["20251117T090000Z", "20270218T090000Z"]);
        stack.clock.advance(chrono::TimeDelta::days(2));
        assert_eq!(starts(&stack, &url).await, ["20270218T090000Z", "20270220T090000Z"]);
    }

    async fn a_calendar_without_appointments_is_one_too(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let url = feed(&stack, Role::Admin, &of_patient("12345")).await;
        assert!(events(&stack, &url).await.is_empty());
        assert_eq!(read(&stack, &url).await.text.matches("BEGIN:").count(), 3);
    }
}
