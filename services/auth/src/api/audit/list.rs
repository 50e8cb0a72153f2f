//! `GET /api/audit`

use contracts::audit::{AuditQuery, AuditSearch};
use contracts::auth::ListAudit;
use contracts::id::{self, PatientId};
use contracts::problem::{Faults, Problem};
use contracts::target::Target;
use http_kit::page::Window;
use http_kit::{Answer, Call};

use super::Place;
use crate::api::Api;
use crate::error::Error;

const OPERATION_CHARS_MAX: usize = 64;

/// Lists who did what to whose data, the newest first.
pub async fn list(api: Api, call: Call<ListAudit>) -> Result<Answer<ListAudit>, Error> {
    let (search, window) = parse(call.query)?;
    Ok(Answer::new(api.audits.page(&search, &window).await?).no_store())
}

fn parse(query: AuditQuery) -> Result<(AuditSearch, Window<Place>), Problem> {
    let mut faults = Faults::new();
    let _ = faults.take("patientId", query.patient_id.as_deref().map(PatientId::parse).transpose());
    let _ = faults.take("target", query.target.as_deref().map(str::parse::<Target>).transpose());
    if query.user_id.as_deref().is_some_and(|user| id::check(without_prefix(user)).is_err()) {
        faults.add("userId", "must be a user's id, or service: and a name, or feed: and an id");
    }
    if query.operation.as_deref().is_some_and(|operation| !is_operation(operation)) {
        faults.add("operation", "must be an operation's id");
    }
    let window = Window::parse(query.limit, query.cursor.as_deref(), &mut faults);
    let search = AuditSearch {
        subject: query.patient_id,
        target: query.target,
        user_id: query.user_id,
        operation: query.operation,
        outcome: query.outcome,
        from: query.from,
        until: query.until,
        ..AuditSearch::default()
    };
    faults.finish_query(window).map(|window| (search, window))
}

/// What stands behind what tells a part of the stack, or a calendar feed, from a user.
fn without_prefix(user: &str) -> &str {
    ["service:", "feed:"].iter().find_map(|prefix| user.strip_prefix(prefix)).unwrap_or(user)
}

fn is_operation(text: &str) -> bool {
    (1..=OPERATION_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
