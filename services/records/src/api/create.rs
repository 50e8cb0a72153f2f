//! `POST /api/records`

use contracts::id::RecordId;
use contracts::records::{CreateRecord, RecordCreated};
use http_kit::{Answer, Call};

use super::Api;
use crate::domain::record::Record;
use crate::error::Error;
use crate::store::record::record_insert;

/// Creates a medical record.
pub async fn create(api: Api, call: Call<CreateRecord>) -> Result<Answer<CreateRecord>, Error> {
    let (id, record) = Record::create(&call.body, api.today())?;
    api.check_patient(&call.caller, &record.patient_id).await?;
    let id = id.unwrap_or_else(|| RecordId::generate(api.db.random()));
    let created = RecordCreated { record_id: id.clone(), status: "Created".to_owned() };
    let answer = Answer::new(created).located(&id).version(1);
    db::retrying(&api.db, async |mut tx| {
        db::erasure_lock(&mut tx, record.patient_id.as_str()).await?;
        record_insert(&mut tx, &api.db, &id, &record).await?;
        Ok::<_, Error>(call.receipt.commit(tx, &answer).await?)
    })
    .await?;
    Ok(answer)
}
