//! What the NPI registry's answer says of a credential.
//!
//! The shape is that of NPPES' API, version 2.1 (<https://npiregistry.cms.hhs.gov/api-page>): of the members that it has, those that decide.

use contracts::credentials::CredentialKind;
use contracts::field::normalised_words;
use serde::Deserialize;

use super::credential::Credential;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Answer {
    /// How many there are; it is there whenever the request was understood.
    pub result_count: u32,
    /// Each.
    #[serde(default)]
    pub results: Vec<Registered>,
}

/// Somebody who has an NPI.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Registered {
    /// Their NPI.
    number: Number,
    /// Who.
    basic: Basic,
    /// What for.
    #[serde(default)]
    taxonomies: Vec<Taxonomy>,
}

/// NPPES has it as text, and had it as a number.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Number {
    Text(String),
    Whole(u64),
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Basic {
    #[serde(default)]
    last_name: Option<String>,
    /// `A`: active.
    #[serde(default)]
    status: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Taxonomy {
    #[serde(default)]
    license: Option<String>,
    #[serde(default)]
    state: Option<String>,
}

/// What the registry says: whether the credential is as it says, and why, in words that are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is.
    pub is_good: bool,
    /// Why.
    pub evidence: String,
}

/// Whether the registry can say anything of such a credential.
pub fn knows(kind: CredentialKind) -> bool {
    matches!(kind, CredentialKind::Npi | CredentialKind::License)
}

/// What an answer to a question for an NPI says of a credential of a provider with that name.
pub fn judge(answer: &Answer, npi: &str, credential: &Credential, name: &str) -> Finding {
    let finding = |is_good: bool, why: &str| Finding { is_good, evidence: format!("NPI registry: {why}") };
    let Some(registered) = answer.results.iter().find(|registered| registered.number.is(npi)) else {
        return finding(false, "there is nobody with this NPI.");
    };
    if registered.basic.status.as_deref() != Some("A") {
        return finding(false, "the NPI is not active.");
    }
    let last_name = normalised_words(registered.basic.last_name.as_deref().unwrap_or_default());
    let name = normalised_words(name);
    if last_name.is_empty() || !last_name.iter().all(|word| name.contains(word)) {
        return finding(false, "the NPI is somebody's of another last name.");
    }
    if credential.kind == CredentialKind::Npi {
        return finding(true, "the NPI is active, and of this last name.");
    }
    if registered.taxonomies.iter().any(|taxonomy| taxonomy.has(credential)) {
        return finding(true, "the licence stands with the provider's active NPI.");
    }
    finding(false, "no such licence stands with the provider's NPI.")
}

impl Number {
    fn is(&self, npi: &str) -> bool {
        match self {
            Self::Text(text) => text == npi,
            Self::Whole(number) => number.to_string() == npi,
        }
    }
}

impl Taxonomy {
    /// Whether it names the licence: by its letters and digits, and by the state if the credential has one.
    fn has(&self, credential: &Credential) -> bool {
        let license = self.license.as_deref().map(letters);
        let is_numbered =
            license.is_some_and(|license| !license.is_empty() && license == letters(&credential.number));
        let state = self.state.as_deref().map(letters);
        is_numbered && credential.state.as_deref().is_none_or(|own| state == Some(letters(own)))
    }
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NPI: &str = "1234567893";

    fn answer(status: &str, number: &str) -> Answer {
        let text = format!(
            r#"{{"result_count":1,"results":[{{"created_epoch":"1","enumeration_type":"NPI-1","number":{number},
                "basic":{{"first_name":"JANE","last_name":"DOE","credential":"M.D.","status":"{status}"}},
                "taxonomies":[{{"code":"207RC0000X","desc":"Internal Medicine, Cardiovascular Disease","license":"MD1234","state":"NY","primary":true}}]}}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn credential(text: &str) -> Credential {
        Credential::parse(&serde_json::from_str(text).unwrap()).unwrap()
    }

    fn is_good(answer: &Answer, credential: &Credential, name: &str) -> bool {
        judge(answer, NPI, credential, name).is_good
    }

    #[test]
    fn an_active_npi_of_that_last_name_is_good() {
        let npi = credential(r#"{"kind": "npi", "number": "1234567893"}"#);
        assert!(is_good(&answer("A", "\"1234567893\""), &npi, "Dr. Jane Doe"));
        assert!(is_good(&answer("A", "1234567893"), &npi, "Doe, J."));
        assert!(!is_good(&answer("D", "1234567893"), &npi, "Dr. Jane Doe"));
        assert!(!is_good(&answer("A", "1234567893"), &npi, "Dr. Jane Roe"));
        assert!(!is_good(&answer("A", "\"1245319599\""), &npi, "Dr. Jane Doe"));
        let nobody: Answer = serde_json::from_str(r#"{"result_count":0,"results":[]}"#).unwrap();
        assert!(!is_good(&nobody, &npi, "Dr. Jane Doe"));
    }

    #[test]
    fn a_licence_stands_with_the_npi_whatever_its_dashes() {
        let licence = |number: &str, state: &str| {
            credential(&format!(r#"{{"kind": "license", "number": "{number}", "state": "{state}"}}"#))
        };
        let answer = answer("A", "1234567893");
        for good in [licence("MD-1234", "ny"), licence("md 1234", "NY")] {
            assert!(is_good(&answer, &good, "Jane Doe"));
        }
        for bad in [licence("MD-1234", "NJ"), licence("MD-12345", "NY"), licence("--", "NY")] {
            assert!(!is_good(&answer, &bad, "Jane Doe"));
        }
    }

    #[test]
    fn errors_of_nppes_are_no_answer() {
        let error = r#"{"Errors":[{"description":"CMS deactivated NPI 1234567893.","field":"number","number":"06"}]}"#;
        assert!(serde_json::from_str::<Answer>(error).is_err());
    }

    proptest! {
        #[test]
        fn no_answer_panics(text in "\\PC{0,200}|(\\{\"result_count\":[0-9]{1,3},\"results\":\\[.{0,100}\\]\\})") {
            if let Ok(answer) = serde_json::from_str::<Answer>(&text) {
                let _ = judge(&answer, NPI, &credential(r#"{"kind": "npi", "number": "1234567893"}"#), "Jane Doe");
            }
        }
    }
}
