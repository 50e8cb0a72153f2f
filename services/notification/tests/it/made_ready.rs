//! Many reminders made ready together: each by its own person's wishes, and by what became of its own appointment.

use std::collections::HashSet;

use chrono::TimeDelta;
use contracts::id::{AppointmentId, NotificationId, PatientId, ProviderId};
use contracts::notifications::{Channel, NotificationType as Kind};
use contracts::preferences::NotificationPreferences;
use db::{Db, on, sql};
use notification::domain::delivery::Cause;
use notification::domain::notification::Content;
use notification::domain::preference::Preference;
use notification::domain::timing::Slot;
use notification::domain::visit::{Person, Visit};
use notification::store::due::{Ready, scheduled_claim, scheduled_note};
use notification::store::preference::{preference_put, preferences_of};
use notification::store::scheduled::{Planned, Waiting, planned_insert, scheduled_withdraw};
use notification::store::suppression::{suppressed_of, suppression_put};

const PATIENTS: u32 = 40;

fn patient(number: u32) -> PatientId {
    PatientId::trusted(format!("pat{number}"))
}

pub(crate) fn planned(number: u32, now: chrono::DateTime<chrono::Utc>) -> Planned {
    let person = Person::Patient(patient(number));
    let visit = Visit {
        id: AppointmentId::trusted(format!("apt{number}")),
        version: 1,
        patient: patient(number),
        provider: ProviderId::trusted("prov001".to_owned()),
        starts_at: now + TimeDelta::hours(3),
        minutes: 30,
        zone: "Europe/Berlin".to_owned(),
        stands: true,
        is_closed: false,
        held_until: None,
        calendar_uid: None,
    };
    let send_at = now + TimeDelta::minutes(1);
    // The last one is too late when its time has come.
    let until = if number == PATIENTS - 1 { send_at + TimeDelta::seconds(1) } else { visit.starts_at };
    let content =
        Content { to: format!("pat{number}@example.com"), body: "planned".to_owned(), ..Content::default() };
    let told_once = visit.told_once(Kind::Reminder, &person, 120);
    let waiting = Waiting { content, person, visit };
    Planned {
        id: None,
        kind: Kind::Reminder,
        told_once,
        channel: Channel::Email,
        slot: Slot { send_at, until },
        waiting,
    }
}

async fn fill(db: &Db) {
    let mut tx = db.begin().await.unwrap();
    let now = tx.now();
    for number in 0..PATIENTS {
        let id = NotificationId::trusted(format!("ntf{number}"));
        assert!(planned_insert(&mut tx, db, &id, &planned(number, now), true).await.unwrap());
    }
    tx.commit().await.unwrap();
}

/// Of each: its status, whether it is due to be handed on, whether it was, and why it is not.
async fn stands(db: &Db, number: u32) -> (String, bool, bool, Option<String>) {
    let mut tx = db.read().await.unwrap();
    let text = sql!(
        "select status, next_attempt_at is not null, sent_at is not null, error from notification where id = $1"
    );
    on!(tx, |conn| sqlx::query_as(text).bind(format!("ntf{number}")).fetch_one(conn).await).unwrap()
}

testkit::on_both_engines! {
    migrations = notification::MIGRATIONS; service = settings::ServiceName::NotificationService;

    async fn of_a_batch_each_becomes_what_was_made_of_it(test: testkit::TestDb) {
        let db = test.db();
        fill(db).await;
        test.clock().advance(TimeDelta::minutes(2));
        let mut due = scheduled_claim(db, 1_000).await.unwrap();
        due.sort_by_key(|due| due.waiting.visit.patient.to_string()[3..].parse::<u32>().unwrap());
        assert_eq!(due.len(), PATIENTS as usize - 1);
        assert_eq!(stands(db, PATIENTS - 1).await, ("Withdrawn".to_owned(), false, false, Some("Its time has passed.".to_owned())));
        let ready: Vec<_> = (0..).zip(&due).map(|(number, due)| match number {
            0 => (Ready::Withdraw("Whom it is to does not wish it."), true),
            1 => (Ready::Fail, true),
            2 => (Ready::Later, true),
            3 => (Ready::Send(Channel::Sms, Content { to: "+1234567890".to_owned(), ..due.waiting.content.clone() }), false),
            _ => (Ready::Send(Channel::Email, Content { body: format!("ready {number}"), ..due.waiting.content.clone() }), true),
        }).collect();
        // Called off meanwhile; and erased, their key with them.
        let mut tx = db.begin().await.unwrap();
        assert_eq!(scheduled_withdraw(&mut tx, &due[4].waiting.visit.id).await.unwrap(), 1);
        tx.commit().await.unwrap();
        db.vault().destroy(&db::Subject::Patient("pat5")).await.unwrap();

        let mut tx = db.begin().await.unwrap();
        let made: Vec<_> = due.iter().zip(&ready).map(|(due, (ready, has_way))| (due, ready, *has_way)).collect();
        let noted = scheduled_note(&mut tx, db, &made).await.unwrap();
        tx.commit().await.unwrap();
        let expected = due.iter().enumerate().filter(|(number, _)| ![2, 4, 5].contains(number));
        assert_eq!(noted, expected.map(|(_, due)| due.id.clone()).collect::<HashSet<_>>());
        assert_eq!(stands(db, 0).await, ("Withdrawn".to_owned(), false, false, Some("Whom it is to does not wish it.".to_owned())));
        assert_eq!(stands(db, 1).await, ("Failed".to_owned(), false, false, Some("The address is suppressed.".to_owned())));
        assert_eq!(stands(db, 2).await.0, "Scheduled");
        assert_eq!(stands(db, 3).await, ("Sent".to_owned(), false, true, None));
        assert_eq!(stands(db, 4).await, ("Withdrawn".to_owned(), false, false, Some("The appointment has changed.".to_owned())));
        assert_eq!(stands(db, 5).await.0, "Scheduled");
        for number in 6..PATIENTS - 1 {
            assert_eq!(stands(db, number).await, ("Queued".to_owned(), true, false, None));
        }
        // Each says its own.
        let claimed = notification::store::claim::notifications_claim(db, 1_000).await.unwrap();
        assert_eq!(claimed.len(), PATIENTS as usize - 7);
        for claimed in &claimed {
            let number = &claimed.id.to_string()[3..];
            assert_eq!(claimed.content.body, format!("ready {number}"));
            assert_eq!(claimed.content.to, format!("pat{number}@example.com"));
        }
    }

    async fn what_is_looked_up_together_is_each_persons_own(db: Db) {
        let mut tx = db.begin().await.unwrap();
        let wishes = |language: &str| {
            let wire = NotificationPreferences { language: Some(language.to_owned()), ..NotificationPreferences::default() };
            Preference::parse(&wire).unwrap()
        };
        let (anna, bert, jane) = (
            Person::Patient(patient(1)), Person::Patient(patient(2)), Person::Provider(ProviderId::trusted("pat1".to_owned())),
        );
        preference_put(&mut tx, &db, &anna, 0, &wishes("de")).await.unwrap();
        preference_put(&mut tx, &db, &jane, 0, &wishes("fr")).await.unwrap();
        suppression_put(&mut tx, &db, (Channel::Email, "one@example.com"), Cause::Bounce).await.unwrap();
        suppression_put(&mut tx, &db, (Channel::Sms, "+1234567890"), Cause::Stop).await.unwrap();
        tx.commit().await.unwrap();
        db.vault().destroy(&db::Subject::Patient("pat9")).await.unwrap();
        let mut tx = db.read().await.unwrap();
        let people = HashSet::from([anna.clone(), bert, jane.clone(), Person::Patient(patient(9))]);
        let found = preferences_of(&mut tx, &db, &people).await.unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((&found[&anna], &found[&jane]), (&Some(wishes("de")), &Some(wishes("fr"))));
        let address = |channel, to: &str| (channel, to.to_owned());
        let asked = HashSet::from([
            address(Channel::Email, "One@example.com"), address(Channel::Email, "one@example.com"), address(Channel::Email, "two@example.com"),
            address(Channel::Sms, "+1234567890"), address(Channel::Sms, "one@example.com"),
        ]);
        let suppressed = suppressed_of(&mut tx, &db, &asked).await.unwrap();
        assert_eq!(suppressed, HashSet::from([
            address(Channel::Email, "One@example.com"), address(Channel::Email, "one@example.com"), address(Channel::Sms, "+1234567890"),
        ]));
        assert!(suppressed_of(&mut tx, &db, &HashSet::new()).await.unwrap().is_empty());
    }
}
