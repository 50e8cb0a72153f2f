//! A row that cannot be opened is in no other's way.

use db::{Db, on};

use super::*;

/// Changes a row as no one but an accident does.
pub(crate) async fn change(db: &Db, sql: &'static str) {
    let mut tx = db.begin().await.unwrap();
    on!(tx, |conn| sqlx::query(sql).execute(conn).await.map(drop)).unwrap();
    tx.commit_unaudited().await.unwrap();
}

async fn read(stack: &Arc<TestStack>, path: &str) -> Value {
    call(stack, Role::Admin, Method::GET, path, None).await.expect(200).json()
}

/// The ids of a list.
async fn ids(stack: &Arc<TestStack>, path: &str, member: &str) -> Vec<String> {
    let items = read(stack, path).await["items"].as_array().unwrap().clone();
    items.iter().map(|item| item[member].as_str().unwrap().to_owned()).collect()
}

async fn three(stack: &Arc<TestStack>) {
    clinic(stack).await;
    for (id, time) in [("apt1", "09:00"), ("apt2", "10:00"), ("apt3", "11:00")] {
        let mut body = at(id, "12345", "prov001", time);
        body["visitType"] = json!("Checkup");
        let _ = book(stack, Role::Admin, &body).await.expect(201);
    }
    let db = stack.database(ServiceName::AppointmentService).db();
    change(db, "update appointment set body = substr(body, 1, 20) where id = 'apt1'").await;
    assert_eq!(get(stack, "apt1").await.status, 500);
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn lists_and_figures_go_on_without_an_appointment_that_cannot_be_opened(stack: Arc<TestStack>) {
        three(&stack).await;
        for query in ["", "?patientId=12345", "?providerId=prov001", "?status=Scheduled"] {
            let listed = ids(&stack, &format!("/api/appointments{query}"), "appointmentId").await;
            assert_eq!(listed, ["apt2", "apt3"], "{query}");
        }
        let first = read(&stack, "/api/appointments?limit=1").await;
        assert_eq!(first["items"][0]["appointmentId"], "apt2");
        let rest = format!("/api/appointments?limit=1&cursor={}", first["nextCursor"].as_str().unwrap());
        assert_eq!(ids(&stack, &rest, "appointmentId").await, ["apt3"]);
        let days = format!("from={MONDAY}&to={MONDAY}");
        let by_type = read(&stack, &format!("/api/appointments/statistics?{days}&by=visitType")).await;
        let counted: i64 = by_type["groups"].as_array().unwrap().iter().map(|row| row["appointments"].as_i64().unwrap()).sum();
        assert_eq!(counted, 3, "{by_type}");
        let _ = read(&stack, &format!("/api/providers/prov001/report?{days}")).await;
        // Its time is taken all the same.
        let _ = book(&stack, Role::Admin, &at("apt4", "12345", "prov001", "09:00")).await.expect(409);
        let away = json!({"providerId": "prov001", "from": MONDAY, "to": MONDAY}).to_string();
        let moved = call(&stack, Role::Admin, Method::POST, "/api/appointments/reschedule", Some(&away)).await.expect(200).json();
        assert_eq!(moved["moved"], 2);
    }

    async fn who_is_with_a_removed_provider_is_told_and_who_is_erased_goes(stack: Arc<TestStack>) {
        three(&stack).await;
        let _ = stack.call(ServiceName::ProviderService, Role::Admin, Method::DELETE, "/api/providers/prov001", None).await.expect(200);
        until(|| async { get(&stack, "apt3").await.json()["conflict"] == "ProviderRemoved" }).await;
        assert_eq!(get(&stack, "apt2").await.json()["conflict"], "ProviderRemoved");
        let listed = read(&stack, "/api/appointments/conflicts").await["items"].as_array().unwrap().len();
        assert_eq!(listed, 2);
        testkit::patients::erase(&stack, "12345", ServiceName::AppointmentService).await;
        for id in ["apt1", "apt2"] {
            let _ = get(&stack, id).await.expect(404);
        }
    }

    async fn who_waits_behind_an_entry_that_cannot_be_opened_is_offered_what_is_free(stack: Arc<TestStack>) {
        clinic(&stack).await;
        patient(&stack, "67890").await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "09:00")).await.expect(201);
        let join = async |patient: &str, day: &str| {
            let body = json!({"patientId": patient, "providerId": "prov001", "from": day, "to": day, "times": ["09:00-09:30"]}).to_string();
            let joined = call(&stack, Role::Admin, Method::POST, "/api/appointments/waitlist", Some(&body)).await.expect(201);
            stack.clock.advance(chrono::TimeDelta::milliseconds(1));
            joined.json()["waitlistId"].as_str().unwrap().to_owned()
        };
        // Nobody has a time on a Tuesday, so that this one waits.
        let broken = join("12345", "2026-01-20").await;
        let waits = join("67890", MONDAY).await;
        let db = stack.database(ServiceName::AppointmentService).db();
        change(db, "update waitlist set body = substr(body, 1, 20) where patient_id = '12345'").await;
        let _ = cancel(&stack, "apt1").await.expect(200);
        let list = "/api/appointments/waitlist";
        until(|| async { read(&stack, list).await["items"][0]["status"] == "Offered" }).await;
        assert_eq!(ids(&stack, list, "waitlistId").await, std::slice::from_ref(&waits));
        assert_eq!(ids(&stack, &format!("{list}?limit=1"), "waitlistId").await, [waits]);
        let _ = call(&stack, Role::Admin, Method::DELETE, &format!("{list}/{broken}"), None).await.expect(500);
    }

    async fn referrals_and_feeds_are_listed_without_one_that_cannot_be_opened(stack: Arc<TestStack>) {
        clinic(&stack).await;
        provider(&stack, "prov002").await;
        for reason in ["one", "two", "three"] {
            let body = json!({"patientId": "12345", "fromProviderId": "prov001", "toProviderId": "prov002", "reason": reason}).to_string();
            let _ = call(&stack, Role::Admin, Method::POST, "/api/referrals", Some(&body)).await.expect(201);
            stack.clock.advance(chrono::TimeDelta::seconds(1));
            let body = json!({"providerId": "prov001", "label": reason}).to_string();
            let _ = call(&stack, Role::Admin, Method::POST, "/api/appointments/feeds", Some(&body)).await.expect(201);
        }
        let listed = read(&stack, "/api/referrals").await["items"].as_array().unwrap().clone();
        assert_eq!(listed.len(), 3);
        let db = stack.database(ServiceName::AppointmentService).db();
        // The newest, of those that were made in this order.
        change(db, "update referral set body = substr(body, 1, 20) where created_at = (select max(created_at) from referral)").await;
        change(db, "update feed set body = substr(body, 1, 20) where created_at = (select max(created_at) from feed)").await;
        let expected: Vec<_> = listed[1..].iter().map(|item| item["referralId"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids(&stack, "/api/referrals", "referralId").await, expected);
        // It is on no page, and ends none.
        let first = read(&stack, "/api/referrals?limit=1").await;
        assert_eq!(first["items"][0]["referralId"], expected[0].as_str());
        assert!(first["nextCursor"].is_string(), "{first}");
        assert_eq!(ids(&stack, "/api/appointments/feeds?providerId=prov001", "feedId").await.len(), 2);
    }
}
