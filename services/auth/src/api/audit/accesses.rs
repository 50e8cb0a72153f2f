//! `GET /api/patients/{patientId}/accesses`

use contracts::audit::{AuditSearch, PatientAccess};
use contracts::auth::PatientAccesses;
use contracts::page::Page;
use contracts::permission::{Permission, Role};
use contracts::problem::Faults;
use http_kit::page::Window;
use http_kit::{Answer, Call};

use crate::api::Api;
use crate::error::Error;

/// Lists who has seen or changed a patient's data: for themselves, and for whoever may read the audit. Nobody else is told that there is
/// such a patient.
pub async fn accesses(api: Api, call: Call<PatientAccesses>) -> Result<Answer<PatientAccesses>, Error> {
    let (patient,) = &call.path;
    let caller = &call.caller;
    // Whom a member of the staff is said to be counts for nothing: whoever changes users could say so of themselves.
    let is_theirs = caller.roles.contains(&Role::Patient) && caller.patient_id.as_ref() == Some(patient);
    if !is_theirs && !caller.may(Permission::AuditRead) {
        return Err(Error::NotFound);
    }
    let mut faults = Faults::new();
    let window = Window::parse(call.query.limit, call.query.cursor.as_deref(), &mut faults);
    let window = faults.finish_query(window)?;
    let search = AuditSearch { subject: Some(patient.to_string()), ..AuditSearch::default() };
    let page = api.audits.page(&search, &window).await?;
    let items = page.items.into_iter().map(|event| PatientAccess::of(event, patient)).collect();
    Ok(Answer::new(Page { items, next_cursor: page.next_cursor }).no_store())
}
