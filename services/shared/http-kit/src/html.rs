//! Problems as pages: what a person sees in their browser who followed a link that is good for nothing.
//!
//! Whoever asks for no page gets the problem document as everywhere else. What is said names nobody and says nothing of what there is: whoever guesses at
//! links learns no more by a page than by the document.

use bytes::Bytes;
use contracts::endpoint::Operation;
use contracts::links::{HtmlPage, Words};
use contracts::problem::Problem;
use contracts::templates::Language;
use http::header::{ACCEPT, ACCEPT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::Full;

use crate::answer::{HTML, HTML_POLICY};
use crate::problem;

/// The page that shows a problem, where the operation's own answer is a page and one is asked for; `None` elsewhere.
pub(crate) fn response(
    operation: &Operation,
    problem: &Problem,
    asked: &HeaderMap,
) -> Option<Response<Full<Bytes>>> {
    if operation.media_type != HTML || !preference(asked, ACCEPT).any(|(kind, _)| kind == "text/html") {
        return None;
    }
    let page = match &problem.page {
        Some(page) => HtmlPage::clone(page),
        None => words(problem.status, language(asked)).page(),
    };
    let mut response = problem::response(problem);
    *response.body_mut() = Full::new(Bytes::from(page.0));
    for (name, value) in
        [(CONTENT_TYPE, HTML), (CONTENT_SECURITY_POLICY, HTML_POLICY), (VARY, "accept, accept-language")]
    {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Some(response)
}

/// What a header prefers (RFC 9110 §12.4), in small letters, each with its weight; without what it rules out.
fn preference(asked: &HeaderMap, name: HeaderName) -> impl Iterator<Item = (String, f32)> {
    let values = asked.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let each = values.flat_map(|value| value.split(',')).map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let what = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse);
        (what, weight.unwrap_or(0.0))
    });
    each.filter(|(_, weight)| *weight > 0.0)
}

/// The language that a browser asks for, of those that there are texts in.
fn language(asked: &HeaderMap) -> Language {
    let known = preference(asked, ACCEPT_LANGUAGE).filter_map(|(tag, weight)| {
        let language: Language = tag.split('-').next()?.parse().ok()?;
        Some((language, weight))
    });
    // Of two alike the first.
    let best = known.fold(None, |best: Option<(Language, f32)>, next| match best {
        Some(best) if best.1 >= next.1 => Some(best),
        _ => Some(next),
    });
    best.map(|(language, _)| language).unwrap_or_default()
}

fn words(status: u16, language: Language) -> Words<'static> {
    let [unknown, over, later] = match language {
        Language::En => [
            [
                "This link is not good",
                "It was cut off on its way, or is of a message that is gone. Please open it once more from the message, or call the clinic.",
            ],
            ["This link is over", "What it was for has changed since. Please call the clinic."],
            ["This does not work just now", "Please try again in a few minutes, or call the clinic."],
        ],
        Language::De => [
            [
                "Dieser Link ist nicht gültig",
                "Er wurde unterwegs abgeschnitten, oder die Nachricht dazu gibt es nicht mehr. Bitte öffnen Sie ihn noch einmal aus der Nachricht, oder rufen Sie die Praxis an.",
            ],
            [
                "Dieser Link gilt nicht mehr",
                "Wofür er war, hat sich seither geändert. Bitte rufen Sie die Praxis an.",
            ],
            [
                "Das geht gerade nicht",
                "Bitte versuchen Sie es in ein paar Minuten noch einmal, oder rufen Sie die Praxis an.",
            ],
        ],
        Language::Es => [
            [
                "Este enlace no es válido",
                "Se cortó por el camino o su mensaje ya no existe. Ábralo otra vez desde el mensaje o llame a la consulta.",
            ],
            [
                "Este enlace ya no vale",
                "Aquello para lo que era ha cambiado. Llame a la consulta, por favor.",
            ],
            ["Ahora mismo no es posible", "Inténtelo de nuevo dentro de unos minutos o llame a la consulta."],
        ],
        Language::Fr => [
            [
                "Ce lien n’est pas valable",
                "Il a été coupé en chemin, ou son message n’existe plus. Ouvrez-le encore une fois depuis le message, ou appelez le cabinet.",
            ],
            [
                "Ce lien n’est plus valable",
                "Ce à quoi il servait a changé depuis. Veuillez appeler le cabinet.",
            ],
            ["Ce n’est pas possible en ce moment", "Réessayez dans quelques minutes, ou appelez le cabinet."],
        ],
    };
    let [title, text] = match status {
        409 | 410 => over,
        400..=499 => unknown,
        _ => later,
    };
    Words { language, title, text, button: None }
}

#[cfg(test)]
mod tests {
    use contracts::endpoint::Endpoint;
    use contracts::notifications::{ConfirmPage, ListDevices};
    use contracts::problem::ProblemCode;

    use super::*;

    const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

    fn headers(accept: &'static str, language: &'static str) -> HeaderMap {
        let values = [(ACCEPT, accept), (ACCEPT_LANGUAGE, language)];
        values.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_page_is_for_who_asks_for_one_where_pages_are() {
        let problem = Problem::new(ProblemCode::NotFound);
        let page = |operation, accept| response(operation, &problem, &headers(accept, "de"));
        let shown = page(ConfirmPage::OPERATION, BROWSER).unwrap();
        assert_eq!(
            (shown.status(), &shown.headers()[CONTENT_TYPE]),
            (http::StatusCode::NOT_FOUND, &HeaderValue::from_static(HTML))
        );
        for accept in ["*/*", "application/json", "text/html;q=0", "text/html;q=x", ""] {
            assert!(page(ConfirmPage::OPERATION, accept).is_none(), "{accept}");
        }
        assert!(page(ListDevices::OPERATION, BROWSER).is_none());
    }

    #[test]
    fn it_speaks_the_language_that_is_preferred() {
        for (asked, spoken) in [
            ("de-DE,de;q=0.9,en;q=0.8", Language::De),
            ("en;q=0.5, fr-CA;q=0.8", Language::Fr),
            ("es, de", Language::Es),
            ("tlh, de;q=0", Language::En),
            ("", Language::En),
        ] {
            assert_eq!(language(&headers("", asked)), spoken, "{asked}");
        }
    }

    #[test]
    fn each_language_says_something_else_of_each_status() {
        let all = [404, 409, 503].map(|status| Language::ALL.map(|language| words(status, language).title));
        let all: std::collections::BTreeSet<_> = all.into_iter().flatten().collect();
        assert_eq!(all.len(), 12);
    }
}
