//! Appointments that recur.

use super::*;

const SERIES: &str = "/api/appointments/series";

async fn series(stack: &Arc<TestStack>, who: impl Into<Who>, change: impl Fn(&mut Value)) -> Reply {
    let mut body = json!({
        "patientId": "12345", "providerId": "prov001", "appointmentDate": MONDAY, "timeSlot": "10:00",
        "rrule": "FREQ=WEEKLY;BYDAY=MO;COUNT=4", "visitType": "Physiotherapy", "reason": "knee",
    });
    change(&mut body);
    call(stack, who, Method::POST, SERIES, Some(&body.to_string())).await
}

fn id_of(reply: &Reply) -> String {
    reply.json()["seriesId"].as_str().unwrap().to_owned()
}

async fn read(stack: &Arc<TestStack>, who: impl Into<Who>, id: &str) -> Reply {
    call(stack, who, Method::GET, &format!("{SERIES}/{id}"), None).await
}

async fn change(stack: &Arc<TestStack>, who: impl Into<Who>, id: &str, body: Value) -> Reply {
    call(stack, who, Method::PUT, &format!("{SERIES}/{id}"), Some(&body.to_string())).await
}

/// `date time status` of each appointment of a series.
async fn stand(stack: &Arc<TestStack>, id: &str) -> Vec<String> {
    let series = read(stack, Role::Admin, id).await.expect(200).json();
    let text = |of: &Value, member: &str| of[member].as_str().unwrap().to_owned();
    let line = |of: &Value| {
        format!("{} {} {}", text(of, "appointmentDate"), text(of, "timeSlot"), text(of, "status"))
    };
    series["appointments"].as_array().unwrap().iter().map(line).collect()
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn a_series_is_booked_whole_and_read(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let booked = series(&stack, Who::patient("12345"), |_| {}).await.expect(201);
        let id = id_of(&booked);
        assert_eq!(booked.header("location"), format!("{SERIES}/{id}"));
        let dates = ["2026-01-19", "2026-01-26", "2026-02-02", "2026-02-09"];
        assert_eq!(stand(&stack, &id).await, dates.map(|date| format!("{date} 10:00 Scheduled")));
        let first = booked.json()["appointments"][0]["appointmentId"].as_str().unwrap().to_owned();
        let one = get(&stack, &first).await.expect(200).json();
        assert_eq!((&one["seriesId"], &one["visitType"], &one["reason"]), (&json!(id), &json!("Physiotherapy"), &json!("knee")));
        // One alone is changed as any other.
        let _ = put(&stack, Who::patient("12345"), &first, &json!({"timeSlot": "09:00"})).await.expect(200);
        assert_eq!(stand(&stack, &id).await[0], "2026-01-19 09:00 Rescheduled");
        patient(&stack, "67890").await;
        let _ = read(&stack, Who::patient("67890"), &id).await.expect(404);
        assert!(!read(&stack, Role::Billing, &id).await.expect(200).text.contains("knee"));
        let _ = read(&stack, Role::Admin, "ser_none").await.expect(404);
    }

    async fn where_some_times_are_taken_nothing_is_booked_or_the_rest(stack: Arc<TestStack>) {
        clinic(&stack).await;
        patient(&stack, "67890").await;
        let mut other = at("apt1", "67890", "prov001", "10:15");
        other["appointmentDate"] = json!("2026-01-26");
        let _ = book(&stack, Role::Admin, &other).await.expect(201);
        let refused = series(&stack, Role::Receptionist, |_| {}).await.expect(409).json();
        assert_eq!(refused["code"], "appointment-overlap");
        let occurrences = refused["occurrences"].as_array().unwrap();
        assert_eq!((occurrences.len(), &occurrences[0]["date"], &occurrences[0]["code"]), (1, &json!("2026-01-26"), &json!("appointment-overlap")));
        let offers = slots_in(&occurrences[0]["slots"]);
        assert!(offers.contains(&"2026-01-26 09:30".to_owned()), "{offers:?}");
        assert!(!refused.to_string().contains("67890"), "{refused}");
        let mine = call(&stack, Role::Admin, Method::GET, "/api/appointments?patientId=12345", None).await.expect(200).json();
        assert_eq!(mine["items"], json!([]));
        let partial = series(&stack, Role::Receptionist, |body| body["allowPartial"] = json!(true)).await.expect(201).json();
        assert_eq!((partial["appointments"].as_array().unwrap().len(), &partial["skipped"][0]["date"]), (3, &json!("2026-01-26")));
        // A patient is refused what is outside the hours; staff are warned.
        let tuesdays = |body: &mut Value| {
            body["rrule"] = json!("FREQ=WEEKLY;BYDAY=TU;COUNT=2");
        };
        let refused = series(&stack, Who::patient("12345"), tuesdays).await.expect(409).json();
        assert_eq!(refused["occurrences"][1]["code"], "outside-hours");
        assert_eq!(warned(&series(&stack, Role::Receptionist, tuesdays).await.expect(201)), ["outside-hours"]);
    }

    async fn in_anothers_buffer_staff_are_warned_as_of_one_appointment_and_patients_are_refused(stack: Arc<TestStack>) {
        clinic(&stack).await;
        patient(&stack, "67890").await;
        provider(&stack, "prov002").await;
        let types = json!({"visitTypes": [{"name": "New", "durationMinutes": 60, "bufferAfterMinutes": 10}, {"name": "Talk", "durationMinutes": 30, "bufferBeforeMinutes": 5}]});
        super::schedules::put_provider(&stack, "prov001", &types).await;
        let mut new = at("apt1", "67890", "prov001", "09:00");
        (new["appointmentDate"], new["visitType"]) = (json!("2026-01-26"), json!("New"));
        let _ = book(&stack, Role::Admin, &new).await.expect(201);
        // Elsewhere the patient needs no time between: only nobody is at two places at once.
        let mut elsewhere = at("apt2", "12345", "prov002", "09:30");
        elsewhere["appointmentDate"] = json!("2026-02-02");
        let _ = book(&stack, Role::Admin, &elsewhere).await.expect(201);
        let talks = |body: &mut Value| body["visitType"] = json!("Talk");
        let refused = series(&stack, Who::patient("12345"), talks).await.expect(409).json();
        let occurrences = refused["occurrences"].as_array().unwrap();
        assert_eq!((occurrences.len(), &occurrences[0]["date"], &occurrences[0]["code"]), (1, &json!("2026-01-26"), &json!("appointment-overlap")));
        let booked = series(&stack, Role::Receptionist, talks).await.expect(201);
        assert_eq!((warned(&booked), booked.json()["appointments"].as_array().unwrap().len()), (vec!["buffer".to_owned()], 4));
        let id = id_of(&booked);
        // Moved it is the same: away from it there is nothing to warn of, back to it there is, and onto it nobody is moved.
        assert!(warned(&change(&stack, Who::patient("12345"), &id, json!({"scope": "all", "timeSlot": "10:30"})).await.expect(200)).is_empty());
        let _ = change(&stack, Who::patient("12345"), &id, json!({"scope": "all", "timeSlot": "10:10"})).await.expect(409);
        assert_eq!(warned(&change(&stack, Role::Receptionist, &id, json!({"scope": "all", "timeSlot": "10:10"})).await.expect(200)), ["buffer"]);
        let refused = change(&stack, Role::Receptionist, &id, json!({"scope": "all", "timeSlot": "09:55"})).await.expect(409).json();
        let dates: Vec<_> = refused["occurrences"].as_array().unwrap().iter().map(|of| of["date"].clone()).collect();
        assert_eq!(dates, ["2026-01-26", "2026-02-02"]);
    }

    async fn a_rule_that_never_ends_or_is_none_is_refused_by_its_name(stack: Arc<TestStack>) {
        clinic(&stack).await;
        for rule in ["FREQ=DAILY", "FREQ=SECONDLY;COUNT=3", "FREQ=WEEKLY;UNTIL=20360101", "every week", "FREQ=DAILY;COUNT=105"] {
            let refused = series(&stack, Role::Admin, |body| body["rrule"] = json!(rule)).await.expect(422);
            assert_eq!(refused.faults(), ["rrule"], "{rule}");
        }
        let refused = series(&stack, Who::patient("12345"), |body| body["patientId"] = json!("67890")).await.expect(422);
        assert_eq!(refused.faults(), ["patientId"]);
    }

    async fn it_keeps_its_time_on_the_wall_when_clocks_change(stack: Arc<TestStack>) {
        provider_with(&stack, "prov001", json!([{"day": "Sunday", "slots": ["00:00-12:00"]}])).await;
        patient(&stack, "12345").await;
        let booked = series(&stack, Role::Receptionist, |body| {
            body["rrule"] = json!("FREQ=WEEKLY;BYDAY=SU;UNTIL=20260405");
            (body["appointmentDate"], body["timeSlot"]) = (json!("2026-03-22"), json!("02:30"));
        })
        .await
        .expect(201);
        assert_eq!(warned(&booked), ["clocks-set-forward"]);
        let expected = ["2026-03-22 02:30 Scheduled", "2026-03-29 03:00 Scheduled", "2026-04-05 02:30 Scheduled"];
        assert_eq!(stand(&stack, &id_of(&booked)).await, expected);
    }

    async fn what_is_to_come_is_moved_together_or_not_at_all(stack: Arc<TestStack>) {
        clinic(&stack).await;
        patient(&stack, "67890").await;
        provider(&stack, "prov002").await;
        let booked = series(&stack, Role::Receptionist, |_| {}).await.expect(201);
        let id = id_of(&booked);
        let second = booked.json()["appointments"][1]["appointmentId"].clone();
        // A week later, each takes the place of the next.
        let moved = change(&stack, Role::Receptionist, &id, json!({"scope": "all", "shiftDays": 7})).await.expect(200);
        assert_eq!(moved.json()["appointments"].as_array().unwrap().len(), 4);
        let dates = ["2026-01-26", "2026-02-02", "2026-02-09", "2026-02-16"];
        assert_eq!(stand(&stack, &id).await, dates.map(|date| format!("{date} 10:00 Rescheduled")));
        let mut other = at("apt1", "67890", "prov001", "14:00");
        other["appointmentDate"] = json!("2026-02-09");
        let _ = book(&stack, Role::Admin, &other).await.expect(201);
        let afternoon = json!({"scope": "following", "appointmentId": second, "timeSlot": "14:00"});
        let refused = change(&stack, Role::Receptionist, &id, afternoon.clone()).await.expect(409).json();
        assert_eq!((refused["occurrences"].as_array().unwrap().len(), &refused["occurrences"][0]["date"]), (1, &json!("2026-02-09")));
        assert!(!refused["occurrences"][0]["slots"].as_array().unwrap().is_empty());
        assert_eq!(stand(&stack, &id).await, dates.map(|date| format!("{date} 10:00 Rescheduled")));
        let _ = cancel(&stack, "apt1").await.expect(200);
        let _ = change(&stack, Role::Receptionist, &id, afternoon).await.expect(200);
        assert_eq!(stand(&stack, &id).await, ["2026-01-26 10:00", "2026-02-02 14:00", "2026-02-09 14:00", "2026-02-16 14:00"].map(|at| format!("{at} Rescheduled")));
        let other = json!({"scope": "all", "providerId": "prov002", "durationMinutes": 60, "shiftDays": -7});
        let _ = change(&stack, Role::Receptionist, &id, other).await.expect(200);
        let now = read(&stack, Role::Admin, &id).await.expect(200).json();
        assert_eq!((&now["appointments"][3]["providerId"], &now["appointments"][3]["durationMinutes"]), (&json!("prov002"), &json!(60)));
        for (bad, field) in [(json!({"scope": "all"}), "status"), (json!({"scope": "following", "shiftDays": 1}), "appointmentId"), (json!({"scope": "following", "appointmentId": "apt1", "shiftDays": 1}), "appointmentId")] {
            assert_eq!(change(&stack, Role::Receptionist, &id, bad).await.expect(422).faults(), [field]);
        }
        let _ = change(&stack, Who::patient("67890"), &id, json!({"scope": "all", "shiftDays": 1})).await.expect(404);
    }

    async fn what_is_to_come_is_called_off_and_what_was_stays(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let booked = series(&stack, Role::Receptionist, |_| {}).await.expect(201);
        let (id, third) = (id_of(&booked), booked.json()["appointments"][2]["appointmentId"].clone());
        let off = json!({"scope": "following", "appointmentId": third, "status": "Cancelled", "cancellationReason": "is well"});
        let _ = change(&stack, Who::patient("12345"), &id, off).await.expect(200);
        stack.clock.advance(chrono::TimeDelta::days(6));
        let path = format!("{SERIES}/{id}");
        for gone in [1, 0] {
            let off = call(&stack, Role::Receptionist, Method::DELETE, &path, None).await.expect(200).json();
            assert_eq!((off["appointments"].as_array().unwrap().len(), &off["status"]), (gone, &json!("Cancelled")));
        }
        let now = read(&stack, Role::Admin, &id).await.expect(200).json();
        let by: Vec<_> = now["appointments"].as_array().unwrap().iter().map(|of| of["cancelledBy"].as_str().unwrap_or("-").to_owned()).collect();
        assert_eq!(by, ["-", "clinic", "patient", "patient"]);
    }

    async fn two_series_at_once_never_share_a_time(stack: Arc<TestStack>) {
        provider(&stack, "prov001").await;
        for n in 0..8 {
            patient(&stack, &format!("p{n}")).await;
        }
        let tasks: Vec<_> = (0..8)
            .map(|n| {
                let stack = Arc::clone(&stack);
                tokio::spawn(async move {
                    series(&stack, Role::Admin, |body| body["patientId"] = json!(format!("p{n}"))).await.status
                })
            })
            .collect();
        let mut statuses = Vec::new();
        for task in tasks {
            statuses.push(task.await.unwrap());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [vec![201], vec![409; 7]].concat());
    }

    async fn of_many_who_change_the_version_they_saw_one_does(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let id = id_of(&series(&stack, Role::Receptionist, |_| {}).await.expect(201));
        let path = format!("{SERIES}/{id}");
        let seen = call(&stack, Role::Receptionist, Method::GET, &path, None).await.expect(200).header("etag").to_owned();
        let tasks: Vec<_> = (0..8)
            .map(|n| {
                let (stack, path, seen) = (Arc::clone(&stack), path.clone(), seen.clone());
                tokio::spawn(async move {
                    let request = stack
                        .request(ServiceName::AppointmentService, Method::PUT, &path)
                        .bearer_auth(stack.token(Role::Receptionist))
                        .header("content-type", "application/json")
                        .header("if-match", seen)
                        .body(json!({"scope": "all", "timeSlot": format!("11:0{n}")}).to_string());
                    testkit::stack::send(request).await.status
                })
            })
            .collect();
        let mut statuses = Vec::new();
        for task in tasks {
            statuses.push(task.await.unwrap());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [vec![200], vec![412; 7]].concat());
    }
}
