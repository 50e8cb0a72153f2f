//! An appointment as people are told of it: what is told, and whom.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use contracts::event::{AppointmentNotice, OfferNotice, What};
use contracts::id::{AppointmentId, PatientId, ProviderId};
use contracts::notifications::NotificationType as Kind;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// An appointment, as of one of its versions. Why somebody comes is not known here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// Which.
    #[serde(deserialize_with = "without_prefix")]
    pub id: AppointmentId,
    /// Counts its changes: the highest counts.
    pub version: i64,
    /// Whose.
    pub patient: PatientId,
    /// With whom.
    pub provider: ProviderId,
    /// When it begins.
    pub starts_at: DateTime<Utc>,
    /// How long it takes.
    pub minutes: u32,
    /// The IANA time zone in which it was agreed.
    pub zone: String,
    /// Whether it is still to take place, and nothing has to be resolved before.
    pub stands: bool,
    /// Whether it is not to take place any more: called off, missed or over.
    #[serde(default)]
    pub is_closed: bool,
    /// Of one that is offered to who waits for it: until when it is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<DateTime<Utc>>,
    /// What names it in every calendar, if the event says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar_uid: Option<String>,
}

/// An id that the version before noted an offer under has a prefix, and so is none.
fn without_prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AppointmentId, D::Error> {
    let text = String::deserialize(deserializer)?;
    AppointmentId::parse(text.strip_prefix("offer:").unwrap_or(&text)).map_err(D::Error::custom)
}

/// Who is written to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Person {
    /// A patient.
    Patient(PatientId),
    /// A provider.
    Provider(ProviderId),
}

impl Person {
    /// The patient, if it is one.
    pub fn patient(&self) -> Option<&PatientId> {
        match self {
            Self::Patient(patient) => Some(patient),
            Self::Provider(_) => None,
        }
    }

    /// As their preferences are kept under: no id has a colon in it.
    pub fn name(&self) -> String {
        match self {
            Self::Patient(id) => format!("patient:{id}"),
            Self::Provider(id) => format!("provider:{id}"),
        }
    }
}

impl Visit {
    /// What an event says of it; `None` if it is from a version that does not say when.
    pub fn of(notice: &AppointmentNotice) -> Option<Self> {
        let planned = notice.planned.as_ref()?;
        Some(Self {
            id: notice.appointment_id.clone(),
            version: planned.version,
            patient: notice.patient_id.clone(),
            provider: notice.provider_id.clone(),
            starts_at: planned.starts_at,
            minutes: planned.duration_minutes,
            zone: planned.time_zone.clone(),
            stands: planned.is_open && !planned.has_conflict,
            is_closed: !planned.is_open,
            held_until: None,
            calendar_uid: planned.calendar_uid.clone(),
        })
    }

    /// What would come of an offer, under the waitlist entry's id; `None` if it is from a version that does not say when.
    pub fn offered(notice: &OfferNotice) -> Option<Self> {
        let offered = notice.offered.as_ref()?;
        Some(Self {
            id: AppointmentId::trusted(notice.waitlist_id.to_string()),
            version: notice.until.timestamp(),
            patient: notice.patient_id.clone(),
            provider: notice.provider_id.clone(),
            starts_at: offered.starts_at,
            minutes: offered.duration_minutes,
            zone: offered.time_zone.clone(),
            stands: false,
            is_closed: false,
            held_until: Some(notice.until.min(offered.starts_at)),
            calendar_uid: None,
        })
    }

    /// As of another version: an offer's own, by which it is noted that it was told of.
    #[must_use]
    pub fn at_version(&self, version: i64) -> Self {
        Self { version, ..self.clone() }
    }

    /// Where it takes place. A zone that is not known here is taken for UTC, which the text says.
    pub fn place(&self) -> Tz {
        self.zone.parse().unwrap_or(Tz::UTC)
    }

    /// The two who meet.
    pub fn people(&self) -> [Person; 2] {
        [Person::Patient(self.patient.clone()), Person::Provider(self.provider.clone())]
    }

    /// Under which name something is told: once. A change is told of each version, a reminder of each time at which it is to take place: that somebody confirms
    /// it in between makes no second one.
    pub fn told_once(&self, kind: Kind, person: &Person, lead_minutes: u32) -> String {
        let of = match kind {
            Kind::Reminder => format!("{}:{lead_minutes}", self.starts_at.timestamp()),
            _ => self.version.to_string(),
        };
        format!("{}:{}:{}:{of}", self.id, kind.as_str(), person.name())
    }
}

/// What is to be told at once of what happened, and whom. A provider who is no longer the one learns that it is cancelled, and who takes over that it
/// is booked.
pub fn told_at_once(what: &What, visit: &Visit) -> Vec<(Kind, Person)> {
    let [patient, provider] = visit.people();
    let planned = what.appointment().and_then(|notice| notice.planned.as_ref());
    let former = planned.and_then(|planned| planned.former_provider_id.clone());
    match what {
        What::AppointmentBooked(_) => vec![(Kind::Creation, patient), (Kind::Creation, provider)],
        What::AppointmentCancelled(_) => vec![(Kind::Cancellation, patient), (Kind::Cancellation, provider)],
        What::AppointmentRescheduled(_) => match former {
            Some(former) => vec![
                (Kind::Change, patient),
                (Kind::Creation, provider),
                (Kind::Cancellation, Person::Provider(former)),
            ],
            None => vec![(Kind::Change, patient), (Kind::Change, provider)],
        },
        What::AppointmentChanged(_) if planned.is_some_and(|planned| planned.has_conflict) => {
            vec![(Kind::Conflict, patient), (Kind::Conflict, provider)]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn visit() -> Visit {
        Visit {
            id: AppointmentId::parse("apt001").unwrap(),
            version: 3,
            patient: PatientId::parse("12345").unwrap(),
            provider: ProviderId::parse("prov001").unwrap(),
            starts_at: "2026-01-20T09:00:00Z".parse().unwrap(),
            minutes: 30,
            zone: "Europe/Berlin".to_owned(),
            stands: true,
            is_closed: false,
            held_until: None,
            calendar_uid: Some("0b1d0c2e-6f3a-8b1c-9d2e-3f4a5b6c7d8e".to_owned()),
        }
    }

    #[test]
    fn what_is_told_once_differs_by_version_or_time_kind_person_and_lead() {
        let visit = visit();
        let [patient, provider] = visit.people();
        let later = Visit { version: 4, ..visit.clone() };
        let moved = Visit { starts_at: visit.starts_at + chrono::TimeDelta::hours(1), ..later.clone() };
        let names = [
            visit.told_once(Kind::Reminder, &patient, 120),
            visit.told_once(Kind::Reminder, &patient, 1440),
            visit.told_once(Kind::Reminder, &provider, 120),
            visit.told_once(Kind::Change, &patient, 0),
            later.told_once(Kind::Change, &patient, 0),
            moved.told_once(Kind::Reminder, &patient, 120),
        ];
        assert_eq!(later.told_once(Kind::Reminder, &patient, 120), names[0]);
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
    }

    #[test]
    fn what_the_version_before_noted_of_an_offer_is_read() {
        let mut noted = serde_json::to_value(visit()).unwrap();
        assert_eq!(serde_json::from_value::<Visit>(noted.clone()).unwrap(), visit());
        noted["id"] = "offer:apt001".into();
        assert_eq!(serde_json::from_value::<Visit>(noted.clone()).unwrap(), visit());
        noted["id"] = "of fer".into();
        assert!(serde_json::from_value::<Visit>(noted).is_err());
    }

    #[test]
    fn a_zone_nobody_knows_is_told_as_utc() {
        let visit = Visit { zone: "Mars/Olympus".to_owned(), ..visit() };
        assert_eq!(visit.place(), Tz::UTC);
    }
}
