//! The languages that a provider speaks, as tags (BCP 47, RFC 5646 §2.1). Their form is checked, not the registry.

use contracts::field::BadField;
use contracts::problem::Faults;
use contracts::schedules::LANGUAGES_MAX;

/// RFC 5646 §4.4.1 asks for room for 35.
const TAG_CHARS_MAX: usize = 35;

/// Reads `languages`: each once, whatever its case; what is wrong goes to `faults`.
pub fn parse(tags: &[String], faults: &mut Faults) -> Option<Vec<String>> {
    if tags.len() > LANGUAGES_MAX {
        faults.add("languages", format_args!("must have at most {LANGUAGES_MAX} entries"));
        return None;
    }
    let mut parsed: Vec<String> = Vec::with_capacity(tags.len());
    for (at, tag) in tags.iter().enumerate() {
        let field = format!("languages[{at}]");
        let Some(tag) = faults.take(&field, check(tag)) else { continue };
        if parsed.iter().any(|earlier| earlier.eq_ignore_ascii_case(&tag)) {
            faults.add(field, "stands there twice");
        }
        parsed.push(tag);
    }
    Some(parsed)
}

/// Checks the form of a tag: a language of two or three letters, and subtags.
pub fn check(tag: &str) -> Result<String, BadField> {
    let mut subtags = tag.split('-');
    let is_language =
        |text: &str| matches!(text.len(), 2 | 3) && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_subtag =
        |text: &str| (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_one =
        tag.len() <= TAG_CHARS_MAX && subtags.next().is_some_and(is_language) && subtags.all(is_subtag);
    is_one.then(|| tag.to_owned()).ok_or_else(|| BadField::new("must be a language tag such as de or pt-BR"))
}

/// A tag's language, without script, region and the like.
pub fn primary(tag: &str) -> &str {
    tag.split_once('-').map_or(tag, |(language, _)| language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_language_and_subtags() {
        for tag in ["de", "pt-BR", "zh-Hant-TW", "gsw", "sl-rozaj-biske-1994"] {
            assert!(check(tag).is_ok(), "{tag}");
            assert!(check(primary(tag)).is_ok(), "{tag}");
        }
        for tag in ["", "d", "deutsch", "de_DE", "de-", "-de", "d3", "de-toolongone", "dé"] {
            assert!(check(tag).is_err(), "{tag}");
        }
    }
}
