//! A place in a care team.

use chrono::NaiveDate;
use chrono_tz::Tz;
use contracts::care_team::{CareTeamMember, CareTeamRequest};
use contracts::event::{CareNotice, TEAM};
use contracts::id::{PatientId, ProviderId};
use contracts::problem::{Faults, Problem};

use super::until::end_of;

/// The last day that a request names.
pub fn last_day(request: &CareTeamRequest, today: NaiveDate) -> Result<Option<NaiveDate>, Problem> {
    let mut faults = Faults::new();
    let day = faults.take("until", super::until::last_day(request.until.as_deref(), today));
    faults.finish(day)
}

/// Somebody's place in a patient's team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whose team.
    pub patient: PatientId,
    /// Who.
    pub provider: ProviderId,
    /// Counts its changes.
    pub version: i64,
    /// Whether they are in it.
    pub is_in: bool,
    /// Their last day; `None`: until further notice.
    pub last_day: Option<NaiveDate>,
}

impl Place {
    /// What the others are told: to the end of the last day where the clinic is.
    pub fn notice(&self, zone: Tz) -> CareNotice {
        CareNotice {
            source: format!("{TEAM}:{}:{}", self.patient, self.provider),
            version: self.version,
            patient_id: self.patient.clone(),
            provider_id: self.provider.clone(),
            until: self.is_in.then(|| end_of(self.last_day, zone)),
        }
    }

    /// As the API shows it.
    pub fn view(&self) -> CareTeamMember {
        let until = self.last_day.map(|day| day.to_string());
        CareTeamMember { provider_id: self.provider.clone(), until }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(is_in: bool, last_day: Option<&str>) -> Place {
        Place {
            patient: PatientId::trusted("12345".to_owned()),
            provider: ProviderId::trusted("prov001".to_owned()),
            version: 1,
            is_in,
            last_day: last_day.map(|day| day.parse().unwrap()),
        }
    }

    #[test]
    fn care_goes_on_to_the_end_of_the_last_day_where_the_clinic_is() {
        let until = |place: Place| place.notice(Tz::Europe__Berlin).until.map(|until| until.to_rfc3339());
        assert_eq!(until(place(true, Some("2026-01-31"))).unwrap(), "2026-01-31T23:00:00+00:00");
        assert!(until(place(true, None)).unwrap().starts_with("9999-12-30"));
        assert_eq!(until(place(false, None)), None);
    }

    #[test]
    fn a_last_day_is_a_day_and_not_past() {
        let today = "2026-01-15".parse().unwrap();
        let day = |until: Option<&str>| last_day(&CareTeamRequest { until: until.map(str::to_owned) }, today);
        assert_eq!(day(None).unwrap(), None);
        assert_eq!(day(Some("2026-01-15")).unwrap(), Some(today));
        for bad in ["2026-01-14", "2026-02-30", "tomorrow"] {
            assert_eq!(day(Some(bad)).unwrap_err().errors[0].field, "until", "{bad}");
        }
    }
}
