//! What a provider lacks among their credentials.

use chrono::NaiveDate;
use contracts::compliance::{
    ComplianceCode as Code, ComplianceFinding, WITHIN_DAYS_DEFAULT, WITHIN_DAYS_MAX,
};
use contracts::credentials::{CredentialKind, CredentialStatus};
use contracts::exclusions::{ExclusionDecision, MatchedBy};
use contracts::id::CredentialId;
use contracts::problem::Faults;

use super::credential::Credential;

/// Which findings are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// This one alone.
    pub code: Option<Code>,
    /// What ends within so many days ends soon.
    pub within_days: i64,
}

impl Wanted {
    /// Reads a filter; what is wrong goes to `faults`.
    pub fn parse(code: Option<Code>, within_days: Option<u32>, faults: &mut Faults) -> Option<Self> {
        let within_days = within_days.unwrap_or(WITHIN_DAYS_DEFAULT);
        if within_days > WITHIN_DAYS_MAX {
            faults.add("withinDays", format_args!("must be between 0 and {WITHIN_DAYS_MAX}"));
            return None;
        }
        Some(Self { code, within_days: i64::from(within_days) })
    }

    /// What a provider with these credentials lacks on a day, of what is asked for.
    pub fn findings(
        self,
        credentials: &[(CredentialId, Credential)],
        today: NaiveDate,
    ) -> Vec<ComplianceFinding> {
        let is_good = |credential: &Credential| {
            !matches!(credential.status(today), CredentialStatus::Expired | CredentialStatus::Revoked)
        };
        let mut licences = credentials.iter().filter(|(_, it)| it.kind == CredentialKind::License);
        let mut found = Vec::new();
        if !licences.any(|(_, licence)| is_good(licence)) {
            found.push(of_nothing(Code::NoLicense, None));
        }
        for (id, credential) in credentials {
            let ends_soon =
                credential.expires_on.is_some_and(|last| (last - today).num_days() <= self.within_days);
            let of_status = match credential.status(today) {
                CredentialStatus::Expired => Some(Code::Expired),
                CredentialStatus::Revoked => Some(Code::Revoked),
                CredentialStatus::Rejected => Some(Code::Rejected),
                CredentialStatus::Unverified | CredentialStatus::Pending => Some(Code::Unverified),
                CredentialStatus::Verified => None,
            };
            let expiring = (is_good(credential) && ends_soon).then_some(Code::Expiring);
            found.extend(of_status.into_iter().chain(expiring).map(|code| ComplianceFinding {
                code,
                credential_id: Some(id.to_string()),
                kind: Some(credential.kind),
                expires_on: credential.expires_on.map(|day| day.to_string()),
                exclusion_id: None,
            }));
        }
        found.retain(|finding| self.wants(finding.code));
        found
    }

    /// What a provider lacks who was found at such entries of the list of exclusions, of what is asked for.
    pub fn exclusions<'a>(
        self,
        found: impl Iterator<Item = (&'a str, MatchedBy, Option<ExclusionDecision>)>,
    ) -> Vec<ComplianceFinding> {
        let code = |by: MatchedBy, decision: Option<ExclusionDecision>| match (by, decision) {
            (MatchedBy::Npi, _) | (_, Some(ExclusionDecision::Confirmed)) => Some(Code::Excluded),
            (MatchedBy::Name, None) => Some(Code::ExclusionMatch),
            (MatchedBy::Name, Some(ExclusionDecision::Dismissed)) => None,
        };
        let found = found.filter_map(|(id, by, decision)| Some((id, code(by, decision)?)));
        found.filter(|(_, code)| self.wants(*code)).map(|(id, code)| of_nothing(code, Some(id))).collect()
    }

    fn wants(self, code: Code) -> bool {
        self.code.is_none_or(|wanted| wanted == code)
    }
}

/// A finding that is about no credential.
fn of_nothing(code: Code, exclusion: Option<&str>) -> ComplianceFinding {
    ComplianceFinding {
        code,
        credential_id: None,
        kind: None,
        expires_on: None,
        exclusion_id: exclusion.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(credentials: &[&str], code: Option<Code>) -> Vec<Code> {
        let wanted = Wanted { code, within_days: 30 };
        let credentials: Vec<_> = credentials
            .iter()
            .map(|text| {
                let credential = Credential::parse(&serde_json::from_str(text).unwrap()).unwrap();
                (CredentialId::trusted("cred_1".to_owned()), credential)
            })
            .collect();
        let today = contracts::field::date("2026-01-15").unwrap();
        wanted.findings(&credentials, today).into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn a_licence_that_is_over_is_none() {
        let over = r#"{"kind": "license", "number": "1", "expiresOn": "2026-01-14"}"#;
        let soon = r#"{"kind": "license", "number": "1", "expiresOn": "2026-02-14"}"#;
        let late = r#"{"kind": "license", "number": "1", "expiresOn": "2026-02-15"}"#;
        assert_eq!(codes(&[], None), [Code::NoLicense]);
        assert_eq!(codes(&[over], None), [Code::NoLicense, Code::Expired]);
        assert_eq!(codes(&[soon], None), [Code::Unverified, Code::Expiring]);
        assert_eq!(codes(&[over, late], None), [Code::Expired, Code::Unverified]);
        assert_eq!(codes(&[over, soon], Some(Code::Expiring)), [Code::Expiring]);
    }

    #[test]
    fn nobody_looks_ahead_for_ever() {
        let mut faults = Faults::new();
        assert_eq!(Wanted::parse(None, Some(731), &mut faults), None);
        assert!(!faults.is_empty());
    }
}
