//! A provider is away.

use super::*;

async fn reschedule(stack: &Arc<TestStack>, who: impl Into<Who>, change: Value) -> Reply {
    let mut body = json!({"providerId": "prov001", "from": MONDAY, "to": MONDAY});
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    call(stack, who, Method::POST, "/api/appointments/reschedule", Some(&body.to_string())).await
}

/// `id outcome date time` of each.
fn outcomes(reply: &Reply) -> Vec<String> {
    let of = |one: &Value, member: &str| one[member].as_str().unwrap_or("-").to_owned();
    let line = |one: &Value| {
        format!(
            "{} {} {} {}",
            of(one, "appointmentId"),
            of(one, "outcome"),
            of(&one["to"], "date"),
            of(&one["to"], "timeSlot")
        )
    };
    reply.json()["appointments"].as_array().unwrap().iter().map(line).collect()
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn what_is_open_goes_to_the_nearest_free_slots_and_first_it_is_said_where(stack: Arc<TestStack>) {
        clinic(&stack).await;
        patient(&stack, "67890").await;
        for (id, who, time) in [("a", "12345", "09:00"), ("b", "67890", "09:30"), ("c", "12345", "10:00"), ("d", "67890", "11:00")] {
            let _ = book(&stack, Role::Admin, &at(id, who, "prov001", time)).await.expect(201);
        }
        let _ = cancel(&stack, "c").await.expect(200);
        let _ = put(&stack, Role::Admin, "d", &json!({"status": "InProgress"})).await.expect(200);
        let dry = reschedule(&stack, Role::Receptionist, json!({"dryRun": true})).await.expect(200);
        // The Wednesday is nearest.
        let expected = ["a moved 2026-01-21 09:00", "b moved 2026-01-21 09:30", "d not-possible - -"];
        assert_eq!(outcomes(&dry), expected);
        assert_eq!((&dry.json()["moved"], &dry.json()["left"], &dry.json()["more"]), (&json!(2), &json!(1), &json!(false)));
        assert_eq!(get(&stack, "a").await.expect(200).json()["appointmentDate"], MONDAY);
        let done = reschedule(&stack, Role::Receptionist, json!({})).await.expect(200);
        assert_eq!(outcomes(&done), expected);
        let moved = get(&stack, "b").await.expect(200).json();
        assert_eq!((&moved["appointmentDate"], &moved["timeSlot"], &moved["status"]), (&json!("2026-01-21"), &json!("09:30"), &json!("Rescheduled")));
        // Those that are left are not tried for ever: nothing is there to move any more.
        assert_eq!(outcomes(&reschedule(&stack, Role::Receptionist, json!({})).await.expect(200)), ["d not-possible - -"]);
    }

    async fn whoever_asks_again_while_there_is_more_has_all_of_them_moved(stack: Arc<TestStack>) {
        patient(&stack, "12345").await;
        let days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
        let always = json!(days.map(|day| json!({"day": day, "slots": ["08:00-18:00"]})));
        for id in ["prov001", "prov002"] {
            provider_with(&stack, id, always.clone()).await;
        }
        let daily = async |time: &str, count: u32| {
            let body = json!({"patientId": "12345", "providerId": "prov001", "appointmentDate": MONDAY, "timeSlot": time, "rrule": format!("FREQ=DAILY;COUNT={count}")});
            let booked = call(&stack, Role::Admin, Method::POST, "/api/appointments/series", Some(&body.to_string())).await.expect(201);
            booked.json()["seriesId"].as_str().unwrap().to_owned()
        };
        // More that is called off than is looked at in one go, among what is open.
        for time in ["09:00", "10:00", "11:00"] {
            let off = format!("/api/appointments/series/{}", daily(time, 90).await);
            let _ = call(&stack, Role::Admin, Method::DELETE, &off, None).await.expect(200);
        }
        for time in ["09:00", "10:00", "11:00"] {
            let _ = daily(time, 70).await;
        }
        let away = json!({"to": "2026-04-20", "toProviderId": "prov002"});
        let said = |reply: &Reply| (reply.json()["moved"].clone(), reply.json()["left"].clone(), reply.json()["more"].clone());
        // What would be done is told to the end, by the cursor: nothing of it is done.
        let mut dry = away.clone();
        dry["dryRun"] = json!(true);
        let first = reschedule(&stack, Role::Receptionist, dry.clone()).await.expect(200);
        assert_eq!(said(&first), (json!(200), json!(0), json!(true)));
        dry["cursor"] = first.json()["nextCursor"].clone();
        let last = reschedule(&stack, Role::Receptionist, dry).await.expect(200);
        assert_eq!((said(&last), &last.json()["nextCursor"]), ((json!(10), json!(0), json!(false)), &Value::Null));
        for expected in [(200, true), (10, false), (0, false)] {
            let done = reschedule(&stack, Role::Receptionist, away.clone()).await.expect(200);
            assert_eq!(said(&done), (json!(expected.0), json!(0), json!(expected.1)));
        }
        let refused = reschedule(&stack, Role::Admin, json!({"cursor": "x"})).await.expect(422);
        assert_eq!(refused.faults(), ["cursor"]);
    }

    async fn another_provider_sees_them_at_their_time_or_near_it(stack: Arc<TestStack>) {
        clinic(&stack).await;
        patient(&stack, "67890").await;
        provider(&stack, "prov002").await;
        let _ = book(&stack, Role::Admin, &at("a", "12345", "prov001", "09:00")).await.expect(201);
        let _ = book(&stack, Role::Admin, &at("taken", "67890", "prov002", "09:00")).await.expect(201);
        let to = json!({"toProviderId": "prov002"});
        assert_eq!(outcomes(&reschedule(&stack, Role::Receptionist, to).await.expect(200)), ["a moved 2026-01-19 09:30"]);
        assert_eq!(get(&stack, "a").await.expect(200).json()["providerId"], "prov002");
    }

    async fn where_nothing_is_free_it_is_left_and_said(stack: Arc<TestStack>) {
        clinic(&stack).await;
        provider_with(&stack, "never", json!([])).await;
        let _ = book(&stack, Role::Admin, &at("a", "12345", "prov001", "09:00")).await.expect(201);
        let to = json!({"toProviderId": "never"});
        assert_eq!(outcomes(&reschedule(&stack, Role::Receptionist, to).await.expect(200)), ["a no-slot - -"]);
        assert_eq!(get(&stack, "a").await.expect(200).json()["providerId"], "prov001");
    }

    async fn the_front_desk_may_and_a_provider_for_themselves(stack: Arc<TestStack>) {
        clinic(&stack).await;
        for (who, status) in [
            (Who::patient("12345"), 403), (Who::clinician("prov002"), 403), (Who::clinician("prov001"), 200), (Who::from(Role::Admin), 200),
        ] {
            let _ = reschedule(&stack, who, json!({"dryRun": true})).await.expect(status);
        }
        for (bad, field) in [(json!({"to": "2026-06-01"}), "to"), (json!({"to": "2026-01-18"}), "to"), (json!({"toProviderId": "nobody"}), "toProviderId"), (json!({"providerId": "nobody"}), "providerId")] {
            assert_eq!(reschedule(&stack, Role::Admin, bad).await.expect(422).faults(), [field]);
        }
    }
}
