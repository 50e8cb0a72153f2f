//! Clinicians see what concerns whom they treat; those who write to everybody see it all.

use serde_json::json;

use super::*;

async fn tell(stack: &Arc<TestStack>, event: &Value) {
    let _ = call(stack, Role::Service, Method::POST, "/internal/events", Some(&event.to_string()))
        .await
        .expect(200);
}

/// Tells that prov001 treats the patient 12345.
async fn tell_care(stack: &Arc<TestStack>) {
    let care = json!({
        "source": "team:12345:prov001", "version": 1, "patientId": "12345", "providerId": "prov001", "until": "2026-03-01T10:00:00Z",
    });
    let (kind, at) = ("care.told.v1", "2026-01-15T08:00:00Z");
    tell(stack, &json!({"id": "evt_care", "occurredAt": at, "type": kind, "data": {"care": [care]}})).await;
}

async fn glass(stack: &Arc<TestStack>, event: &str, kind: &str, until: &str) {
    let data = json!({"grantId": "grant_1", "patientId": "67890", "userId": "usr_prov001", "until": until});
    tell(stack, &json!({"id": event, "occurredAt": "2026-01-15T09:00:00Z", "type": kind, "data": data}))
        .await;
}

async fn read(stack: &Arc<TestStack>, who: &Who, path: &str) -> Reply {
    call(stack, who.clone(), Method::GET, path, None).await
}

/// How many a list holds, and that there is no more.
async fn count(stack: &Arc<TestStack>, who: &Who, query: &str) -> usize {
    let list = read(stack, who, &format!("/api/notifications?{query}")).await.expect(200).json();
    assert_eq!(list["nextCursor"], Value::Null, "{query}");
    list["items"].as_array().unwrap().len()
}

/// A refusal, without what is of the one request alone.
fn said(reply: &Reply) -> Value {
    let mut said = reply.json();
    said["traceId"].take();
    said
}

testkit::stack_tests! { services = [notification::SERVICE];
    async fn a_clinician_sees_what_concerns_whom_they_treat_and_nothing_else(stack: Arc<TestStack>) {
        tell_care(&stack).await;
        let mine = send(&stack, "email", &about(MAIL, "12345")).await.expect(201);
        let other = send(&stack, "email", &about(MAIL, "67890")).await.expect(201);
        let nobodys = send(&stack, "email", MAIL).await.expect(201);
        let doctor = Who::clinician("prov001");
        let _ = read(&stack, &doctor, mine.header("location")).await.expect(200);
        let unknown = said(&read(&stack, &doctor, "/api/notifications/notif_unknown").await.expect(404));
        for hidden in [&other, &nobodys] {
            assert_eq!(said(&read(&stack, &doctor, hidden.header("location")).await.expect(404)), unknown);
        }
        for (query, seen) in [
            ("", 1), ("limit=1", 1), ("channel=Email", 1), ("channel=Sms", 0), ("status=Sent", 1), ("to=johndoe@example.com", 1),
            ("to=jane@example.com", 0), ("patientId=12345", 1), ("patientId=67890", 0), ("patientId=67890&to=johndoe@example.com", 0),
        ] {
            assert_eq!(count(&stack, &doctor, query).await, seen, "{query}");
        }
        for nobody in [Who::clinician("prov002"), Role::Clinician.into()] {
            assert_eq!(count(&stack, &nobody, "").await, 0);
            let _ = read(&stack, &nobody, mine.header("location")).await.expect(404);
        }
        for role in [Role::Admin, Role::Receptionist] {
            assert_eq!(count(&stack, &role.into(), "").await, 3);
        }
    }

    async fn nor_do_they_write_of_anybody_else(stack: Arc<TestStack>) {
        tell_care(&stack).await;
        let doctor = Who::clinician("prov001");
        let write = async |body: &str| call(&stack, doctor.clone(), Method::POST, "/api/notifications/email", Some(body)).await;
        let _ = write(MAIL).await.expect(201);
        let _ = write(&about(MAIL, "12345")).await.expect(201);
        assert_eq!(write(&about(MAIL, "67890")).await.expect(422).faults(), ["patientId"]);
    }

    async fn in_an_emergency_they_see_what_concerns_that_patient_until_it_is_over(stack: Arc<TestStack>) {
        let other = send(&stack, "sms", &about(SMS, "67890")).await.expect(201);
        let doctor = Who::clinician("prov001");
        glass(&stack, "evt_1", "glass.broken.v1", "2026-01-15T10:00:00Z").await;
        let _ = read(&stack, &doctor, other.header("location")).await.expect(200);
        assert_eq!(count(&stack, &doctor, "").await, 1);
        glass(&stack, "evt_2", "glass.shut.v1", "2026-01-15T09:00:00Z").await;
        let _ = read(&stack, &doctor, other.header("location")).await.expect(404);
        assert_eq!(count(&stack, &doctor, "").await, 0);
    }

    async fn of_an_erased_patient_nobody_is_kept_who_treats_them(stack: Arc<TestStack>) {
        tell_care(&stack).await;
        let erased = json!({"patientId": "12345"});
        tell(&stack, &json!({"id": "evt_1", "occurredAt": "2026-01-15T09:00:00Z", "type": "patient.erased.v1", "data": erased})).await;
        let db = stack.database(ServiceName::NotificationService).db();
        assert!(db::carers_of(&mut db.read().await.unwrap(), "12345", 5).await.unwrap().is_empty());
    }
}
