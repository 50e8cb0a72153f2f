//! Who waits for a time is offered the first that becomes free.

use super::*;

const WAITLIST: &str = "/api/appointments/waitlist";

async fn join(
    stack: &Arc<TestStack>,
    who: impl Into<Who>,
    patient: &str,
    change: impl Fn(&mut Value),
) -> Reply {
    let mut body = json!({"patientId": patient, "providerId": "prov001", "from": MONDAY, "to": MONDAY});
    change(&mut body);
    call(stack, who, Method::POST, WAITLIST, Some(&body.to_string())).await
}

fn id_of(reply: &Reply) -> String {
    reply.json()["waitlistId"].as_str().unwrap().to_owned()
}

async fn entries(stack: &Arc<TestStack>, who: impl Into<Who>, query: &str) -> Vec<Value> {
    let reply = call(stack, who, Method::GET, &format!("{WAITLIST}{query}"), None).await.expect(200);
    reply.json()["items"].as_array().unwrap().clone()
}

async fn entry(stack: &Arc<TestStack>, patient: &str) -> Value {
    entries(stack, Role::Admin, &format!("?patientId={patient}")).await.remove(0)
}

async fn act(stack: &Arc<TestStack>, who: impl Into<Who>, id: &str, what: &str) -> Reply {
    call(stack, who, Method::POST, &format!("{WAITLIST}/{id}/{what}"), None).await
}

async fn is_offered(stack: &Arc<TestStack>, patient: &str) {
    until(|| async { entry(stack, patient).await["status"] == "Offered" }).await;
}

/// The document's provider, with nothing free on the Monday but what the tests free: three hours in the morning are booked.
async fn full_monday(stack: &Arc<TestStack>) {
    provider_with(stack, "prov001", json!([{"day": "Monday", "slots": ["09:00-12:00"]}])).await;
    for patient_id in ["12345", "67890", "booked"] {
        patient(stack, patient_id).await;
    }
    for (id, time) in [("first", "09:00"), ("second", "10:00"), ("third", "11:00")] {
        let mut body = at(id, "booked", "prov001", time);
        body["durationMinutes"] = json!(60);
        let _ = book(stack, Role::Admin, &body).await.expect(201);
    }
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn who_has_waited_longest_is_offered_what_becomes_free_and_takes_it(stack: Arc<TestStack>) {
        full_monday(&stack).await;
        let joined = join(&stack, Who::patient("12345"), "12345", |body| body["visitType"] = json!("Follow-up")).await.expect(201);
        assert_eq!((&joined.json()["status"], joined.header("location")), (&json!("Waiting"), &*format!("{WAITLIST}/{}", id_of(&joined))));
        stack.clock.advance(chrono::TimeDelta::milliseconds(1));
        let _ = join(&stack, Who::patient("67890"), "67890", |body| body["durationMinutes"] = json!(60)).await.expect(201);
        let _ = cancel(&stack, "second").await.expect(200);
        is_offered(&stack, "12345").await;
        let offer = entry(&stack, "12345").await["offer"].clone();
        assert_eq!(offer["slot"], json!({"date": MONDAY, "timeSlot": "10:00", "durationMinutes": 30}));
        assert!(offer["until"].as_str().unwrap().starts_with("2026-01-15T09:30:00"));
        // Nobody else has it meanwhile, not even whoever waits next, who needs the whole hour.
        let _ = book(&stack, Role::Admin, &at("late", "67890", "prov001", "10:00")).await.expect(409);
        assert_eq!(entry(&stack, "67890").await["status"], "Waiting");
        let id = id_of(&joined);
        let _ = act(&stack, Who::patient("67890"), &id, "accept").await.expect(404);
        let taken = act(&stack, Who::patient("12345"), &id, "accept").await.expect(200).json();
        assert_eq!(taken["status"], "Booked");
        let booked = get(&stack, taken["appointmentId"].as_str().unwrap()).await.expect(200).json();
        assert_eq!((&booked["timeSlot"], &booked["patientId"], &booked["visitType"]), (&json!("10:00"), &json!("12345"), &json!("Follow-up")));
        for what in ["accept", "decline"] {
            let _ = act(&stack, Who::patient("12345"), &id, what).await.expect(409);
        }
    }

    async fn what_is_declined_or_left_to_pass_is_offered_to_the_next(stack: Arc<TestStack>) {
        full_monday(&stack).await;
        let first = join(&stack, Who::patient("12345"), "12345", |_| {}).await.expect(201);
        stack.clock.advance(chrono::TimeDelta::milliseconds(1));
        let second = join(&stack, Who::patient("67890"), "67890", |body| body["times"] = json!(["09:30-10:30"])).await.expect(201);
        let mut shorter = json!({"durationMinutes": 30});
        shorter["timeSlot"] = json!("10:30");
        // From ten to half past is free.
        let _ = put(&stack, Role::Admin, "second", &shorter).await.expect(200);
        is_offered(&stack, "12345").await;
        let _ = act(&stack, Who::patient("12345"), &id_of(&first), "decline").await.expect(200);
        is_offered(&stack, "67890").await;
        assert_eq!(entry(&stack, "12345").await["status"], "Waiting");
        stack.clock.advance(chrono::TimeDelta::minutes(30));
        until(|| async { entry(&stack, "67890").await["status"] == "Waiting" }).await;
        // Both were offered it once, so it is free for anybody now.
        let _ = act(&stack, Who::patient("67890"), &id_of(&second), "accept").await.expect(409);
        let _ = book(&stack, Role::Admin, &at("other", "67890", "prov001", "10:00")).await.expect(201);
    }

    async fn who_leaves_gives_back_what_was_offered(stack: Arc<TestStack>) {
        full_monday(&stack).await;
        let first = join(&stack, Who::patient("12345"), "12345", |_| {}).await.expect(201);
        stack.clock.advance(chrono::TimeDelta::milliseconds(1));
        let _ = join(&stack, Who::patient("67890"), "67890", |body| {
            body.as_object_mut().unwrap().remove("providerId");
            body["specialization"] = json!("cardiology");
            body["durationMinutes"] = json!(60);
        })
        .await
        .expect(201);
        let _ = cancel(&stack, "third").await.expect(200);
        is_offered(&stack, "12345").await;
        let path = format!("{WAITLIST}/{}", id_of(&first));
        for _ in 0..2 {
            let left = call(&stack, Who::patient("12345"), Method::DELETE, &path, None).await.expect(200).json();
            assert_eq!(left["status"], "Withdrawn");
        }
        is_offered(&stack, "67890").await;
        assert_eq!(entry(&stack, "67890").await["offer"]["slot"]["timeSlot"], "11:00");
        let _ = act(&stack, Who::patient("12345"), &id_of(&first), "accept").await.expect(409);
    }

    async fn a_time_that_is_free_already_is_offered_at_once(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = join(&stack, Role::Receptionist, "12345", |body| body["times"] = json!(["14:00-16:00"])).await.expect(201);
        is_offered(&stack, "12345").await;
        assert_eq!(entry(&stack, "12345").await["offer"]["slot"]["timeSlot"], "14:00");
    }

    async fn everybody_sees_whose_entries_they_may_and_waits_within_bounds(stack: Arc<TestStack>) {
        full_monday(&stack).await;
        let refused = join(&stack, Who::patient("12345"), "67890", |_| {}).await.expect(422);
        assert_eq!(refused.faults(), ["patientId"]);
        let refused = join(&stack, Role::Admin, "12345", |body| body["to"] = json!("2027-01-01")).await.expect(422);
        assert_eq!(refused.faults(), ["to"]);
        for n in 0..20 {
            let who = if n == 0 { "67890" } else { "12345" };
            let _ = join(&stack, Role::Receptionist, who, |_| {}).await.expect(201);
        }
        let _ = join(&stack, Role::Receptionist, "12345", |_| {}).await.expect(201);
        let _ = join(&stack, Role::Receptionist, "12345", |_| {}).await.expect(409);
        assert_eq!(entries(&stack, Who::patient("67890"), "").await.len(), 1);
        assert!(entries(&stack, Who::patient("67890"), "?patientId=12345").await.is_empty());
        assert_eq!(entries(&stack, Role::Receptionist, "?providerId=prov001&limit=200").await.len(), 21);
        assert!(entries(&stack, Who::clinician("prov002"), "").await.is_empty());
        let _ = stack.call(ServiceName::PatientService, Role::Admin, Method::DELETE, "/api/patients/67890", None).await.expect(200);
        until(|| async { entries(&stack, Role::Receptionist, "?patientId=67890").await.is_empty() }).await;
    }

    async fn of_many_who_wait_each_is_offered_another_time(stack: Arc<TestStack>) {
        full_monday(&stack).await;
        for n in 0..6 {
            let who = format!("w{n}");
            patient(&stack, &who).await;
            let _ = join(&stack, Role::Receptionist, &who, |_| {}).await.expect(201);
            stack.clock.advance(chrono::TimeDelta::milliseconds(1));
        }
        for id in ["first", "second", "third"] {
            let _ = cancel(&stack, id).await.expect(200);
        }
        let times = async || {
            let all = entries(&stack, Role::Admin, "?limit=200").await;
            let times = all.iter().filter_map(|of| of["offer"]["slot"]["timeSlot"].as_str().map(str::to_owned));
            times.collect::<std::collections::BTreeSet<_>>()
        };
        until(|| async { times().await.len() == 6 }).await;
    }

    async fn however_many_wait_for_others_whom_it_fits_is_offered_it(stack: Arc<TestStack>) {
        full_monday(&stack).await;
        for n in 0..11 {
            patient(&stack, &format!("w{n}")).await;
        }
        for n in 0..205 {
            let _ = join(&stack, Role::Receptionist, &format!("w{}", n / 20), |body| {
                body.as_object_mut().unwrap().remove("providerId");
                body["specialization"] = json!("Dermatology");
            })
            .await
            .expect(201);
        }
        stack.clock.advance(chrono::TimeDelta::milliseconds(1));
        let _ = join(&stack, Role::Receptionist, "12345", |_| {}).await.expect(201);
        let _ = cancel(&stack, "second").await.expect(200);
        is_offered(&stack, "12345").await;
    }

    async fn who_waits_twice_is_offered_one_time_after_the_other(stack: Arc<TestStack>) {
        clinic(&stack).await;
        patient(&stack, "67890").await;
        for who in ["12345", "12345", "12345", "67890"] {
            let _ = join(&stack, Role::Receptionist, who, |_| {}).await.expect(201);
            stack.clock.advance(chrono::TimeDelta::milliseconds(1));
        }
        let standing = async || {
            let all = entries(&stack, Role::Admin, "?patientId=12345").await;
            all.into_iter().filter(|of| of["status"] == "Offered").collect::<Vec<_>>()
        };
        is_offered(&stack, "67890").await;
        let first = standing().await;
        assert_eq!(first.len(), 1, "{first:?}");
        let _ = act(&stack, Who::patient("12345"), first[0]["waitlistId"].as_str().unwrap(), "accept").await.expect(200);
        until(|| async { standing().await.len() == 1 }).await;
    }
}

/// A calendar whose server does not answer yet.
mod nothing_is_offered_until_each_calendar_was_looked_at {
    use std::net::TcpListener;

    use super::*;
    use crate::outside::{caldav, run_with};

    async fn test(stack: Arc<TestStack>, server: TcpListener) {
        full_monday(&stack).await;
        let _ = stack.secret(ServiceName::AppointmentService, "caldav", "password", b"a password");
        server.set_nonblocking(true).unwrap();
        let server = tokio::net::TcpListener::from_std(server).unwrap();
        let (asking, _) = server.accept().await.unwrap();
        let _ = join(&stack, Role::Receptionist, "12345", |_| {}).await.expect(201);
        let _ = cancel(&stack, "second").await.expect(200);
        // Longer than the waitlist takes to look; whoever offers it all the same is seen here now and then.
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        assert_eq!(entry(&stack, "12345").await["status"], "Waiting");
        // One that cannot be looked at keeps nobody waiting.
        drop((asking, server));
        is_offered(&stack, "12345").await;
    }

    fn run(engine: db::Engine) {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let calendar = caldav(server.local_addr().unwrap().port());
        run_with(engine, &calendar, move |stack| test(stack, server));
    }

    #[test]
    fn sqlite() {
        run(db::Engine::Sqlite);
    }

    #[test]
    fn postgres() {
        run(db::Engine::Postgres);
    }
}
