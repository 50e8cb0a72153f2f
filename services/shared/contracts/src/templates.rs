//! What notifications of appointments say, in each language. The operations stand with the notifications'.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::notifications::NotificationType;

/// A language that there are texts in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// German.
    De,
    /// Spanish.
    Es,
    /// French.
    Fr,
}

/// It is none that there are texts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be en, de, es or fr")]
pub struct NoLanguage;

impl Language {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::En, Self::De, Self::Es, Self::Fr];

    /// Its tag (BCP 47).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
            Self::Es => "es",
            Self::Fr => "fr",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Language {
    type Err = NoLanguage;

    fn from_str(text: &str) -> Result<Self, NoLanguage> {
        Self::ALL.into_iter().find(|language| language.as_str() == text).ok_or(NoLanguage)
    }
}

/// A template as it is written. Between `{{` and `}}` stands a variable: `date`, `time`, `zone`, `provider` or `minutes`; `provider` is empty where a provider is
/// written to. `{% if provider %} … {% endif %}` asks for one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateRequest {
    /// One line; text messages do without.
    #[schemars(length(min = 1, max = 200))]
    pub subject: String,
    /// Plain text.
    #[schemars(length(min = 1, max = 2000))]
    pub text: String,
}

/// A template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageTemplate {
    /// What it is for.
    #[serde(rename = "type")]
    pub kind: NotificationType,
    /// In which language.
    pub language: Language,
    /// One line; text messages do without.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// Whether it is the one that comes with this service.
    pub built_in: bool,
}

/// What somebody would read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplatePreview {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
}

/// The answer to a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateChanged {
    /// `Updated`, or `Deleted`: then the one that comes with this service is used again.
    pub status: String,
}
