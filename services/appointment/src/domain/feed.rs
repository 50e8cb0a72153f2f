//! A calendar feed: whose it is, who made it, and what is in its calendar.

use calendar::{Calendar, Event, Status};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use contracts::feeds as wire;
use contracts::field::{self, BadField};
use contracts::id::{FeedId, PatientId, ProviderId};
use contracts::problem::Faults;
use http_kit::Seeker;
use serde::{Deserialize, Serialize};

/// What has begun so long before is left out.
const BACK: TimeDelta = TimeDelta::days(60);
/// What begins so long from now is not there yet.
const AHEAD: TimeDelta = TimeDelta::days(400);
/// So many events at most: what a provider has in that time if every quarter of an hour is booked. Of more, the last are left out.
pub const EVENTS_MAX: u32 = 5_000;
/// Programs that hold to it ask once an hour.
const REFRESH_MINUTES: u32 = 60;
const LABEL_CHARS_MAX: usize = 100;

/// All that anybody is shown of an appointment: not whose it is, nor with whom, nor why.
const SUMMARY: &str = "Appointment";
const NAME: &str = "Appointments";

/// Whose appointments are in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A patient's.
    Patient(PatientId),
    /// A provider's.
    Provider(ProviderId),
}

impl Owner {
    /// Reads whose, if anybody's is named; what is wrong with it goes to `faults`.
    pub fn parse(patient: Option<&str>, provider: Option<&str>, faults: &mut Faults) -> Option<Self> {
        match (patient, provider) {
            (Some(patient), None) => faults.take("patientId", PatientId::parse(patient)).map(Self::Patient),
            (None, Some(provider)) => {
                faults.take("providerId", ProviderId::parse(provider)).map(Self::Provider)
            }
            (None, None) => None,
            (Some(_), Some(_)) => {
                faults.add("providerId", "must be left out where there is a patientId");
                None
            }
        }
    }

    /// The patient, if it is one's.
    pub fn patient(&self) -> Option<&PatientId> {
        match self {
            Self::Patient(patient) => Some(patient),
            Self::Provider(_) => None,
        }
    }

    /// The provider, if it is one's.
    pub fn provider(&self) -> Option<&ProviderId> {
        match self {
            Self::Patient(_) => None,
            Self::Provider(provider) => Some(provider),
        }
    }
}

/// What a feed is called.
pub fn label(text: Option<&str>) -> Result<Option<String>, BadField> {
    text.map(|text| field::line(text, LABEL_CHARS_MAX)).transpose()
}

/// A feed's data: what is sealed as the row's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// What it is for.
    pub label: Option<String>,
    /// The user who made it.
    pub by: String,
    /// As whom they see the patient, if it is not the patient who made it: what is kept from them, no feed shows that they made.
    pub maker: Option<Maker>,
}

/// Somebody who makes a feed of somebody else's appointments, as they are where a patient shares something with them or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maker {
    is_exempt: bool,
    names: String,
}

impl From<Seeker> for Maker {
    fn from(seeker: Seeker) -> Self {
        Self { is_exempt: seeker.is_exempt, names: seeker.names }
    }
}

impl Feed {
    /// As whom its calendar is asked for. `None`: as the patient themselves.
    pub fn seeker(&self) -> Option<Seeker> {
        let Maker { is_exempt, names } = self.maker.clone()?;
        Some(Seeker { user: self.by.clone(), provider: None, own: None, is_carer: false, is_exempt, names })
    }
}

/// A feed as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The id.
    pub id: FeedId,
    /// Whose appointments.
    pub owner: Owner,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// The data.
    pub feed: Feed,
}

impl Kept {
    /// As the API shows it.
    pub fn view(&self) -> wire::Feed {
        wire::Feed {
            feed_id: self.id.clone(),
            patient_id: self.owner.patient().map(ToString::to_string),
            provider_id: self.owner.provider().map(ToString::to_string),
            label: self.feed.label.clone(),
            created_at: time(self.created_at),
            created_by: self.feed.by.clone(),
        }
    }
}

/// An instant as the API writes it.
pub fn time(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// From when until when appointments begin that are in a calendar.
pub fn window(now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
    (now - BACK, now + AHEAD)
}

/// An appointment, as far as it is in a calendar: nothing of it that is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What names it, and tells nobody its id.
    pub uid: [u8; 16],
    /// Counts changes, from 1.
    pub version: i64,
    /// When it begins.
    pub starts_at: DateTime<Utc>,
    /// When it is over.
    pub ends_at: DateTime<Utc>,
    /// When it was last changed.
    pub changed_at: DateTime<Utc>,
    /// Whether it takes its time from provider and patient. A calendar is about that: one that was cancelled does not, nor does one to which nobody came.
    pub is_active: bool,
    /// When its provider's profile was removed, if it was.
    pub provider_removed_at: Option<DateTime<Utc>>,
}

impl Entry {
    /// One that was to take place when its provider's profile was removed waits for somebody to move or cancel it.
    fn status(&self) -> Status {
        let is_open = self.provider_removed_at.is_some_and(|removed_at| removed_at <= self.starts_at);
        match (self.is_active, is_open) {
            (false, _) => Status::Cancelled,
            (true, true) => Status::Tentative,
            (true, false) => Status::Confirmed,
        }
    }

    /// What names it.
    pub fn uid(&self) -> String {
        calendar::uid(self.uid)
    }

    /// As an event.
    pub fn event(&self) -> Event {
        Event {
            uid: self.uid(),
            sequence: u32::try_from(self.version - 1).unwrap_or_default(),
            changed_at: self.changed_at,
            starts_at: self.starts_at,
            ends_at: self.ends_at,
            status: self.status(),
            summary: SUMMARY.to_owned(),
            organizer: None,
            attendee: None,
        }
    }
}

/// The calendar of these.
pub fn calendar_of(entries: &[Entry]) -> Calendar {
    Calendar {
        name: Some(NAME.to_owned()),
        method: None,
        refresh_minutes: Some(REFRESH_MINUTES),
        events: entries.iter().map(Entry::event).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(hour * 3600, 0).unwrap()
    }

    fn entry() -> Entry {
        let (starts_at, ends_at, changed_at) = (at(100), at(101), at(50));
        let provider_removed_at = None;
        Entry {
            uid: [1; 16],
            version: 1,
            starts_at,
            ends_at,
            changed_at,
            is_active: true,
            provider_removed_at,
        }
    }

    #[test]
    fn whose_it_is_is_said_once() {
        let parse = |patient, provider| {
            let mut faults = Faults::new();
            (Owner::parse(patient, provider, &mut faults), faults.is_empty())
        };
        assert!(matches!(parse(Some("p1"), None), (Some(Owner::Patient(_)), true)));
        assert!(matches!(parse(None, Some("d1")), (Some(Owner::Provider(_)), true)));
        assert_eq!(parse(None, None), (None, true));
        for (patient, provider) in [(Some("p1"), Some("d1")), (Some("a b"), None), (None, Some("feeds"))] {
            assert_eq!(parse(patient, provider), (None, false));
        }
    }

    #[test]
    fn what_takes_no_time_is_cancelled_and_what_has_lost_its_provider_is_open() {
        assert_eq!(entry().event().status, Status::Confirmed);
        assert_eq!(Entry { is_active: false, ..entry() }.event().status, Status::Cancelled);
        for (removed_at, status) in
            [(at(100), Status::Tentative), (at(99), Status::Tentative), (at(101), Status::Confirmed)]
        {
            let entry = Entry { provider_removed_at: Some(removed_at), ..entry() };
            assert_eq!(entry.event().status, status, "{removed_at}");
        }
    }

    #[test]
    fn the_sequence_begins_at_nothing_and_rises_with_the_version() {
        let sequences = [1, 2, 7].map(|version| Entry { version, ..entry() }.event().sequence);
        assert_eq!(sequences, [0, 1, 6]);
    }
}
