//! The places where a provider works, and the time there.

use chrono_tz::Tz;
use contracts::field::{self, BadField};
use contracts::id;
use contracts::problem::Faults;
use contracts::schedules::{self as wire, LOCATIONS_MAX};
use serde::{Deserialize, Serialize};

const NAME_CHARS_MAX: usize = 200;
const ADDRESS_CHARS_MAX: usize = 500;

/// A place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// What hours and bookings call it.
    pub id: String,
    /// In plain words.
    pub name: String,
    /// In one line.
    pub address: Option<String>,
    /// The time there, if it is not the provider's.
    pub time_zone: Option<Tz>,
}

impl Location {
    /// As the API shows it.
    pub fn view(&self) -> wire::Location {
        wire::Location {
            location_id: self.id.clone(),
            name: self.name.clone(),
            address: self.address.clone(),
            time_zone: self.time_zone.map(|zone| zone.name().to_owned()),
        }
    }
}

/// Reads `locations`: each id once; what is wrong goes to `faults`.
pub fn parse(locations: &[wire::Location], faults: &mut Faults) -> Option<Vec<Location>> {
    if locations.len() > LOCATIONS_MAX {
        faults.add("locations", format_args!("must have at most {LOCATIONS_MAX} entries"));
        return None;
    }
    let mut parsed: Vec<Location> = Vec::with_capacity(locations.len());
    for (at, location) in locations.iter().enumerate() {
        let field = |member: &str| format!("locations[{at}].{member}");
        if parsed.iter().any(|earlier| earlier.id == location.location_id) {
            faults.add(field("locationId"), "stands there twice");
        }
        let _ = faults.take(&field("locationId"), id::check(&location.location_id));
        let name = faults.take(&field("name"), field::line(&location.name, NAME_CHARS_MAX));
        let address = location.address.as_deref().map(|text| field::line(text, ADDRESS_CHARS_MAX));
        let address = faults.take(&field("address"), address.transpose());
        let zone = faults.take(&field("timeZone"), location.time_zone.as_deref().map(time_zone).transpose());
        parsed.push(Location {
            id: location.location_id.clone(),
            name: name.unwrap_or_default(),
            address: address.flatten(),
            time_zone: zone.flatten(),
        });
    }
    Some(parsed)
}

/// Reads a time zone by its name.
pub fn time_zone(name: &str) -> Result<Tz, BadField> {
    name.parse().map_err(|_| BadField::new("must be an IANA time zone such as Europe/Berlin"))
}

/// Checks that a location is one of these.
pub fn check(id: Option<&str>, locations: &[Location], field: &str, faults: &mut Faults) {
    if id.is_some_and(|id| !locations.iter().any(|location| location.id == id)) {
        faults.add(field, "must be the locationId of one of locations");
    }
}
