//! Calendars outside, each spoken to in its own language: `CalDAV` (RFC 4791, RFC 6578) or Google's.
//!
//! Whatever the other side does, what it is asked is bounded in time and size, and what it says is believed as far as it can be read.
//!
//! Not here: what is done with it (`jobs::outside`), and what is kept of it.

pub mod caldav;
pub mod fault;
pub mod google;
pub mod multistatus;

use calendar::read::{self, Reading};
use chrono::{DateTime, Utc};
use db::{Db, Secrets};
use http_kit::kit::BuildError;
use settings::CalendarSettings;

use caldav::CalDav;
pub use fault::Fault;
use google::Google;

/// A calendar outside.
pub enum Outside {
    /// A `CalDAV` collection.
    CalDav(CalDav),
    /// A Google calendar.
    Google(Box<Google>),
}

/// What has changed in a calendar since it was asked last.
#[derive(Default)]
pub struct Changes {
    /// Each object that was changed or is gone, once.
    pub objects: Vec<Found>,
    /// What to ask with next time.
    pub token: Option<String>,
    /// Whether these are all objects that there are.
    pub is_whole: bool,
}

/// A channel through which the calendar tells that something has changed in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// What it tells of, as the other side calls it.
    pub resource: String,
    /// When it ends.
    pub until: DateTime<Utc>,
}

/// An object that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub href: String,
    /// As what. `None`: it is gone.
    pub etag: Option<String>,
    /// What it is, where that was told at once.
    pub event: Option<Event>,
}

/// An object's event, as far as it takes time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What names it, if that could be read.
    pub uid: Option<String>,
    /// When it is, if it is one event that takes place.
    pub single: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// When it keeps its owner busy.
    pub busy: Vec<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Event {
    /// An object's text. What cannot be read takes nobody's time.
    fn of(text: &str, reading: &Reading) -> Self {
        match read::read(text, reading) {
            Ok(object) => Self { uid: Some(object.uid), single: object.single, busy: object.busy },
            Err(_) => Self { uid: None, single: None, busy: Vec::new() },
        }
    }
}

impl Outside {
    /// As the settings have it.
    pub fn new(settings: &CalendarSettings, db: &Db, secrets: &Secrets) -> Result<Self, BuildError> {
        if let Some(caldav) = &settings.caldav {
            return Ok(Self::CalDav(CalDav::new(caldav, secrets.clone())?));
        }
        let google = settings.google.as_ref();
        let google =
            google.ok_or_else(|| format!("integrations.calendars: {} is of no kind", settings.name))?;
        Ok(Self::Google(Box::new(Google::new(google, db.clock().clone(), secrets.clone())?)))
    }

    /// What has changed since the token was told; without one, all that there is.
    pub async fn changes(&self, token: Option<&str>, reading: &Reading) -> Result<Changes, Fault> {
        match self {
            Self::CalDav(caldav) => caldav.changes(token).await,
            Self::Google(google) => google.changes(token, reading).await,
        }
    }

    /// The objects at these places, those that are still there.
    pub async fn fetch(&self, hrefs: &[String], reading: &Reading) -> Result<Vec<Found>, Fault> {
        match self {
            Self::CalDav(caldav) => caldav.fetch(hrefs, reading).await,
            // It tells what has changed with what it is now.
            Self::Google(_) => Ok(Vec::new()),
        }
    }

    /// Where an event of ours is.
    pub fn href(&self, uid: &str) -> String {
        match self {
            Self::CalDav(caldav) => caldav.href(uid),
            Self::Google(_) => Google::id(uid),
        }
    }

    /// Writes an event of ours: one that is not there yet, or in the place of what it is known as. As what it is there now, if that is told.
    pub async fn put(
        &self,
        href: &str,
        etag: Option<&str>,
        event: calendar::Event,
    ) -> Result<Option<String>, Fault> {
        match self {
            Self::CalDav(caldav) => caldav.put(href, etag, event).await,
            Self::Google(google) => google.put(href, etag, &event).await,
        }
    }

    /// Has the calendar tell that something has changed in it, if it can: to an address, under an id and a token.
    pub async fn watch(&self, id: &str, token: &str, address: &str) -> Result<Option<Channel>, Fault> {
        match self {
            Self::CalDav(_) => Ok(None),
            Self::Google(google) => google.watch(id, token, address).await.map(Some),
        }
    }

    /// Ends that.
    pub async fn unwatch(&self, id: &str, resource: &str) -> Result<(), Fault> {
        match self {
            Self::CalDav(_) => Ok(()),
            Self::Google(google) => google.unwatch(id, resource).await,
        }
    }

    /// Whether there is anything that could tell.
    pub const fn can_tell(&self) -> bool {
        matches!(self, Self::Google(_))
    }

    /// Takes an event of ours away, whatever was made of it.
    pub async fn delete(&self, href: &str) -> Result<(), Fault> {
        match self {
            Self::CalDav(caldav) => caldav.delete(href).await,
            Self::Google(google) => google.delete(href).await,
        }
    }
}

/// What a calendar is, as it stands in its row.
///
/// # Errors
/// Before the keys store is migrated.
pub fn target_hash(db: &Db, settings: &CalendarSettings) -> Result<Vec<u8>, db::Error> {
    db.vault().blind("calendar target", &target(settings))
}

/// What a calendar is, to tell another address from the same one.
fn target(settings: &CalendarSettings) -> String {
    let provider = settings.provider_id.as_deref().unwrap_or_default();
    match (&settings.caldav, &settings.google) {
        (Some(caldav), _) => format!("caldav {provider} {} {}", caldav.url, caldav.username),
        (_, Some(google)) => {
            format!("google {provider} {} {} {}", google.url, google.calendar_id, google.client_id)
        }
        _ => String::new(),
    }
}
