//! How and when somebody wishes to be written to.

use chrono::TimeDelta;
use serde_json::json;

use super::reminders::{STARTS, clinic, tell, told};
use super::*;

const THEIRS: &str = "/api/notifications/preferences/12345";
const PROVIDERS: &str = "/api/notifications/preferences/providers/prov001";

async fn put(stack: &Arc<TestStack>, who: impl Into<Who>, path: &str, body: &Value) -> Reply {
    call(stack, who, Method::PUT, path, Some(&body.to_string())).await
}

testkit::stack_tests! { services = [patient::SERVICE, provider::SERVICE, notification::SERVICE];
    async fn patients_keep_theirs_and_staff_keep_them_for_them(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let own = Who::patient("12345");
        let none = call(&stack, own.clone(), Method::GET, THEIRS, None).await.expect(200);
        assert_eq!(none.text, "{}");
        let wishes = json!({"language": "de", "quietHours": {"from": "21:00", "to": "07:00"}, "optOuts": [{"type": "marketing"}]});
        let _ = put(&stack, own.clone(), THEIRS, &wishes).await.expect(200);
        let _ = put(&stack, Role::Receptionist, THEIRS, &json!({"timeZone": "Europe/Berlin", "optOuts": null})).await.expect(200);
        let read = call(&stack, own.clone(), Method::GET, THEIRS, None).await.expect(200);
        assert_eq!(read.json(), json!({"language": "de", "timeZone": "Europe/Berlin", "quietHours": {"from": "21:00", "to": "07:00"}}));
        let stale = stack
            .request(ServiceName::NotificationService, Method::PUT, THEIRS)
            .bearer_auth(stack.token(own.clone()))
            .header("content-type", "application/json")
            .header("if-match", none.header("etag"))
            .body("{}");
        let _ = testkit::stack::send(stale).await.expect(412);
        assert_eq!(put(&stack, own.clone(), THEIRS, &json!({"language": "tlh"})).await.expect(422).faults(), ["language"]);
        let other = "/api/notifications/preferences/67890";
        for (who, path) in [(own.clone(), other), (own, PROVIDERS), (Who::clinician("prov001"), THEIRS), (Who::clinician("prov002"), PROVIDERS)] {
            let _ = call(&stack, who.clone(), Method::GET, path, None).await.expect(404);
            let _ = put(&stack, who, path, &json!({})).await.expect(404);
        }
        let _ = put(&stack, Role::Admin, other, &json!({})).await.expect(404);
        let _ = put(&stack, Who::clinician("prov001"), PROVIDERS, &json!({"channels": ["Sms"]})).await.expect(200);
    }

    async fn reminders_keep_to_them_and_are_planned_anew_when_they_change(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = tell(&stack, "booked", 1, STARTS).await;
        let wishes = json!({"language": "de", "channels": ["Sms", "Email"], "reminderLeadMinutes": [60, 2880]});
        let _ = put(&stack, Who::patient("12345"), THEIRS, &wishes).await.expect(200);
        let _ = put(&stack, Role::Admin, PROVIDERS, &json!({"reminderLeadMinutes": []})).await.expect(200);
        assert_eq!(told(&stack, "&status=Scheduled").await, [
            "reminder +1234567890 Scheduled 2026-01-18T09:00:00Z",
            "reminder +1234567890 Scheduled 2026-01-20T08:00:00Z",
        ]);
        let planned = listed(&stack, "status=Scheduled").await;
        let text = "Wir erinnern an Ihren Termin: Dienstag, 20. Januar 2026, 10:00 Uhr (Europe/Berlin), bei Dr. Jane Doe.";
        assert_eq!((&planned[0]["body"], planned[0].get("subject")), (&json!(text), None));
    }

    async fn what_cannot_be_planned_anew_is_not_wished_either(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = tell(&stack, "booked", 1, STARTS).await;
        let planned = told(&stack, "&status=Scheduled").await;
        // Nobody can say any more whom the patient meets.
        let db = stack.database(ServiceName::ProviderService).db();
        let mut tx = db.begin().await.unwrap();
        let away = "alter table provider rename to provider_away";
        db::on!(tx, |conn| sqlx::query(away).execute(conn).await.map(drop)).unwrap();
        tx.commit_unaudited().await.unwrap();
        let refused = put(&stack, Who::patient("12345"), THEIRS, &json!({"language": "de", "reminderLeadMinutes": [60]})).await;
        assert!(refused.status >= 500, "{}", refused.text);
        let read = call(&stack, Who::patient("12345"), Method::GET, THEIRS, None).await.expect(200);
        assert_eq!((&*read.text, told(&stack, "&status=Scheduled").await), ("{}", planned));
    }

    async fn what_happens_in_quiet_hours_is_told_when_they_end(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let quiet = json!({"quietHours": {"from": "08:00", "to": "12:00"}, "timeZone": "Europe/London"});
        let _ = put(&stack, Who::patient("12345"), THEIRS, &quiet).await.expect(200);
        let _ = tell(&stack, "booked", 1, STARTS).await;
        assert_eq!(told(&stack, "&to=johndoe@example.com").await, [
            "creation johndoe@example.com Scheduled 2026-01-15T12:00:00Z",
            "reminder johndoe@example.com Scheduled 2026-01-19T12:00:00Z",
            "reminder johndoe@example.com Scheduled 2026-01-20T07:00:00Z",
        ]);
    }

    async fn whom_nothing_is_wished_by_is_not_written_to_unless_it_is_critical(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = put(&stack, Who::patient("12345"), THEIRS, &json!({"optOuts": [{"channel": "Sms"}, {"type": "billing"}]})).await.expect(200);
        let with = |body: &str, more: &str| body.replacen('{', &format!("{{{more},"), 1);
        for (channel, body) in [
            ("sms", SMS.to_owned()), ("sms", about(SMS, "12345")), ("email", with(MAIL, r#""type": "billing""#)),
        ] {
            let refused = send(&stack, channel, &body).await.expect(409);
            assert_eq!(refused.json()["code"], "opted-out");
        }
        // The number is another patient's too, who wishes it.
        let _ = send(&stack, "sms", &about(SMS, "67890")).await.expect(201);
        let _ = send(&stack, "email", MAIL).await.expect(201);
        // They have another number since, as is learned when they are written to.
        let moved = r#"{"contactInfo": {"phone": "+4930123456"}}"#;
        let _ = stack.call(ServiceName::PatientService, Role::Admin, Method::PUT, "/api/patients/12345", Some(moved)).await.expect(200);
        let _ = tell(&stack, "booked", 1, STARTS).await;
        let _ = send(&stack, "sms", &SMS.replace("+1234567890", "+4930123456")).await.expect(409);
        let critical = send(&stack, "sms", &with(SMS, r#""critical": true"#)).await.expect(201);
        assert_eq!(get(&stack, critical.header("location")).await.json()["critical"], true);
        let security = send(&stack, "sms", &with(SMS, r#""type": "security""#)).await.expect(201);
        let read = get(&stack, security.header("location")).await.json();
        assert_eq!((&read["type"], &read["critical"]), (&json!("security"), &json!(true)));
        assert_eq!(listed(&stack, "type=message").await.len(), 3);
    }

    async fn opted_out_meanwhile_a_planned_reminder_is_not_sent(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = tell(&stack, "booked", 1, STARTS).await;
        let _ = put(&stack, Role::Admin, PROVIDERS, &json!({"optOuts": [{"type": "reminder"}]})).await.expect(200);
        assert_eq!(told(&stack, "&status=Scheduled").await.len(), 2);
        stack.clock.advance(TimeDelta::days(4));
        super::reminders::until_told(&stack, "&type=reminder&status=Sent", &["reminder johndoe@example.com Sent 2026-01-19T09:00:00Z"]).await;
    }

    async fn with_the_patient_their_wishes_go_and_no_file_holds_them(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = put(&stack, Who::patient("12345"), THEIRS, &json!({"timeZone": "Pacific/Chatham"})).await.expect(200);
        stack.database(ServiceName::NotificationService).no_file_holds(&["chatham", "johndoe"]);
        let event = r#"{"id": "evt_1", "occurredAt": "2026-01-15T08:00:00Z", "type": "patient.erased.v1", "data": {"patientId": "12345"}}"#;
        let _ = call(&stack, Role::Service, Method::POST, "/internal/events", Some(event)).await.expect(200);
        let _ = call(&stack, Role::Admin, Method::GET, THEIRS, None).await.expect(404);
        let _ = put(&stack, Role::Admin, THEIRS, &json!({})).await.expect(404);
    }
}
