//! Bodies as forms, where a standard of OAuth has them so.
//!
//! What is not known is passed over there, and nothing may stand there twice (RFC 6749 §3.1 and §3.2). A message never repeats a value,
//! which may be a token.

use std::collections::HashSet;

use contracts::problem::{Problem, ProblemCode};
use serde::de::DeserializeOwned;

use crate::json::explain;
use crate::shape::cut;

/// Reads a form.
///
/// # Errors
/// 400 if it has something twice, or lacks what is needed.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    let mut names = HashSet::new();
    if let Some((twice, _)) = form_urlencoded::parse(text).find(|(name, _)| !names.insert(name.clone())) {
        return Err(Problem::new(ProblemCode::MalformedRequest).fault(cut(&twice), "stands there twice"));
    }
    let mut track = serde_path_to_error::Track::new();
    let form = serde_html_form::Deserializer::new(form_urlencoded::parse(text));
    T::deserialize(serde_path_to_error::Deserializer::new(form, &mut track)).map_err(|error| {
        let (field, message) = explain(&error.to_string(), &track.path().to_string());
        Problem::new(ProblemCode::MalformedRequest).fault(field, message)
    })
}

/// Whether a media type is that of forms, in UTF-8 if it says so at all.
pub(crate) fn is_form(media_type: &str) -> bool {
    let media_type = media_type.to_ascii_lowercase();
    let (essence, parameters) = media_type.split_once(';').unwrap_or((&media_type, ""));
    let mut charsets =
        parameters.split(';').filter_map(|parameter| parameter.trim().strip_prefix("charset="));
    essence.trim() == "application/x-www-form-urlencoded"
        && charsets.all(|charset| matches!(charset.trim_matches('"'), "utf-8" | "us-ascii"))
}

#[cfg(test)]
mod tests {
    use contracts::auth::TokenForm;

    use super::*;

    #[test]
    fn what_is_not_known_is_passed_over_and_what_is_missing_or_there_twice_is_named() {
        let form: TokenForm = read(b"token=a.b%2Bc+d&token_type_hint=access_token&client_id=x").unwrap();
        assert_eq!((&*form.token, form.token_type_hint.as_deref()), ("a.b+c d", Some("access_token")));
        for (text, message) in [
            ("", "is required"),
            ("token_type_hint=x", "is required"),
            ("token=canary&token=canary", "stands there twice"),
        ] {
            let problem = read::<TokenForm>(text.as_bytes()).err().unwrap();
            assert_eq!((problem.status, &*problem.errors[0].field), (400, "token"), "{text}");
            assert_eq!(problem.errors[0].message, message, "{text}");
            assert!(!format!("{problem:?}").contains("canary"));
        }
    }

    #[test]
    fn a_form_calls_itself_one() {
        for form in ["application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded; charset=UTF-8"]
        {
            assert!(is_form(form), "{form}");
        }
        for other in [
            "",
            "application/json",
            "multipart/form-data",
            "application/x-www-form-urlencoded; charset=utf-16",
        ] {
            assert!(!is_form(other), "{other}");
        }
    }
}
