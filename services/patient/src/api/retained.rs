//! `GET /api/patients/{patientId}/retained` and `POST /api/admin/retention`

use std::sync::Arc;
use std::time::Duration;

use contracts::client::Transport;
use contracts::id::PatientId;
use contracts::page::Page;
use contracts::patients::{RetainedOfPatient, RunRetention};
use contracts::problem::{Problem, ProblemCode};
use contracts::retention::{
    CarryRetention, CollectRetained, KEEPERS, RetainedPage, RetainedSearch, RetentionReport,
    RetentionRequest, RetentionStatus, ServiceRetention,
};
use contracts::trail;
use futures_util::future::join_all;
use http_kit::{Answer, Call, access, retention};
use settings::ServiceName;

use super::Api;
use crate::error::Error;

/// Whoever takes longer to take away what has had its time is said not to answer; the rest is its job's.
const WAIT: Duration = Duration::from_secs(8);

/// What is kept of a deleted patient, a service after another.
pub async fn list(api: Api, call: Call<RetainedOfPatient>) -> Result<Answer<RetainedOfPatient>, Error> {
    let (patient,) = &call.path;
    trail::concerns(patient.as_str());
    if !access::reaches(&mut api.db.read().await?, &call.caller, patient).await? {
        return Err(Error::NotFound);
    }
    let (at, after) = read(call.query.cursor.as_deref())?;
    let page = page(&api, KEEPERS[at], patient, after).await?;
    let further = page.next.map(|next| format!("{}~{next}", KEEPERS[at]));
    let next_cursor = further.or_else(|| KEEPERS.get(at + 1).map(ToString::to_string));
    Ok(Answer::new(Page { items: page.items, next_cursor }).no_store())
}

/// Which of the keepers a cursor names, and where that goes on.
fn read(cursor: Option<&str>) -> Result<(usize, Option<String>), Problem> {
    let Some(cursor) = cursor else { return Ok((0, None)) };
    let (service, after) = cursor.split_once('~').map_or((cursor, None), |(name, after)| (name, Some(after)));
    let at = KEEPERS.iter().position(|keeper| keeper.as_str() == service);
    let is_place = after.is_none_or(|after| after.contains('/') && !after.contains('\0'));
    at.filter(|_| is_place).map(|at| (at, after.map(str::to_owned))).ok_or_else(|| {
        Problem::new(ProblemCode::InvalidQuery).fault("cursor", "must be the nextCursor of a page before")
    })
}

async fn page(
    api: &Api,
    service: ServiceName,
    patient: &PatientId,
    after: Option<String>,
) -> Result<RetainedPage, Error> {
    let search = RetainedSearch { after };
    if service == ServiceName::PatientService {
        return Ok(retention::page(&api.db, patient, &search).await?);
    }
    match api.holders.way(service) {
        Some(way) => Ok(way.call::<CollectRetained>(&[patient], &search, &()).await?),
        // This stack does not run it at present.
        None => Ok(RetainedPage { items: Vec::new(), next: None }),
    }
}

/// Takes away what has had its time in each service, or tells what would go.
pub async fn run(api: Api, call: Call<RunRetention>) -> Result<Answer<RunRetention>, Error> {
    let request = call.body;
    let asked = KEEPERS.map(|service| carry(&api, service, request));
    let services = join_all(asked).await.into_iter().collect::<Result<_, _>>()?;
    let answer = Answer::new(RetentionReport { dry_run: request.dry_run, services }).no_store();
    call.receipt.commit(api.db.begin().await?, &answer).await?;
    Ok(answer)
}

async fn carry(
    api: &Api,
    service: ServiceName,
    request: RetentionRequest,
) -> Result<ServiceRetention, Error> {
    if service == ServiceName::PatientService {
        return Ok(api.retention.answer(request).await?);
    }
    match api.holders.way(service) {
        Some(way) => Ok(ask(service, way, request).await),
        None => Ok(ServiceRetention::unknown(service, RetentionStatus::SwitchedOff)),
    }
}

async fn ask(service: ServiceName, way: &Arc<Transport>, request: RetentionRequest) -> ServiceRetention {
    match tokio::time::timeout(WAIT, way.call::<CarryRetention>(&[], &(), &request)).await {
        Ok(Ok(told)) => told,
        Ok(Err(error)) => {
            tracing::warn!(%service, %error, "a service does not take away what has had its time");
            ServiceRetention::unknown(service, RetentionStatus::NoAnswer)
        }
        Err(_) => ServiceRetention::unknown(service, RetentionStatus::NoAnswer),
    }
}
