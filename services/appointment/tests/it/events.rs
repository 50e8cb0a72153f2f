//! What is told to the others, and what the others tell.

use std::sync::Mutex;

use contracts::event::{Event, What};
use http_kit::kit::{App, BoxFuture, BuildError, Kit, Service};

use super::*;

/// Delivers an event as the relay of a service does.
async fn deliver(stack: &Arc<TestStack>, what: Value, id: &str) -> Reply {
    let mut event = json!({"id": id, "occurredAt": "2026-01-15T09:00:00Z"});
    event.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
    call(stack, Role::Service, Method::POST, "/internal/events", Some(&event.to_string())).await
}

/// Stands in for the notification service: keeps what it is told.
const SINK: Service =
    Service { name: ServiceName::NotificationService, migrations: patient::MIGRATIONS, build: sink };

fn sink(_: Kit) -> BoxFuture<'static, Result<App, BuildError>> {
    Box::pin(async {
        let told: Arc<Mutex<Vec<Value>>> = Arc::default();
        let all = Arc::clone(&told);
        let take = async move |body: String| {
            told.lock().unwrap().push(serde_json::from_str(&body).unwrap());
            r#"{"firstTime":true}"#
        };
        let list = async move || serde_json::to_string(&*all.lock().unwrap()).unwrap();
        let router = axum::Router::new().route("/internal/events", axum::routing::post(take));
        Ok(App { router: router.route("/told", axum::routing::get(list)), jobs: Vec::new() })
    })
}

/// What the sink was told of appointments, in the order in which it happened.
async fn told(stack: &Arc<TestStack>) -> Vec<String> {
    let reply = stack.call(ServiceName::NotificationService, Role::Admin, Method::GET, "/told", None).await;
    let mut events: Vec<Event> = serde_json::from_str(&reply.text).unwrap();
    events.sort_by_key(|event| event.occurred_at);
    let line = |event: Event| {
        let name = event.what.name();
        match event.what {
            What::AppointmentBooked(notice)
            | What::AppointmentRescheduled(notice)
            | What::AppointmentCancelled(notice)
            | What::AppointmentChanged(notice) => {
                let (id, outside) = (notice.appointment_id, notice.outside_hours);
                Some(format!("{name} {id} {} {} {outside}", notice.patient_id, notice.provider_id))
            }
            // Who treats whom comes with each.
            What::CareTold { .. } => None,
            other => panic!("{other:?} is not this service's to tell"),
        }
    };
    events.into_iter().filter_map(line).collect()
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn an_erased_patients_appointments_are_gone_and_their_ids_stay_taken(stack: Arc<TestStack>) {
        clinic(&stack).await;
        patient(&stack, "67890").await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        let _ = book(&stack, Role::Admin, &at("apt2", "67890", "prov001", "11:00")).await.expect(201);
        let _ = stack.call(ServiceName::PatientService, Role::Admin, Method::DELETE, "/api/patients/12345", None).await.expect(200);
        until(|| async { get(&stack, "apt1").await.status == 404 }).await;
        let _ = cancel(&stack, "apt1").await.expect(404);
        let _ = put(&stack, Role::Admin, "apt1", &json!({})).await.expect(404);
        let _ = call(&stack, Role::Admin, Method::GET, "/api/appointments/apt1/history", None).await.expect(404);
        let list = call(&stack, Role::Admin, Method::GET, "/api/appointments", None).await.expect(200).json();
        assert_eq!((list["items"].as_array().unwrap().len(), &list["items"][0]["appointmentId"]), (1, &json!("apt2")));
        let taken = book(&stack, Role::Admin, &at("apt1", "67890", "prov001", "14:00")).await.expect(409);
        assert_eq!(taken.json()["code"], "already-exists");
        // The time is free again, and the key is gone.
        let _ = book(&stack, Role::Admin, &at("apt3", "67890", "prov001", "10:00")).await.expect(201);
        let db = stack.database(ServiceName::AppointmentService).db();
        until(|| async { db.vault().is_destroyed(&db::Subject::Patient("12345")).await.unwrap() }).await;
        until(|| async { db::erasures_pending(db).await.unwrap().is_empty() }).await;
    }

    async fn an_event_that_comes_twice_has_its_effect_once(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        let removed = json!({"type": "provider.removed.v1", "data": {"providerId": "prov001"}});
        for first_time in [true, false] {
            let accepted = deliver(&stack, removed.clone(), "evt_1").await.expect(200);
            assert_eq!(accepted.json()["firstTime"], first_time);
        }
        assert_eq!(get(&stack, "apt1").await.expect(200).header("etag"), "\"v2\"");
        let erased = json!({"type": "patient.erased.v1", "data": {"patientId": "12345"}});
        for id in ["evt_2", "evt_2", "evt_3"] {
            let _ = deliver(&stack, erased.clone(), id).await.expect(200);
        }
        let _ = get(&stack, "apt1").await.expect(404);
    }

    async fn a_booking_that_was_under_way_when_its_patient_was_erased_is_refused(stack: Arc<TestStack>) {
        clinic(&stack).await;
        // The patient service still knows them: the event was faster.
        let erased = json!({"type": "patient.erased.v1", "data": {"patientId": "12345"}});
        let _ = deliver(&stack, erased, "evt_1").await.expect(200);
        let refused = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(422);
        assert_eq!(refused.faults(), ["patientId"]);
    }

    async fn a_removed_providers_future_appointments_become_conflicts(stack: Arc<TestStack>) {
        clinic(&stack).await;
        provider(&stack, "prov002").await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        let _ = book(&stack, Role::Admin, &at("apt2", "12345", "prov001", "11:00")).await.expect(201);
        let _ = book(&stack, Role::Admin, &at("over", "12345", "prov001", "14:00")).await.expect(201);
        let _ = cancel(&stack, "over").await.expect(200);
        let mut past = at("past", "12345", "prov001", "10:00");
        past["appointmentDate"] = json!("2026-01-14");
        let _ = book(&stack, Role::Admin, &past).await.expect(201);
        let _ = stack.call(ServiceName::ProviderService, Role::Admin, Method::DELETE, "/api/providers/prov001", None).await.expect(200);
        until(|| async { get(&stack, "apt2").await.json()["conflict"] == "ProviderRemoved" }).await;
        for (id, conflict) in [("apt1", json!("ProviderRemoved")), ("over", Value::Null), ("past", Value::Null)] {
            assert_eq!(get(&stack, id).await.expect(200).json()["conflict"], conflict, "{id}");
        }
        let history = call(&stack, Role::Admin, Method::GET, "/api/appointments/apt1/history", None).await.expect(200).json();
        assert_eq!((&history["items"][1]["action"], &history["items"][1]["by"]), (&json!("ProviderRemoved"), &json!("service:provider-service")));
        // It is moved to somebody else, or cancelled; with the same provider it cannot be moved.
        let refused = put(&stack, Role::Admin, "apt1", &json!({"timeSlot": "09:00"})).await.expect(422);
        assert_eq!(refused.faults(), ["providerId"]);
        let _ = put(&stack, Role::Admin, "apt1", &json!({"providerId": "prov002"})).await.expect(200);
        assert_eq!(get(&stack, "apt1").await.expect(200).json()["conflict"], Value::Null);
        let _ = cancel(&stack, "apt2").await.expect(200);
        let refused = book(&stack, Role::Admin, &at("apt3", "12345", "prov001", "10:00")).await.expect(422);
        assert_eq!(refused.faults(), ["providerId"]);
    }
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE, SINK];
    async fn bookings_moves_and_cancellations_are_told(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        stack.clock.advance(chrono::TimeDelta::seconds(1));
        let _ = put(&stack, Role::Admin, "apt1", &json!({"status": "Confirmed"})).await.expect(200);
        stack.clock.advance(chrono::TimeDelta::seconds(1));
        let _ = put(&stack, Role::Admin, "apt1", &json!({"timeSlot": "13:00"})).await.expect(200);
        stack.clock.advance(chrono::TimeDelta::seconds(1));
        for _ in 0..2 {
            let _ = cancel(&stack, "apt1").await.expect(200);
        }
        let _ = book(&stack, Role::Admin, &at("apt2", "nobody", "prov001", "10:00")).await.expect(422);
        until(|| async { told(&stack).await.len() == 4 }).await;
        assert_eq!(told(&stack).await, [
            "appointment.booked.v1 apt1 12345 prov001 false",
            "appointment.changed.v1 apt1 12345 prov001 false",
            "appointment.rescheduled.v1 apt1 12345 prov001 true",
            "appointment.cancelled.v1 apt1 12345 prov001 false",
        ]);
    }
}
