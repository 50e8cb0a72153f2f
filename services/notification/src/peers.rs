//! What this service asks of the others: where somebody is reached.

use std::collections::{HashMap, HashSet};

use contracts::appointments::AppointmentsClient;
use contracts::client::{ClientError, found};
use contracts::notifications::Channel;
use contracts::patients::{ContactInfo, PatientsClient};
use contracts::providers::ProvidersClient;

use futures_util::stream::{self, StreamExt};
use http_kit::Kit;
use http_kit::kit::BuildError;
use settings::ServiceName;

use crate::domain::visit::Person;

/// So many are asked for at once.
const AT_ONCE: usize = 32;

/// The patient, the provider and the appointment service; `None` where the stack has no such service.
#[derive(Clone, Debug)]
pub struct Peers {
    /// Whom patients' answers are told.
    pub(crate) appointments: Option<AppointmentsClient>,
    patients: Option<PatientsClient>,
    providers: Option<ProvidersClient>,
}

/// Where somebody is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    contact: ContactInfo,
    /// A provider's name: patients are told with whom they meet.
    pub name: Option<String>,
}

impl Reached {
    /// The address for a channel, if there is one. Devices are not among what the two services know.
    pub fn address(&self, channel: Channel) -> Option<&str> {
        match channel {
            Channel::Email => self.contact.email.as_deref(),
            Channel::Sms => self.contact.phone.as_deref(),
            Channel::Push => None,
        }
    }

    /// Every address.
    pub fn addresses(&self) -> Vec<String> {
        [Channel::Email, Channel::Sms]
            .into_iter()
            .filter_map(|channel| self.address(channel))
            .map(str::to_owned)
            .collect()
    }
}

/// What was answered of each; `None` of whom nobody knows.
pub type Answers = HashMap<Person, Result<Option<Reached>, ClientError>>;

impl Peers {
    /// From the kit.
    pub fn new(kit: &Kit) -> Result<Self, BuildError> {
        Ok(Self {
            appointments: kit
                .optional_transport(ServiceName::AppointmentService)?
                .map(AppointmentsClient::new),
            patients: kit.optional_transport(ServiceName::PatientService)?.map(PatientsClient::new),
            providers: kit.optional_transport(ServiceName::ProviderService)?.map(ProvidersClient::new),
        })
    }

    /// Where somebody is reached, if there is such a person.
    pub async fn reached(&self, person: &Person) -> Result<Option<Reached>, ClientError> {
        match (person, &self.patients, &self.providers) {
            (Person::Patient(id), Some(patients), _) => {
                let known = found(patients.contact_of_patient(id).await)?;
                Ok(known.map(|known| Reached { contact: known.contact_info, name: None }))
            }
            (Person::Provider(id), _, Some(providers)) => {
                let known = found(providers.provider_by_id(id).await)?;
                Ok(known
                    .map(|provider| Reached { contact: provider.contact_info, name: Some(provider.name) }))
            }
            _ => Ok(None),
        }
    }

    /// The same of many, each asked for once.
    pub async fn reached_all(&self, people: HashSet<Person>) -> Answers {
        stream::iter(people)
            .map(async |person| {
                let answer = self.reached(&person).await;
                (person, answer)
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await
    }
}
