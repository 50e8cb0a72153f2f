//! A provider, and what makes one valid.

use chrono::NaiveDate;
use chrono_tz::Tz;
use contracts::field::{self, BadField, Contact};
use contracts::id::ProviderId;
use contracts::problem::{Faults, Problem};
use contracts::providers::{self as wire, ProviderRequest};
use serde::{Deserialize, Serialize};

use super::availability::{self, DayHours};
use super::dates::{self, DateHours};
use super::language;
use super::place::{self, Location, time_zone};
use super::visit_type::{self, VisitType};

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
    /// Where they work.
    #[serde(default)]
    pub locations: Vec<Location>,
    /// How long each kind of visit takes.
    #[serde(default)]
    pub visit_types: Vec<VisitType>,
    /// Dates with other hours.
    #[serde(default)]
    pub overrides: Vec<DateHours>,
    /// What they speak.
    #[serde(default)]
    pub languages: Vec<String>,
    /// Their speciality in the NUCC's taxonomy.
    #[serde(default)]
    pub taxonomy_code: Option<String>,
}

impl Provider {
    /// Reads an addition: the provider, and the id that the client brings if it brings one. The clinic's time is theirs if they name
    /// none.
    pub fn add(
        request: &ProviderRequest,
        clinic: Tz,
        today: NaiveDate,
    ) -> Result<(Option<ProviderId>, Self), Problem> {
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
                locations: request.locations.clone(),
                visit_types: request.visit_types.clone(),
                overrides: request.overrides.clone(),
                languages: request.languages.clone(),
                taxonomy_code: request.taxonomy_code.clone(),
            },
            today,
            &mut faults,
        );
        faults.finish(id.zip(provider))
    }

    /// Reads what a change makes of the present provider. The id may be there, but only as it is.
    pub fn change(
        current: &wire::Provider,
        changed: &wire::Provider,
        today: NaiveDate,
    ) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        if changed.provider_id != current.provider_id {
            faults.add("providerId", "cannot be changed");
        }
        let provider = Self::parse(changed, today, &mut faults);
        faults.finish(provider)
    }

    fn parse(profile: &wire::Provider, today: NaiveDate, faults: &mut Faults) -> Option<Self> {
        let name = faults.take("name", field::line(&profile.name, LINE_CHARS_MAX));
        let specialization =
            faults.take("specialization", field::line(&profile.specialization, LINE_CHARS_MAX));
        let contact = Contact::parse(&profile.contact_info, faults);
        let places = place::parse(&profile.locations, faults);
        let zone = time_zone(&profile.time_zone);
        // Without one, the hours are read all the same, so that each fault is told.
        let (at, locations) =
            (zone.as_ref().copied().unwrap_or(Tz::UTC), places.as_deref().unwrap_or_default());
        let availability = availability::parse(&profile.availability, locations, at, today, faults);
        let time_zone = faults.take("timeZone", zone);
        let visit_types = visit_type::parse(&profile.visit_types, faults);
        let overrides = dates::parse(&profile.overrides, locations, at, faults);
        let languages = language::parse(&profile.languages, faults);
        let code = profile.taxonomy_code.as_deref().map(taxonomy_code).transpose();
        let taxonomy_code = faults.take("taxonomyCode", code);
        Some(Self {
            name: name?,
            specialization: specialization?,
            contact: contact?,
            availability: availability?,
            time_zone: time_zone?,
            locations: places?,
            visit_types: visit_types?,
            overrides: overrides?,
            languages: languages?,
            taxonomy_code: taxonomy_code?,
        })
    }

    /// Whether both can be booked at the same times, at the same places and for the same visits.
    pub fn is_booked_like(&self, other: &Self) -> bool {
        self.availability == other.availability
            && self.time_zone == other.time_zone
            && self.locations == other.locations
            && self.visit_types == other.visit_types
            && self.overrides == other.overrides
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
            locations: self.locations.iter().map(Location::view).collect(),
            visit_types: self.visit_types.iter().map(VisitType::view).collect(),
            overrides: self.overrides.iter().map(DateHours::view).collect(),
            languages: self.languages.clone(),
            taxonomy_code: self.taxonomy_code.clone(),
        }
    }
}

/// Checks the form of a code of the Health Care Provider Taxonomy (NUCC): three digits, six digits or letters, and an X. Which codes there are is
/// theirs to say, twice a year.
pub fn taxonomy_code(text: &str) -> Result<String, BadField> {
    let bytes = text.as_bytes();
    let is_one = bytes.len() == 10
        && bytes[..3].iter().all(u8::is_ascii_digit)
        && bytes[3..9].iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
        && bytes[9] == b'X';
    is_one.then(|| text.to_owned()).ok_or_else(|| BadField::new("must be a NUCC code such as 207RC0000X"))
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

    fn today() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, 15).unwrap()
    }

    #[test]
    fn what_the_version_before_sealed_opens() {
        let (_, provider) = Provider::add(&jane(), Tz::Europe__Berlin, today()).unwrap();
        let mut sealed = serde_json::to_value(&provider).unwrap();
        for member in ["locations", "visit_types", "overrides", "languages", "taxonomy_code"] {
            assert!(sealed.as_object_mut().unwrap().remove(member).is_some(), "{member}");
        }
        assert_eq!(serde_json::from_value::<Provider>(sealed).unwrap(), provider);
    }

    #[test]
    fn what_is_new_and_wrong_is_named_by_its_path() {
        let mut bad = jane();
        let new = serde_json::json!({
            "locations": [{"locationId": "a/b", "name": ""}, {"locationId": "nyc", "name": "New York", "timeZone": "New York"}],
            "visitTypes": [{"name": "new", "durationMinutes": 4, "bufferAfterMinutes": 241}, {"name": "NEW", "durationMinutes": 30}],
            "overrides": [{"date": "2026-02-30", "slots": []}, {"date": "2026-02-03", "slots": ["9-10"], "locationId": "moon"}],
            "languages": ["de", "DE", "x"],
            "taxonomyCode": "207rc0000X"
        });
        let mut all = serde_json::to_value(&bad).unwrap();
        all.as_object_mut().unwrap().extend(new.as_object().unwrap().clone());
        bad = serde_json::from_value(all).unwrap();
        let problem = Provider::add(&bad, Tz::UTC, today()).unwrap_err();
        let fields: Vec<_> = problem.errors.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "locations[0].locationId",
                "locations[0].name",
                "locations[1].timeZone",
                "visitTypes[0].durationMinutes",
                "visitTypes[0].bufferAfterMinutes",
                "visitTypes[1].name",
                "overrides[0].date",
                "overrides[1].locationId",
                "overrides[1].slots[0]",
                "languages[1]",
                "languages[2]",
                "taxonomyCode",
            ]
        );
    }

    #[test]
    fn the_documents_provider_reads_back_as_it_was_given() {
        let (id, provider) = Provider::add(&jane(), Tz::Europe__Berlin, today()).unwrap();
        let view = provider.view(&id.unwrap());
        assert_eq!((view.provider_id.as_str(), view.time_zone.as_str()), ("prov001", "Europe/Berlin"));
        assert_eq!((view.contact_info, view.availability), (jane().contact_info, jane().availability));
    }

    #[test]
    fn what_is_sealed_opens_again() {
        let (_, provider) = Provider::add(&jane(), Tz::America__New_York, today()).unwrap();
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
        let problem = Provider::add(&bad, Tz::UTC, today()).unwrap_err();
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
