//! `POST /api/bills`

use contracts::bills::{BillCreated, CreateBill};
use contracts::id::BillId;
use http_kit::{Answer, Call};

use super::Api;
use crate::domain::bill::Bill;
use crate::error::Error;
use crate::store::bill::bill_insert;

/// Creates a bill.
pub async fn create(api: Api, call: Call<CreateBill>) -> Result<Answer<CreateBill>, Error> {
    let (id, bill) = Bill::create(&call.body)?;
    api.check_patient(&call.caller, &bill.patient_id).await?;
    let id = id.unwrap_or_else(|| BillId::generate(api.db.random()));
    let created = BillCreated { bill_id: id.clone(), status: "Created".to_owned() };
    let answer = Answer::new(created).located(&id).version(1);
    db::retrying(&api.db, async |mut tx| {
        db::erasure_lock(&mut tx, bill.patient_id.as_str()).await?;
        bill_insert(&mut tx, &api.db, &id, &bill).await?;
        Ok::<_, Error>(call.receipt.commit(tx, &answer).await?)
    })
    .await?;
    Ok(answer)
}
