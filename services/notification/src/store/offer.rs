//! Notices of what is offered to who waits for it.

use db::{Db, Subject, Tx, on, sql};

use crate::domain::visit::Visit;
use crate::store::notification::place;
use crate::store::scheduled::Waiting;

/// Withdraws what tells of an offer (what staff wrote of the waitlist tells of none) and has not been handed on, once the patient has an appointment at that time with that provider: they took it. Under
/// the patient's lock.
pub async fn offers_withdraw(tx: &mut Tx, db: &Db, booked: &Visit) -> Result<(), db::Error> {
    let rows: Vec<(String, Vec<u8>)> = on!(tx, |conn| {
        sqlx::query_as(sql!(
            "select id, body from notification where patient_id = $1 and kind = 'waitlist' and told_once is not null \
             and status in ('Scheduled', 'Queued')"
        ))
        .bind(booked.patient.as_str())
        .fetch_all(conn)
        .await
    })?;
    for (id, body) in rows {
        let subject = Subject::Patient(booked.patient.as_str());
        let opened: Result<Waiting, _> = db.vault().open_json(&subject, place(&id), &body).await;
        let waiting = match opened {
            Err(db::Error::KeyDestroyed { .. }) => continue,
            opened => opened?,
        };
        let offered = &waiting.visit;
        if (&offered.provider, offered.starts_at) != (&booked.provider, booked.starts_at) {
            continue;
        }
        on!(tx, |conn| {
            sqlx::query(sql!(
                "update notification set version = version + 1, status = 'Withdrawn', next_attempt_at = null, look_at = null, \
                     claim = null, error = 'The offer was taken.' \
                 where id = $1"
            ))
            .bind(&id)
            .execute(conn)
            .await
            .map(drop)
        })?;
    }
    Ok(())
}
