//! A word that is found nowhere else in every text of every documented body, and then it is looked for: in SQLite's files, in a dump of every
//! schema of PostgreSQL and in that server's own files, while events wait for a subscriber that is not there, and after they were given up.

mod plant;

use std::collections::BTreeSet;
use std::sync::Arc;

use auth::domain::totp::Totp;
use chrono::TimeDelta;
use contracts::endpoint::{Encoding, Operation};
use contracts::permission::Role;
use data_encoding::BASE32_NOPAD;
use http_kit::Service;
use reqwest::Method;
use serde_json::{Value, json};
use settings::ServiceName;
use testkit::contents::{held, server_files};
use testkit::stack::send;
use testkit::{Reply, TestStack};

use plant::{Planter, free_texts};

const ALL: [Service; 7] = [
    patient::SERVICE,
    provider::SERVICE,
    appointment::SERVICE,
    billing::SERVICE,
    records::SERVICE,
    notification::SERVICE,
    auth::SERVICE,
];

const PATIENT: &str = "pat-canary";
const PROVIDER: &str = "prov-canary";
/// The first administrator's.
const ADMIN_PASSWORD: &str = "correct horse battery staple";

fn operation(id: &str) -> &'static Operation {
    contracts::operations().find(|operation| operation.id == id).unwrap_or_else(|| panic!("no {id}"))
}

struct Scene {
    stack: Arc<TestStack>,
    planter: Planter,
    /// The fields of which operations were planted.
    carried_out: BTreeSet<&'static str>,
}

impl Scene {
    /// Carries out an operation with a planted body, to which is added what has to fit.
    async fn plant(&mut self, id: &'static str, path: &str, fits: Value) -> Reply {
        let operation = operation(id);
        let mut body = self.planter.body(operation);
        merge(&mut body, &fits);
        self.carried_out.insert(id);
        self.call(operation, path, &body).await
    }

    async fn call(&self, operation: &Operation, path: &str, body: &Value) -> Reply {
        let token = self.stack.token(Role::Admin);
        self.send(&token, operation, path, body).await
    }

    /// Carries out an operation as the user of a token.
    async fn call_as(&mut self, token: &str, id: &'static str, path: &str, body: &Value) -> Reply {
        self.carried_out.insert(id);
        self.send(token, operation(id), path, body).await
    }

    async fn send(&self, token: &str, operation: &Operation, path: &str, body: &Value) -> Reply {
        let service = operation.service.expect("a service's");
        let method = Method::from_bytes(operation.method.as_str().as_bytes()).unwrap();
        let request = self.stack.request(service, method, path).bearer_auth(token);
        // Answers that are kept for a repeated request are looked through as well.
        let key = format!("canary-{}", self.carried_out.len());
        let request = request.header("idempotency-key", key);
        let reply = send(match operation.encoding {
            Encoding::Form => request.form(body),
            Encoding::Mail => unreachable!("no mail is planted so"),
            Encoding::Json if body.is_null() => request,
            Encoding::Json => request.header("content-type", "application/json").body(body.to_string()),
        })
        .await;
        assert!((200..300).contains(&reply.status), "{}: {} {body}", operation.id, reply.text);
        reply
    }

    /// Nobody who has the databases has one of the words.
    async fn nothing_is_readable(&self, services: &[Service]) {
        for service in services {
            let contents = self.stack.database(service.name).contents();
            // An id stands in the clear: whoever does not find one has not looked.
            self.look_through(contents, service.name == ServiceName::PatientService);
        }
        if self.stack.database(services[0].name).db().engine() == db::Engine::Postgres {
            self.look_through(server_files().await, true);
        }
    }

    fn look_through(&self, contents: Vec<(String, Vec<u8>)>, has_the_patient: bool) {
        let words = self.planter.words();
        let (mut found, mut is_looked_through) = (Vec::new(), false);
        for (place, content) in contents {
            found.extend(held(&content, &words).into_iter().map(|word| format!("{word} in {place}")));
            is_looked_through |= !held(&content, &[PATIENT]).is_empty();
        }
        assert!(found.is_empty(), "{found:#?}");
        assert!(is_looked_through || !has_the_patient, "there is not even an id");
    }
}

/// Puts members where they belong, within lists too.
fn merge(body: &mut Value, fits: &Value) {
    match (body, fits) {
        (Value::Object(body), Value::Object(fits)) => {
            for (name, value) in fits {
                merge(body.entry(name).or_insert(Value::Null), value);
            }
        }
        (Value::Array(body), Value::Array(fits)) if body.len() == fits.len() => {
            body.iter_mut().zip(fits).for_each(|(body, fits)| merge(body, fits));
        }
        (body, fits) => *body = fits.clone(),
    }
}

async fn people(scene: &mut Scene) {
    let _ = scene.plant("register_patient", "/api/patients", json!({"patientId": PATIENT})).await;
    let _ = scene.plant("update_patient", &format!("/api/patients/{PATIENT}"), json!({})).await;
    let monday = json!({
        "availability": [{"day": "Monday", "locationId": "here"}], "locations": [{"locationId": "here"}],
        "visitTypes": [{"durationMinutes": 30}], "overrides": [{"date": "2026-03-02"}],
    });
    let mut provider = monday.clone();
    provider["providerId"] = PROVIDER.into();
    let _ = scene.plant("add_provider", "/api/providers", provider).await;
    let _ = scene.plant("update_provider", &format!("/api/providers/{PROVIDER}"), monday).await;
    credentials(scene).await;
    let _ = scene.plant("place_hold", &format!("/api/patients/{PATIENT}/hold"), json!({})).await;
    let team = format!("/api/patients/{PATIENT}/care-team/{PROVIDER}");
    let _ = scene.plant("join_care_team", &team, json!({})).await;
    consents(scene).await;
}

/// One that is renewed and verified; what was revoked would stop the bookings.
async fn credentials(scene: &mut Scene) {
    let path = format!("/api/providers/{PROVIDER}/credentials");
    let added = scene.plant("add_credential", &path, json!({"kind": "license"})).await.json();
    let one = format!("{path}/{}", text(&added["credentialId"]));
    let _ = scene.plant("update_credential", &one, json!({})).await;
    let _ = scene.plant("verify_credential", &format!("{one}/verify"), json!({"method": "manual"})).await;
    let other = scene.plant("add_credential", &path, json!({"kind": "dea"})).await.json();
    let other = format!("{path}/{}", text(&other["credentialId"]));
    let _ = scene.plant("revoke_credential", &format!("{other}/revoke"), json!({})).await;
    let delete = operation("delete_credential");
    let _ = scene.call(delete, &other, &Value::Null).await;
    let npi = json!({"kind": "npi", "number": "1234567893"});
    let _ = scene.call(operation("add_credential"), &path, &npi).await;
    scene.planter.also("1234567893", "an NPI");
    exclusions(scene).await;
}

/// Who is found by their NPI, and then is not any more: they could not be booked.
async fn exclusions(scene: &mut Scene) {
    let (put, path) = (operation("put_exclusions"), "/api/providers/exclusions");
    scene.carried_out.insert(put.id);
    let word = scene.planter.body(put)["csv"].clone();
    for (edition, npi) in [("2026-01-01", "1234567893"), ("2026-01-02", "0000000000")] {
        let columns = "LASTNAME,FIRSTNAME,MIDNAME,BUSNAME,SPECIALTY,NPI,DOB,STATE,EXCLTYPE,EXCLDATE,REINDATE";
        let csv = format!("{columns}\n{},{},,,,{npi},,,,,\n", text(&word), text(&word));
        let _ = scene.call(put, path, &json!({"edition": edition, "part": 1, "parts": 1, "csv": csv})).await;
        if edition == "2026-01-01" {
            let found = scene
                .call(operation("list_exclusion_matches"), &format!("{path}/matches"), &Value::Null)
                .await
                .json();
            let review = json!({"exclusionId": found["items"][0]["matches"][0]["exclusionId"], "decision": "Confirmed"});
            let _ = scene
                .plant("review_exclusion", &format!("/api/providers/{PROVIDER}/exclusion-review"), review)
                .await;
        }
    }
}

/// One that names a provider, and one that names a user.
async fn consents(scene: &mut Scene) {
    let (record, path) = (operation("record_consent"), format!("/api/patients/{PATIENT}/consents"));
    let planted = scene.planter.body(record);
    for who in ["provider", "user"] {
        let body = json!({"who": {who: planted["who"][who]}, "what": ["records", "bills"]});
        let _ = scene.call(record, &path, &body).await;
        scene.carried_out.insert(record.id);
    }
}

async fn referrals(scene: &mut Scene) {
    let fits = json!({"patientId": PATIENT, "fromProviderId": PROVIDER});
    let made = scene.plant("create_referral", "/api/referrals", fits).await.json();
    let one = format!("/api/referrals/{}", text(&made["referralId"]));
    let _ = scene.plant("accept_referral", &format!("{one}/accept"), json!({"providerId": PROVIDER})).await;
    let _ = scene.plant("decline_referral", &format!("{one}/decline"), json!({})).await;
    let fits = json!({"patientId": PATIENT, "fromProviderId": PROVIDER});
    let other = scene.plant("create_referral", "/api/referrals", fits).await.json();
    let other = format!("/api/referrals/{}/withdraw", text(&other["referralId"]));
    let _ = scene.plant("withdraw_referral", &other, json!({})).await;
}

async fn webhooks(scene: &mut Scene) {
    let path = format!("/api/providers/{PROVIDER}/availability/webhooks");
    let hook = json!({"url": "https://canary-hook.example.com/canary-way"});
    for (what, field) in
        [("canary-hook", "a webhook's host"), ("canary-way", "the path of a webhook's address")]
    {
        scene.planter.also(what, field);
    }
    let made = scene.plant("create_webhook", &path, hook).await.json();
    scene.planter.also(text(&made["secret"]).trim_start_matches("whsec_"), "the secret of a webhook");
}

async fn appointments(scene: &mut Scene) {
    let mut booking = scene.planter.body(operation("book_appointment"));
    let mut body = scene.planter.body(operation("update_appointment"));
    // Which kinds of visits there are, the provider says.
    let kinds = [&booking, &body].map(|body| json!({"name": body["visitType"], "durationMinutes": 30}));
    let provider = format!("/api/providers/{PROVIDER}");
    let _ = scene.call(operation("update_provider"), &provider, &json!({"visitTypes": kinds})).await;
    referrals(scene).await;
    webhooks(scene).await;
    let fits = json!({
        "appointmentId": "apt-canary", "patientId": PATIENT, "providerId": PROVIDER,
        "appointmentDate": "2026-01-19", "timeSlot": "10:00",
    });
    merge(&mut booking, &fits);
    scene.carried_out.insert("book_appointment");
    let _ = scene.call(operation("book_appointment"), "/api/appointments", &booking).await;
    // Read-only, and the provider's.
    body.as_object_mut().unwrap().remove("timeZone");
    body["timeSlot"] = "11:00".into();
    let why = body.as_object_mut().unwrap().remove("cancellationReason").unwrap();
    scene.carried_out.insert("update_appointment");
    let _ = scene.call(operation("update_appointment"), "/api/appointments/apt-canary", &body).await;
    let off = json!({"from": "2026-01-19", "to": "2026-01-19"});
    let _ = scene.plant("take_time_off", &format!("{provider}/time-off"), off).await;
    in_conflict(scene).await;
    let keep = json!({"resolution": "keep"});
    let _ = scene.plant("resolve_conflict", "/api/appointments/apt-canary/conflict", keep).await;
    let off = json!({"status": "Cancelled", "cancellationReason": why});
    let _ = scene.call(operation("update_appointment"), "/api/appointments/apt-canary", &off).await;
    holds_series_and_waitlist(scene).await;
    for whose in [json!({"patientId": PATIENT}), json!({"providerId": PROVIDER})] {
        let made = scene.plant("create_feed", "/api/appointments/feeds", whose).await.json();
        let secret = text(&made["url"]).rsplit('/').next().unwrap().trim_end_matches(".ics");
        scene.planter.also(secret, "the secret of a calendar feed");
    }
}

/// Waits until it has come round that the provider is away.
async fn in_conflict(scene: &Scene) {
    for _ in 0..200 {
        let shown =
            scene.call(operation("appointment_by_id"), "/api/appointments/apt-canary", &json!(null)).await;
        if shown.json()["conflict"] == "TimeOff" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("it did not come round that the provider is away");
}

async fn holds_series_and_waitlist(scene: &mut Scene) {
    // Where the provider names no kinds of visits, any word says of what kind one is.
    let provider = format!("/api/providers/{PROVIDER}");
    let _ = scene.call(operation("update_provider"), &provider, &json!({"visitTypes": []})).await;
    let slot = json!({"patientId": PATIENT, "providerId": PROVIDER, "appointmentDate": "2026-01-19", "timeSlot": "14:00"});
    let _ = scene.plant("hold_slot", "/api/appointments/holds", slot).await;
    let rule = json!({
        "patientId": PATIENT, "providerId": PROVIDER, "appointmentDate": "2026-01-26", "timeSlot": "10:00",
        "rrule": "FREQ=WEEKLY;COUNT=2",
    });
    let made = scene.plant("book_series", "/api/appointments/series", rule).await.json();
    let path = format!("/api/appointments/series/{}", text(&made["seriesId"]));
    let _ = scene.plant("update_series", &path, json!({"scope": "all", "status": "Cancelled"})).await;
    let days = json!({"patientId": PATIENT, "from": "2026-01-19", "to": "2026-01-23"});
    let _ = scene.plant("join_waitlist", "/api/appointments/waitlist", days).await;
    let away = json!({"providerId": PROVIDER, "from": "2026-02-02", "to": "2026-02-03", "dryRun": true});
    let _ = scene.plant("reschedule_all", "/api/appointments/reschedule", away).await;
}

async fn bills_and_records(scene: &mut Scene) {
    let amounts = json!({"services": [{"amount": 73519.37}], "insuranceClaim": {"claimAmount": 73519.37}, "totalAmount": 73519.37});
    scene.planter.also("73519.37", "create_bill services.amount");
    scene.planter.also("7351937", "create_bill services.amount");
    let mut bill = amounts.clone();
    (bill["billId"], bill["patientId"], bill["status"]) =
        ("bill-canary".into(), PATIENT.into(), "Draft".into());
    let _ = scene.plant("create_bill", "/api/bills", bill).await;
    let _ = scene.plant("update_bill", "/api/bills/bill-canary", amounts).await;
    let _ = scene
        .plant(
            "create_record",
            "/api/records",
            json!({"recordId": "rec-canary", "patientId": PATIENT, "date": "2026-01-14"}),
        )
        .await;
    let _ = scene.plant("update_record", "/api/records/rec-canary", json!({})).await;
    amendments(scene, "/api/records/rec-canary/amendments").await;
    let broken = scene.plant("break_glass", "/api/records/break-glass", json!({"patientId": PATIENT})).await;
    let review = format!("/api/records/break-glass/{}/review", broken.json()["grantId"].as_str().unwrap());
    let mut finding = scene.planter.body(operation("review_break_glass"));
    finding["finding"] = "Justified".into();
    // Nobody reviews what they opened themselves.
    let officer = scene.stack.token(Role::PrivacyOfficer);
    let _ = scene.call_as(&officer, "review_break_glass", &review, &finding).await;
}

async fn amendments(scene: &mut Scene, path: &str) {
    let asked = scene.plant("request_amendment", path, json!({})).await.json();
    let one = format!("{path}/{}", text(&asked["amendmentId"]));
    let _ = scene.plant("decide_amendment", &format!("{one}/decision"), json!({"decision": "Denied"})).await;
    let _ = scene.plant("disagree_with_denial", &format!("{one}/disagreement"), json!({})).await;
}

async fn notifications(scene: &mut Scene) {
    let mut sent = Value::Null;
    for (id, channel) in [("send_email", "email"), ("send_sms", "sms"), ("send_push", "push")] {
        let path = format!("/api/notifications/{channel}");
        sent = scene.plant(id, &path, json!({"patientId": PATIENT})).await.json();
    }
    // There is nothing that would take it: it is refused, and why it was wanted is in the audit.
    let replay = operation("replay_notification");
    let body = scene.planter.body(replay);
    scene.carried_out.insert(replay.id);
    let path = format!("/api/notifications/{}/replay", text(&sent["notificationId"]));
    let service = ServiceName::NotificationService;
    let refused = scene.stack.call(service, Role::Admin, Method::POST, &path, Some(&body.to_string())).await;
    let _ = refused.expect(409);
    let subscription = json!({"endpoint": "https://canary-push.example.com/canary-endpoint", "keys": {
        "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "auth": "BTBZMqHH6r4Tts7J_aSIgg",
    }});
    scene.planter.also("canary-push", "a push service");
    scene.planter.also("canary-endpoint", "a browser's endpoint");
    let device = json!({"patientId": PATIENT, "subscription": subscription});
    let _ = scene.plant("register_device", "/api/notifications/devices", device).await;
    // Nobody has signed it: nothing of it is kept.
    for (id, path) in [("sms_status", "sms"), ("sms_inbound", "sms/inbound")] {
        scene.carried_out.insert(id);
        let path = format!("/api/notifications/callbacks/{path}");
        let request = scene.stack.request(ServiceName::NotificationService, Method::POST, &path);
        let _ = send(request.form(&[("Body", "canary")])).await.expect(404);
    }
    // Nor does this come from the clinic's mail server.
    scene.carried_out.insert("mail_report");
    let path = "/api/notifications/callbacks/mail";
    let request = scene.stack.request(ServiceName::NotificationService, Method::POST, path);
    let request = request.header("content-type", "message/rfc822").body("Subject: zqcanaryreport");
    scene.planter.also("zqcanaryreport", "mail_report ");
    let _ = send(request).await.expect(404);
    for (id, whose) in [
        ("update_preferences_of_patient", PATIENT.to_owned()),
        ("update_preferences_of_provider", format!("providers/{PROVIDER}")),
    ] {
        let path = format!("/api/notifications/preferences/{whose}");
        let _ = scene.plant(id, &path, json!({})).await;
    }
    let template = "/api/notifications/templates/reminder/en";
    let _ = scene.plant("replace_template", template, json!({})).await;
    let _ = scene.plant("preview_template", &format!("{template}/preview"), json!({})).await;
}

async fn users(scene: &mut Scene) {
    let created = scene.plant("create_user", "/api/auth/users", json!({"roles": ["billing"]})).await;
    let path = format!("/api/auth/users/{}", created.json()["userId"].as_str().unwrap());
    let _ = scene.plant("update_user", &path, json!({"status": "Active"})).await;
    let _ = scene.plant("set_password", &format!("{path}/password"), json!({})).await;
    // At a provider that is not there: nothing of it is kept.
    for (id, path) in [
        ("start_oidc", "/api/auth/oidc/nobody/start"),
        ("finish_oidc", "/api/auth/oidc/nobody/finish"),
        ("finish_oidc_with_code", "/api/auth/oidc/nobody/second-factor"),
    ] {
        let body = scene.planter.body(operation(id));
        scene.carried_out.insert(id);
        let nobody = scene.stack.request(ServiceName::AuthService, Method::POST, path);
        let nobody = nobody.header("content-type", "application/json").body(body.to_string());
        let _ = send(nobody).await.expect(404);
    }
    // Somebody who is not there: who tries is kept, and not by name.
    let login = operation("login");
    let body = scene.planter.body(login);
    scene.carried_out.insert("login");
    let nobody = scene.stack.request(ServiceName::AuthService, Method::POST, login.path);
    let _ = send(nobody.header("content-type", "application/json").body(body.to_string())).await.expect(401);
    let admin = json!({"username": "admin", "password": ADMIN_PASSWORD});
    let tokens = scene.call(login, login.path, &admin).await.json();
    let refreshed = scene
        .plant("refresh", "/api/auth/refresh", json!({"refreshToken": tokens["refreshToken"]}))
        .await
        .json();
    for given in [&tokens, &refreshed] {
        for name in ["token", "refreshToken"] {
            scene.planter.also(given[name].as_str().unwrap(), name);
        }
    }
    second_factor(scene, text(&refreshed["token"])).await;
    let mut change = scene.planter.body(operation("change_password"));
    change["currentPassword"] = ADMIN_PASSWORD.into();
    let _ =
        scene.call_as(text(&refreshed["token"]), "change_password", "/api/auth/me/password", &change).await;
    scene.planter.also(ADMIN_PASSWORD, "the first administrator's password");
    let token = json!({"token": refreshed["token"]});
    let _ = scene.plant("introspect_token", "/api/auth/introspect", token.clone()).await;
    let _ = scene.plant("logout", "/api/auth/logout", token).await;
    let _ =
        scene.plant("revoke_token", "/api/auth/revoke", json!({"token": refreshed["refreshToken"]})).await;
}

/// One that is enrolled and taken away by a recovery code; the others stay until then, and are looked for.
async fn second_factor(scene: &mut Scene, token: &str) {
    const OWN: &str = "/api/auth/me/second-factor";
    let password = json!({"currentPassword": ADMIN_PASSWORD});
    let offered = scene.call_as(token, "offer_second_factor", OWN, &password).await.json();
    let secret = text(&offered["secret"]);
    scene.planter.also(secret, "the secret of a second factor");
    let app = Totp::kept(BASE32_NOPAD.decode(secret.as_bytes()).unwrap());
    let code = json!({"code": app.code(Totp::step(scene.stack.clock.now())).to_string()});
    let confirmed =
        scene.call_as(token, "confirm_second_factor", &format!("{OWN}/confirm"), &code).await.json();
    let codes: Vec<_> = confirmed["recoveryCodes"].as_array().unwrap().iter().map(text).collect();
    assert!(!codes.is_empty());
    for code in &codes {
        scene.planter.also(code, "a recovery code");
    }
    // What it is while it is there.
    scene.look_through(scene.stack.database(ServiceName::AuthService).contents(), false);
    let gone = json!({"currentPassword": ADMIN_PASSWORD, "code": codes[0]});
    let _ = scene.call_as(token, "remove_second_factor", &format!("{OWN}/remove"), &gone).await;
}

async fn roles(scene: &mut Scene) {
    let may = json!({"role": "canary-role", "permissions": ["patients:read"]});
    let _ = scene.plant("create_role", "/api/auth/roles", may).await;
    let _ = scene.plant("run_retention", "/api/admin/retention", json!({"dryRun": true})).await;
    let more = json!({"permissions": ["patients:read", "providers:read"]});
    let _ = scene.plant("update_role", "/api/auth/roles/canary-role", more).await;
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

async fn every_text_of_every_body_is_sealed(stack: Arc<TestStack>) {
    let mut scene = Scene { stack, planter: Planter::default(), carried_out: BTreeSet::new() };
    people(&mut scene).await;
    appointments(&mut scene).await;
    bills_and_records(&mut scene).await;
    notifications(&mut scene).await;
    roles(&mut scene).await;
    users(&mut scene).await;
    let public = || {
        contracts::operations().filter(|operation| !operation.is_internal() && operation.service.is_some())
    };
    let with_body: BTreeSet<_> = public().filter(|it| it.body.is_some()).map(|it| it.id).collect();
    assert_eq!(
        scene.carried_out, with_body,
        "an operation takes a body, and nobody has planted anything in it"
    );
    let planted: BTreeSet<_> = scene.planter.planted.iter().map(|(_, field)| field.clone()).collect();
    let missing: Vec<_> = free_texts(public()).difference(&planted).cloned().collect();
    assert!(missing.is_empty() && planted.len() > 50, "{missing:?} of {}", planted.len());
    scene.nothing_is_readable(&ALL).await;
}

/// The services of the other test whose subscribers are not there.
const ALONE: [Service; 3] = [patient::SERVICE, provider::SERVICE, appointment::SERVICE];

async fn events_that_nobody_takes_are_sealed_too_and_so_is_what_was_given_up(stack: Arc<TestStack>) {
    let mut scene =
        Scene { stack: Arc::clone(&stack), planter: Planter::default(), carried_out: BTreeSet::new() };
    people(&mut scene).await;
    appointments(&mut scene).await;
    let erase = operation("delete_patient");
    let _ = scene.call(erase, &format!("/api/patients/{PATIENT}"), &json!(null)).await;
    let waits = async |name: ServiceName| db::outbox_backlog(stack.database(name).db()).await.unwrap().rows;
    // To billing, records, notifications and auth that somebody was erased; to notifications what became of the appointment.
    assert!(
        waits(ServiceName::PatientService).await >= 4 && waits(ServiceName::AppointmentService).await >= 1
    );
    scene.nothing_is_readable(&ALONE).await;
    stack.clock.advance(TimeDelta::days(41));
    for name in [ServiceName::PatientService, ServiceName::AppointmentService] {
        let database = stack.database(name);
        database.clock().advance(TimeDelta::days(41));
        assert!(database.db().purge().await.unwrap().outbox_lost >= 1, "{name}");
        assert_eq!(waits(name).await, 0, "{name}");
    }
    scene.nothing_is_readable(&ALONE).await;
}

/// Webhooks are told.
fn telling(settings: &mut settings::ServiceSettings) {
    settings.integrations.webhooks = Some(settings::WebhookSettings::default());
}

/// Each on both engines; one after the other, since PostgreSQL's own files are everybody's.
#[test]
fn no_database_holds_a_readable_word() {
    for engine in [db::Engine::Sqlite, db::Engine::Postgres] {
        testkit::stack::run_with(engine, &ALL, telling, every_text_of_every_body_is_sealed);
        testkit::stack::run_with(
            engine,
            &ALONE,
            telling,
            events_that_nobody_takes_are_sealed_too_and_so_is_what_was_given_up,
        );
    }
}
