//! A clinic with much to tell of in the next minutes: people to be reminded, and people who wait for a time to become free.

use blackbox::Client;
use chrono::{DateTime, Datelike, TimeDelta, Utc, Weekday};
use contracts::ambient::Clock;
use serde_json::{Value, json};

use super::{all, call, text, until};

/// Each has a full morning that two wait for, and appointments of which somebody is to be reminded.
pub(crate) const PROVIDERS: usize = 6;
/// So many of these, in the first minute, the second and the third.
pub(crate) const LEADS: [i64; 3] = [12, 16, 20];
/// Minutes from one of them to the next.
const APART: i64 = 5;
const TIMES: [&str; 4] = ["09:00", "09:30", "10:00", "10:30"];
/// So long it may take to tell both of all that is due.
const TO_PREPARE: TimeDelta = TimeDelta::minutes(2);

/// Who is there, and when what is due.
pub(crate) struct Clinic {
    /// When the first reminders are due: the others a minute and two minutes later.
    first_due: DateTime<Utc>,
}

async fn make(client: &Client, path: &str, body: Value) {
    let _ = call(client, "POST", path, Some(&body)).await.expect(201);
}

async fn patient(client: &Client, id: &str) {
    let contact = json!({"email": format!("{id}@example.com"), "phone": "+1234567890"});
    let body = json!({"patientId": id, "name": "Jane Roe", "dob": "1980-01-01", "contactInfo": contact});
    make(client, "/api/patients", body).await;
}

/// Lets somebody be reminded so many minutes before.
async fn remind(client: &Client, whose: &str, leads: Value) {
    let (path, wish) =
        (format!("/api/notifications/preferences/{whose}"), json!({"reminderLeadMinutes": leads}));
    let _ = call(client, "PUT", &path, Some(&wish)).await.expect(200);
}

async fn provider(client: &Client, id: &str) {
    let body = json!({
        "providerId": id, "name": format!("Dr. {id}"), "specialization": "Cardiology",
        "contactInfo": {"email": format!("{id}@example.com"), "phone": "+1234567890"},
        "availability": [{"day": "Monday", "slots": ["09:00-11:00"]}],
    });
    make(client, "/api/providers", body).await;
    remind(client, &format!("providers/{id}"), json!([])).await;
}

/// A Monday of which nobody is reminded yet.
fn full_day() -> String {
    let days = (7..14).map(|days| Clock::system().now().date_naive() + TimeDelta::days(days));
    days.into_iter().find(|day| day.weekday() == Weekday::Mon).unwrap().to_string()
}

impl Clinic {
    /// What one of the two is told the other is asked for next.
    pub(crate) async fn set_up([one, other]: [&Client; 2]) -> Self {
        let day = full_day();
        for at in 0..PROVIDERS {
            let (with, fills) = (format!("d{at}"), format!("f{at}"));
            provider(one, &with).await;
            patient(other, &fills).await;
            for (nth, time) in TIMES.iter().enumerate() {
                let body = json!({"appointmentId": format!("full{at}x{nth}"), "patientId": fills, "providerId": with,
                    "appointmentDate": day, "timeSlot": time});
                make(if nth % 2 == 0 { one } else { other }, "/api/appointments", body).await;
            }
            for nth in 0..2 {
                let waits = format!("w{at}x{nth}");
                patient(one, &waits).await;
                let body = json!({"patientId": waits, "providerId": with, "from": day, "to": day});
                make(other, "/api/appointments/waitlist", body).await;
            }
        }
        let mut this = Self { first_due: Clock::system().now() };
        for at in 0..PROVIDERS {
            for (nth, lead) in LEADS.iter().enumerate() {
                patient(one, &format!("r{at}x{nth}")).await;
                remind(other, &format!("r{at}x{nth}"), json!([lead])).await;
            }
        }
        this.book_what_is_due([one, other]).await;
        this
    }

    async fn book_what_is_due(&mut self, [one, other]: [&Client; 2]) {
        let soon = Clock::system().now() + TO_PREPARE;
        self.first_due = soon - TimeDelta::seconds(soon.timestamp() % 60);
        for at in 0..PROVIDERS {
            for nth in 0..LEADS.len() {
                let nth_minutes = APART * i64::try_from(nth).unwrap();
                let starts = self.first_due + TimeDelta::minutes(LEADS[0] + nth_minutes);
                let body = json!({"appointmentId": format!("due{at}x{nth}"), "patientId": format!("r{at}x{nth}"),
                    "providerId": format!("d{at}"), "appointmentDate": starts.date_naive().to_string(),
                    "timeSlot": starts.format("%H:%M").to_string(), "durationMinutes": APART});
                make(if nth % 2 == 0 { one } else { other }, "/api/appointments", body).await;
            }
        }
    }

    /// When the first reminders are due.
    pub(crate) fn first_due(&self) -> DateTime<Utc> {
        self.first_due
    }

    /// When the last ones are.
    pub(crate) fn last_due(&self) -> DateTime<Utc> {
        self.first_due + TimeDelta::minutes(2)
    }

    /// The reminders that are due, of all that is told.
    pub(crate) fn reminders(told: &[Value]) -> impl Iterator<Item = &Value> {
        told.iter()
            .filter(|item| text(item, "type") == "reminder" && text(item, "appointmentId").starts_with("due"))
    }

    /// Frees a provider's time.
    pub(crate) async fn free(&self, client: &Client, provider: usize, nth: usize) {
        let path = format!("/api/appointments/full{provider}x{nth}");
        let _ = call(client, "DELETE", &path, None).await.expect(200);
    }

    /// Waits until so many have an offer: patients, and their entries.
    pub(crate) async fn offered(&self, client: &Client, count: usize) -> Vec<(String, String)> {
        let offered = async || {
            let entries = all(client, "/api/appointments/waitlist").await;
            let mut offered = Vec::new();
            for entry in entries.iter().filter(|entry| entry["status"] == "Offered") {
                offered.push((text(entry, "patientId").to_owned(), text(entry, "waitlistId").to_owned()));
            }
            offered
        };
        until("offers", async || offered().await.len() >= count).await;
        let offered = offered().await;
        assert_eq!(offered.len(), count);
        offered
    }
}
