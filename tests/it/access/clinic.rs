//! Two patients with one of everything each, and a user of every role.

use blackbox::{Client, Healthcare, Reply};
use contracts::permission::Role;
use serde_json::{Value, json};

const PASSWORD: &str = "a long enough one 1";

/// What is there of one patient.
pub(super) struct Whose {
    patient: &'static str,
    appointment: &'static str,
    bill: &'static str,
    record: &'static str,
    consent: String,
    notification: String,
    user: String,
    series: String,
    waitlist: String,
    /// The id of a calendar feed, and the last segment of its address.
    feed: [String; 2],
    /// A credential of the provider who stands in paths.
    credential: String,
    referral: String,
    device: String,
}

impl Whose {
    /// A segment of a path with the id in its place.
    pub(super) fn fill<'a>(&'a self, segment: &'a str) -> &'a str {
        match segment {
            "{patientId}" => self.patient,
            "{appointmentId}" => self.appointment,
            "{billId}" => self.bill,
            "{recordId}" => self.record,
            "{consentId}" => &self.consent,
            "{notificationId}" => &self.notification,
            "{userId}" => &self.user,
            "{holdId}" => "hold_none",
            "{waitlistId}" => &self.waitlist,
            "{seriesId}" => &self.series,
            "{feedId}" => &self.feed[0],
            "{fileId}" => &self.feed[1],
            "{tokenId}" => "notif_none.BwcHBwcHBwcHBwcHBwcHBw",
            "{linkId}" => "0",
            "{credentialId}" => &self.credential,
            "{referralId}" => &self.referral,
            "{deviceId}" => &self.device,
            "{suppressionId}" => "supp_none",
            "{providerId}" => "prov1",
            "{roleId}" => "lab",
            "{typeId}" => "reminder",
            "{languageId}" => "en",
            "{grantId}" => "grant",
            "{amendmentId}" => "amd_none",
            "{timeOffId}" => "toff_none",
            "{webhookId}" => "hook_none",
            "{watchId}" => "watch_none",
            "{sessionId}" => "ses_none",
            "{identityProviderId}" => "staff",
            _ if segment.starts_with('{') => panic!("there is no {segment} here"),
            _ => segment,
        }
    }

    /// A body by which nothing is done. Whose appointment it is to be shows in what is wrong with a booking, and whose feed in what is wrong with one.
    pub(super) fn body(&self, operation: &str) -> String {
        match operation {
            "book_appointment" | "hold_slot" => json!({
                "patientId": self.patient, "providerId": "nobody", "appointmentDate": "2030-01-07", "timeSlot": "10:00",
            })
            .to_string(),
            "book_series" => json!({
                "patientId": self.patient, "providerId": "nobody", "appointmentDate": "2030-01-07", "timeSlot": "10:00",
                "rrule": "FREQ=WEEKLY;COUNT=2",
            })
            .to_string(),
            "join_waitlist" => json!({
                "patientId": self.patient, "providerId": "nobody", "from": "2030-01-07", "to": "2030-01-08",
            })
            .to_string(),
            // As if: nothing is moved.
            "reschedule_all" => {
                json!({"providerId": "prov1", "from": "2030-01-07", "to": "2030-01-07", "dryRun": true}).to_string()
            }
            "update_series" => json!({"scope": "all", "shiftDays": 99}).to_string(),
            "create_feed" | "register_device" => json!({"patientId": self.patient, "label": "two\nlines"}).to_string(),
            "create_referral" => json!({
                "patientId": self.patient, "fromProviderId": "nobody", "specialization": "Cardiology", "reason": "Murmur.",
            })
            .to_string(),
            "create_webhook" => json!({"url": "nowhere"}).to_string(),
            "decline_referral" => json!({"reason": "No room."}).to_string(),
            "request_amendment" => json!({"text": "The left hand.", "reason": "Mistyped."}).to_string(),
            "decide_amendment" => json!({"decision": "Accepted", "reason": "So it is."}).to_string(),
            "disagree_with_denial" => json!({"text": "It was the left one."}).to_string(),
            "take_time_off" => json!({"from": "soon", "to": "later"}).to_string(),
            "resolve_conflict" => json!({"resolution": "keep"}).to_string(),
            "join_care_team" => json!({"until": "never"}).to_string(),
            "remove_second_factor" => json!({"currentPassword": 7}).to_string(),
            "record_consent" => json!({"who": {}, "what": []}).to_string(),
            _ => "{}".to_owned(),
        }
    }

    /// What stands in a member that not everybody is shown.
    pub(super) fn text_of(&self, member: &str) -> String {
        format!("{member} of {}", self.patient)
    }

    /// Whether an answer knows of this patient's things: a list holds them, a booking and a feed find nothing wrong with whose they are.
    pub(super) fn is_shown(&self, operation: &str, reply: &Reply) -> bool {
        if matches!(
            operation,
            "book_appointment"
                | "book_series"
                | "hold_slot"
                | "join_waitlist"
                | "create_feed"
                | "create_referral"
                | "register_device"
        ) {
            return !reply.faults().contains(&"patientId".to_owned());
        }
        let answer = reply.json();
        let items = answer["items"].as_array().map_or(&[][..], Vec::as_slice);
        let mut whose = items.iter().filter_map(|item| item["patientId"].as_str()).peekable();
        whose.peek().is_none() || whose.any(|patient| patient == self.patient)
    }
}

async fn create(admin: &Client, path: &str, body: &Value) -> Value {
    admin.call("POST", path, Some(&body.to_string())).await.expect(201).json()
}

/// Two patients, of whom the first is the one that the role `patient` is and the role `clinician` treats, and all that can be of them.
pub(super) async fn fill(admin: &Client) -> [Whose; 2] {
    let contact = json!({"phone": "+1234567890"});
    for id in ["prov1", "prov2"] {
        let provider = json!({"providerId": id, "name": "Jane Doe", "specialization": "Cardiology", "contactInfo": contact});
        let _ = create(admin, "/api/providers", &provider).await;
    }
    let _ = create(admin, "/api/auth/roles", &json!({"role": "lab", "permissions": ["records:read"]})).await;
    let licence = json!({"kind": "license", "number": "MD-1234"});
    let added = create(admin, "/api/providers/prov1/credentials", &licence).await;
    let credential = added["credentialId"].as_str().unwrap();
    [
        one(admin, ["p-mine", "a-mine", "b-mine", "r-mine"], ("prov1", credential)).await,
        one(admin, ["p-theirs", "a-theirs", "b-theirs", "r-theirs"], ("prov2", credential)).await,
    ]
}

async fn one(admin: &Client, ids: [&'static str; 4], (provider, credential): (&str, &str)) -> Whose {
    let [patient, appointment, bill, record] = ids;
    let body = json!({
        "patientId": patient, "name": "John Doe", "dob": "1980-01-01", "contactInfo": {"phone": "+1234567890"},
        "medicalHistory": {"allergies": [format!("medicalHistory of {patient}")]},
    });
    let _ = create(admin, "/api/patients", &body).await;
    let body = json!({
        "appointmentId": appointment, "patientId": patient, "providerId": provider, "appointmentDate": "2030-01-07", "timeSlot": "10:00",
        "reason": format!("reason of {patient}"),
    });
    let _ = create(admin, "/api/appointments", &body).await;
    let body = json!({
        "patientId": patient, "providerId": provider, "appointmentDate": "2030-01-07", "timeSlot": "11:00",
        "rrule": "FREQ=WEEKLY;COUNT=1", "reason": format!("reason of {patient}"),
    });
    let waits =
        json!({"patientId": patient, "specialization": "Nobody's", "from": "2030-01-07", "to": "2030-01-08"});
    let waits = create(admin, "/api/appointments/waitlist", &waits).await;
    let waitlist = waits["waitlistId"].as_str().unwrap().to_owned();
    let series =
        create(admin, "/api/appointments/series", &body).await["seriesId"].as_str().unwrap().to_owned();
    let body = json!({
        "billId": bill, "patientId": patient, "status": "Issued", "totalAmount": 1.0,
        "services": [{"serviceId": "s1", "description": "Consultation", "amount": 1.0}],
    });
    let _ = create(admin, "/api/bills", &body).await;
    let body = json!({
        "recordId": record, "patientId": patient, "date": "2024-08-01", "diagnosis": "Flu", "treatment": "Rest", "prescriptions": [],
    });
    let _ = create(admin, "/api/records", &body).await;
    // It keeps something from somebody who is none of those who ask.
    let body = json!({"who": {"user": "somebody"}, "what": ["bills"]});
    let kept_from = create(admin, &format!("/api/patients/{patient}/consents"), &body).await;
    let consent = kept_from["consentId"].as_str().unwrap().to_owned();
    let body = json!({"text": "The left hand.", "reason": "Mistyped."});
    let _ = create(admin, &format!("/api/records/{record}/amendments"), &body).await;
    let body = json!({"to": "device", "title": "Reminder", "message": "Come.", "patientId": patient});
    let sent = create(admin, "/api/notifications/push", &body).await;
    let user = user(admin, patient, Role::Patient, patient).await;
    let made = create(admin, "/api/appointments/feeds", &json!({"patientId": patient})).await;
    let file = made["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let feed = [made["feedId"].as_str().unwrap().to_owned(), file];
    let body = json!({
        "patientId": patient, "fromProviderId": provider, "specialization": "Cardiology", "reason": format!("reason of {patient}"),
    });
    let referred = create(admin, "/api/referrals", &body).await;
    let referral = referred["referralId"].as_str().unwrap().to_owned();
    let credential = credential.to_owned();
    let device = json!({"token": format!("token of {patient}").replace(' ', "-"), "patientId": patient});
    let made = create(admin, "/api/notifications/devices", &device).await;
    let device = made["deviceId"].as_str().unwrap().to_owned();
    let notification = sent["notificationId"].as_str().unwrap().to_owned();
    Whose {
        patient,
        appointment,
        bill,
        record,
        consent,
        notification,
        user,
        series,
        waitlist,
        feed,
        credential,
        referral,
        device,
    }
}

async fn user(admin: &Client, name: &str, role: Role, patient: &str) -> String {
    let mut body = json!({"username": name, "password": PASSWORD, "roles": [role.as_str()]});
    if role == Role::Patient {
        body["patientId"] = json!(patient);
    }
    if role == Role::Clinician {
        body["providerId"] = json!("prov1");
    }
    create(admin, "/api/auth/users", &body).await["userId"].as_str().unwrap().to_owned()
}

/// Somebody of a role, signed in; a patient is the one whose these things are.
pub(super) async fn token_of(stack: &Healthcare, admin: &Client, role: Role, mine: &Whose) -> String {
    let name = format!("the-{role}");
    let _ = user(admin, &name, role, mine.patient).await;
    stack.client().sign_in(&name, PASSWORD).await.token().unwrap().to_owned()
}
