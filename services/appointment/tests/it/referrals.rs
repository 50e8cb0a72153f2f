//! Referrals: made, accepted or declined, booked from; who sees them; and that they go with the patient.

use testkit::patients::{deny, erase};

use super::care::{said, two};
use super::*;

/// From prov001, who treats the patient 12345, to prov002, who does not.
fn request() -> Value {
    json!({
        "patientId": "12345", "fromProviderId": "prov001", "toProviderId": "prov002", "reason": "Quetzalcoatl murmur.", "urgency": "Urgent",
        "expiresOn": "2026-03-01",
    })
}

async fn refer(stack: &Arc<TestStack>, who: impl Into<Who>, body: &Value) -> Reply {
    call(stack, who, Method::POST, "/api/referrals", Some(&body.to_string())).await
}

/// Makes the one above; its id.
async fn referred(stack: &Arc<TestStack>) -> String {
    let made = refer(stack, Who::clinician("prov001"), &request()).await.expect(201);
    let id = made.json()["referralId"].as_str().unwrap().to_owned();
    assert_eq!(made.text, format!(r#"{{"referralId":"{id}","patientId":"12345","status":"Requested"}}"#));
    assert_eq!(made.header("location"), format!("/api/referrals/{id}"));
    id
}

async fn read(stack: &Arc<TestStack>, who: impl Into<Who>, id: &str) -> Reply {
    call(stack, who, Method::GET, &format!("/api/referrals/{id}"), None).await
}

async fn answer(stack: &Arc<TestStack>, who: impl Into<Who>, id: &str, how: &str, body: &Value) -> Reply {
    call(stack, who, Method::POST, &format!("/api/referrals/{id}/{how}"), Some(&body.to_string())).await
}

async fn listed(stack: &Arc<TestStack>, who: impl Into<Who>, query: &str) -> Vec<String> {
    let page =
        call(stack, who, Method::GET, &format!("/api/referrals?{query}"), None).await.expect(200).json();
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["referralId"].as_str().unwrap().to_owned())
        .collect()
}

/// How often somebody was told of a referral: the notification service, which is to take it in, does not run here.
async fn told(stack: &Arc<TestStack>) -> i64 {
    let mut tx = stack.database(ServiceName::AppointmentService).db().read().await.unwrap();
    let count = "select count(*) from outbox where name = 'referral.changed.v1' and subscriber = 'notification-service'";
    db::on!(tx, |conn| sqlx::query_scalar(count).fetch_one(conn).await.unwrap())
}

fn statuses(referral: &Value) -> Vec<String> {
    let history = referral["history"].as_array().unwrap();
    history.iter().map(|change| change["status"].as_str().unwrap().to_owned()).collect()
}

fn from(id: &str, booking: &str, provider: &str) -> Value {
    let mut body = at(booking, "12345", provider, "14:00");
    body["referralId"] = id.into();
    body
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn a_referral_is_accepted_booked_and_completed_and_who_made_it_is_told(stack: Arc<TestStack>) {
        two(&stack).await;
        let id = referred(&stack).await;
        let accepted = answer(&stack, Who::clinician("prov002"), &id, "accept", &json!({})).await.expect(200);
        assert_eq!(accepted.json()["status"], "Accepted");
        assert_eq!(told(&stack).await, 2);
        // It makes nobody treat: the colleague sees no appointment of the patient's, and books none for them.
        let colleague = Who::clinician("prov002");
        let _ = call(&stack, colleague.clone(), Method::GET, "/api/appointments/mine", None).await.expect(404);
        assert_eq!(book(&stack, colleague, &from(&id, "apt1", "prov002")).await.expect(422).faults(), ["patientId"]);
        let _ = book(&stack, Role::Receptionist, &from(&id, "apt1", "prov002")).await.expect(201);
        let shown = read(&stack, Role::Admin, &id).await.expect(200).json();
        assert_eq!((&shown["status"], &shown["appointmentId"]), (&"Booked".into(), &"apt1".into()));
        let again = book(&stack, Role::Receptionist, &from(&id, "apt2", "prov002")).await.expect(409);
        assert_eq!(again.json()["code"], "appointment-overlap");
        let mut later = from(&id, "apt2", "prov002");
        later["timeSlot"] = "15:00".into();
        assert_eq!(book(&stack, Role::Receptionist, &later).await.expect(409).json()["code"], "invalid-transition");
        let _ = get(&stack, "apt2").await.expect(404);
        let _ = put(&stack, Role::Receptionist, "apt1", &json!({"status": "Completed"})).await.expect(200);
        let shown = read(&stack, Role::Admin, &id).await.expect(200).json();
        assert_eq!((&shown["status"], &shown["reason"]), (&"Completed".into(), &"Quetzalcoatl murmur.".into()));
        assert_eq!(statuses(&shown), ["Requested", "Accepted", "Booked", "Completed"]);
    }

    async fn a_cancelled_appointment_gives_its_referral_back(stack: Arc<TestStack>) {
        two(&stack).await;
        let id = referred(&stack).await;
        let _ = book(&stack, Role::Receptionist, &from(&id, "apt1", "prov002")).await.expect(201);
        let _ = cancel(&stack, "apt1").await.expect(200);
        let shown = read(&stack, Role::Admin, &id).await.expect(200).json();
        assert_eq!((&shown["status"], &shown["appointmentId"]), (&"Accepted".into(), &Value::Null));
        let _ = book(&stack, Role::Receptionist, &from(&id, "apt2", "prov002")).await.expect(201);
        let _ = put(&stack, Role::Receptionist, "apt2", &json!({"status": "NoShow"})).await.expect(200);
        assert_eq!(read(&stack, Role::Admin, &id).await.json()["status"], "Accepted");
    }

    async fn a_booking_is_from_a_referral_of_that_patient_to_that_provider(stack: Arc<TestStack>) {
        two(&stack).await;
        let id = referred(&stack).await;
        let mut of_other = at("apt1", "67890", "prov002", "14:00");
        of_other["referralId"] = id.clone().into();
        for body in [from(&id, "apt1", "prov001"), from("ref_none", "apt1", "prov002"), from("a b", "apt1", "prov002"), of_other] {
            assert_eq!(book(&stack, Role::Receptionist, &body).await.expect(422).faults(), ["referralId"], "{body}");
        }
        let _ = get(&stack, "apt1").await.expect(404);
        assert_eq!(read(&stack, Role::Admin, &id).await.json()["status"], "Requested");
    }

    async fn of_two_who_book_from_one_referral_one_does(stack: Arc<TestStack>) {
        two(&stack).await;
        let id = referred(&stack).await;
        let mut other = from(&id, "apt2", "prov002");
        other["timeSlot"] = "15:00".into();
        let first = from(&id, "apt1", "prov002");
        let (one, two) = tokio::join!(book(&stack, Role::Receptionist, &first), book(&stack, Role::Receptionist, &other));
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
    }

    async fn a_referral_is_declined_with_a_reason_and_after_its_last_day_nothing_comes_of_it(stack: Arc<TestStack>) {
        two(&stack).await;
        let (id, late) = (referred(&stack).await, referred(&stack).await);
        assert_eq!(answer(&stack, Role::Admin, &id, "decline", &json!({"reason": ""})).await.expect(422).faults(), ["reason"]);
        let _ = answer(&stack, Who::clinician("prov002"), &id, "decline", &json!({"reason": "No room."})).await.expect(200);
        let shown = read(&stack, Who::clinician("prov001"), &id).await.expect(200).json();
        assert_eq!((&shown["status"], &shown["history"][1]["reason"]), (&"Declined".into(), &"No room.".into()));
        assert_eq!(answer(&stack, Role::Admin, &id, "accept", &json!({})).await.expect(409).json()["code"], "invalid-transition");
        stack.clock.advance(chrono::TimeDelta::days(46));
        assert_eq!(read(&stack, Role::Admin, &late).await.json()["status"], "Expired");
        let _ = answer(&stack, Role::Admin, &late, "accept", &json!({})).await.expect(409);
    }

    async fn who_refers_takes_a_referral_back_and_to_whom_it_was_cannot(stack: Arc<TestStack>) {
        two(&stack).await;
        let (id, taken, bare) = (referred(&stack).await, referred(&stack).await, referred(&stack).await);
        let (from, to) = (Who::clinician("prov001"), Who::clinician("prov002"));
        let why = json!({"reason": "Seen elsewhere."});
        for who in [to.clone(), Who::patient("12345")] {
            let _ = answer(&stack, who, &id, "withdraw", &why).await.expect(403);
        }
        let _ = answer(&stack, Who::clinician("prov003"), &id, "withdraw", &why).await.expect(404);
        assert_eq!(answer(&stack, from.clone(), &id, "withdraw", &json!({"reason": ""})).await.expect(422).faults(), ["reason"]);
        let done = answer(&stack, from.clone(), &id, "withdraw", &why).await.expect(200).json();
        assert_eq!(done["status"], "Withdrawn");
        let shown = read(&stack, to.clone(), &id).await.expect(200).json();
        assert_eq!((&shown["status"], &shown["history"][1]["reason"]), (&"Withdrawn".into(), &"Seen elsewhere.".into()));
        // Nothing comes of it any more, and it is not taken back twice.
        for (what, body) in [("accept", json!({})), ("decline", json!({"reason": "X"})), ("withdraw", json!({}))] {
            assert_eq!(answer(&stack, Role::Admin, &id, what, &body).await.expect(409).json()["code"], "invalid-transition");
        }
        let refused = book(&stack, Role::Receptionist, &self::from(&id, "apt1", "prov002")).await;
        assert!([409, 422].contains(&refused.status), "{}", refused.text);
        // What was accepted is taken back by the front desk; what is booked by calling off the appointment first.
        let _ = answer(&stack, to, &taken, "accept", &json!({})).await.expect(200);
        let _ = answer(&stack, Role::Receptionist, &taken, "withdraw", &json!({})).await.expect(200);
        let _ = book(&stack, Role::Receptionist, &self::from(&bare, "apt2", "prov002")).await.expect(201);
        let _ = answer(&stack, from.clone(), &bare, "withdraw", &json!({})).await.expect(409);
        let _ = cancel(&stack, "apt2").await.expect(200);
        let _ = answer(&stack, from, &bare, "withdraw", &json!({})).await.expect(200);
    }

    async fn a_referral_to_a_speciality_is_accepted_for_somebody(stack: Arc<TestStack>) {
        two(&stack).await;
        let mut body = request();
        body["toProviderId"].take();
        body.as_object_mut().unwrap().remove("toProviderId");
        body["specialization"] = "Cardiology".into();
        let id = refer(&stack, Role::Receptionist, &body).await.expect(201).json()["referralId"].as_str().unwrap().to_owned();
        let _ = read(&stack, Who::clinician("prov002"), &id).await.expect(404);
        assert_eq!(answer(&stack, Role::Receptionist, &id, "accept", &json!({})).await.expect(422).faults(), ["providerId"]);
        assert_eq!(answer(&stack, Role::Receptionist, &id, "accept", &json!({"providerId": "nobody"})).await.expect(422).faults(), ["providerId"]);
        let _ = answer(&stack, Role::Receptionist, &id, "accept", &json!({"providerId": "prov002"})).await.expect(200);
        assert_eq!(read(&stack, Who::clinician("prov002"), &id).await.expect(200).json()["toProviderId"], "prov002");
    }

    async fn who_refers_treats_the_patient_and_refers_for_themselves(stack: Arc<TestStack>) {
        two(&stack).await;
        let doctor = Who::clinician("prov001");
        let with = |member: &str, value: Value| {
            let mut body = request();
            body[member] = value;
            body
        };
        for (who, body, field) in [
            (doctor.clone(), with("patientId", "67890".into()), "patientId"), (doctor.clone(), with("patientId", "nobody".into()), "patientId"),
            (Who::clinician("prov002"), request(), "patientId"), (doctor.clone(), with("toProviderId", "nobody".into()), "toProviderId"),
            (Role::Receptionist.into(), with("fromProviderId", "nobody".into()), "fromProviderId"),
            (doctor.clone(), with("specialization", "Cardiology".into()), "toProviderId"), (doctor.clone(), with("expiresOn", "2026-01-14".into()), "expiresOn"),
            (doctor.clone(), with("reason", "".into()), "reason"), (doctor.clone(), with("urgency", "Mild".into()), "urgency"),
        ] {
            assert!(refer(&stack, who, &body).await.expect(422).faults().contains(&field.to_owned()), "{body}");
        }
        let mut swapped = request();
        (swapped["fromProviderId"], swapped["toProviderId"]) = ("prov002".into(), "prov001".into());
        assert_eq!(refer(&stack, doctor, &swapped).await.expect(422).faults(), ["fromProviderId"]);
        let _ = refer(&stack, Who::patient("12345"), &request()).await.expect(403);
        assert!(listed(&stack, Role::Admin, "").await.is_empty());
    }

    async fn it_is_seen_by_the_patient_those_it_is_between_and_who_treats_them_and_nobody_else(stack: Arc<TestStack>) {
        two(&stack).await;
        provider(&stack, "prov003").await;
        let id = referred(&stack).await;
        let unknown = said(&read(&stack, Role::Admin, "ref_none").await.expect(404));
        for who in [Who::clinician("prov001"), Who::clinician("prov002"), Who::patient("12345"), Role::Receptionist.into(), Role::Admin.into()] {
            let _ = read(&stack, who.clone(), &id).await.expect(200);
            for query in ["", "patientId=12345", "providerId=prov002", "providerId=prov001&patientId=12345"] {
                assert_eq!(listed(&stack, who.clone(), query).await, std::slice::from_ref(&id), "{query}");
            }
            assert!(listed(&stack, who.clone(), "providerId=prov003").await.is_empty());
            assert!(listed(&stack, who, "patientId=67890").await.is_empty());
        }
        for who in [Who::clinician("prov003"), Who::patient("67890"), Role::Clinician.into()] {
            assert_eq!(said(&read(&stack, who.clone(), &id).await.expect(404)), unknown);
            assert!(listed(&stack, who, "").await.is_empty());
        }
        // Not why, to whom that is no matter.
        let shown = read(&stack, Role::Billing, &id).await.expect(200).json();
        assert_eq!(shown["reason"], Value::Null);
        // Only to whom it is answers it, and the front desk.
        for who in [Who::clinician("prov001"), Who::patient("12345")] {
            let _ = answer(&stack, who.clone(), &id, "accept", &json!({})).await.expect(403);
            let _ = answer(&stack, who, &id, "decline", &json!({"reason": "X"})).await.expect(403);
        }
        let _ = answer(&stack, Who::clinician("prov003"), &id, "accept", &json!({})).await.expect(404);
    }

    async fn what_a_patient_keeps_from_the_front_desk_it_does_not_see_here_either(stack: Arc<TestStack>) {
        two(&stack).await;
        let id = referred(&stack).await;
        let _ = deny(&stack, "12345", r#"{"role": "receptionist"}"#, r#"["appointments"]"#).await;
        until(|| async { read(&stack, Role::Receptionist, &id).await.status == 404 }).await;
        assert!(listed(&stack, Role::Receptionist, "").await.is_empty());
        assert!(listed(&stack, Role::Receptionist, "patientId=12345").await.is_empty());
        let _ = answer(&stack, Role::Receptionist, &id, "accept", &json!({})).await.expect(404);
        for who in [Who::clinician("prov002"), Who::patient("12345"), Role::Admin.into()] {
            assert_eq!(listed(&stack, who, "").await, std::slice::from_ref(&id));
        }
    }

    async fn pages_follow_one_another(stack: Arc<TestStack>) {
        two(&stack).await;
        let mut made = Vec::new();
        for _ in 0..5 {
            stack.clock.advance(chrono::TimeDelta::seconds(1));
            made.push(referred(&stack).await);
        }
        made.reverse();
        for who in [Role::Admin.into(), Who::clinician("prov002"), Who::patient("12345")] {
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                let path = format!("/api/referrals?limit=2{cursor}");
                let page = call(&stack, who.clone(), Method::GET, &path, None).await.expect(200).json();
                seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["referralId"].as_str().unwrap().to_owned()));
                match page["nextCursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(seen, made);
        }
        for (query, field) in [("limit=0", "limit"), ("cursor=x", "cursor"), ("patientId=a+b", "patientId"), ("x=1", "x")] {
            let path = format!("/api/referrals?{query}");
            assert_eq!(call(&stack, Role::Admin, Method::GET, &path, None).await.expect(400).faults(), [field]);
        }
    }

    async fn it_is_exported_and_goes_with_the_patient_and_no_file_holds_why(stack: Arc<TestStack>) {
        two(&stack).await;
        let id = referred(&stack).await;
        stack.database(ServiceName::AppointmentService).no_file_holds(&["Quetzalcoatl"]);
        let mut after = String::new();
        let exported = loop {
            let path = format!("/internal/export/12345{after}");
            let page = call(&stack, Role::Service, Method::GET, &path, None).await.expect(200).json();
            if page["kind"] == "referrals" || page["next"].is_null() {
                break page;
            }
            after = format!("?after={}", page["next"].as_str().unwrap());
        };
        assert_eq!(exported["items"][0]["referralId"].as_str(), Some(id.as_str()), "{exported}");
        assert_eq!(exported["items"][0]["history"].as_array().unwrap().len(), 1);
        erase(&stack, "12345", ServiceName::AppointmentService).await;
        let _ = read(&stack, Role::Admin, &id).await.expect(404);
        let report = call(&stack, Role::Service, Method::GET, "/internal/erasure/12345", None).await.expect(200).json();
        assert!(report["shredded"].as_array().unwrap().contains(&json!({"kind": "referrals", "count": 1})), "{report}");
        let refused = refer(&stack, Role::Admin, &request()).await.expect(422);
        assert_eq!(refused.faults(), ["patientId"]);
    }
}

fn ten_years(settings: &mut settings::ServiceSettings) {
    settings.retention.appointments = 10;
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE], settings = ten_years;
    async fn where_the_clinic_keeps_appointments_it_keeps_referrals_aside(stack: Arc<TestStack>) {
        two(&stack).await;
        let id = referred(&stack).await;
        erase(&stack, "12345", ServiceName::AppointmentService).await;
        let _ = read(&stack, Role::Admin, &id).await.expect(404);
        let kept = testkit::patients::retained(&stack, ServiceName::AppointmentService, "12345").await;
        let referral = kept.iter().find(|(name, _)| *name == format!("referrals/{id}")).unwrap();
        assert_eq!(referral.1["reason"], "Quetzalcoatl murmur.");
    }
}
