//! Links in a message's text that are counted when they are followed: those to hosts that the stack names.

use std::ops::Range;

use reqwest::Url;

/// So many links of a message are looked at, the first ones.
const LINKS_MAX: usize = 16;
/// What programs that look at every link of a mail, or show what is behind it, have in their names.
const PROGRAMS: [&str; 13] = [
    "barracuda",
    "bot",
    "crawl",
    "curl/",
    "headless",
    "mimecast",
    "preview",
    "proofpoint",
    "python",
    "safelinks",
    "scan",
    "spider",
    "wget",
];

/// What no link has in it, but a text has after one.
const ENDS: &str = "<>\"“”„‚‘’«»‹›…";

/// Without what ends a sentence or closes a bracket that was opened before the link.
fn trimmed(mut link: &str) -> &str {
    let count = |bracket| link.matches(bracket).count();
    let mut unopened = count(')').saturating_sub(count('('));
    loop {
        link = link.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'']);
        match link.strip_suffix(')') {
            Some(shorter) if unopened > 0 => (link, unopened) = (shorter, unopened - 1),
            _ => return link,
        }
    }
}

/// Where links stand in a text. What ends a sentence is none of them.
pub fn links(text: &str) -> Vec<Range<usize>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while found.len() < LINKS_MAX
        && let Some(begins) = text[at..].find("https://").map(|it| at + it)
    {
        let rest = &text[begins..];
        let ends = rest.find(|c: char| c.is_whitespace() || ENDS.contains(c)).unwrap_or(rest.len());
        let link = trimmed(&rest[..ends]);
        found.push(begins..begins + link.len());
        at = begins + ends;
    }
    found
}

/// Where a link leads, if it is to one of these hosts: over `https`, at its usual port, and as nobody.
pub fn target(link: &str, hosts: &[String]) -> Option<String> {
    let url = Url::parse(link).ok()?;
    let is_plain = url.scheme() == "https"
        && url.username().is_empty()
        && url.password().is_none()
        && url.port().is_none();
    let host = url.host_str()?;
    let is_named = hosts.iter().any(|named| named.eq_ignore_ascii_case(host));
    (is_plain && is_named).then(|| url.into())
}

/// Whether what calls itself so is a program, and nobody who reads. Who does not say what they are is one.
pub fn is_program(user_agent: Option<&str>) -> bool {
    let Some(name) = user_agent.map(str::to_ascii_lowercase) else { return true };
    PROGRAMS.iter().any(|program| name.contains(program))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hosts() -> [String; 1] {
        ["www.clinic.example".to_owned()]
    }

    #[test]
    fn a_link_ends_where_the_sentence_goes_on() {
        let text =
            "See https://a.example/b?c=d. (Or <https://e.example/>, https://f.example/g!)\nhttp://h.example";
        let found: Vec<_> = links(text).into_iter().map(|at| &text[at]).collect();
        assert_eq!(found, ["https://a.example/b?c=d", "https://e.example/", "https://f.example/g"]);
        let text =
            "„https://a.example/x“ «https://a.example/y» (https://a.example/a_(b)). https://a.example/z…";
        let found: Vec<_> = links(text).into_iter().map(|at| &text[at]).collect();
        let expected =
            ["https://a.example/x", "https://a.example/y", "https://a.example/a_(b)", "https://a.example/z"];
        assert_eq!(found, expected);
    }

    #[test]
    fn only_the_hosts_that_are_named_are_led_to() {
        let named = "https://www.clinic.example/prepare?x=1#y";
        assert_eq!(target(named, &hosts()).as_deref(), Some(named));
        assert!(target("https://WWW.clinic.example", &hosts()).is_some());
        for other in [
            "https://clinic.example/",
            "https://www.clinic.example.evil.example/",
            "https://www.clinic.example@evil.example/",
            "https://evil.example\\@www.clinic.example/",
            "https://user@www.clinic.example/",
            "https://www.clinic.example:8443/",
            "http://www.clinic.example/",
            "https://",
        ] {
            assert_eq!(target(other, &hosts()), None, "{other}");
        }
    }

    #[test]
    fn programs_are_nobody_who_reads() {
        assert!(!is_program(Some("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Safari/604.1")));
        for name in
            [None, Some("Googlebot/2.1"), Some("Mozilla/5.0 (compatible; SafeLinks)"), Some("curl/8.9")]
        {
            assert!(is_program(name), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_leads_nowhere_else(text in "((https?://|//|@|\\\\|:|\\.|/)?(www\\.clinic\\.example|evil|ä| |\\PC){1}){0,12}") {
            for at in links(&text) {
                if let Some(target) = target(&text[at], &hosts()) {
                    prop_assert!(target.starts_with("https://www.clinic.example/"), "{target}");
                    prop_assert!(target.is_ascii() && !target.contains(char::is_whitespace));
                }
            }
        }
    }
}
