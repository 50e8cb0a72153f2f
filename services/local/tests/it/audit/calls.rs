//! A call of every operation of every service, and what their answers give to the ones that follow.

use std::collections::BTreeMap;

use contracts::endpoint::{Access, Operation};
use contracts::operations;
use contracts::permission::Role;
use db::{AuditFilter, FoundEntry, audit_find};
use reqwest::Method;
use settings::ServiceName;
use testkit::stack::{Who, send};
use testkit::{Reply, TestStack};

const CREDENTIALS: &str = "/api/providers/prov001/credentials";
const VERIFICATION: &str = "/internal/audit/verification";

/// A call of each operation, in an order in which each can be answered.
pub(crate) fn calls() -> Vec<Called> {
    let mut calls = of_patients();
    calls.extend(of_appointments_and_bills());
    calls.extend(of_records_and_notifications());
    calls.extend(of_users_and_among_services());
    calls.extend(of_sessions_and_roles());
    calls.extend(of_second_factors());
    calls.extend(of_identity_providers());
    calls.extend([
        call("cancel_appointment", "/api/appointments/{id}", "", true, 200),
        call("delete_bill", "/api/bills/bill789", "", true, 200),
        call("delete_record", "/api/records/rec001", "", true, 200),
        call("delete_patient", "/api/patients/12345", "", true, 200),
        call("remove_provider", "/api/providers/prov001", "", false, 200),
        call("delete_user", "/api/auth/users/{id}", "", false, 200),
    ]);
    calls
}

/// A call; whether it is about the patient, and its status.
fn call(id: &str, path: &str, body: &str, about: bool, status: u16) -> Called {
    Called {
        operation: operations().find(|operation| operation.id == id).unwrap(),
        path: path.to_owned(),
        body: (!body.is_empty()).then(|| body.to_owned()),
        about,
        status,
    }
}

fn of_patients() -> Vec<Called> {
    let john = r#"{"patientId": "12345", "name": "John Doe", "dob": "1980-01-01", "contactInfo": {"phone": "+1234567890"}}"#;
    let excluded = r#"{"edition": "2026-01-10", "part": 1, "parts": 1, "csv": "COLUMNS\n"}"#.replace(
        "COLUMNS",
        "LASTNAME,FIRSTNAME,MIDNAME,BUSNAME,SPECIALTY,NPI,DOB,STATE,EXCLTYPE,EXCLDATE,REINDATE",
    );
    let review = r#"{"exclusionId": "none", "decision": "Dismissed", "note": "Somebody else."}"#;
    let seen = r#"{"method": "manual", "evidence": "Certificate seen."}"#;
    let consent = r#"{"who": {"role": "billing"}, "what": ["records"]}"#;
    let provider = r#"{"providerId": "prov001", "name": "Dr. Jane Doe", "specialization": "Cardiology",
        "contactInfo": {"phone": "+1234567890", "email": "janedoe@example.com"},
        "availability": [{"day": "Monday", "slots": ["09:00-12:00"]}]}"#;
    vec![
        call("add_provider", "/api/providers", provider, false, 201),
        call("list_providers", "/api/providers", "", false, 200),
        call("provider_by_id", "/api/providers/prov001", "", false, 200),
        call("update_provider", "/api/providers/prov001", r#"{"name": "Dr. Doe"}"#, false, 200),
        call(
            "take_time_off",
            "/api/providers/prov001/time-off",
            r#"{"from": "2030-01-01", "to": "2030-01-02"}"#,
            false,
            201,
        ),
        call("list_time_off", "/api/providers/prov001/time-off", "", false, 200),
        call("give_time_off_back", "/api/providers/prov001/time-off/{id}", "", false, 200),
        call("schedule_of_provider", "/internal/schedules/prov001", "", false, 200),
        call("schedules_of_providers", "/internal/schedules", "", false, 200),
        call("add_credential", CREDENTIALS, r#"{"kind": "license", "number": "MD-1234"}"#, false, 201),
        call("list_credentials", CREDENTIALS, "", false, 200),
        call("credential_by_id", "/api/providers/prov001/credentials/{id}", "", false, 200),
        call(
            "update_credential",
            "/api/providers/prov001/credentials/{id}",
            r#"{"state": "NY"}"#,
            false,
            200,
        ),
        call("verify_credential", "/api/providers/prov001/credentials/{id}/verify", seen, false, 200),
        call(
            "revoke_credential",
            "/api/providers/prov001/credentials/{id}/revoke",
            r#"{"reason": "By the board."}"#,
            false,
            200,
        ),
        call("delete_credential", "/api/providers/prov001/credentials/{id}", "", false, 200),
        call("compliance_report", "/api/providers/compliance", "", false, 200),
        call("compliance_file", "/api/providers/compliance/csv", "", false, 200),
        call("put_exclusions", "/api/providers/exclusions", &excluded, false, 200),
        call("list_exclusions", "/api/providers/exclusions", "", false, 200),
        call("list_exclusion_matches", "/api/providers/exclusions/matches", "", false, 200),
        call("review_exclusion", "/api/providers/prov001/exclusion-review", review, false, 422),
        call("register_patient", "/api/patients", john, true, 201),
        call("list_patients", "/api/patients?name=John", "", true, 200),
        call("patient_by_id", "/api/patients/12345", "", true, 200),
        call("update_patient", "/api/patients/12345", r#"{"name": "John Roe"}"#, true, 200),
        call("export_patient", "/api/patients/12345/export", "", true, 200),
        // They are not deleted.
        call("patient_erasure", "/api/patients/12345/erasure", "", true, 404),
        // Neither is anything kept of them.
        call("retained_of_patient", "/api/patients/12345/retained", "", true, 200),
        call("run_retention", "/api/admin/retention", r#"{"dryRun": true}"#, false, 200),
        call("place_hold", "/api/patients/12345/hold", r#"{"reason": "Doe v. Clinic"}"#, true, 200),
        call("hold_of_patient", "/api/patients/12345/hold", "", true, 200),
        call("lift_hold", "/api/patients/12345/hold", "", true, 200),
        call("join_care_team", "/api/patients/12345/care-team/prov001", "{}", true, 200),
        call("list_care_team", "/api/patients/12345/care-team", "", true, 200),
        call("leave_care_team", "/api/patients/12345/care-team/prov001", "", true, 200),
        call("record_consent", "/api/patients/12345/consents", consent, true, 201),
        call("list_consents", "/api/patients/12345/consents", "", true, 200),
        call("denials_of_patient", "/internal/consents/12345", "", true, 200),
        call("contact_of_patient", "/internal/contacts/12345", "", true, 200),
        call("withdraw_consent", "/api/patients/12345/consents/{id}", "", true, 200),
    ]
}

fn of_appointments_and_bills() -> Vec<Called> {
    let referral = r#"{"patientId": "12345", "fromProviderId": "prov001", "specialization": "Cardiology", "reason": "Murmur."}"#;
    let bill = r#"{"billId": "bill789", "patientId": "12345", "totalAmount": 50.0, "status": "Issued",
        "services": [{"serviceId": "srv001", "description": "Consultation", "amount": 50.0}]}"#;
    let bill_changed = r#"{"services": [{"serviceId": "srv001", "description": "Consultation", "amount": 120.0}], "totalAmount": 120.0}"#;
    let appointment = r#"{"patientId": "12345", "providerId": "prov001", "appointmentDate": "2024-08-01",
        "timeSlot": "10:00", "status": "Scheduled"}"#;
    let away = r#"{"providerId": "prov001", "from": "2030-01-07", "to": "2030-01-07", "dryRun": true}"#;
    let waits =
        r#"{"patientId": "12345", "specialization": "Neurology", "from": "2030-01-07", "to": "2030-01-14"}"#;
    let series = r#"{"patientId": "12345", "providerId": "prov001", "appointmentDate": "2030-01-07", "timeSlot": "09:00",
        "rrule": "FREQ=WEEKLY;COUNT=2"}"#;
    let held = r#"{"patientId": "12345", "providerId": "prov001", "appointmentDate": "2030-01-07", "timeSlot": "10:00"}"#;
    vec![
        call("create_feed", "/api/appointments/feeds", r#"{"patientId": "12345"}"#, true, 201),
        call("list_feeds", "/api/appointments/feeds?patientId=12345", "", true, 200),
        // Whoever does not have the secret is told nothing.
        call(
            "feed_calendar",
            "/api/appointments/feeds/{id}/abcdefghijklmnopqrstuvwxyz234567.ics",
            "",
            false,
            404,
        ),
        call("revoke_feed", "/api/appointments/feeds/{id}", "", true, 200),
        call("create_referral", "/api/referrals", referral, true, 201),
        call("list_referrals", "/api/referrals?patientId=12345", "", true, 200),
        call("referral_by_id", "/api/referrals/{id}", "", true, 200),
        call("accept_referral", "/api/referrals/{id}/accept", r#"{"providerId": "prov001"}"#, true, 200),
        call("decline_referral", "/api/referrals/{id}/decline", r#"{"reason": "No room."}"#, true, 200),
        // There is nothing left to be withdrawn.
        call(
            "withdraw_referral",
            "/api/referrals/{id}/withdraw",
            r#"{"reason": "Seen elsewhere."}"#,
            true,
            409,
        ),
        call("hold_slot", "/api/appointments/holds", held, true, 201),
        call("list_slot_holds", "/api/appointments/holds", "", true, 200),
        call("release_slot", "/api/appointments/holds/{id}", "", false, 200),
        call("reschedule_all", "/api/appointments/reschedule", away, false, 200),
        call(
            "appointment_statistics",
            "/api/appointments/statistics?from=2030-01-01&to=2030-01-31",
            "",
            false,
            200,
        ),
        call("provider_report", "/api/providers/prov001/report", "", false, 200),
        call("provider_reports", "/api/providers/reports?by=specialization", "", false, 200),
        call("join_waitlist", "/api/appointments/waitlist", waits, true, 201),
        call("list_waitlist", "/api/appointments/waitlist?patientId=12345", "", true, 200),
        // Nothing is offered.
        call("accept_offer", "/api/appointments/waitlist/{id}/accept", "", true, 409),
        call("decline_offer", "/api/appointments/waitlist/{id}/decline", "", true, 409),
        call("leave_waitlist", "/api/appointments/waitlist/{id}", "", true, 200),
        call("book_series", "/api/appointments/series", series, true, 201),
        call("series_by_id", "/api/appointments/series/{id}", "", true, 200),
        call(
            "update_series",
            "/api/appointments/series/{id}",
            r#"{"scope": "all", "timeSlot": "10:30"}"#,
            true,
            200,
        ),
        call("cancel_series", "/api/appointments/series/{id}", "", true, 200),
        call("book_appointment", "/api/appointments", appointment, true, 201),
        call("list_appointments", "/api/appointments?patientId=12345", "", true, 200),
        call("appointment_by_id", "/api/appointments/{id}", "", true, 200),
        call("update_appointment", "/api/appointments/{id}", r#"{"timeSlot": "11:00"}"#, true, 200),
        call("appointment_history", "/api/appointments/{id}/history", "", true, 200),
        call("list_outside_calendars", "/api/appointments/calendars", "", false, 200),
        // Without the token.
        call("outside_calendar_changed", "/api/appointments/calendars/google/watch_1", "", false, 404),
        call("provider_slots", "/api/providers/prov001/slots", "", false, 200),
        call("next_slots", "/api/slots", "", false, 200),
        call("availability_events", "/api/providers/prov001/availability/events?seconds=0", "", false, 200),
        // None are taken: the resource names none.
        call(
            "create_webhook",
            "/api/providers/prov001/availability/webhooks",
            r#"{"url": "https://a.example/x"}"#,
            false,
            422,
        ),
        call("list_webhooks", "/api/providers/prov001/availability/webhooks", "", false, 200),
        call("delete_webhook", "/api/providers/prov001/availability/webhooks/hook_1", "", false, 404),
        // It is in none.
        call("list_conflicts", "/api/appointments/conflicts", "", false, 200),
        call("resolve_conflict", "/api/appointments/{id}/conflict", r#"{"resolution": "keep"}"#, true, 409),
        call("create_bill", "/api/bills", bill, true, 201),
        call("list_bills", "/api/bills", "", true, 200),
        call("bill_by_id", "/api/bills/bill789", "", true, 200),
        call("update_bill", "/api/bills/bill789", bill_changed, true, 200),
    ]
}

const PREFERENCES: &str = "/api/notifications/preferences/12345";
const PREFERENCES_OF_PROVIDER: &str = "/api/notifications/preferences/providers/prov001";
const TEMPLATE: &str = "/api/notifications/templates/reminder/en";

fn of_records_and_notifications() -> Vec<Called> {
    let record = r#"{"recordId": "rec001", "patientId": "12345", "date": "2024-08-01", "diagnosis": "Flu",
        "treatment": "Rest", "prescriptions": ["Tylenol"]}"#;
    let amendment = r#"{"text": "The left hand.", "reason": "It was mistyped."}"#;
    let emergency = r#"{"patientId": "12345", "reason": "Unconscious in the emergency room."}"#;
    let email = r#"{"to": "johndoe@example.com", "subject": "Hello", "body": "Come.", "patientId": "12345"}"#;
    vec![
        call("create_record", "/api/records", record, true, 201),
        call("list_records", "/api/records", "", true, 200),
        call("get_record_by_id", "/api/records/rec001", "", true, 200),
        call("update_record", "/api/records/rec001", r#"{"treatment": "More rest"}"#, true, 200),
        call("request_amendment", "/api/records/rec001/amendments", amendment, true, 201),
        call("amendments_of_record", "/api/records/rec001/amendments", "", true, 200),
        call("list_amendments", "/api/records/amendments", "", true, 200),
        call(
            "decide_amendment",
            "/api/records/rec001/amendments/{id}/decision",
            r#"{"decision": "Denied", "reason": "So says the X-ray."}"#,
            true,
            200,
        ),
        call(
            "disagree_with_denial",
            "/api/records/rec001/amendments/{id}/disagreement",
            r#"{"text": "It was the left one."}"#,
            true,
            200,
        ),
        call("break_glass", "/api/records/break-glass", emergency, true, 201),
        call("list_break_glass", "/api/records/break-glass", "", true, 200),
        // Nobody reviews what they opened themselves.
        call(
            "review_break_glass",
            "/api/records/break-glass/{id}/review",
            r#"{"finding": "Justified"}"#,
            true,
            403,
        ),
        call("send_email", "/api/notifications/email", email, true, 201),
        call(
            "send_sms",
            "/api/notifications/sms",
            r#"{"to": "+1234567890", "message": "Come."}"#,
            false,
            201,
        ),
        call(
            "send_push",
            "/api/notifications/push",
            r#"{"to": "token1", "title": "Hello", "message": "Come."}"#,
            false,
            201,
        ),
        call("list_notifications", "/api/notifications?patientId=12345", "", true, 200),
        call("notification_by_id", "/api/notifications/{id}", "", false, 200),
        call("update_preferences_of_patient", PREFERENCES, r#"{"language": "de"}"#, true, 200),
        call("preferences_of_patient", PREFERENCES, "", true, 200),
        call("update_preferences_of_provider", PREFERENCES_OF_PROVIDER, r#"{"language": "de"}"#, false, 200),
        call("preferences_of_provider", PREFERENCES_OF_PROVIDER, "", false, 200),
        call("list_templates", "/api/notifications/templates", "", false, 200),
        call("replace_template", TEMPLATE, r#"{"subject": "Hello", "text": "Come."}"#, false, 200),
        call("template_by_type", TEMPLATE, "", false, 200),
        call(
            "preview_template",
            "/api/notifications/templates/reminder/en/preview",
            r#"{"subject": "Hello", "text": "Come."}"#,
            false,
            200,
        ),
        call("delete_template", TEMPLATE, "", false, 200),
        // There is nothing that would take it.
        call("replay_notification", "/api/notifications/{id}/replay", "{}", false, 409),
        call("notification_statistics", "/api/notifications/statistics", "", false, 200),
        call(
            "register_device",
            "/api/notifications/devices",
            r#"{"token": "token1", "patientId": "12345"}"#,
            true,
            201,
        ),
        call("list_devices", "/api/notifications/devices?patientId=12345", "", true, 200),
        call("remove_device", "/api/notifications/devices/dev_none", "", false, 404),
        call("list_suppressions", "/api/notifications/suppressions", "", false, 200),
        call("lift_suppression", "/api/notifications/suppressions/supp_none", "", false, 404),
        // Nobody has signed it.
        call("sms_status", "/api/notifications/callbacks/sms", "MessageStatus=delivered", false, 404),
        call("sms_inbound", "/api/notifications/callbacks/sms/inbound", "Body=STOP", false, 404),
        // Nobody has brought the mail server's token.
        call("mail_report", "/api/notifications/callbacks/mail", "Subject: failed", false, 404),
        // Nobody has signed this.
        call("follow_link", "/api/notifications/links/notif_1.BwcHBwcHBwcHBwcHBwcHBw/0", "", false, 404),
        call(
            "unsubscribe_page",
            "/api/notifications/unsubscribe/notif_1.BwcHBwcHBwcHBwcHBwcHBw",
            "",
            false,
            404,
        ),
        call("unsubscribe", "/api/notifications/unsubscribe/notif_1.BwcHBwcHBwcHBwcHBwcHBw", "", false, 404),
        call("confirm_page", "/api/notifications/confirm/notif_1.BwcHBwcHBwcHBwcHBwcHBw", "", false, 404),
        call("confirm_by_link", "/api/notifications/confirm/notif_1.BwcHBwcHBwcHBwcHBwcHBw", "", false, 404),
        call("cancel_page", "/api/notifications/cancel/notif_1.BwcHBwcHBwcHBwcHBwcHBw", "", false, 404),
        call("cancel_by_link", "/api/notifications/cancel/notif_1.BwcHBwcHBwcHBwcHBwcHBw", "", false, 404),
    ]
}

fn of_users_and_among_services() -> Vec<Called> {
    let erased =
        r#""occurredAt": "2026-01-15T08:00:00Z", "type": "patient.erased.v1", "data": {"patientId": "999"}"#;
    let event = format!(r#"{{"id": "evt_1", {erased}}}"#);
    let user = r#"{"username": "jane.roe", "password": "a long enough pass phrase", "roles": ["clinician"]}"#;
    let password =
        r#"{"currentPassword": "correct horse battery", "newPassword": "another long pass phrase"}"#;
    let login = r#"{"username": "admin", "password": "correct horse battery staple"}"#;
    vec![
        call("login", "/api/auth/login", login, false, 200),
        call("refresh", "/api/auth/refresh", r#"{"refreshToken": "{refresh}"}"#, false, 200),
        call("logout", "/api/auth/logout", r#"{"token": "{access}"}"#, false, 200),
        call("me", "/api/auth/me", "", false, 200),
        call("change_password", "/api/auth/me/password", password, false, 404),
        call("create_user", "/api/auth/users", user, false, 201),
        call("list_users", "/api/auth/users", "", false, 200),
        call("user_by_id", "/api/auth/users/{id}", "", false, 200),
        call("update_user", "/api/auth/users/{id}", r#"{"roles": ["receptionist"]}"#, false, 200),
        call(
            "set_password",
            "/api/auth/users/{id}/password",
            r#"{"newPassword": "yet another pass phrase"}"#,
            false,
            200,
        ),
        call("list_audit", "/api/audit?limit=5", "", false, 200),
        call("patient_accesses", "/api/patients/12345/accesses", "", true, 200),
        call("audit_of_auth", "/internal/audit?limit=5", "", false, 200),
        call("audit_of_patients", "/internal/audit?limit=5", "", false, 200),
        call("audit_of_providers", "/internal/audit?limit=5", "", false, 200),
        call("audit_of_appointments", "/internal/audit?limit=5", "", false, 200),
        call("audit_of_billing", "/internal/audit?limit=5", "", false, 200),
        call("audit_of_records", "/internal/audit?limit=5", "", false, 200),
        call("audit_of_notifications", "/internal/audit?limit=5", "", false, 200),
        call("stack_keys", "/api/admin/keys", "", false, 200),
        call("keys_of_auth", "/internal/keys", "", false, 200),
        call("keys_of_patients", "/internal/keys", "", false, 200),
        call("keys_of_providers", "/internal/keys", "", false, 200),
        call("keys_of_appointments", "/internal/keys", "", false, 200),
        call("keys_of_bills", "/internal/keys", "", false, 200),
        call("keys_of_records", "/internal/keys", "", false, 200),
        call("keys_of_notifications", "/internal/keys", "", false, 200),
        call("verify_audit", "/api/audit/verification", "", false, 200),
        call("verify_audit_of_auth", VERIFICATION, "", false, 200),
        call("verify_audit_of_patients", VERIFICATION, "", false, 200),
        call("verify_audit_of_providers", VERIFICATION, "", false, 200),
        call("verify_audit_of_appointments", VERIFICATION, "", false, 200),
        call("verify_audit_of_billing", VERIFICATION, "", false, 200),
        call("verify_audit_of_records", VERIFICATION, "", false, 200),
        call("verify_audit_of_notifications", VERIFICATION, "", false, 200),
        call("export_of_auth", "/internal/export/12345", "", true, 200),
        call("export_of_appointments", "/internal/export/12345", "", true, 200),
        call("export_of_billing", "/internal/export/12345", "", true, 200),
        call("export_of_records", "/internal/export/12345", "", true, 200),
        call("export_of_notifications", "/internal/export/12345", "", true, 200),
        call("erasure_of_auth", "/internal/erasure/12345", "", true, 200),
        call("erasure_of_appointments", "/internal/erasure/12345", "", true, 200),
        call("erasure_of_billing", "/internal/erasure/12345", "", true, 200),
        call("erasure_of_records", "/internal/erasure/12345", "", true, 200),
        call("erasure_of_notifications", "/internal/erasure/12345", "", true, 200),
        call("retained_by_appointments", "/internal/retained/12345", "", true, 200),
        call("carry_retention_of_appointments", "/internal/retention", r#"{"dryRun": true}"#, false, 200),
        call("retained_by_billing", "/internal/retained/12345", "", true, 200),
        call("carry_retention_of_billing", "/internal/retention", r#"{"dryRun": true}"#, false, 200),
        call("retained_by_records", "/internal/retained/12345", "", true, 200),
        call("carry_retention_of_records", "/internal/retention", r#"{"dryRun": true}"#, false, 200),
        call("retained_by_notifications", "/internal/retained/12345", "", true, 200),
        call("carry_retention_of_notifications", "/internal/retention", r#"{"dryRun": true}"#, false, 200),
        call("list_roles", "/api/auth/roles", "", false, 200),
        call("jwks", "/.well-known/jwks.json", "", false, 200),
        call("revocations", "/internal/revocations", "", false, 200),
        call("deliver_to_auth", "/internal/events", &event, false, 200),
        call("deliver_to_appointments", "/internal/events", &event, false, 200),
        call(
            "take_answer",
            "/internal/appointments/apt_none/answer",
            r#"{"patientId": "12345", "providerId": "prov001", "startsAt": "2026-01-20T09:00:00Z", "word": "confirm"}"#,
            true,
            404,
        ),
        // It subscribes to nothing of that kind.
        call("deliver_to_patients", "/internal/events", &event, false, 200),
        call("deliver_to_billing", "/internal/events", &event, false, 200),
        call("deliver_to_records", "/internal/events", &event, false, 200),
        call("deliver_to_notifications", "/internal/events", &event, false, 200),
    ]
}

fn of_sessions_and_roles() -> Vec<Called> {
    let lab = r#"{"role": "lab", "permissions": ["records:read"]}"#;
    vec![
        call("introspect_token", "/api/auth/introspect", "token={access}", false, 200),
        call("list_sessions", "/api/auth/sessions", "", false, 200),
        call("list_user_sessions", "/api/auth/users/{id}/sessions", "", false, 200),
        call("create_role", "/api/auth/roles", lab, false, 201),
        call("role_by_name", "/api/auth/roles/lab", "", false, 200),
        call("update_role", "/api/auth/roles/lab", r#"{"permissions": ["bills:read"]}"#, false, 200),
        call("delete_role", "/api/auth/roles/lab", "", false, 200),
        call("revoke_session", "/api/auth/sessions/ses_1", "", false, 404),
        call("revoke_sessions", "/api/auth/sessions", "", false, 200),
        call("revoke_user_session", "/api/auth/users/{id}/sessions/ses_1", "", false, 404),
        call("revoke_user_sessions", "/api/auth/users/{id}/sessions", "", false, 200),
        call("revoke_token", "/api/auth/revoke", "token={access}", false, 200),
    ]
}

/// Whoever calls is no user whom this service knows: nothing is there for them.
fn of_second_factors() -> Vec<Called> {
    let (shown, code) = (r#"{"currentPassword": "correct horse battery"}"#, r#"{"code": "123456"}"#);
    vec![
        call("second_factor", "/api/auth/me/second-factor", "", false, 404),
        call("offer_second_factor", "/api/auth/me/second-factor", shown, false, 404),
        call("confirm_second_factor", "/api/auth/me/second-factor/confirm", code, false, 404),
        call("remove_second_factor", "/api/auth/me/second-factor/remove", shown, false, 404),
        call("user_second_factor", "/api/auth/users/{id}/second-factor", "", false, 200),
        call("reset_second_factor", "/api/auth/users/{id}/second-factor", "", false, 200),
    ]
}

/// This stack names none.
fn of_identity_providers() -> Vec<Called> {
    let (back, code) = (r#"{"flow": "a", "code": "b", "state": "c"}"#, r#"{"flow": "a", "code": "123456"}"#);
    vec![
        call("identity_providers", "/api/auth/oidc", "", false, 200),
        call("start_oidc", "/api/auth/oidc/staff/start", "{}", false, 404),
        call("finish_oidc", "/api/auth/oidc/staff/finish", back, false, 404),
        call("finish_oidc_with_code", "/api/auth/oidc/staff/second-factor", code, false, 404),
    ]
}

pub(crate) struct Called {
    pub(crate) operation: &'static Operation,
    pub(super) path: String,
    pub(super) body: Option<String>,
    /// Whether it is about the patient.
    pub(super) about: bool,
    pub(super) status: u16,
}

/// What earlier answers gave: ids by service, and tokens.
#[derive(Default)]
pub(crate) struct Known {
    pub(super) ids: BTreeMap<ServiceName, String>,
    pub(super) access: String,
    pub(super) refresh: String,
}

impl Called {
    pub(super) fn service(&self) -> ServiceName {
        self.operation.service.unwrap()
    }

    /// Who it is called as: the audit tells them from the services that call by themselves.
    pub(super) fn who(&self) -> Who {
        let role = if self.operation.is_internal() { Role::Service } else { Role::Admin };
        Who { user: "usr_caller".to_owned(), ..Who::from(role) }
    }

    pub(crate) async fn send(&self, stack: &TestStack, known: &Known) -> Reply {
        let id = known.ids.get(&self.service()).map_or("nothing", String::as_str);
        let method = Method::from_bytes(self.operation.method.as_str().as_bytes()).unwrap();
        let mut request = stack.request(self.service(), method, &self.path.replace("{id}", id));
        if self.operation.access != Access::Public {
            request = request.bearer_auth(stack.token(self.who()));
        }
        if let Some(body) = &self.body {
            let body = body.replace("{access}", &known.access).replace("{refresh}", &known.refresh);
            request = request.header("content-type", self.operation.encoding.media_type()).body(body);
        }
        send(request).await
    }

    /// Its entries. A delivery has the relay's too.
    pub(super) async fn entries(&self, stack: &TestStack) -> Vec<FoundEntry> {
        let who = self.operation.is_internal().then(|| "usr_caller".to_owned());
        let operation = Some(self.operation.id.to_owned());
        let filter = AuditFilter { operation, who, limit: 1_000, ..AuditFilter::default() };
        audit_find(stack.database(self.service()).db(), &filter).await.unwrap()
    }
}

impl Known {
    pub(crate) fn learn(&mut self, call: &Called, reply: &Reply) {
        let json = reply.json();
        let text = |member: &str| json[member].as_str().map(str::to_owned);
        for member in [
            "appointmentId",
            "feedId",
            "holdId",
            "seriesId",
            "waitlistId",
            "notificationId",
            "userId",
            "grantId",
            "consentId",
            "amendmentId",
            "timeOffId",
            "credentialId",
            "referralId",
        ] {
            if call.operation.method == contracts::endpoint::Method::Post
                && let Some(id) = text(member)
            {
                self.ids.insert(call.service(), id);
            }
        }
        self.access = text("token").unwrap_or_else(|| std::mem::take(&mut self.access));
        self.refresh = text("refreshToken").unwrap_or_else(|| std::mem::take(&mut self.refresh));
    }
}
