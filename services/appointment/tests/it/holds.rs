//! Slots that are held for a few minutes.

use super::*;

pub(crate) async fn hold(stack: &Arc<TestStack>, who: impl Into<Who>, body: &Value) -> Reply {
    call(stack, who, Method::POST, "/api/appointments/holds", Some(&body.to_string())).await
}

/// A patient, by a user of their own.
fn somebody(patient: &str) -> Who {
    Who { user: format!("usr_{patient}"), ..Who::patient(patient) }
}

pub(crate) fn slot(provider: &str, time: &str) -> Value {
    json!({"providerId": provider, "appointmentDate": MONDAY, "timeSlot": time})
}

async fn release(stack: &Arc<TestStack>, who: impl Into<Who>, id: &str) -> Reply {
    call(stack, who, Method::DELETE, &format!("/api/appointments/holds/{id}"), None).await
}

async fn held(stack: &Arc<TestStack>, who: impl Into<Who>) -> Vec<Value> {
    let reply = call(stack, who, Method::GET, "/api/appointments/holds", None).await.expect(200);
    reply.json()["items"].as_array().unwrap().clone()
}

fn with_hold(mut booking: Value, hold: &Reply) -> Value {
    booking["holdId"] = hold.json()["holdId"].clone();
    booking
}

async fn free(stack: &Arc<TestStack>) -> Vec<String> {
    let path = format!("/api/providers/prov001/slots?from={MONDAY}&to={MONDAY}");
    slots_in(&call(stack, Role::Admin, Method::GET, &path, None).await.expect(200).json()["items"])
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn a_held_slot_is_taken_for_everybody_else_and_booked_by_who_holds_it(stack: Arc<TestStack>) {
        clinic(&stack).await;
        patient(&stack, "67890").await;
        let mut asked = slot("prov001", "10:00");
        asked["visitType"] = json!("Follow-up");
        let john = hold(&stack, somebody("12345"), &asked).await.expect(201);
        assert_eq!(john.json()["expiresAt"], "2026-01-15T09:05:00.000Z");
        assert!(!free(&stack).await.contains(&format!("{MONDAY} 10:00")));
        for refused in [
            book(&stack, Role::Admin, &at("apt1", "67890", "prov001", "10:15")).await,
            book(&stack, somebody("67890"), &with_hold(at("apt1", "67890", "prov001", "10:00"), &john)).await,
            hold(&stack, Role::Receptionist, &slot("prov001", "09:45")).await,
        ] {
            let refused = refused.expect(409).json();
            assert_eq!(refused["code"], "appointment-overlap");
            let busy = json!({"date": MONDAY, "timeSlot": "10:00", "durationMinutes": 30,
                "startsAt": "2026-01-19T09:00:00.000Z", "endsAt": "2026-01-19T09:30:00.000Z"});
            assert_eq!(refused["conflict"], busy);
            let offered = slots_in(&refused["slots"]);
            assert!(offered.contains(&format!("{MONDAY} 10:30")) && !offered.contains(&format!("{MONDAY} 10:00")));
        }
        // What is next to it is free.
        let _ = book(&stack, Role::Admin, &at("apt1", "67890", "prov001", "10:30")).await.expect(201);
        let own = held(&stack, somebody("12345")).await;
        assert_eq!((own.len(), &own[0]["patientId"], &own[0]["visitType"]), (1, &json!("12345"), &json!("Follow-up")));
        assert!(held(&stack, somebody("67890")).await.is_empty());
        let booking = with_hold(at("apt2", "12345", "prov001", "10:00"), &john);
        let _ = book(&stack, somebody("12345"), &booking).await.expect(201);
        assert!(held(&stack, somebody("12345")).await.is_empty());
    }

    async fn what_stays_free_around_a_held_visit_is_as_around_one_that_is_booked(stack: Arc<TestStack>) {
        clinic(&stack).await;
        patient(&stack, "67890").await;
        let types = json!({"visitTypes": [{"name": "New", "durationMinutes": 60, "bufferBeforeMinutes": 5, "bufferAfterMinutes": 10}]});
        super::schedules::put_provider(&stack, "prov001", &types).await;
        let mut asked = slot("prov001", "10:15");
        asked["visitType"] = json!("New");
        let john = hold(&stack, somebody("12345"), &asked).await.expect(201);
        // From ten past ten to twenty-five past eleven.
        let mornings: Vec<_> = free(&stack).await.into_iter().take(3).collect();
        assert_eq!(mornings, ["09:00", "09:30", "11:25"].map(|time| format!("{MONDAY} {time}")));
        for time in ["09:45", "11:15"] {
            let refused = hold(&stack, somebody("67890"), &slot("prov001", time)).await.expect(409);
            assert_eq!(refused.json()["code"], "appointment-overlap");
            let refused = book(&stack, somebody("67890"), &at("apt1", "67890", "prov001", time)).await.expect(409);
            assert!(offered(&refused).contains(&format!("{MONDAY} 11:25")), "{}", refused.text);
        }
        let booked = book(&stack, Role::Receptionist, &at("apt1", "67890", "prov001", "11:20")).await.expect(201);
        assert_eq!(warned(&booked), ["buffer"]);
        // Who holds it is not in their own way.
        let mut booking = with_hold(at("apt2", "12345", "prov001", "10:15"), &john);
        booking["visitType"] = json!("New");
        let _ = cancel(&stack, "apt1").await.expect(200);
        let _ = book(&stack, somebody("12345"), &booking).await.expect(201);
    }

    async fn a_hold_is_of_one_time_and_patient(stack: Arc<TestStack>) {
        clinic(&stack).await;
        patient(&stack, "67890").await;
        provider(&stack, "prov002").await;
        let mut asked = slot("prov001", "10:00");
        asked["patientId"] = json!("12345");
        let made = hold(&stack, Role::Receptionist, &asked).await.expect(201);
        for other in [
            at("apt1", "12345", "prov001", "11:00"), at("apt1", "12345", "prov002", "10:00"), at("apt1", "67890", "prov001", "10:00"),
        ] {
            let refused = book(&stack, Role::Receptionist, &with_hold(other, &made)).await.expect(422);
            assert_eq!(refused.faults(), ["holdId"]);
        }
        let mut shorter = at("apt1", "12345", "prov001", "10:10");
        shorter["durationMinutes"] = json!(10);
        let _ = book(&stack, Role::Receptionist, &with_hold(shorter, &made)).await.expect(201);
    }

    async fn what_has_expired_is_in_nobodys_way_and_what_is_given_back_neither(stack: Arc<TestStack>) {
        clinic(&stack).await;
        patient(&stack, "67890").await;
        let late = hold(&stack, somebody("12345"), &slot("prov001", "10:00")).await.expect(201);
        stack.clock.advance(chrono::TimeDelta::minutes(5));
        assert!(free(&stack).await.contains(&format!("{MONDAY} 10:00")));
        assert!(held(&stack, somebody("12345")).await.is_empty());
        let other = hold(&stack, somebody("67890"), &slot("prov001", "10:00")).await.expect(201);
        // Whoever is late has nothing any more: it is as if they had no hold.
        let booking = with_hold(at("apt1", "12345", "prov001", "10:00"), &late);
        let _ = book(&stack, somebody("12345"), &booking).await.expect(409);
        let id = other.json()["holdId"].as_str().unwrap().to_owned();
        let _ = release(&stack, somebody("12345"), &id).await.expect(404);
        let _ = release(&stack, somebody("67890"), &id).await.expect(200);
        let _ = release(&stack, somebody("67890"), &id).await.expect(404);
        let _ = book(&stack, somebody("12345"), &booking).await.expect(201);
        // Neither can be moved onto what is held.
        let _ = hold(&stack, somebody("67890"), &slot("prov001", "11:00")).await.expect(201);
        let _ = put(&stack, Role::Admin, "apt1", &json!({"timeSlot": "10:45"})).await.expect(409);
        stack.clock.advance(chrono::TimeDelta::minutes(6));
        let _ = put(&stack, Role::Admin, "apt1", &json!({"timeSlot": "10:45"})).await.expect(200);
    }

    async fn an_appointment_is_moved_to_where_the_same_user_holds_a_slot(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "09:00")).await.expect(201);
        let _ = hold(&stack, somebody("12345"), &slot("prov001", "11:00")).await.expect(201);
        let _ = put(&stack, Role::Receptionist, "apt1", &json!({"timeSlot": "11:00"})).await.expect(409);
        let _ = put(&stack, somebody("12345"), "apt1", &json!({"timeSlot": "11:00"})).await.expect(200);
        assert!(held(&stack, somebody("12345")).await.is_empty());
    }

    async fn holds_are_few_and_of_what_may_be_booked(stack: Arc<TestStack>) {
        clinic(&stack).await;
        patient(&stack, "67890").await;
        let mut of_other = slot("prov001", "10:00");
        of_other["patientId"] = json!("67890");
        let refused = hold(&stack, somebody("12345"), &of_other).await.expect(422);
        assert_eq!(refused.faults(), ["patientId"]);
        assert_eq!(hold(&stack, Role::Admin, &slot("nobody", "10:00")).await.expect(422).faults(), ["providerId"]);
        let refused = hold(&stack, somebody("12345"), &slot("prov001", "12:30")).await.expect(409);
        assert_eq!(refused.json()["code"], "outside-hours");
        for time in ["09:00", "09:30", "10:00", "10:30", "11:00"] {
            let _ = hold(&stack, somebody("12345"), &slot("prov001", time)).await.expect(201);
        }
        let refused = hold(&stack, somebody("12345"), &slot("prov001", "11:30")).await.expect(409);
        assert_eq!(refused.json()["code"], "invalid-transition");
        let _ = hold(&stack, somebody("67890"), &slot("prov001", "11:30")).await.expect(201);
    }

    async fn what_is_held_for_a_patient_goes_with_them(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = hold(&stack, somebody("12345"), &slot("prov001", "10:00")).await.expect(201);
        let _ = stack.call(ServiceName::PatientService, Role::Admin, Method::DELETE, "/api/patients/12345", None).await.expect(200);
        until(|| async { free(&stack).await.contains(&format!("{MONDAY} 10:00")) }).await;
    }

    async fn of_200_who_hold_or_book_overlapping_slots_each_slot_has_one_and_neighbours_all_succeed(stack: Arc<TestStack>) {
        provider_with(&stack, "prov001", json!([{"day": "Monday", "slots": ["00:00-24:00"]}])).await;
        for n in 0..40 {
            patient(&stack, &format!("p{n}")).await;
        }
        // Forty slots, one after the other, each wanted by five at once: some of it, all of it, by hold and by booking.
        let tasks: Vec<_> = (0..200usize)
            .map(|n| {
                let (stack, of, minute) = (Arc::clone(&stack), n % 40, (n % 40) * 30);
                let time = format!("{:02}:{:02}", minute / 60, minute % 60);
                tokio::spawn(async move {
                    let reply = if n / 40 % 2 == 0 {
                        book(&stack, Role::Admin, &at(&format!("apt{n}"), &format!("p{of}"), "prov001", &time)).await
                    } else {
                        let who = Who { user: format!("usr_{n}"), ..Who::from(Role::Receptionist) };
                        hold(&stack, who, &slot("prov001", &time)).await
                    };
                    (of, reply.status)
                })
            })
            .collect();
        let (mut won, mut lost) = (vec![0; 40], 0);
        for task in tasks {
            match task.await.unwrap() {
                (of, 201) => won[of] += 1,
                (_, 409) => lost += 1,
                (of, status) => panic!("{of}: {status}"),
            }
        }
        assert_eq!((won, lost), (vec![1; 40], 160));
    }
}

fn held_longer(settings: &mut settings::ServiceSettings) {
    settings.appointments = settings::AppointmentSettings {
        slot_hold_seconds: 600,
        slot_hold_seconds_max: 1200,
        waitlist_offer_seconds: 7200,
    };
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE], settings = held_longer;
    async fn the_clinic_says_how_long_a_slot_is_held_and_offered(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let until = async |minutes: Option<u32>, time: &str| {
            let mut asked = slot("prov001", time);
            asked["holdMinutes"] = json!(minutes);
            hold(&stack, Role::Receptionist, &asked).await
        };
        assert_eq!(until(None, "09:00").await.expect(201).json()["expiresAt"], "2026-01-15T09:10:00.000Z");
        assert_eq!(until(Some(20), "09:30").await.expect(201).json()["expiresAt"], "2026-01-15T09:20:00.000Z");
        let refused = until(Some(21), "10:00").await.expect(422);
        assert_eq!((refused.faults(), refused.text.contains("between 1 and 20")), (vec!["holdMinutes".to_owned()], true));
        let entry = json!({"patientId": "12345", "providerId": "prov001", "from": MONDAY, "to": MONDAY}).to_string();
        let _ = call(&stack, Role::Receptionist, Method::POST, "/api/appointments/waitlist", Some(&entry)).await.expect(201);
        let offer = async || call(&stack, Role::Admin, Method::GET, "/api/appointments/waitlist?patientId=12345", None).await.json()["items"][0]["offer"].clone();
        super::until(|| async { offer().await["until"].is_string() }).await;
        assert_eq!(offer().await["until"], "2026-01-15T11:00:00.000Z");
    }
}
