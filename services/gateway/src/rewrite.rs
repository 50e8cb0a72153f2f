//! [`Rewrite`]: the path that a service is asked for, where it is not the one that the client asked for.

/// The beginning of a path replaced by another.
#[derive(Debug)]
pub(crate) struct Rewrite {
    /// So many bytes of the path are replaced. They are the same in every path of the route.
    bytes: usize,
    with: Box<str>,
}

impl Rewrite {
    pub(crate) fn new(rewrite: &settings::Rewrite) -> Self {
        Self { bytes: rewrite.prefix.len(), with: rewrite.with.as_str().into() }
    }

    /// The path to ask for.
    pub(crate) fn apply(&self, path: &str) -> String {
        let path = format!("{}{}", self.with, path.get(self.bytes..).unwrap_or_default());
        if path.is_empty() { "/".to_owned() } else { path }
    }
}

/// What is wrong with rewriting a route's path so: the member, and why.
pub(crate) fn fault(rewrite: &settings::Rewrite, path: &str) -> Option<(&'static str, String)> {
    let settings::Rewrite { prefix, with } = rewrite;
    let rest = path.strip_prefix(&**prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let Some(rest) = rest.filter(|_| is_plain(prefix)) else {
        return Some(("prefix", format!("{prefix} is no whole segments with which {path} begins")));
    };
    if !with.is_empty() && !is_plain(with) {
        return Some((
            "with",
            format!("{with} is no path; write one such as /api, without a slash at its end"),
        ));
    }
    let written = format!("{with}{rest}");
    lets_internal_out(&written).then(|| ("with", format!("{written} would let internal routes out")))
}

/// Whether a path template reaches what services keep for each other.
pub(crate) fn lets_internal_out(template: &str) -> bool {
    template.starts_with("/internal/") || template.starts_with("/{")
}

/// Whole segments, and nothing in them that is read in another way.
fn is_plain(path: &str) -> bool {
    let is_segment = |segment: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~.!$&'()*+,;=:@".contains(&byte);
        !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(is_plain)
    };
    path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewrite(prefix: &str, with: &str) -> settings::Rewrite {
        settings::Rewrite { prefix: prefix.to_owned(), with: with.to_owned() }
    }

    #[test]
    fn the_beginning_is_replaced_and_the_rest_stays() {
        for (prefix, with, path, asked) in [
            ("/v1", "/api", "/v1/patients/7", "/api/patients/7"),
            ("/v1", "", "/v1/patients", "/patients"),
            ("/v1", "", "/v1", "/"),
            ("/old/place", "/new", "/old/place", "/new"),
        ] {
            assert_eq!(Rewrite::new(&rewrite(prefix, with)).apply(path), asked);
        }
    }

    #[test]
    fn what_would_not_fit_or_lead_inside_is_refused_by_its_name() {
        for (prefix, with, path, member) in [
            ("/v2", "/api", "/v1/x", "prefix"),
            ("/v", "/api", "/v1/x", "prefix"),
            ("/v1/", "/api", "/v1/x", "prefix"),
            ("/v1/{id}", "/api", "/v1/{id}/x", "prefix"),
            ("", "/api", "/v1/x", "prefix"),
            ("/v1", "api", "/v1/x", "with"),
            ("/v1", "/api/", "/v1/x", "with"),
            ("/v1", "/api?a=b", "/v1/x", "with"),
            ("/v1", "/../x", "/v1/x", "with"),
            ("/v1", "/internal", "/v1/x", "with"),
            ("/v1", "", "/v1/{*rest}", "with"),
            ("/v1", "", "/v1/internal/x", "with"),
        ] {
            assert_eq!(
                fault(&rewrite(prefix, with), path).map(|(member, _)| member),
                Some(member),
                "{prefix} {with} {path}"
            );
        }
        assert_eq!(fault(&rewrite("/v1", "/api"), "/v1/{*rest}"), None);
    }
}
