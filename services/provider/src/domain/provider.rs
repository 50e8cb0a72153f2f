//! A provider, and what makes one valid.

use chrono_tz::Tz;
use contracts::field::{self, BadField, Contact};
use contracts::id::ProviderId;
use contracts::problem::{Faults, Problem};
use contracts::providers::{self as wire, ProviderRequest};
use serde::{Deserialize, Serialize};

use super::availability::{self, DayHours};

const LINE_CHARS_MAX: usize = 200;

/// A provider's profile: what is sealed as the row's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    /// Full name.
    pub name: String,
    /// In plain words.
    pub specialization: String,
    /// How they are reached.
    pub contact: Contact,
    /// Weekly hours, at their place.
    pub availability: Vec<DayHours>,
    /// The time at their place.
    pub time_zone: Tz,
}

impl Provider {
    /// Reads an addition: the provider, and the id that the client brings if it brings one. The clinic's time is theirs if they name
    /// none.
    pub fn add(request: &ProviderRequest, clinic: Tz) -> Result<(Option<ProviderId>, Self), Problem> {
        let mut faults = Faults::new();
        let id = request.provider_id.as_deref().map(ProviderId::parse).transpose();
        let id = faults.take("providerId", id);
        let provider = Self::parse(
            &wire::Provider {
                provider_id: String::new(),
                name: request.name.clone(),
                specialization: request.specialization.clone(),
                contact_info: request.contact_info.clone(),
                availability: request.availability.clone(),
                time_zone: request.time_zone.clone().unwrap_or_else(|| clinic.name().to_owned()),
            },
            &mut faults,
        );
        faults.finish(id.zip(provider))
    }

    /// Reads what a change makes of the present provider. The id may be there, but only as it is.
    pub fn change(current: &wire::Provider, changed: &wire::Provider) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        if changed.provider_id != current.provider_id {
            faults.add("providerId", "cannot be changed");
        }
        let provider = Self::parse(changed, &mut faults);
        faults.finish(provider)
    }

    fn parse(profile: &wire::Provider, faults: &mut Faults) -> Option<Self> {
        let name = faults.take("name", field::line(&profile.name, LINE_CHARS_MAX));
        let specialization =
            faults.take("specialization", field::line(&profile.specialization, LINE_CHARS_MAX));
        let contact = Contact::parse(&profile.contact_info, faults);
        let availability = availability::parse(&profile.availability, faults);
        let time_zone = faults.take("timeZone", time_zone(&profile.time_zone));
        Some(Self {
            name: name?,
            specialization: specialization?,
            contact: contact?,
            availability: availability?,
            time_zone: time_zone?,
        })
    }

    /// As the API shows it.
    pub fn view(&self, id: &ProviderId) -> wire::Provider {
        wire::Provider {
            provider_id: id.to_string(),
            name: self.name.clone(),
            specialization: self.specialization.clone(),
            contact_info: self.contact.to_info(),
            availability: self.availability.iter().map(DayHours::view).collect(),
            time_zone: self.time_zone.name().to_owned(),
        }
    }
}

fn time_zone(name: &str) -> Result<Tz, BadField> {
    name.parse().map_err(|_| BadField::new("must be an IANA time zone such as Europe/Berlin"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jane() -> ProviderRequest {
        serde_json::from_str(
            r#"{"providerId":"prov001","name":"Dr. Jane Doe","specialization":"Cardiology",
                "contactInfo":{"phone":"+1234567890","email":"janedoe@example.com"},
                "availability":[{"day":"Monday","slots":["09:00-12:00","14:00-17:00"]},{"day":"Wednesday","slots":["09:00-12:00"]}]}"#,
        )
        .unwrap()
    }

    #[test]
    fn the_documents_provider_reads_back_as_it_was_given() {
        let (id, provider) = Provider::add(&jane(), Tz::Europe__Berlin).unwrap();
        let view = provider.view(&id.unwrap());
        assert_eq!((view.provider_id.as_str(), view.time_zone.as_str()), ("prov001", "Europe/Berlin"));
        assert_eq!((view.contact_info, view.availability), (jane().contact_info, jane().availability));
    }

    #[test]
    fn what_is_sealed_opens_again() {
        let (_, provider) = Provider::add(&jane(), Tz::America__New_York).unwrap();
        let sealed = serde_json::to_string(&provider).unwrap();
        assert_eq!(serde_json::from_str::<Provider>(&sealed).unwrap(), provider);
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let mut bad = jane();
        bad.provider_id = Some("slots".to_owned());
        bad.name = String::new();
        bad.specialization = "a\nb".to_owned();
        bad.contact_info.phone = Some("0".to_owned());
        bad.availability[1].slots[0] = "12:00-09:00".to_owned();
        bad.time_zone = Some("Mars/Olympus".to_owned());
        let problem = Provider::add(&bad, Tz::UTC).unwrap_err();
        let fields: Vec<_> = problem.errors.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "providerId",
                "name",
                "specialization",
                "contactInfo.phone",
                "availability[1].slots[0]",
                "timeZone"
            ]
        );
    }
}
