//! What patients answered to reminders by the links in them.

use contracts::appointment_answers::PatientsWord;
use contracts::id::NotificationId;
use db::{Db, Subject, Tx, on, sql};

use crate::store::notification::place;
use crate::store::scheduled::Waiting;

type Row = (Option<String>, Vec<u8>, Option<String>);

/// What a reminder tells of, and what was answered to it last; `None` if there is no such reminder.
pub async fn reminder_find(
    tx: &mut Tx,
    db: &Db,
    id: &NotificationId,
) -> Result<Option<(Waiting, Option<String>)>, db::Error> {
    let now = tx.now();
    let row: Option<Row> = on!(tx, |conn| {
        sqlx::query_as(sql!(
        "select patient_id, body, answer from notification where id = $1 and kind = 'reminder' and appointment_id is not null and expires_at > $2"
    ))
    .bind(id.as_str())
    .bind(now)
    .fetch_optional(conn)
    .await
    })?;
    let Some((Some(patient), body, answer)) = row else { return Ok(None) };
    match db.vault().open_json(&Subject::Patient(&patient), place(id.as_str()), &body).await {
        Err(db::Error::KeyDestroyed { .. }) => Ok(None),
        opened => Ok(Some((opened?, answer))),
    }
}

/// As it stands in its row.
pub fn answer_name(word: PatientsWord) -> &'static str {
    match word {
        PatientsWord::Confirm => "confirm",
        PatientsWord::Cancel => "cancel",
    }
}

pub(super) fn answer_of(name: &str) -> Option<PatientsWord> {
    [PatientsWord::Confirm, PatientsWord::Cancel].into_iter().find(|word| answer_name(*word) == name)
}

/// Notes what was answered, under the patient's lock. Whoever answers has it: if it is about to go another way, it goes there no more.
pub async fn answer_note(tx: &mut Tx, id: &NotificationId, answer: PatientsWord) -> Result<(), db::Error> {
    let now = tx.now();
    on!(tx, |conn| sqlx::query(sql!(
        "update notification set version = version + 1, answer = $2, \
             send_until = case when turn > 0 and status = 'Scheduled' then $3 else send_until end \
         where id = $1"
    ))
    .bind(id.as_str())
    .bind(answer_name(answer))
    .bind(now)
    .execute(conn)
    .await
    .map(drop))?;
    Ok(())
}
