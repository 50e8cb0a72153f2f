//! Free slots and bookings by visit types, locations, dates with other hours and time off.

use super::*;

/// Gives the provider what is not in their documented profile.
pub(crate) async fn put_provider(stack: &Arc<TestStack>, id: &str, patch: &Value) {
    let path = format!("/api/providers/{id}");
    let body = patch.to_string();
    let _ = stack
        .call(ServiceName::ProviderService, Role::Admin, Method::PUT, &path, Some(&body))
        .await
        .expect(200);
}

/// Sends a provider away; tells by which time off.
pub(crate) async fn away(stack: &Arc<TestStack>, id: &str, from: &str, to: &str) -> String {
    let (path, body) = (
        format!("/api/providers/{id}/time-off"),
        json!({"from": from, "to": to, "reason": "skiing"}).to_string(),
    );
    let created = stack
        .call(ServiceName::ProviderService, Role::Admin, Method::POST, &path, Some(&body))
        .await
        .expect(201);
    created.json()["timeOffId"].as_str().unwrap().to_owned()
}

/// Has a provider come back.
pub(crate) async fn back(stack: &Arc<TestStack>, id: &str, time_off: &str) {
    let path = format!("/api/providers/{id}/time-off/{time_off}");
    let _ =
        stack.call(ServiceName::ProviderService, Role::Admin, Method::DELETE, &path, None).await.expect(200);
}

async fn slots(stack: &Arc<TestStack>, query: &str) -> Vec<String> {
    let path = format!("/api/providers/prov001/slots?{query}");
    let reply = call(stack, Who::patient("12345"), Method::GET, &path, None).await.expect(200).json();
    let items = reply["items"].as_array().unwrap().clone();
    let line = |slot: &Value| {
        let location = slot["locationId"].as_str().map(|id| format!("@{id}")).unwrap_or_default();
        let (date, time) = (slot["date"].as_str().unwrap(), slot["timeSlot"].as_str().unwrap());
        format!("{} {time}{location}", date.strip_prefix("2026-").unwrap())
    };
    items.iter().map(line).collect()
}

fn visits() -> Value {
    json!({"visitTypes": [
        {"name": "New", "durationMinutes": 60, "bufferBeforeMinutes": 5, "bufferAfterMinutes": 10},
        {"name": "Talk", "durationMinutes": 30}
    ]})
}

fn visit(id: &str, patient: &str, time: &str, visit: &str) -> Value {
    let mut body = at(id, patient, "prov001", time);
    body["visitType"] = json!(visit);
    body
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn a_visit_type_says_how_long_and_what_stays_free_around_it(stack: Arc<TestStack>) {
        clinic(&stack).await;
        patient(&stack, "67890").await;
        put_provider(&stack, "prov001", &visits()).await;
        let day = format!("from={MONDAY}&to={MONDAY}");
        assert_eq!(slots(&stack, &format!("{day}&visitType=new")).await, ["01-19 09:00", "01-19 10:15", "01-19 14:00", "01-19 15:15"]);
        assert_eq!(slots(&stack, &format!("{day}&visitType=New&durationMinutes=90")).await, ["01-19 09:00", "01-19 14:00"]);
        let _ = book(&stack, Who::patient("12345"), &visit("apt1", "12345", "10:15", "new")).await.expect(201);
        let shown = get(&stack, "apt1").await.expect(200).json();
        assert_eq!((&shown["durationMinutes"], &shown["visitType"]), (&json!(60), &json!("new")));
        // From ten past ten to twenty-five past eleven.
        assert_eq!(slots(&stack, &format!("{day}&visitType=Talk")).await[..3], ["01-19 09:00", "01-19 09:30", "01-19 11:25"]);
        assert_eq!(slots(&stack, &format!("{day}&visitType=New")).await[..2], ["01-19 09:00", "01-19 14:00"]);
        // Within the buffer a patient is refused, and staff are warned.
        let refused = book(&stack, Who::patient("67890"), &visit("apt2", "67890", "11:15", "Talk")).await.expect(409);
        assert_eq!(refused.json()["code"], "appointment-overlap");
        assert!(offered(&refused).contains(&format!("{MONDAY} 11:25")), "{}", refused.text);
        let booked = book(&stack, Role::Receptionist, &visit("apt2", "67890", "11:15", "Talk")).await.expect(201);
        assert_eq!(warned(&booked), ["buffer"]);
        // The visit itself nobody is booked over.
        let _ = book(&stack, Role::Receptionist, &visit("apt3", "67890", "10:45", "Talk")).await.expect(409);
        // One's own buffers count as those of others do.
        let _ = book(&stack, Role::Receptionist, &visit("apt4", "67890", "14:00", "Talk")).await.expect(201);
        let _ = book(&stack, Who::patient("12345"), &visit("apt5", "12345", "14:30", "New")).await.expect(409);
        let _ = book(&stack, Who::patient("12345"), &visit("apt5", "12345", "14:35", "New")).await.expect(201);
        let refused = put(&stack, Who::patient("12345"), "apt5", &json!({"timeSlot": "14:30"})).await.expect(409);
        assert_eq!(refused.json()["code"], "appointment-overlap");
        assert_eq!(warned(&put(&stack, Role::Admin, "apt5", &json!({"timeSlot": "14:30"})).await.expect(200)), ["buffer"]);
        assert_eq!(book(&stack, Role::Admin, &visit("apt6", "67890", "16:00", "Surgery")).await.expect(422).faults(), ["visitType"]);
        let bad = call(&stack, Role::Admin, Method::GET, "/api/providers/prov001/slots?visitType=Surgery", None).await.expect(400);
        assert_eq!(bad.faults(), ["visitType"]);
    }

    async fn hours_of_a_place_are_in_its_own_time_and_so_is_what_is_booked_there(stack: Arc<TestStack>) {
        clinic(&stack).await;
        put_provider(&stack, "prov001", &json!({
            "locations": [{"locationId": "nyc", "name": "New York", "timeZone": "America/New_York"}],
            "availability": [{"day": "Monday", "slots": ["09:00-10:00"]}, {"day": "Monday", "slots": ["10:00-11:00"], "locationId": "nyc"}],
            "overrides": [{"date": "2026-01-26", "slots": []}, {"date": "2026-01-27", "slots": ["08:00-08:30"]}]
        })).await;
        let all = slots(&stack, "from=2026-01-19&to=2026-01-27").await;
        assert_eq!(all, ["01-19 09:00", "01-19 09:30", "01-19 10:00@nyc", "01-19 10:30@nyc", "01-27 08:00"]);
        assert_eq!(slots(&stack, "from=2026-01-19&to=2026-01-27&locationId=nyc").await, ["01-19 10:00@nyc", "01-19 10:30@nyc"]);
        let mut there = at("apt1", "12345", "prov001", "10:00");
        there["locationId"] = json!("nyc");
        let _ = book(&stack, Who::patient("12345"), &there).await.expect(201);
        let shown = get(&stack, "apt1").await.expect(200).json();
        assert_eq!((&shown["timeZone"], &shown["locationId"]), (&json!("America/New_York"), &json!("nyc")));
        assert_eq!(slots(&stack, "from=2026-01-19&to=2026-01-19").await, ["01-19 09:00", "01-19 09:30", "01-19 10:30@nyc"]);
        // By the provider's own clock it is four in the afternoon, and taken.
        let _ = book(&stack, Role::Admin, &at("apt2", "12345", "prov001", "16:00")).await.expect(409);
        there["locationId"] = json!("moon");
        assert_eq!(book(&stack, Role::Admin, &there).await.expect(422).faults(), ["locationId"]);
        let bad = call(&stack, Role::Admin, Method::GET, "/api/providers/prov001/slots?locationId=moon", None).await.expect(400);
        assert_eq!(bad.faults(), ["locationId"]);
        // Moved within the place it stays there, in its time.
        let _ = put(&stack, Who::patient("12345"), "apt1", &json!({"timeSlot": "10:30"})).await.expect(200);
        assert_eq!(slots(&stack, "from=2026-01-19&to=2026-01-19").await, ["01-19 09:00", "01-19 09:30", "01-19 10:00@nyc"]);
        // Another provider has other places.
        provider(&stack, "prov002").await;
        let _ = put(&stack, Role::Admin, "apt1", &json!({"providerId": "prov002", "timeSlot": "11:00"})).await.expect(200);
        let shown = get(&stack, "apt1").await.expect(200).json();
        assert_eq!((&shown["timeZone"], &shown["locationId"]), (&json!("Europe/Berlin"), &Value::Null));
    }

    async fn while_a_provider_is_away_nothing_is_free_and_staff_are_warned(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let off = away(&stack, "prov001", "2026-01-19T10:00", "2026-01-25").await;
        assert_eq!(slots(&stack, "from=2026-01-19&to=2026-01-26").await[..3], ["01-19 09:00", "01-19 09:30", "01-26 09:00"]);
        let refused = book(&stack, Who::patient("12345"), &at("apt1", "12345", "prov001", "10:00")).await.expect(409);
        assert_eq!(refused.json()["code"], "outside-hours");
        assert_eq!(offered(&refused)[..2], [format!("{MONDAY} 09:00"), format!("{MONDAY} 09:30")]);
        assert!(!refused.text.contains("skiing"));
        assert_eq!(warned(&book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201)), ["time-off"]);
        back(&stack, "prov001", &off).await;
        let _ = book(&stack, Who::patient("12345"), &at("apt2", "12345", "prov001", "10:30")).await.expect(201);
    }

    async fn slots_are_told_for_three_months_and_bad_ranges_are_refused(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let path = |query: &str| format!("/api/providers/prov001/slots?{query}");
        let _ = call(&stack, Role::Admin, Method::GET, &path("from=2026-01-19&to=2026-04-21"), None).await.expect(200);
        for query in ["from=2026-01-19&to=2026-04-22", "from=2026-01-19&to=2026-01-18", "from=2026-01-19&to=2036-01-19"] {
            let refused = call(&stack, Role::Admin, Method::GET, &path(query), None).await.expect(400);
            assert_eq!(refused.faults(), ["to"], "{query}");
        }
    }

    async fn providers_are_told_with_their_next_free_slots_the_soonest_first(stack: Arc<TestStack>) {
        clinic(&stack).await;
        for id in ["prov002", "prov003", "prov004"] {
            provider(&stack, id).await;
        }
        put_provider(&stack, "prov002", &json!({
            "availability": [{"day": "Friday", "slots": ["09:00-10:00"], "locationId": "nyc"}], "languages": ["pt-BR"],
            "locations": [{"locationId": "nyc", "name": "Praxis New York", "timeZone": "America/New_York"}],
            "taxonomyCode": "207RC0000X", "visitTypes": [{"name": "New", "durationMinutes": 60}]
        })).await;
        put_provider(&stack, "prov003", &json!({"specialization": "Surgery"})).await;
        let _ = away(&stack, "prov004", "2026-01-15", "2026-01-27").await;
        let next = async |query: &str| {
            let path = format!("/api/slots?{query}");
            let reply = call(&stack, Who::patient("12345"), Method::GET, &path, None).await.expect(200).json();
            let line = |item: &Value| format!("{} {} {}", item["providerId"].as_str().unwrap(), item["slot"]["date"].as_str().unwrap(), item["slot"]["timeSlot"].as_str().unwrap());
            reply["items"].as_array().unwrap().iter().map(line).collect::<Vec<_>>()
        };
        let all = ["prov002 2026-01-16 09:00", "prov001 2026-01-19 09:00", "prov004 2026-01-28 09:00"];
        assert_eq!(next("specialization=cardiology").await, all);
        assert_eq!(next("specialization=cardiology&limit=1").await, all[..1]);
        for query in ["language=pt", "taxonomyCode=207RC0000X", "location=york", "visitType=New"] {
            assert_eq!(next(query).await, all[..1], "{query}");
        }
        assert!(next("language=de").await.is_empty());
        assert_eq!(next("specialization=surgery&from=2026-02-01").await, ["prov003 2026-02-02 09:00"]);
        for (query, field) in [("limit=51", "limit"), ("from=soon", "from"), ("language=german", "language")] {
            let refused = call(&stack, Role::Admin, Method::GET, &format!("/api/slots?{query}"), None).await.expect(400);
            assert_eq!(refused.faults(), [field]);
        }
    }
}
