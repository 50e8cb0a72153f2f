//! `POST` and `GET /api/appointments/waitlist`, `DELETE` of one, and its offer accepted or declined.

use contracts::appointments::{AcceptOffer, DeclineOffer, JoinWaitlist, LeaveWaitlist, ListWaitlist};
use contracts::consents::DataClass;
use contracts::event::What;
use contracts::id::{AppointmentId, PatientId, ProviderId, WaitlistId};
use contracts::page::Page;
use contracts::problem::{Faults, Problem, ProblemCode};
use contracts::trail;
use contracts::waitlist::{WAITLIST_MAX, WaitlistChanged, WaitlistEntry};
use db::Tx;
use http_kit::export::Wanted;
use http_kit::page::Window;
use http_kit::{Answer, Call, Caller, Reach, access};

use super::{Api, SCHEDULE_ATTEMPTS_MAX, check_bookable, check_heard};
use crate::domain::notice;
use crate::domain::waitlist::{Asked, Kept};
use crate::error::Error;
use crate::store::among::Want;
use crate::store::appointment::{appointment_insert, appointment_lock};
use crate::store::hold::{hold_delete, hold_release, offer_holder};
use crate::store::waitlist::{
    Key, waitlist_count, waitlist_find, waitlist_insert, waitlist_list, waitlist_update,
};

/// Puts a patient on the waitlist.
pub async fn join(api: Api, call: Call<JoinWaitlist>) -> Result<Answer<JoinWaitlist>, Error> {
    let asked = Asked::parse(&call.body, api.zone, api.now(), &call.caller.user)?;
    check_are_there(&api, &call.caller, &asked).await?;
    let Asked { patient, provider, span, entry } = asked;
    let id = WaitlistId::generate(api.db.random());
    let kept = Kept {
        id: id.clone(),
        version: 1,
        patient,
        provider,
        span,
        created_at: api.now(),
        held: None,
        entry,
    };
    let answer = Answer::new(kept.view(api.now())).located(&id).version(1);
    db::retrying(&api.db, async |mut tx| {
        db::erasure_lock(&mut tx, kept.patient.as_str()).await?;
        if waitlist_count(&mut tx, &kept.patient).await? >= i64::from(WAITLIST_MAX) {
            let detail =
                format!("A patient waits for {WAITLIST_MAX} times at once at most. Withdraw one first.");
            return Err(Problem::new(ProblemCode::InvalidTransition).detail(detail).into());
        }
        waitlist_insert(&mut tx, &api.db, &kept).await?;
        Ok::<_, Error>(call.receipt.commit(tx, &answer).await?)
    })
    .await?;
    Ok(answer)
}

/// Whether patient and provider are there; to a patient, other patients are not.
async fn check_are_there(api: &Api, caller: &Caller, asked: &Asked) -> Result<(), Error> {
    trail::concerns(asked.patient.as_str());
    let reaches = api.may_book(caller, &asked.patient).await?;
    let mut faults = Faults::new();
    if !(api.peers.has_patient(&asked.patient).await? && reaches) {
        faults.add("patientId", "must be the id of a patient");
    }
    if let Some(provider) = &asked.provider
        && api.peers.schedule(provider).await?.is_none()
    {
        faults.add("providerId", "must be the id of a provider");
    }
    Ok(faults.into_result()?)
}

/// Lists the waitlist, as far as the caller sees whose entries they are.
pub async fn list(api: Api, call: Call<ListWaitlist>) -> Result<Answer<ListWaitlist>, Error> {
    let (mut faults, query) = (Faults::new(), &call.query);
    let patient = faults.take("patientId", query.patient_id.as_deref().map(PatientId::parse).transpose());
    let provider = faults.take("providerId", query.provider_id.as_deref().map(ProviderId::parse).transpose());
    let window = Window::<Key>::parse(query.limit, query.cursor.as_deref(), &mut faults);
    let ((mut patient, provider), window) = faults.finish_query(patient.zip(provider).zip(window))?;
    let empty = Page { items: Vec::new(), next_cursor: None };
    match call.caller.reach() {
        Reach::Everyone => {}
        Reach::Only(own) if patient.as_ref().is_none_or(|asked| *asked == own) => patient = Some(own),
        Reach::Only(_) | Reach::Nobody => return Ok(Answer::new(empty)),
    }
    let mut tx = api.db.read().await?;
    let whose = (patient.as_ref(), provider.as_ref());
    let rows = waitlist_list(&mut tx, &api.db, whose, &window, Want::Openable).await?;
    let page = window.page(rows);
    let mut items = Vec::with_capacity(page.items.len());
    for kept in &page.items {
        if access::shows(&mut tx, &api.db, &call.caller, DataClass::Appointments, &kept.patient).await? {
            items.push(kept.view(api.now()));
        }
    }
    Ok(Answer::new(Page { items, next_cursor: page.next_cursor }))
}

/// The entry, if there is one and the caller may know of it and change it.
async fn changeable(api: &Api, tx: &mut Tx, caller: &Caller, id: &WaitlistId) -> Result<Kept, Error> {
    let kept = waitlist_find(tx, &api.db, id).await?;
    let patient =
        kept.as_ref().map_or_else(|| PatientId::trusted(String::new()), |kept| kept.patient.clone());
    trail::concerns(patient.as_str());
    let class = DataClass::Appointments;
    if !access::shows(tx, &api.db, caller, class, &patient).await? {
        return Err(Error::NotFound);
    }
    let kept = kept.ok_or(Error::NotFound)?;
    if !access::shows_unbroken(tx, &api.db, caller, class, &patient).await? {
        return Err(Error::Forbidden(access::TREATING_NEEDED));
    }
    Ok(kept)
}

fn changed(kept: &Kept, api: &Api) -> WaitlistChanged {
    let appointment_id = kept.entry.appointment.as_ref().map(ToString::to_string);
    WaitlistChanged { waitlist_id: kept.id.clone(), status: kept.status(api.now()), appointment_id }
}

/// What another has changed meanwhile is decided anew.
fn anew(outcome: Result<(), Error>) -> Result<(), Error> {
    match outcome {
        Err(Error::Changed) => Err(Error::Db(db::Error::LostRace)),
        outcome => outcome,
    }
}

/// Waits no more; what was offered is free for the next. Doing so again does nothing.
pub async fn leave(api: Api, call: Call<LeaveWaitlist>) -> Result<Answer<LeaveWaitlist>, Error> {
    let (id,) = &call.path;
    let kept = db::retrying(&api.db, async |mut tx| {
        let kept = changeable(&api, &mut tx, &call.caller, id).await?;
        call.if_match.check(kept.version)?;
        if !kept.is_open() {
            return Ok(kept);
        }
        let after = kept.withdrawn();
        anew(waitlist_update(&mut tx, &api.db, &after).await)?;
        give_back(&api, &mut tx, &kept).await?;
        tx.commit().await?;
        Ok::<_, Error>(after)
    })
    .await?;
    Ok(Answer::new(changed(&kept, &api)))
}

/// Does not take what is offered, and waits on.
pub async fn decline(api: Api, call: Call<DeclineOffer>) -> Result<Answer<DeclineOffer>, Error> {
    let (id,) = &call.path;
    let answer = db::retrying(&api.db, async |mut tx| {
        let kept = changeable(&api, &mut tx, &call.caller, id).await?;
        call.if_match.check(kept.version)?;
        if kept.offer(tx.now()).is_none() {
            return Err(no_offer().into());
        }
        let after = kept.declined();
        anew(waitlist_update(&mut tx, &api.db, &after).await)?;
        give_back(&api, &mut tx, &kept).await?;
        let answer = Answer::new(changed(&after, &api));
        call.receipt.commit(tx, &answer).await?;
        Ok::<_, Error>(answer)
    })
    .await?;
    Ok(answer)
}

/// Frees what is offered, and has nobody told of it who has not been told yet.
async fn give_back(api: &Api, tx: &mut Tx, kept: &Kept) -> Result<(), Error> {
    if let Some((hold, _)) = &kept.held {
        hold_release(tx, hold, &offer_holder(&api.db, &kept.id)?).await?;
    }
    Ok(api.publish(tx, kept.notice().map(What::WaitlistOfferEnded)).await?)
}

fn no_offer() -> Problem {
    Problem::new(ProblemCode::InvalidTransition).detail("Nothing is offered, or not any more.")
}

/// Takes what is offered. The provider is asked before the transaction begins, so their schedule may have changed meanwhile: then it is decided anew.
pub async fn accept(api: Api, call: Call<AcceptOffer>) -> Result<Answer<AcceptOffer>, Error> {
    let (id,) = &call.path;
    let mut tx = api.db.read().await?;
    let kept = changeable(&api, &mut tx, &call.caller, id).await?;
    drop(tx);
    call.if_match.check(kept.version)?;
    for _ in 1..SCHEDULE_ATTEMPTS_MAX {
        match take(&api, &call, &kept).await {
            Err(Error::Changed) => {}
            outcome => return outcome,
        }
    }
    take(&api, &call, &kept).await
}

/// The hold becomes an appointment, in one step.
async fn take(api: &Api, call: &Call<AcceptOffer>, kept: &Kept) -> Result<Answer<AcceptOffer>, Error> {
    let (offer, hold) = kept.offer(api.now()).ok_or_else(no_offer)?;
    let appointment = kept.appointment(offer);
    // What was offered may not fit any more what the provider says: then somebody is to look at it.
    let schedule = api.schedule(&appointment.plan.provider).await?;
    schedule.as_ref().map_or(Ok(()), |schedule| check_bookable(&call.caller, schedule))?;
    let reviewed = schedule.as_ref().and_then(|schedule| appointment.reviewed(schedule));
    let appointment = reviewed.unwrap_or(appointment);
    let (span, appointment_id) = (appointment.span()?, AppointmentId::generate(api.db.random()));
    let after = kept.booked(appointment_id.clone());
    let answer = Answer::new(changed(&after, api));
    db::retrying(&api.db, async |mut tx| {
        appointment_lock(&mut tx, &appointment).await?;
        if let Some(schedule) = &schedule {
            check_heard(&mut tx, &appointment.plan.provider, schedule).await?;
        }
        waitlist_update(&mut tx, &api.db, &after).await.map_err(offer_gone)?;
        hold_delete(&mut tx, hold, &offer_holder(&api.db, &kept.id)?).await?;
        appointment_insert(&mut tx, &api.db, &appointment_id, &appointment, span, &call.caller.user).await?;
        api.publish(&mut tx, notice::event((&appointment_id, 1), None, &appointment, false)).await?;
        Ok::<_, Error>(call.receipt.commit(tx, &answer).await?)
    })
    .await?;
    Ok(answer)
}

/// The entry is another than was read: the offer was declined, withdrawn or accepted meanwhile.
fn offer_gone(error: Error) -> Error {
    match error {
        Error::Changed => no_offer().into(),
        error => error,
    }
}

/// What a patient waits for, for the export of all that is held of them.
pub(super) async fn of_patient(api: Api, wanted: Wanted) -> Result<Page<WaitlistEntry>, Error> {
    let window = wanted.window()?;
    let mut tx = api.db.read().await?;
    let whose = (Some(&wanted.patient), None);
    let page = window.page(waitlist_list(&mut tx, &api.db, whose, &window, Want::Whole).await?);
    let items = page.items.iter().map(|kept| kept.view(api.now())).collect();
    Ok(Page { items, next_cursor: page.next_cursor })
}
