//! `/api/records/{recordId}/amendments` and what comes of them, and `GET /api/records/amendments`

use chrono::{DateTime, Utc};
use contracts::amendments::{
    AMENDMENTS_MAX, AmendmentAnswered, AmendmentRequested, AmendmentStatus, Decision as Wanted,
};
use contracts::consents::DataClass;
use contracts::id::{AmendmentId, RecordId};
use contracts::page::Page;
use contracts::records::{
    AmendmentsOfRecord, DecideAmendment, DisagreeWithDenial, ListAmendments, RequestAmendment,
};
use db::Tx;
use http_kit::etag::IfMatch;
use http_kit::page::Newest;
use http_kit::{Answer, Call, Caller, Reach, Receipt, Seeker};

use super::Api;
use crate::domain::amendment::{
    Amendment, Decision, Disagreement, Impossible, Kept, Search, disagreement, due_by, reason,
};
use crate::domain::break_glass::instant;
use crate::error::Error;
use crate::store::amendment::{Listed, amendment_insert, amendment_search, amendment_update, amendments_of};
use crate::store::record::{Kept as KeptRecord, Whose, record_touch};

/// Keeps what a patient asks to have amended.
pub async fn request(api: Api, call: Call<RequestAmendment>) -> Result<Answer<RequestAmendment>, Error> {
    let (record,) = &call.path;
    let amendment = Amendment::parse(&call.body)?;
    let id = AmendmentId::generate(api.db.random());
    db::retrying(&api.db, async |mut tx| {
        let kept = of_version(&api, &mut tx, &call.caller, record, &call.if_match).await?;
        db::erasure_lock(&mut tx, kept.record.patient_id.as_str()).await?;
        if amendments_of(&mut tx, &api.db, record).await?.len() >= AMENDMENTS_MAX {
            return Err(Error::TooManyAmendments);
        }
        let asked = Kept {
            id: id.clone(),
            version: 1,
            record: record.clone(),
            patient: kept.record.patient_id.clone(),
            requested_at: tx.now(),
            amendment: amendment.clone(),
        };
        amendment_insert(&mut tx, &api.db, &asked).await?;
        record_touch(&mut tx, &kept).await?;
        let requested = AmendmentRequested {
            amendment_id: id.clone(),
            record_id: record.clone(),
            due_by: instant(due_by(asked.requested_at)),
            status: AmendmentStatus::Requested,
        };
        let answer = Answer::new(requested).version(kept.version + 1);
        call.receipt.commit(tx, &answer).await?;
        Ok(answer)
    })
    .await
}

/// Lists a record's.
pub async fn of_record(
    api: Api,
    call: Call<AmendmentsOfRecord>,
) -> Result<Answer<AmendmentsOfRecord>, Error> {
    let (record,) = &call.path;
    let mut tx = api.db.read().await?;
    let kept = api.visible(&mut tx, &call.caller, record).await?;
    let items = amendments_of(&mut tx, &api.db, record).await?.iter().map(Kept::view).collect();
    Ok(Answer::new(Page { items, next_cursor: None }).version(kept.version))
}

/// Lists those of all records, what is due first. A patient's list holds their own, a clinician's those of whom they treat, and nobody's what is not shared with
/// them.
pub async fn list(api: Api, call: Call<ListAmendments>) -> Result<Answer<ListAmendments>, Error> {
    let search = Search::parse(&call.query)?;
    let window = search.window.clone();
    let mut tx = api.db.read().await?;
    let seeker = Seeker::of(&api.db, &call.caller, DataClass::Records)?;
    let page = window.page(found(&api, &mut tx, (&call.caller, seeker.as_ref()), search).await?);
    if let Some(seeker) = &seeker {
        seeker.tell_passed(page.items.iter().map(|(_, denied)| denied));
    }
    let items = page.items.iter().filter_map(|(kept, _)| kept.as_ref()).map(Kept::view).collect();
    Ok(Answer::new(Page { items, next_cursor: page.next_cursor }))
}

async fn found(
    api: &Api,
    tx: &mut Tx,
    (caller, seeker): (&Caller, Option<&Seeker>),
    search: Search,
) -> Result<Vec<(Newest, Listed)>, Error> {
    let search = match (seeker, &search.patient) {
        (Some(seeker), None) => return Ok(amendment_search(tx, &api.db, &search, Whose::Seen(seeker)).await?),
        (Some(seeker), Some(patient)) => seeker.may_see(tx, patient).await?.then_some(search),
        (None, _) => match caller.reach() {
            Reach::Only(own) => search.only_of(own),
            Reach::Everyone | Reach::Nobody => None,
        },
    };
    match search.as_ref().and_then(|search| Some((search, search.patient.as_ref()?))) {
        Some((search, patient)) => Ok(amendment_search(tx, &api.db, search, Whose::Patient(patient)).await?),
        None => Ok(Vec::new()),
    }
}

/// Keeps what came of a request. Nobody decides on their own.
pub async fn decide(api: Api, call: Call<DecideAmendment>) -> Result<Answer<DecideAmendment>, Error> {
    let (record, id) = &call.path;
    let reason = reason(&call.body)?;
    let decision = |at: DateTime<Utc>| Decision {
        is_accepted: call.body.decision == Wanted::Accepted,
        reason: reason.clone(),
        user: call.caller.user.clone(),
        username: call.caller.username.clone(),
        at,
    };
    db::retrying(&api.db, async |mut tx| {
        let kept = of_version(&api, &mut tx, &call.caller, record, &call.if_match).await?;
        if call.caller.patient_id.as_ref() == Some(&kept.record.patient_id) {
            return Err(Error::OwnDecision);
        }
        let at = tx.now();
        changed(&api, tx, &kept, id, &call.receipt, |amendment| amendment.decided(decision(at))).await
    })
    .await
}

/// Keeps what the patient says to a denial.
pub async fn disagree(api: Api, call: Call<DisagreeWithDenial>) -> Result<Answer<DisagreeWithDenial>, Error> {
    let (record, id) = &call.path;
    let text = disagreement(&call.body)?;
    db::retrying(&api.db, async |mut tx| {
        let kept = of_version(&api, &mut tx, &call.caller, record, &call.if_match).await?;
        let said = Disagreement { text: text.clone(), at: tx.now() };
        changed(&api, tx, &kept, id, &call.receipt, |amendment| amendment.disagreed(said)).await
    })
    .await
}

/// The record, if the caller may know of it and it is of the version that they mean: its amendments are part of what it shows.
async fn of_version(
    api: &Api,
    tx: &mut Tx,
    caller: &Caller,
    record: &RecordId,
    if_match: &IfMatch,
) -> Result<KeptRecord, Error> {
    let kept = api.visible(tx, caller, record).await?;
    if_match.check(kept.version)?;
    Ok(kept)
}

/// Takes an amendment a step further.
async fn changed<E>(
    api: &Api,
    mut tx: Tx,
    record: &KeptRecord,
    id: &AmendmentId,
    receipt: &Receipt,
    step: impl FnOnce(Amendment) -> Result<Amendment, Impossible>,
) -> Result<Answer<E>, Error>
where
    E: contracts::endpoint::Endpoint<Reply = AmendmentAnswered>,
{
    let all = amendments_of(&mut tx, &api.db, &record.id).await?;
    let kept = all.into_iter().find(|kept| kept.id == *id).ok_or(Error::NotFound)?;
    let kept = Kept { amendment: step(kept.amendment)?, ..kept };
    amendment_update(&mut tx, &api.db, &kept).await?;
    record_touch(&mut tx, record).await?;
    let answered = AmendmentAnswered { amendment_id: id.clone(), status: kept.amendment.status() };
    let answer = Answer::new(answered).version(record.version + 1);
    receipt.commit(tx, &answer).await?;
    Ok(answer)
}
