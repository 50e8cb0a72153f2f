//! What is handed on by one process while others, or it itself a lease ago, are at the same.

use std::collections::HashSet;

use chrono::TimeDelta;
use contracts::id::NotificationId;
use contracts::notifications::{Channel, NotificationType as Kind};
use db::{Db, on, sql};
use notification::domain::delivery::Refusal;
use notification::domain::preference::Preference;
use notification::store::again::{HandOver, another_goes_on, scheduled_again};
use notification::store::claim::{Claimed, notifications_claim, notifications_note_sent, queued_wanted};
use notification::store::offer::offers_withdraw;
use notification::store::preference::{preference_put, preferences_of};
use notification::store::scheduled::{Planned, planned_insert};

use crate::made_ready::planned;

/// Queued at once, one for each of these numbers.
async fn queue(db: &Db, numbers: &[u32], change: impl Fn(&mut Planned)) {
    let mut tx = db.begin().await.unwrap();
    let now = tx.now();
    for number in numbers {
        let mut planned = planned(*number, now);
        planned.slot.send_at = now;
        change(&mut planned);
        let id = NotificationId::trusted(format!("ntf{number}"));
        assert!(planned_insert(&mut tx, db, &id, &planned, true).await.unwrap());
    }
    tx.commit().await.unwrap();
}

async fn write(db: &Db, text: &'static str, id: &str) {
    let mut tx = db.begin().await.unwrap();
    on!(tx, |conn| sqlx::query(text).bind(id).execute(conn).await.map(drop)).unwrap();
    tx.commit().await.unwrap();
}

async fn stands(db: &Db, id: &str) -> (String, i64) {
    let mut tx = db.read().await.unwrap();
    let text = sql!("select status, turn from notification where id = $1");
    on!(tx, |conn| sqlx::query_as(text).bind(id).fetch_one(conn).await).unwrap()
}

async fn note(db: &Db, sent: &[&Claimed]) {
    let mut tx = db.begin().await.unwrap();
    notifications_note_sent(&mut tx, sent).await.unwrap();
    tx.commit().await.unwrap();
}

testkit::on_both_engines! {
    migrations = notification::MIGRATIONS; service = settings::ServiceName::NotificationService;

    async fn what_was_claimed_anew_is_wanted_once(test: testkit::TestDb) {
        let db = test.db();
        queue(db, &[1, 2], |_| {}).await;
        let mut claimed = notifications_claim(db, 10).await.unwrap();
        assert_eq!(claimed.len(), 2);
        test.clock().advance(TimeDelta::seconds(61));
        let anew = notifications_claim(db, 10).await.unwrap();
        claimed.extend(anew.clone());
        let wanted = queued_wanted(db, claimed).await.unwrap();
        assert_eq!(wanted.len(), 2);
        assert!(wanted.iter().all(|wanted| anew.iter().any(|anew| (&anew.id, &anew.claim) == (&wanted.id, &wanted.claim))));
    }

    async fn of_two_turns_that_end_at_once_the_later_is_noted(test: testkit::TestDb) {
        let db = test.db();
        queue(db, &[1], |_| {}).await;
        let first = notifications_claim(db, 10).await.unwrap().remove(0);
        write(db, sql!("update notification set turn = 1 where id = $1"), "ntf1").await;
        let second = Claimed { turn: 1, ..first.clone() };
        note(db, &[&first]).await;
        assert_eq!(stands(db, "ntf1").await, ("Queued".to_owned(), 1), "the first way is over");
        note(db, &[&second, &first]).await;
        assert_eq!(stands(db, "ntf1").await, ("Sent".to_owned(), 1));
    }

    async fn an_offer_that_is_taken_while_it_is_handed_on_goes_no_other_way(test: testkit::TestDb) {
        let db = test.db();
        queue(db, &[1], |planned| planned.kind = Kind::Waitlist).await;
        let claimed = notifications_claim(db, 10).await.unwrap().remove(0);
        let visit = planned(1, db.clock().now()).waiting.visit;
        let mut tx = db.begin().await.unwrap();
        offers_withdraw(&mut tx, db, (&visit, None), "The offer was taken.").await.unwrap();
        tx.commit().await.unwrap();
        note(db, &[&claimed]).await;
        assert_eq!(stands(db, "ntf1").await.0, "Sent");
        let mut tx = db.begin().await.unwrap();
        let of = HandOver { id: &claimed.id, channel: Channel::Email, turn: 0 };
        assert!(!scheduled_again(&mut tx, db, (&of, None), &Refusal::default()).await.unwrap());
    }

    async fn of_two_for_the_devices_of_one_reader_one_goes_another_way(test: testkit::TestDb) {
        let db = test.db();
        let mut tx = db.begin().await.unwrap();
        let now = tx.now();
        let copies = planned(1, now).with_copies(vec!["device2".to_owned()]);
        for (number, planned) in (1..).zip(copies.iter().chain([&planned(2, now)])) {
            let id = NotificationId::trusted(format!("ntf{number}"));
            assert!(planned_insert(&mut tx, db, &id, planned, true).await.unwrap());
        }
        tx.commit().await.unwrap();
        let goes_on = async |id: &str| {
            let mut tx = db.read().await.unwrap();
            another_goes_on(&mut tx, &NotificationId::trusted(id.to_owned())).await.unwrap()
        };
        assert!(!goes_on("ntf1").await && !goes_on("ntf2").await);
        write(db, sql!("update notification set turn = 1 where id = $1"), "ntf2").await;
        assert!(goes_on("ntf1").await);
        assert!(!goes_on("ntf2").await && !goes_on("ntf3").await, "it is not in its own way, nor in another reader's");
        write(db, sql!("update notification set turn = 1 where id = $1"), "ntf1").await;
        assert!(goes_on("ntf2").await);
    }

    async fn wishes_that_cannot_be_opened_are_not_taken_for_none(test: testkit::TestDb) {
        let db = test.db();
        let now = db.clock().now();
        let (one, two) = (planned(1, now).waiting.person, planned(2, now).waiting.person);
        let mut tx = db.begin().await.unwrap();
        for person in [&one, &two] {
            preference_put(&mut tx, db, person, 0, &Preference::default()).await.unwrap();
        }
        let altered = sql!("update preference set body = $1 where person = $2");
        on!(tx, |conn| sqlx::query(altered).bind(vec![7_u8; 99]).bind(one.name()).execute(conn).await.map(drop)).unwrap();
        tx.commit().await.unwrap();
        let mut tx = db.read().await.unwrap();
        let found = preferences_of(&mut tx, db, &HashSet::from([one.clone(), two.clone()])).await.unwrap();
        assert_eq!((&found[&one], &found[&two]), (&None, &Some(Preference::default())));
    }
}
