//! `GET /api/patients/{patientId}/export`
//!
//! Whole or not at all: it leaves when every service has given what it holds, and until then it is in memory.

use std::sync::Arc;

use contracts::client::Transport;
use contracts::consents::Consent;
use contracts::export::{CollectExport, ExportAskedBy, ExportManifest, ExportPage, ExportSearch, HOLDERS};
use contracts::id::PatientId;
use contracts::page::Page;
use contracts::patients::{ExportPatient, Patient};
use contracts::problem::{Problem, ProblemCode};
use http_kit::export::{Kinds, Wanted};
use http_kit::kit::BuildError;
use http_kit::{Answer, Call, Kit, View};
use settings::ServiceName;
use tokio::sync::Semaphore;

use super::Api;
use crate::archive::Archive;
use crate::domain::care_team::Place;
use crate::domain::consent::Kept;
use crate::error::Error;
use crate::store::care_team::care_team_all;
use crate::store::consent::consent_list;
use crate::store::erase::Seat;
use crate::store::patient::patient_find;

/// So many are put together at a time in one process: more would take more memory than there may be. Whoever else asks waits.
const AT_ONCE: usize = 2;

/// Whom to ask for their part.
pub(super) struct Holders {
    pub(super) peers: Vec<(ServiceName, Arc<Transport>)>,
    pub(super) switched_off: Vec<ServiceName>,
    places: Semaphore,
}

impl Holders {
    /// The way to a service, if this stack runs it.
    pub(super) fn way(&self, service: ServiceName) -> Option<&Arc<Transport>> {
        self.peers.iter().find(|(name, _)| *name == service).map(|(_, way)| way)
    }

    /// From the kit.
    pub(super) fn new(kit: &Kit) -> Result<Self, BuildError> {
        let (mut peers, mut switched_off) = (Vec::new(), Vec::new());
        for service in HOLDERS {
            match kit.optional_transport(service)? {
                Some(way) => peers.push((service, way)),
                None => switched_off.push(service),
            }
        }
        Ok(Self { peers, switched_off, places: Semaphore::new(AT_ONCE) })
    }
}

/// Gives out all that is held on a patient, or what one service holds.
pub async fn export(api: Api, call: Call<ExportPatient>) -> Result<Answer<ExportPatient>, Error> {
    let (patient,) = &call.path;
    let only = call.query.service.as_deref().map(service).transpose()?;
    let begun_at = api.db.clock().now();
    api.visible(&mut api.db.read().await?, &call.caller, patient).await?;
    let _place = api.holders.places.acquire().await;
    let mut archive = Archive::default();
    let is_wanted = |service: ServiceName| only.is_none_or(|only| only == service);
    let own = (ServiceName::PatientService, None);
    let peers = api.holders.peers.iter().map(|(service, way)| (*service, Some(way)));
    for (service, way) in std::iter::once(own).chain(peers).filter(|(service, _)| is_wanted(*service)) {
        add(&api, &mut archive, service, way, patient).await?;
    }
    // Whoever was deleted meanwhile is not there in part.
    api.visible(&mut api.db.read().await?, &call.caller, patient).await?;
    let switched_off = api.holders.switched_off.iter().filter(|service| is_wanted(**service));
    let zip = archive.finish(|files| ExportManifest {
        patient_id: patient.clone(),
        begun_at,
        asked_by: ExportAskedBy {
            user_id: call.caller.user.clone(),
            username: call.caller.username.clone(),
            roles: call.caller.role_names().iter().map(ToString::to_string).collect(),
        },
        files,
        switched_off: switched_off.map(ToString::to_string).collect(),
    })?;
    Ok(Answer::new(zip).no_store().file("export.zip"))
}

/// Which of those who hold something is meant.
fn service(name: &str) -> Result<ServiceName, Problem> {
    let mut all = HOLDERS.into_iter().chain([ServiceName::PatientService]);
    all.find(|service| service.as_str() == name).ok_or_else(|| {
        Problem::new(ProblemCode::InvalidQuery)
            .fault("service", "must be a service that holds patients' data")
    })
}

/// Adds all that one service holds, to its end.
async fn add(
    api: &Api,
    archive: &mut Archive,
    service: ServiceName,
    way: Option<&Arc<Transport>>,
    patient: &PatientId,
) -> Result<(), Error> {
    let own = kinds().with_accesses(api.db.clone());
    let mut search = ExportSearch::default();
    loop {
        let page: ExportPage = match way {
            None => own.page(api.clone(), patient, &search).await?,
            Some(way) => way.call::<CollectExport>(&[patient], &search, &()).await?,
        };
        archive.add(service, &page.kind, &page.items)?;
        match page.next {
            Some(next) => search.after = Some(next),
            None => return Ok(()),
        }
    }
}

/// What is held here.
fn kinds() -> Kinds<Api, Error> {
    Kinds::new().of("patient", oneself).of("care-team", care_team).of("consents", all_consents)
}

async fn oneself(api: Api, wanted: Wanted) -> Result<Page<Patient>, Error> {
    let kept = patient_find(&mut api.db.read().await?, &api.db, &wanted.patient).await?;
    let items = kept.iter().map(|kept| kept.patient.view(&kept.id, View::Whole)).collect();
    Ok(Page { items, next_cursor: None })
}

async fn all_consents(api: Api, wanted: Wanted) -> Result<Page<Consent>, Error> {
    let consents = consent_list(&mut api.db.read().await?, &api.db, &wanted.patient).await?;
    Ok(Page { items: consents.iter().map(Kept::view).collect(), next_cursor: None })
}

async fn care_team(api: Api, wanted: Wanted) -> Result<Page<Seat>, Error> {
    let window = wanted.window()?;
    let places = care_team_all(&mut api.db.read().await?, &wanted.patient, &window).await?;
    let seat = |place: Place| (place.provider.clone(), Seat::from(place));
    Ok(window.page(places.into_iter().map(seat).collect()))
}
