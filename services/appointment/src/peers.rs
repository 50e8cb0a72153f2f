//! What this service asks of the others.

use std::collections::HashMap;

use chrono::NaiveDate;
use contracts::client::{ClientError, found};
use contracts::consents::Denials;
use contracts::event::What;
use contracts::id::{PatientId, ProviderId};
use contracts::page::LIMIT_MAX;
use contracts::patients::PatientsClient;
use contracts::problem::ProblemCode;
use contracts::providers::{Provider, ProviderFilter, ProvidersClient};
use contracts::schedules::{ProviderSchedule, ScheduleFilter, Schedules, SchedulesFilter};
use http_kit::kit::BuildError;
use http_kit::{Kit, consents};
use settings::ServiceName;

use crate::domain::week::Schedule;
use crate::error::Error;

/// The patient and the provider service.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    patients: PatientsClient,
    providers: ProvidersClient,
}

/// What a provider does, and when.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) specialization: String,
    pub(crate) schedule: Schedule,
}

impl Peers {
    pub(crate) fn new(kit: &Kit) -> Result<Self, BuildError> {
        Ok(Self {
            patients: PatientsClient::new(kit.transport(ServiceName::PatientService)?),
            providers: ProvidersClient::new(kit.transport(ServiceName::ProviderService)?),
        })
    }

    /// Whether there is such a patient.
    pub(crate) async fn has_patient(&self, id: &PatientId) -> Result<bool, Error> {
        Ok(found(self.patients.patient_by_id(id).await)?.is_some())
    }

    /// What a patient does not share, if an event tells that it has changed.
    pub(crate) async fn denials(&self, what: &What) -> Result<Option<Denials>, Error> {
        Ok(consents::ask(&self.patients, what).await?)
    }

    /// A provider as far as who waits must know them, if there is such a provider.
    pub(crate) async fn profile(&self, id: &ProviderId) -> Result<Option<Profile>, Error> {
        let Some(known) = found(self.providers.schedule_of_provider(id, &ScheduleFilter::default()).await)?
        else {
            return Ok(None);
        };
        let schedule = Schedule::with_time_off(&known)?;
        Ok(Some(Profile { specialization: known.provider.specialization, schedule }))
    }

    /// A provider's places, hours, time off and whether they take bookings, if there is such a provider.
    pub(crate) async fn schedule(&self, id: &ProviderId) -> Result<Option<Schedule>, Error> {
        if let Some(schedule) =
            found(self.providers.schedule_of_provider(id, &ScheduleFilter::default()).await)?
        {
            return Ok(Some(Schedule::with_time_off(&schedule)?));
        }
        // The version before this one does not know of schedules, and says of everybody's that there is none.
        let provider = found(self.providers.provider_by_id(id).await)?;
        Ok(provider.as_ref().map(Schedule::of).transpose()?)
    }

    /// A provider's profile and time off, that which ended on a date or later among it, if there is such a provider.
    pub(crate) async fn schedule_from(
        &self,
        id: &ProviderId,
        date: NaiveDate,
    ) -> Result<Option<ProviderSchedule>, Error> {
        let filter = ScheduleFilter { time_off_from: Some(date.to_string()) };
        Ok(found(self.providers.schedule_of_provider(id, &filter).await)?)
    }

    /// The speciality of every provider. Those that are the same but for their case are written as it is of one of them.
    pub(crate) async fn specializations(&self) -> Result<HashMap<String, String>, Error> {
        let mut filter = ProviderFilter { limit: Some(LIMIT_MAX), ..ProviderFilter::default() };
        let (mut of_each, mut written) = (HashMap::new(), HashMap::new());
        loop {
            let page = self.providers.list_providers(&filter).await?;
            for Provider { provider_id, specialization, .. } in page.items {
                let lower = specialization.to_lowercase();
                of_each.insert(provider_id, written.entry(lower).or_insert(specialization).clone());
            }
            filter.cursor = page.next_cursor;
            if filter.cursor.is_none() {
                return Ok(of_each);
            }
        }
    }

    /// The schedules of those whom a filter finds. What is wrong with the filter, their service says.
    pub(crate) async fn schedules(&self, filter: &SchedulesFilter) -> Result<Schedules, Error> {
        match self.providers.schedules_of_providers(filter).await {
            Err(ClientError::Problem(problem)) if problem.code == ProblemCode::InvalidQuery => {
                Err(Error::Invalid(problem))
            }
            outcome => Ok(outcome?),
        }
    }
}
