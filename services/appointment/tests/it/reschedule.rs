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
