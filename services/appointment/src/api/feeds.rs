//! `POST` and `GET /api/appointments/feeds`, and `DELETE` of one.

use contracts::appointments::{CreateFeed, ListFeeds, RevokeFeed};
use contracts::consents::DataClass;
use contracts::feeds::{FEEDS_MAX, Feed as Shown, FeedCreated, FeedFile, FeedRevoked};
use contracts::id::{FeedId, PatientId, ProviderId};
use contracts::page::Page;
use contracts::permission::Role;
use contracts::problem::{Faults, Problem, ProblemCode};
use contracts::trail;
use db::Tx;
use http_kit::export::Wanted;
use http_kit::{Answer, Call, Caller, Reach, Seeker, access};

use super::{Api, is_with};
use crate::domain::feed::{Feed, Kept, Maker, Owner, label, time};
use crate::error::Error;
use crate::store::among::Want;
use crate::store::feed::{feed_delete, feed_find, feed_insert, feed_list, feed_lock};

/// A feed is not changed: it is revoked, and another made.
const VERSION: i64 = 1;

/// Makes a feed. Its secret is told in this answer and nowhere else.
pub async fn create(api: Api, call: Call<CreateFeed>) -> Result<Answer<CreateFeed>, Error> {
    let (owner, label) = wanted(&api, &call).await?;
    let (id, file) = (FeedId::generate(api.db.random()), FeedFile::generate(api.db.random()));
    let maker = maker(&api, &call.caller, &owner)?;
    trail::because(&reason(&id, &owner));
    let feed = Feed { label, by: call.caller.user.clone(), maker };
    db::retrying(&api.db, async |mut tx| {
        feed_lock(&mut tx, &owner).await?;
        if feed_list(&mut tx, &api.db, &owner, Want::Openable).await?.len() >= FEEDS_MAX as usize {
            return Err(too_many().into());
        }
        let kept = Kept { id: id.clone(), owner: owner.clone(), created_at: tx.now(), feed: feed.clone() };
        feed_insert(&mut tx, &api.db, &kept, &file).await?;
        let answer = created(&kept, &file);
        call.receipt.commit_once(tx, &answer).await?;
        Ok::<_, Error>(answer)
    })
    .await
}

fn created(kept: &Kept, file: &FeedFile) -> Answer<CreateFeed> {
    let (feed_id, created_at) = (kept.id.clone(), time(kept.created_at));
    let created = FeedCreated { url: file.path(&feed_id), feed_id, created_at };
    Answer::new(created).located(&kept.id).version(VERSION).no_store()
}

/// Whose feed is asked for, and what it is called. To a patient, other patients are not; nor are those to the front desk who keep their appointments
/// from it.
async fn wanted(api: &Api, call: &Call<CreateFeed>) -> Result<(Owner, Option<String>), Error> {
    let (mut faults, body) = (Faults::new(), &call.body);
    let called = faults.take("label", label(body.label.as_deref()));
    let owner = Owner::parse(body.patient_id.as_deref(), body.provider_id.as_deref(), &mut faults);
    let Some(owner) = owner else {
        if body.patient_id.is_none() && body.provider_id.is_none() {
            faults.add("patientId", "must be given, or a providerId");
        }
        return Err(faults.into_problem().into());
    };
    let mut tx = api.db.read().await?;
    let may = may_keep(api, &mut tx, &call.caller, &owner).await?;
    drop(tx);
    if !may && (owner.provider().is_some() || call.caller.is_carer()) {
        return Err(Error::Forbidden("A feed is made by whose it is, or by the front desk for them."));
    }
    match &owner {
        Owner::Patient(patient) => {
            if !(api.peers.has_patient(patient).await? && may) {
                faults.add("patientId", "must be the id of a patient");
            }
        }
        Owner::Provider(provider) => {
            let known = api.peers.schedule(provider).await?.ok_or("must be the id of a provider");
            let _ = faults.take("providerId", known);
        }
    }
    Ok(faults.finish(called.map(|called| (owner, called)))?)
}

/// Whether the caller may have, see and revoke this one's feeds: the patient their own, who is the provider theirs, and whoever works here and is not bound by
/// whom they treat those of all; but of no patient who keeps their appointments from them.
async fn may_keep(api: &Api, tx: &mut Tx, caller: &Caller, owner: &Owner) -> Result<bool, Error> {
    match owner {
        // Who treats a patient does so for a while, and a feed is for good.
        Owner::Patient(patient) if caller.is_carer() => Ok(caller.own() == Some(patient)),
        Owner::Patient(patient) => {
            Ok(access::shows_unbroken(tx, &api.db, caller, DataClass::Appointments, patient).await?)
        }
        Owner::Provider(provider) if caller.is_carer() => Ok(is_with(caller, provider.as_str())),
        Owner::Provider(_) => Ok(caller.reach() == Reach::Everyone),
    }
}

/// As whom the caller sees the patient, if they are not the patient. What is in a provider's feed shows of no patient whose it is.
fn maker(api: &Api, caller: &Caller, owner: &Owner) -> Result<Option<Maker>, Error> {
    match owner {
        Owner::Patient(patient) if caller.own() != Some(patient) => {
            Ok(Seeker::of(&api.db, caller, DataClass::Appointments)?.map(Maker::from))
        }
        _ => Ok(None),
    }
}

/// What the audit remembers beside who and whose: a feed is found by it that asks later.
fn reason(id: &FeedId, owner: &Owner) -> String {
    match owner {
        Owner::Patient(_) => format!("feed:{id}"),
        Owner::Provider(provider) => format!("feed:{id} of provider {provider}"),
    }
}

fn too_many() -> Problem {
    Problem::new(ProblemCode::InvalidTransition)
        .detail(format!("There are {FEEDS_MAX} feeds of one patient or provider at most. Revoke one first."))
}

/// Lists somebody's feeds, without their secrets.
pub async fn list(api: Api, call: Call<ListFeeds>) -> Result<Answer<ListFeeds>, Error> {
    let (mut faults, query) = (Faults::new(), &call.query);
    let asked = Owner::parse(query.patient_id.as_deref(), query.provider_id.as_deref(), &mut faults);
    let owners = match asked {
        Some(owner) => vec![owner],
        None => own(&call.caller),
    };
    if owners.is_empty() && call.caller.reach() == Reach::Everyone && faults.is_empty() {
        faults.add("patientId", "must be given, or a providerId");
    }
    faults.finish_query(Some(()))?;
    let mut tx = api.db.read().await?;
    let mut items = Vec::new();
    for owner in &owners {
        if may_keep(&api, &mut tx, &call.caller, owner).await? {
            items.extend(feed_list(&mut tx, &api.db, owner, Want::Openable).await?.iter().map(Kept::view));
        }
    }
    Ok(Answer::new(Page { items, next_cursor: None }))
}

/// What somebody's own feeds are of.
fn own(caller: &Caller) -> Vec<Owner> {
    let patient: Option<PatientId> = caller.own().cloned();
    let treats = caller.roles.contains(&Role::Clinician);
    let provider: Option<ProviderId> = caller.provider_id.clone().filter(|_| treats);
    patient.map(Owner::Patient).into_iter().chain(provider.map(Owner::Provider)).collect()
}

/// Revokes a feed: from now on there is nothing at its address.
pub async fn revoke(api: Api, call: Call<RevokeFeed>) -> Result<Answer<RevokeFeed>, Error> {
    let (id,) = &call.path;
    db::retrying(&api.db, async |mut tx| {
        let owner = feed_find(&mut tx, id).await?.ok_or(Error::NotFound)?.owner;
        if let Some(patient) = owner.patient() {
            trail::concerns(patient.as_str());
        }
        if !may_keep(&api, &mut tx, &call.caller, &owner).await? {
            return Err(Error::NotFound);
        }
        call.if_match.check(VERSION)?;
        trail::because(&reason(id, &owner));
        if !feed_delete(&mut tx, id).await? {
            return Err(Error::NotFound);
        }
        Ok::<_, Error>(tx.commit().await?)
    })
    .await?;
    Ok(Answer::new(FeedRevoked { feed_id: id.clone(), status: "Revoked".to_owned() }))
}

/// A patient's feeds, for the export of all that is held of them. They are few: all are on the first page.
pub(super) async fn of_patient(api: Api, wanted: Wanted) -> Result<Page<Shown>, Error> {
    let mut tx = api.db.read().await?;
    let feeds = feed_list(&mut tx, &api.db, &Owner::Patient(wanted.patient), Want::Whole).await?;
    Ok(Page { items: feeds.iter().map(Kept::view).collect(), next_cursor: None })
}
