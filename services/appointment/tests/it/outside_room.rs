//! How much of a calendar outside is kept.

use appointment::domain::span::Span;
use appointment::store::outside_busy::{busy_replace, is_busy_outside};
use chrono::{DateTime, TimeDelta, Utc};
use contracts::id::ProviderId;
use db::Db;

use super::*;

fn spans(count: i64) -> Vec<Span> {
    let first: DateTime<Utc> = "2026-01-19T08:00:00Z".parse().unwrap();
    let day = |n| Span::of_minutes(first + TimeDelta::days(n), 30);
    (0..count).map(day).collect()
}

testkit::on_both_engines! {
    migrations = appointment::MIGRATIONS;
    service = ServiceName::AppointmentService;

    async fn what_is_kept_already_keeps_its_room_when_all_is_read_again(db: Db) {
        let (provider, busy) = (ProviderId::parse("prov001").unwrap(), spans(3));
        let mut tx = db.begin().await.unwrap();
        let of = ("dr-smith", b"object".as_slice());
        let (changed, left) = busy_replace(&mut tx, of, &provider, &busy[..2], 2).await.unwrap();
        assert_eq!((changed.len(), left), (2, 0));
        // There is no more room, and they need none.
        let (changed, left) = busy_replace(&mut tx, of, &provider, &busy, 0).await.unwrap();
        assert_eq!((changed, left), (Vec::new(), 0));
        assert!(is_busy_outside(&mut tx, &provider, busy[1]).await.unwrap());
        assert!(!is_busy_outside(&mut tx, &provider, busy[2]).await.unwrap());
        // What is gone leaves its room to others.
        let (changed, left) = busy_replace(&mut tx, of, &provider, &[], 0).await.unwrap();
        assert_eq!((changed.len(), left), (2, 2));
        tx.commit_unaudited().await.unwrap();
    }
}
