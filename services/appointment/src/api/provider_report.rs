//! `GET /api/providers/{providerId}/report`, `GET /api/providers/reports`

use std::collections::BTreeMap;

use contracts::appointments::{ProviderReport, ProviderReports, SlotFilter};
use contracts::endpoint::Endpoint;
use contracts::page::LIMIT_MAX;
use contracts::problem::{Problem, ProblemCode};
use contracts::reports::{
    ProviderReported, ProvidersReported, REPORT_PROVIDERS_MAX, ReportBy, ReportFormat, ReportLine, Written,
};
use contracts::schedules::{ProviderSchedule, SchedulesFilter};
use contracts::statistics::StatisticsFilter;
use http_kit::{Answer, Call};

use super::statistics::check_counts;
use super::{Api, next_slots};
use crate::domain::report::{Tally, csv, offered_minutes};
use crate::domain::search::SlotSearch;
use crate::domain::slots::FreeSlot;
use crate::domain::statistics::Search;
use crate::domain::week::Schedule;
use crate::error::Error;
use crate::store::statistics::report_tally;

/// What there is to say of a provider, for who works here: counts of all, whoever shares what, and of nobody in particular.
pub async fn one(api: Api, call: Call<ProviderReport>) -> Result<Answer<ProviderReport>, Error> {
    check_counts(&call.caller)?;
    let search = search(&api, call.query.from.as_ref(), call.query.to.as_ref())?;
    let (from, to) = search.dates();
    let found = api.peers.schedule_from(&call.path.0, from).await?.ok_or(Error::NotFound)?;
    let line = told(&api, search, found).await?.line(ReportBy::Provider);
    if call.query.format == ReportFormat::Csv {
        return Ok(file(&[line]));
    }
    Ok(Answer::new(Written::Json(Box::new(ProviderReported {
        from: from.to_string(),
        to: to.to_string(),
        provider_id: line.provider_id.unwrap_or_default(),
        name: line.name.unwrap_or_default(),
        specialization: line.specialization,
        figures: line.figures,
    }))))
}

/// The same of several, each by themselves or by their specialities.
pub async fn several(api: Api, call: Call<ProviderReports>) -> Result<Answer<ProviderReports>, Error> {
    check_counts(&call.caller)?;
    let search = search(&api, call.query.from.as_ref(), call.query.to.as_ref())?;
    let ((from, to), by) = (search.dates(), call.query.by);
    let filter = SchedulesFilter {
        specialization: call.query.specialization.clone(),
        time_off_from: Some(from.to_string()),
        limit: Some(LIMIT_MAX),
        ..SchedulesFilter::default()
    };
    let mut lines: BTreeMap<String, Told> = BTreeMap::new();
    for found in found(&api, filter).await? {
        let told = told(&api, search, found).await?;
        let key = match by {
            ReportBy::Provider => told.found.provider_id.to_string(),
            ReportBy::Specialization => told.found.provider.specialization.to_lowercase(),
        };
        match lines.remove(&key) {
            Some(others) => drop(lines.insert(key, others.joined(told))),
            None => drop(lines.insert(key, told)),
        }
    }
    let items: Vec<_> = lines.into_values().map(|told| told.line(by)).collect();
    if call.query.format == ReportFormat::Csv {
        return Ok(file(&items));
    }
    let (from, to) = (from.to_string(), to.to_string());
    Ok(Answer::new(Written::Json(Box::new(ProvidersReported { from, to, by, items }))))
}

fn file<E: Endpoint<Reply = Written<T>>, T>(lines: &[ReportLine]) -> Answer<E> {
    Answer::new(Written::Text(csv(lines))).of_type("text/csv; charset=utf-8").file("providers.csv")
}

/// The days of a report: read as those of statistics are.
fn search(api: &Api, from: Option<&String>, to: Option<&String>) -> Result<Search, Problem> {
    let filter = StatisticsFilter { from: from.cloned(), to: to.cloned(), ..StatisticsFilter::default() };
    Search::parse(&filter, api.zone, api.now())
}

/// Whom a filter finds: all of them, or nobody.
async fn found(api: &Api, mut filter: SchedulesFilter) -> Result<Vec<ProviderSchedule>, Error> {
    let mut found = Vec::new();
    loop {
        let page = api.peers.schedules(&filter).await?;
        found.extend(page.items);
        if found.len() > REPORT_PROVIDERS_MAX {
            let message = format!("must be given: there are more than {REPORT_PROVIDERS_MAX} providers");
            return Err(Problem::new(ProblemCode::InvalidQuery).fault("specialization", message).into());
        }
        filter.cursor = page.next_cursor;
        if filter.cursor.is_none() {
            return Ok(found);
        }
    }
}

/// What there is to say of a provider, or of several of one speciality.
struct Told {
    /// The provider, or one of them.
    found: ProviderSchedule,
    providers: u64,
    tally: Tally,
    /// The next free slot, and whose it is.
    next: Option<(FreeSlot, ProviderSchedule)>,
}

async fn told(api: &Api, search: Search, found: ProviderSchedule) -> Result<Told, Error> {
    let schedule = Schedule::with_time_off(&found)?;
    let mut tx = api.db.read().await?;
    let mut tally = report_tally(&mut tx, &api.db, &found.provider_id, search.span()).await?;
    drop(tx);
    tally.offer(offered_minutes(&schedule, search.span()));
    let soon = SlotSearch::parse(&SlotFilter::default())?;
    let next = next_slots::next_of(api, &soon, &found).await?.map(|slot| (slot, found.clone()));
    Ok(Told { found, providers: 1, tally, next })
}

impl Told {
    /// Together with what there is to say of another.
    fn joined(mut self, other: Self) -> Self {
        self.tally.join(&other.tally);
        let next = self.next.into_iter().chain(other.next).min_by_key(|(slot, _)| slot.starts_at);
        Self { providers: self.providers + other.providers, next, ..self }
    }

    fn line(self, by: ReportBy) -> ReportLine {
        let Self { found, providers, tally, next } = self;
        let is_one = by == ReportBy::Provider;
        ReportLine {
            provider_id: is_one.then(|| found.provider_id.to_string()),
            name: is_one.then_some(found.provider.name),
            specialization: found.provider.specialization,
            providers,
            figures: tally.figures(next.map(|(slot, whose)| next_slots::view(&slot, &whose))),
        }
    }
}
