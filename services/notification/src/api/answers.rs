//! `GET` and `POST /api/notifications/confirm/{tokenId}`, and `…/cancel/{tokenId}`: one tap in a reminder, as the patient.
//!
//! A link is for one thing, of the appointment at the time that the reminder tells of, and once: then, when it has begun or was moved, it is over.

use contracts::appointment_answers::{PatientsAnswer, PatientsWord};
use contracts::client::ClientError;
use contracts::endpoint::Endpoint;
use contracts::links::{HtmlPage, LinkToken};
use contracts::notifications::{CancelByLink, CancelPage, ConfirmByLink, ConfirmPage};
use contracts::problem::{Problem, ProblemCode};
use contracts::templates::Language;
use contracts::trail;
use http_kit::{Answer, Call};

use super::{Api, lock_patient};
use crate::domain::page;
use crate::domain::visit::{Person, Visit};
use crate::error::Error;
use crate::links::Purpose;
use crate::store::answer::{answer_name, answer_note, reminder_find};
use crate::store::preference::preference_find;
use crate::store::told::told_find;

const OVER: &str =
    "This link is over: the appointment has begun, was changed since, or was answered so already.";

/// Asks whether the appointment is to be confirmed, and changes nothing.
pub async fn confirm_page(api: Api, call: Call<ConfirmPage>) -> Result<Answer<ConfirmPage>, Error> {
    ask(&api, PatientsWord::Confirm, &call.path.0).await
}

/// Confirms it.
pub async fn confirm(api: Api, call: Call<ConfirmByLink>) -> Result<Answer<ConfirmByLink>, Error> {
    take(&api, PatientsWord::Confirm, &call.path.0).await
}

/// Asks whether it is to be called off, and changes nothing.
pub async fn cancel_page(api: Api, call: Call<CancelPage>) -> Result<Answer<CancelPage>, Error> {
    ask(&api, PatientsWord::Cancel, &call.path.0).await
}

/// Calls it off.
pub async fn cancel(api: Api, call: Call<CancelByLink>) -> Result<Answer<CancelByLink>, Error> {
    take(&api, PatientsWord::Cancel, &call.path.0).await
}

async fn ask<E: Endpoint<Reply = HtmlPage>>(
    api: &Api,
    word: PatientsWord,
    token: &LinkToken,
) -> Result<Answer<E>, Error> {
    let visit = visit(api, word, token).await?;
    if let Some(over) = changed(api, &visit).await? {
        return Err(over.into());
    }
    let language = language(api, &visit).await?;
    Ok(Answer::new(page::answer(language, word, &visit, false)).no_store())
}

async fn take<E: Endpoint<Reply = HtmlPage>>(
    api: &Api,
    word: PatientsWord,
    token: &LinkToken,
) -> Result<Answer<E>, Error> {
    let visit = visit(api, word, token).await?;
    let appointments = api.planner.peers.appointments.as_ref().ok_or(Error::NotFound)?;
    let answer = PatientsAnswer {
        patient_id: visit.patient.clone(),
        provider_id: visit.provider.clone(),
        starts_at: visit.starts_at,
        word,
    };
    match appointments.take_answer(&visit.id, &answer).await {
        Ok(_) => {}
        Err(ClientError::Problem(problem)) if problem.code == ProblemCode::InvalidTransition => {
            let known = changed(api, &visit).await?;
            // The appointment service knows first.
            let unknown = over(page::Over::Changed, language(api, &visit).await?);
            return Err(known.unwrap_or(unknown).into());
        }
        Err(error) if error.is_not_found() => return Err(Error::NotFound),
        Err(error) => return Err(error.into()),
    }
    // What is noted here has the link stay over, whatever becomes of the appointment.
    db::retrying(&api.db, async |mut tx| {
        lock_patient(&mut tx, Some(&visit.patient)).await?;
        answer_note(&mut tx, token.notification(), word).await?;
        Ok::<_, Error>(tx.commit().await?)
    })
    .await?;
    let language = language(api, &visit).await?;
    Ok(Answer::new(page::answer(language, word, &visit, true)).no_store())
}

/// The appointment that a reminder tells of, if the link is ours, for this, and not over.
async fn visit(api: &Api, word: PatientsWord, token: &LinkToken) -> Result<Visit, Error> {
    let purpose = match word {
        PatientsWord::Confirm => Purpose::Confirm,
        PatientsWord::Cancel => Purpose::Cancel,
    };
    let id = api.message_of(purpose, token)?;
    let mut tx = api.db.read().await?;
    let (waiting, answered) = reminder_find(&mut tx, &api.db, id).await?.ok_or(Error::NotFound)?;
    drop(tx);
    let Person::Patient(patient) = &waiting.person else { return Err(Error::NotFound) };
    trail::concerns(patient.as_str());
    let visit = waiting.visit;
    let over_now = if visit.starts_at <= api.db.clock().now() {
        Some(page::Over::Begun)
    } else {
        answered.is_some_and(|answered| answered == answer_name(word)).then_some(page::Over::Answered)
    };
    match over_now {
        Some(why) => Err(over(why, language(api, &visit).await?).into()),
        None => Ok(visit),
    }
}

/// What is so instead, if the appointment is not as the reminder tells, as far as that is known here.
async fn changed(api: &Api, visit: &Visit) -> Result<Option<Problem>, Error> {
    let mut tx = api.db.read().await?;
    let present = told_find(&mut tx, &api.db, &visit.id).await?;
    drop(tx);
    let why = match &present {
        Some(present) if present.is_closed => page::Over::Closed,
        Some(present) if (present.starts_at, &present.provider) != (visit.starts_at, &visit.provider) => {
            page::Over::Moved(present)
        }
        _ => return Ok(None),
    };
    Ok(Some(over(why, language(api, visit).await?)))
}

async fn language(api: &Api, visit: &Visit) -> Result<Language, Error> {
    let mut tx = api.db.read().await?;
    let kept = preference_find(&mut tx, &api.db, &Person::Patient(visit.patient.clone())).await?;
    Ok(kept.map(|(_, preference)| preference.language()).unwrap_or_default())
}

fn over(why: page::Over<'_>, language: Language) -> Problem {
    Problem::new(ProblemCode::InvalidTransition).detail(OVER).page(page::over(language, why))
}
