//! What this service asks of the others.

use contracts::client::found;
use contracts::consents::Denials;
use contracts::credentials::NotBookable;
use contracts::event::What;
use contracts::id::{PatientId, ProviderId};
use contracts::patients::PatientsClient;
use contracts::providers::ProvidersClient;
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

    /// Why a provider takes no new bookings, if that is so. A provider service of the version before has no word of it: then they do.
    pub(crate) async fn not_bookable(&self, id: &ProviderId) -> Result<Option<NotBookable>, Error> {
        let standing = found(self.providers.standing_of_provider(id).await)?;
        Ok(standing.and_then(|standing| standing.not_bookable))
    }

    /// A provider's place and hours, if there is such a provider.
    pub(crate) async fn schedule(&self, id: &ProviderId) -> Result<Option<Schedule>, Error> {
        let provider = found(self.providers.provider_by_id(id).await)?;
        Ok(provider.as_ref().map(Schedule::of).transpose()?)
    }
}
