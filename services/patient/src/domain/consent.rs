//! What a patient does not share, and with whom.

use std::collections::BTreeSet;
use std::fmt::Display;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use chrono_tz::Tz;
use contracts::consents::{self as wire, ConsentActor, ConsentRequest, DataClass, Denial, Provision};
use contracts::id::{ConsentId, PatientId, ProviderId, UserId};
use contracts::permission::Role;
use contracts::problem::{Faults, Problem};
use contracts::role_name::RoleName;
use http_kit::Caller;
use serde::{Deserialize, Serialize};

use super::until::{end_of, last_day};

/// With whom something is not shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Actor {
    /// All who have this role.
    Role(RoleName),
    /// Whoever is this provider.
    Provider(ProviderId),
    /// This user.
    User(UserId),
}

/// What is not shared: what is sealed as the row's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// With whom.
    pub who: Actor,
    /// What, one kind or more.
    pub what: BTreeSet<DataClass>,
    /// To the end of this day; `None`: until it is withdrawn.
    pub last_day: Option<NaiveDate>,
}

/// A consent as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The id.
    pub id: ConsentId,
    /// Since when.
    pub recorded_at: DateTime<Utc>,
    /// Until when.
    pub ends_at: DateTime<Utc>,
    /// What it says.
    pub consent: Consent,
}

impl Actor {
    fn parse(who: &ConsentActor, faults: &mut Faults) -> Option<Self> {
        match (&who.role, &who.provider, &who.user) {
            (Some(role), None, None) => faults.take("who.role", restricted(role)).map(Self::Role),
            (None, Some(id), None) => faults.take("who.provider", ProviderId::parse(id)).map(Self::Provider),
            (None, None, Some(id)) => faults.take("who.user", UserId::parse(id)).map(Self::User),
            _ => {
                faults.add("who", "must name one role, provider or user");
                None
            }
        }
    }

    fn view(&self) -> ConsentActor {
        let text = |name: &dyn Display| Some(name.to_string());
        match self {
            Self::Role(role) => ConsentActor { role: text(role), ..ConsentActor::default() },
            Self::Provider(id) => ConsentActor { provider: text(id), ..ConsentActor::default() },
            Self::User(id) => ConsentActor { user: text(id), ..ConsentActor::default() },
        }
    }

    /// Whether that is the caller, in whatever they are.
    fn is(&self, caller: &Caller) -> bool {
        match self {
            Self::Role(role) => caller.role_names().iter().chain(&caller.set_aside).any(|has| has == role),
            Self::Provider(id) => caller.provider_id.as_ref() == Some(id),
            Self::User(id) => id.as_str() == caller.user,
        }
    }
}

/// A role that a consent can restrict. To record what would not be kept to would be a promise that nobody keeps.
fn restricted(role: &str) -> Result<RoleName, String> {
    let role = RoleName::parse(role).map_err(|error| error.to_string())?;
    match role.built_in() {
        Some(Role::Admin | Role::PrivacyOfficer) => Err("is not restricted by consents".to_owned()),
        Some(Role::Patient | Role::Service) => Err("must be a role of people who work here".to_owned()),
        _ => Ok(role),
    }
}

impl Consent {
    /// Reads one that is to be recorded.
    pub fn parse(request: &ConsentRequest, today: NaiveDate) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let who = Actor::parse(&request.who, &mut faults);
        if !(1..=DataClass::ALL.len()).contains(&request.what.len()) {
            faults.add("what", "must name one to four kinds of data");
        }
        let what = request.what.iter().copied().collect();
        let last_day = faults.take("until", last_day(request.until.as_deref(), today));
        let consent = who.zip(last_day).map(|(who, last_day)| Self { who, what, last_day });
        faults.finish(consent)
    }

    /// When it ends.
    pub fn ends_at(&self, zone: Tz) -> DateTime<Utc> {
        end_of(self.last_day, zone)
    }
}

impl Kept {
    /// As the API shows it.
    pub fn view(&self) -> wire::Consent {
        wire::Consent {
            consent_id: self.id.clone(),
            provision: Provision::Deny,
            who: self.consent.who.view(),
            what: self.consent.what.iter().copied().collect(),
            until: self.consent.last_day.map(|day| day.to_string()),
            recorded_at: self.recorded_at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        }
    }

    /// What it has those do who keep to it.
    pub fn denial(&self) -> Denial {
        Denial {
            consent_id: self.id.clone(),
            who: self.consent.who.view(),
            what: self.consent.what.iter().copied().collect(),
            until: self.ends_at,
        }
    }

    /// Whether the caller may know of it. What restricts somebody they are neither shown nor let withdraw: it would tell them of what they are not to
    /// know of, and hold for as long as they like. Who runs the clinic or watches over privacy is not restricted, and whose it is sees all of it.
    pub fn is_shown(&self, caller: &Caller, patient: &PatientId) -> bool {
        let is_over_it = |role: &Role| matches!(role, Role::Admin | Role::PrivacyOfficer);
        let is_theirs = caller.own() == Some(patient);
        is_theirs || caller.roles.iter().any(is_over_it) || !self.consent.who.is(caller)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use contracts::permission::Permission;

    use super::*;

    const TODAY: &str = "2026-01-15";

    fn request(who: &str, what: &str, until: &str) -> ConsentRequest {
        serde_json::from_str(&format!(r#"{{"who": {who}, "what": {what}, "until": {until}}}"#)).unwrap()
    }

    fn faults(request: &ConsentRequest) -> Vec<String> {
        let problem = Consent::parse(request, TODAY.parse().unwrap()).unwrap_err();
        problem.errors.into_iter().map(|fault| fault.field).collect()
    }

    fn kept(who: &str) -> Kept {
        let consent = Consent::parse(&request(who, r#"["bills"]"#, "null"), TODAY.parse().unwrap()).unwrap();
        let at = DateTime::from_timestamp(1_768_467_600, 0).unwrap();
        let (id, ends_at) = (ConsentId::trusted("cns_1".to_owned()), consent.ends_at(Tz::UTC));
        Kept { id, recorded_at: at, ends_at, consent }
    }

    #[test]
    fn a_consent_says_with_whom_what_is_not_shared_and_until_when() {
        let asked =
            request(r#"{"provider": "prov001"}"#, r#"["records", "clinical", "records"]"#, r#""2026-02-01""#);
        let consent = Consent::parse(&asked, TODAY.parse().unwrap()).unwrap();
        assert_eq!(consent.who, Actor::Provider(ProviderId::trusted("prov001".to_owned())));
        assert!(consent.what.iter().eq(&[DataClass::Records, DataClass::Clinical]));
        assert_eq!(consent.ends_at(Tz::Europe__Berlin).to_rfc3339(), "2026-02-01T23:00:00+00:00");
        let back: Consent = serde_json::from_slice(&serde_json::to_vec(&consent).unwrap()).unwrap();
        assert_eq!(back, consent);
    }

    #[test]
    fn every_fault_is_told_at_once_and_by_name() {
        let (good, what) = (r#"{"role": "billing"}"#, r#"["bills"]"#);
        for who in ["{}", r#"{"role": "billing", "user": "usr_1"}"#] {
            assert_eq!(faults(&request(who, what, "null")), ["who"], "{who}");
        }
        for role in ["Billing", "x", "admin", "privacy-officer", "patient", "service"] {
            let who = format!(r#"{{"role": "{role}"}}"#);
            assert_eq!(faults(&request(&who, what, "null")), ["who.role"], "{role}");
        }
        assert_eq!(faults(&request(r#"{"user": "a b"}"#, what, "null")), ["who.user"]);
        assert_eq!(faults(&request(r#"{"provider": ""}"#, what, "null")), ["who.provider"]);
        for until in [r#""2026-01-14""#, r#""never""#] {
            assert_eq!(faults(&request(good, what, until)), ["until"], "{until}");
        }
        assert_eq!(faults(&request("{}", "[]", r#""never""#)), ["who", "what", "until"]);
    }

    #[test]
    fn what_restricts_somebody_they_do_not_see_whatever_they_act_as() {
        let caller = |roles: &[Role]| {
            let mut caller = Caller::nobody();
            "usr_1".clone_into(&mut caller.user);
            caller.roles = roles.to_vec();
            caller.provider_id = Some(ProviderId::trusted("prov001".to_owned()));
            caller.patient_id = Some(PatientId::trusted("own".to_owned()));
            caller
        };
        let [own, other] = ["own", "other"].map(|id| PatientId::trusted(id.to_owned()));
        let front_desk = caller(&[Role::Receptionist]);
        for (who, is_shown) in [
            (r#"{"role": "receptionist"}"#, false),
            (r#"{"role": "clinician"}"#, true),
            (r#"{"user": "usr_1"}"#, false),
            (r#"{"user": "usr_2"}"#, true),
            (r#"{"provider": "prov001"}"#, false),
            (r#"{"provider": "prov002"}"#, true),
        ] {
            assert_eq!(kept(who).is_shown(&front_desk, &other), is_shown, "{who}");
            for over_it in [Role::Admin, Role::PrivacyOfficer] {
                assert!(kept(who).is_shown(&caller(&[over_it]), &other), "{over_it}: {who}");
            }
            let both = caller(&[Role::Receptionist, Role::Patient]);
            assert_eq!(kept(who).is_shown(&both, &other), is_shown, "{who}");
            assert!(kept(who).is_shown(&both, &own), "{who}");
        }
        let both = Arc::new(caller(&[Role::Receptionist, Role::Clinician]));
        let acting = Caller::acting_by(both, Permission::ConsentsWrite);
        assert!(!kept(r#"{"role": "clinician"}"#).is_shown(&acting, &other));
    }
}
