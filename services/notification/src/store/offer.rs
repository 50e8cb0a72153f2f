//! Notices of what is offered to who waits for it.

use contracts::id::AppointmentId;
use db::{Db, Subject, Tx, on, sql};

use crate::domain::visit::Visit;
use crate::store::notification::place;
use crate::store::scheduled::Waiting;

/// Withdraws what tells of an offer (what staff wrote of the waitlist tells of none) and has not been handed on: a patient's, of this time with this provider;
/// of one entry of the waitlist, if there is one. Under the patient's lock. They took it, as they have an appointment then, or it is not open any more.
pub async fn offers_withdraw(
    tx: &mut Tx,
    db: &Db,
    (of, entry): (&Visit, Option<&AppointmentId>),
    why: &str,
) -> Result<(), db::Error> {
    let now = tx.now();
    let rows: Vec<(String, Vec<u8>)> = on!(tx, |conn| {
        sqlx::query_as(sql!(
            "select id, body from notification where patient_id = $1 and kind = 'waitlist' and told_once is not null \
             and (status in ('Scheduled', 'Queued') or status = 'Sent' and send_until > $2)"
        ))
        .bind(of.patient.as_str())
        .bind(now)
        .fetch_all(conn)
        .await
    })?;
    for (id, body) in rows {
        let subject = Subject::Patient(of.patient.as_str());
        let opened: Result<Waiting, _> = db.vault().open_json(&subject, place(&id), &body).await;
        let waiting = match opened {
            Err(db::Error::KeyDestroyed { .. }) => continue,
            opened => opened?,
        };
        let offered = &waiting.visit;
        let is_of_entry = entry.is_none_or(|entry| *entry == offered.id);
        if (&offered.provider, offered.starts_at) != (&of.provider, of.starts_at) || !is_of_entry {
            continue;
        }
        on!(tx, |conn| {
            sqlx::query(sql!(
                "update notification set version = version + 1, status = 'Withdrawn', next_attempt_at = null, look_at = null, \
                     claim = null, error = $2, send_until = $3 \
                 where id = $1 and status in ('Scheduled', 'Queued')"
            ))
            .bind(&id)
            .bind(why)
            .bind(now)
            .execute(conn)
            .await
            .map(drop)
        })?;
        // After that: what was being noted as sent meanwhile is seen here.
        on!(tx, |conn| {
            sqlx::query(sql!("update notification set send_until = $2 where id = $1 and status = 'Sent'"))
                .bind(&id)
                .bind(now)
                .execute(conn)
                .await
                .map(drop)
        })?;
    }
    Ok(())
}
