//! `GET /api/providers/compliance`, and the same as a file: `…/compliance/csv`

use contracts::compliance::{CSV_PROVIDERS_MAX, ComplianceCsv, ComplianceEntry};
use contracts::problem::Faults;
use contracts::providers::{ComplianceFile, ComplianceReport};
use http_kit::page::Window;
use http_kit::{Answer, Call};

use super::Api;
use super::credentials::today;
use crate::domain::compliance::Wanted;
use crate::domain::csv;
use crate::domain::search::{Key, Search};
use crate::error::Error;
use crate::store::credential::credentials_of;
use crate::store::exclusion::exclusions_found;
use crate::store::provider::{Kept, provider_search};

/// Looked through at a time.
const BATCH: u32 = contracts::page::LIMIT_MAX;

/// Who lacks what.
pub async fn report(api: Api, call: Call<ComplianceReport>) -> Result<Answer<ComplianceReport>, Error> {
    let mut faults = Faults::new();
    let wanted = Wanted::parse(call.query.code, call.query.within_days, &mut faults);
    let window = Window::parse(call.query.limit, call.query.cursor.as_deref(), &mut faults);
    let (wanted, window) = faults.finish_query(wanted.zip(window))?;
    let rows = lacking(&api, wanted, &window).await?;
    Ok(Answer::new(window.page(rows)))
}

/// The same as a file.
pub async fn file(api: Api, call: Call<ComplianceFile>) -> Result<Answer<ComplianceFile>, Error> {
    let mut faults = Faults::new();
    let wanted = Wanted::parse(call.query.code, call.query.within_days, &mut faults);
    let wanted = faults.finish_query(wanted)?;
    let mut text =
        csv::line(["providerId", "name", "finding", "credentialId", "kind", "expiresOn", "exclusionId"]);
    let all = Window { after: None, limit: CSV_PROVIDERS_MAX };
    for (_, entry) in lacking(&api, wanted, &all).await?.into_iter().take(CSV_PROVIDERS_MAX as usize) {
        for finding in &entry.findings {
            let (code, kind) = (word(&finding.code), finding.kind.as_ref().map(word).unwrap_or_default());
            let of = |text: &Option<String>| text.clone().unwrap_or_default();
            let (credential, last) = (of(&finding.credential_id), of(&finding.expires_on));
            let exclusion = of(&finding.exclusion_id);
            let cells =
                [entry.provider_id.as_str(), &entry.name, &code, &credential, &kind, &last, &exclusion];
            text += &csv::line(cells);
        }
    }
    Ok(Answer::new(ComplianceCsv(text)).file("compliance.csv"))
}

/// As the API writes it.
fn word(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

/// Those who lack something, as many as fill a page, those added last first.
async fn lacking(
    api: &Api,
    wanted: Wanted,
    window: &Window<Key>,
) -> Result<Vec<(Key, ComplianceEntry)>, Error> {
    let mut page = window.filling(BATCH);
    let mut tx = api.db.read().await?;
    while let Some(window) = page.unread() {
        let search = Search { terms: Vec::new(), window };
        let providers = provider_search(&mut tx, &api.db, &search).await?;
        page.has_read(providers.len());
        for (key, Kept { id, provider, .. }) in providers {
            let credentials = credentials_of(&mut tx, &api.db, &id).await?;
            let credentials: Vec<_> =
                credentials.into_iter().map(|kept| (kept.id, kept.credential)).collect();
            let mut findings = wanted.findings(&credentials, today(&provider, tx.now()));
            let excluded = exclusions_found(&mut tx, &api.db, (&id, &provider.name)).await?;
            findings
                .extend(wanted.exclusions(excluded.iter().map(|it| (it.id.as_str(), it.by, it.decision))));
            let (provider_id, name) = (id.to_string(), provider.name);
            let entry = ComplianceEntry { provider_id, name, findings };
            if page.put(key, Some(entry).filter(|entry| !entry.findings.is_empty())) {
                break;
            }
        }
    }
    Ok(page.into_rows())
}
