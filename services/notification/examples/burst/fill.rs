//! What is due: mails that are ready, or reminders of appointments that are to be made ready first.

use chrono::{DateTime, TimeDelta, Utc};
use contracts::id::{AppointmentId, NotificationId, PatientId, ProviderId};
use contracts::notifications::{Channel, NotificationType as Kind};
use contracts::preferences::NotificationPreferences;
use contracts::templates::Language;
use db::{Db, Tx, on, sql};
use notification::domain::notification::{Content, Draft};
use notification::domain::preference::Preference;
use notification::domain::timing::Slot;
use notification::domain::visit::{Person, Visit};
use notification::store::notification::{Start, notification_insert};
use notification::store::preference::preference_put;
use notification::store::scheduled::{Planned, Waiting, planned_insert};

use crate::stand_ins::mailbox;

const AT_ONCE: usize = 500;
const PATIENTS: u32 = 20_000;
const PROVIDERS: u32 = 200;
/// One patient of so many has preferences of their own.
const WISHING: u32 = 5;
/// So long before an appointment its reminder is due.
const LEAD: TimeDelta = TimeDelta::hours(2);

/// Mails that are ready, due at these times. When each is due stands where a replay's time would, so that it can be told afterwards.
pub(crate) async fn mails(db: &Db, due: &[DateTime<Utc>]) {
    let draft =
        Draft { channel: Channel::Email, content: content("johndoe@example.com".to_owned()), patient: None };
    for some in due.chunks(AT_ONCE) {
        let mut tx = db.begin().await.unwrap();
        for due in some {
            let id = NotificationId::generate(db.random());
            notification_insert(&mut tx, db, &id, &draft, &Start::Due).await.unwrap();
            let text = sql!("update notification set next_attempt_at = $1, replayed_at = $1 where id = $2");
            on!(tx, |conn| sqlx::query(text).bind(due).bind(id.as_str()).execute(conn).await.map(drop))
                .unwrap();
        }
        tx.commit().await.unwrap();
    }
}

/// Reminders, due at these times: of each appointment the patient's and the provider's, one after the other.
pub(crate) async fn reminders(db: &Db, due: &[DateTime<Utc>]) {
    let patients: Vec<u32> = (0..PATIENTS).step_by(WISHING as usize).collect();
    for some in patients.chunks(AT_ONCE) {
        let mut tx = db.begin().await.unwrap();
        for patient in some {
            wish(&mut tx, db, *patient).await;
        }
        tx.commit().await.unwrap();
    }
    let all: Vec<(usize, DateTime<Utc>)> = due.iter().copied().enumerate().collect();
    for some in all.chunks(AT_ONCE) {
        let mut tx = db.begin().await.unwrap();
        for (at, due) in some {
            let id = NotificationId::generate(db.random());
            let planned = planned(u32::try_from(*at).unwrap(), *due);
            assert!(planned_insert(&mut tx, db, &id, &planned, true).await.unwrap());
        }
        tx.commit().await.unwrap();
    }
}

async fn wish(tx: &mut Tx, db: &Db, patient: u32) {
    let wishes = NotificationPreferences {
        language: Some(Language::De.to_string()),
        ..NotificationPreferences::default()
    };
    let preference = Preference::parse(&wishes).unwrap();
    preference_put(tx, db, &Person::Patient(patient_id(patient)), 0, &preference).await.unwrap();
}

fn planned(at: u32, due: DateTime<Utc>) -> Planned {
    let appointment = at / 2;
    // Neighbours are of different patients, and of different providers, all over the range.
    let patient = patient_id(appointment.wrapping_mul(7_919) % PATIENTS);
    let provider = ProviderId::trusted(format!("prov{:04}", appointment.wrapping_mul(31) % PROVIDERS));
    let (person, of) = if at.is_multiple_of(2) {
        (Person::Patient(patient.clone()), patient.to_string())
    } else {
        (Person::Provider(provider.clone()), provider.to_string())
    };
    let visit = Visit {
        id: AppointmentId::trusted(format!("apt{appointment:07}")),
        version: 1,
        patient,
        provider,
        starts_at: due + LEAD,
        minutes: 30,
        zone: "Europe/Berlin".to_owned(),
        stands: true,
        is_closed: false,
        held_until: None,
        calendar_uid: None,
    };
    let told_once = visit.told_once(Kind::Reminder, &person, 120);
    let slot = Slot { send_at: due, until: due + LEAD };
    let waiting = Waiting { content: content(mailbox(&of)), person, visit };
    Planned { id: None, kind: Kind::Reminder, told_once, channel: Channel::Email, slot, waiting }
}

fn patient_id(number: u32) -> PatientId {
    PatientId::trusted(format!("pat{number:06}"))
}

fn content(to: String) -> Content {
    Content {
        to,
        subject: Some("Appointment Reminder".to_owned()),
        body: "This is a reminder for your appointment scheduled for August 1, 2024, at 10:00 AM.".to_owned(),
        ..Content::default()
    }
}
