//! A provider's credential, how it is verified, and when it keeps somebody from being booked.
//!
//! ```text
//! Unverified ──> Pending ──> Verified, Rejected      each of these may be verified again
//! a change of what it says ──> Unverified
//! any of these ──> Revoked                            for good
//! ```
//!
//! `Expired` is not kept: the last day and today's date at the provider's place say so, whatever job did or did not run.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use contracts::credentials::{
    self as wire, CredentialKind, CredentialRequest, CredentialStatus, VerificationMethod,
    VerificationRequest, VerificationResult,
};
use contracts::field::{self, BadField};
use contracts::id::{CredentialId, ProviderId};
use contracts::problem::{Faults, Problem};
use serde::{Deserialize, Serialize};

use super::npi;

/// Where a credential stands, as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Nobody has looked yet.
    Unverified,
    /// The registry is to answer.
    Pending,
    /// As it says.
    Verified,
    /// Not as it says.
    Rejected,
    /// Taken from the provider.
    Revoked,
}

/// What is done with a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Recorded.
    Created,
    /// Changed in what it says.
    Updated,
    /// The registry was asked, and has not answered.
    Asked,
    /// Found to be as it says.
    Verified,
    /// Found not to be.
    Rejected,
    /// Taken from the provider.
    Revoked,
}

/// Not possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotPossible(&'static str);

/// What stands of a credential: what is sealed as the row's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// What kind it is.
    pub kind: CredentialKind,
    /// Its number.
    pub number: String,
    /// Where it holds.
    pub state: Option<String>,
    /// For what.
    pub specialty: Option<String>,
    /// The first day.
    pub issued_on: Option<NaiveDate>,
    /// The last day, at the provider's place.
    pub expires_on: Option<NaiveDate>,
    /// Where it stands.
    pub stands: State,
}

/// Something that was done: what is sealed as the history row's body. Version and time stand beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// A user's id, or `service:` and a name.
    pub by: String,
    /// What.
    pub action: Action,
    /// Where it stood from then on.
    pub stands: State,
    /// By what, or why.
    pub evidence: Option<String>,
}

/// A verification that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Somebody has looked.
    Manual {
        /// At what.
        evidence: String,
        /// What came of it.
        is_good: bool,
    },
    /// The registry is asked.
    Registry,
}

impl State {
    /// Where it stands after something was done with it.
    pub fn after(self, action: Action) -> Result<Self, NotPossible> {
        if self == Self::Revoked {
            return Err(NotPossible("A credential that was revoked stays so: record another."));
        }
        Ok(match action {
            Action::Created | Action::Updated => Self::Unverified,
            Action::Asked => Self::Pending,
            Action::Verified => Self::Verified,
            Action::Rejected => Self::Rejected,
            Action::Revoked => Self::Revoked,
        })
    }
}

impl Action {
    /// As the API shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "Created",
            Self::Updated => "Updated",
            Self::Asked => "Asked",
            Self::Verified => "Verified",
            Self::Rejected => "Rejected",
            Self::Revoked => "Revoked",
        }
    }
}

impl Credential {
    /// Reads a new one.
    pub fn parse(request: &CredentialRequest) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let CredentialRequest { kind, number, state, specialty, issued_on, expires_on } = request;
        let number = match kind {
            CredentialKind::Npi => npi::parse(number),
            _ => field::line(number, wire::NUMBER_CHARS_MAX),
        };
        let number = faults.take("number", number);
        let state = faults.take("state", line(state.as_deref()));
        let specialty = faults.take("specialty", line(specialty.as_deref()));
        let issued_on = faults.take("issuedOn", issued_on.as_deref().map(field::date).transpose());
        let expires_on = faults.take("expiresOn", expires_on.as_deref().map(field::date).transpose());
        if let (Some(Some(first)), Some(Some(last))) = (issued_on, expires_on)
            && last < first
        {
            faults.add("expiresOn", "must not be before issuedOn");
        }
        if *kind == CredentialKind::Npi && expires_on.flatten().is_some() {
            faults.add("expiresOn", "must be left out: an NPI does not end");
        }
        let all = number.zip(state).zip(specialty).zip(issued_on).zip(expires_on);
        faults.finish(all.map(|((((number, state), specialty), issued_on), expires_on)| Self {
            kind: *kind,
            number,
            state,
            specialty,
            issued_on,
            expires_on,
            stands: State::Unverified,
        }))
    }

    /// Reads what a change makes of the present one as it is shown. What cannot be changed may be there, but only as it is.
    pub fn change(current: &wire::Credential, changed: &wire::Credential) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        for (field, equal) in [
            ("credentialId", changed.credential_id == current.credential_id),
            ("providerId", changed.provider_id == current.provider_id),
            ("kind", changed.kind == current.kind),
            ("status", changed.status == current.status),
            ("history", changed.history == current.history),
        ] {
            if !equal {
                faults.add(field, "cannot be changed");
            }
        }
        let parsed = Self::parse(&CredentialRequest {
            kind: current.kind,
            number: changed.number.clone(),
            state: changed.state.clone(),
            specialty: changed.specialty.clone(),
            issued_on: changed.issued_on.clone(),
            expires_on: changed.expires_on.clone(),
        });
        match parsed {
            Ok(parsed) => faults.finish(Some(parsed)),
            Err(problem) => {
                problem.errors.into_iter().for_each(|fault| faults.add(fault.field, fault.message));
                faults.finish(None)
            }
        }
    }

    /// The same after something was done with it. Whose last day is over is not verified: it is renewed first.
    pub fn after(&self, action: Action, today: NaiveDate) -> Result<Self, NotPossible> {
        let is_looked_at = matches!(action, Action::Asked | Action::Verified | Action::Rejected);
        if is_looked_at && self.stands != State::Revoked && self.is_over(today) {
            return Err(NotPossible("A credential that has expired is renewed first: change expiresOn."));
        }
        Ok(Self { stands: self.stands.after(action)?, ..self.clone() })
    }

    /// The same with what a change says; `None` if it changes nothing.
    pub fn changed(&self, to: Self) -> Result<Option<Self>, NotPossible> {
        if (Self { stands: self.stands, ..to.clone() }) == *self {
            return Ok(None);
        }
        Ok(Some(Self { stands: self.stands.after(Action::Updated)?, ..to }))
    }

    /// Whether its last day is over.
    pub fn is_over(&self, today: NaiveDate) -> bool {
        self.expires_on.is_some_and(|last| last < today)
    }

    /// Where it stands on a day.
    pub fn status(&self, today: NaiveDate) -> CredentialStatus {
        match self.stands {
            State::Revoked => CredentialStatus::Revoked,
            _ if self.is_over(today) => CredentialStatus::Expired,
            stands => stands.status(),
        }
    }

    /// As the API shows it.
    pub fn view(&self, (id, provider): (&CredentialId, &ProviderId), today: NaiveDate) -> wire::Credential {
        wire::Credential {
            credential_id: id.to_string(),
            provider_id: provider.to_string(),
            kind: self.kind,
            number: self.number.clone(),
            state: self.state.clone(),
            specialty: self.specialty.clone(),
            issued_on: self.issued_on.map(|day| day.to_string()),
            expires_on: self.expires_on.map(|day| day.to_string()),
            status: self.status(today),
            history: Vec::new(),
        }
    }
}

impl State {
    fn status(self) -> CredentialStatus {
        match self {
            Self::Unverified => CredentialStatus::Unverified,
            Self::Pending => CredentialStatus::Pending,
            Self::Verified => CredentialStatus::Verified,
            Self::Rejected => CredentialStatus::Rejected,
            Self::Revoked => CredentialStatus::Revoked,
        }
    }
}

impl Entry {
    /// As the API shows it.
    pub fn view(&self, version: i64, at: DateTime<Utc>) -> wire::CredentialChange {
        wire::CredentialChange {
            version,
            at: at.to_rfc3339_opts(SecondsFormat::Millis, true),
            by: self.by.clone(),
            action: self.action.name().to_owned(),
            status: self.stands.status(),
            evidence: self.evidence.clone(),
        }
    }
}

impl Verification {
    /// Reads a request.
    pub fn parse(request: &VerificationRequest) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let evidence = request.evidence.as_deref().map(prose).transpose();
        let evidence = faults.take("evidence", evidence).flatten();
        let verification = match request.method {
            VerificationMethod::Manual => {
                if request.evidence.is_none() {
                    faults.add("evidence", "must say what was looked at");
                }
                let is_good = request.result != Some(VerificationResult::Rejected);
                evidence.map(|evidence| Self::Manual { evidence, is_good })
            }
            VerificationMethod::Registry => {
                for (field, is_given) in
                    [("evidence", request.evidence.is_some()), ("result", request.result.is_some())]
                {
                    if is_given {
                        faults.add(field, "must be left out: the registry says so");
                    }
                }
                Some(Self::Registry)
            }
        };
        faults.finish(verification)
    }
}

/// Text of several lines, as evidence and reasons are.
pub fn prose(text: &str) -> Result<String, BadField> {
    field::prose(text, wire::EVIDENCE_CHARS_MAX)
}

fn line(text: Option<&str>) -> Result<Option<String>, BadField> {
    text.map(|text| field::line(text, wire::LINE_CHARS_MAX)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        field::date(text).unwrap()
    }

    fn license() -> Credential {
        let request = r#"{"kind": "license", "number": "MD-1234", "state": "NY", "issuedOn": "2020-01-01", "expiresOn": "2026-03-01"}"#;
        Credential::parse(&serde_json::from_str(request).unwrap()).unwrap()
    }

    #[test]
    fn it_is_good_for_the_whole_of_its_last_day() {
        let license = license();
        assert_eq!(license.status(day("2026-03-01")), CredentialStatus::Unverified);
        assert_eq!(license.status(day("2026-03-02")), CredentialStatus::Expired);
    }

    #[test]
    fn what_may_follow_what() {
        use Action::{Asked, Rejected, Revoked, Updated, Verified};
        for from in [State::Unverified, State::Pending, State::Verified, State::Rejected] {
            assert_eq!(from.after(Updated), Ok(State::Unverified));
            assert_eq!(from.after(Asked), Ok(State::Pending));
            assert_eq!(from.after(Verified), Ok(State::Verified));
            assert_eq!(from.after(Rejected), Ok(State::Rejected));
            assert_eq!(from.after(Revoked), Ok(State::Revoked));
        }
        for action in [Updated, Asked, Verified, Rejected, Revoked] {
            assert!(State::Revoked.after(action).is_err());
        }
    }

    #[test]
    fn what_has_expired_is_renewed_before_it_is_verified() {
        let (license, late) = (license(), day("2026-03-02"));
        assert!(license.after(Action::Verified, late).is_err());
        assert!(license.after(Action::Revoked, late).is_ok());
        let renewed = Credential { expires_on: Some(day("2028-03-01")), ..license.clone() };
        let verified = Credential { stands: State::Verified, ..license };
        let renewed = verified.changed(renewed).unwrap().unwrap();
        assert_eq!(renewed.stands, State::Unverified);
        assert!(renewed.after(Action::Verified, late).is_ok());
    }

    #[test]
    fn a_change_that_changes_nothing_keeps_what_was_verified() {
        let verified = Credential { stands: State::Verified, ..license() };
        assert_eq!(verified.changed(license()), Ok(None));
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let request = r#"{"kind": "npi", "number": "1234567890", "state": "", "specialty": "a\nb", "issuedOn": "2026-02-30", "expiresOn": "2030-01-01"}"#;
        let problem = Credential::parse(&serde_json::from_str(request).unwrap()).unwrap_err();
        let fields: Vec<_> = problem.errors.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["number", "state", "specialty", "issuedOn", "expiresOn"]);
    }

    #[test]
    fn a_manual_verification_says_at_what_was_looked_and_the_registry_needs_nothing() {
        let parse = |text: &str| Verification::parse(&serde_json::from_str(text).unwrap());
        assert!(parse(r#"{"method": "manual"}"#).is_err());
        assert!(parse(r#"{"method": "registry", "evidence": "x"}"#).is_err());
        assert_eq!(parse(r#"{"method": "registry"}"#), Ok(Verification::Registry));
        assert_eq!(
            parse(r#"{"method": "manual", "evidence": "Seen.", "result": "Rejected"}"#),
            Ok(Verification::Manual { evidence: "Seen.".to_owned(), is_good: false })
        );
    }
}
