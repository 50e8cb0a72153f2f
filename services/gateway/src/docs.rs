//! The documentation as it is served: the explorer's files, the page of problems, the OpenAPI documents. All of it is in the binary.

use std::fmt::Write as _;
use std::sync::LazyLock;

use bytes::Bytes;
use contracts::problem::ProblemCode;
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderName, HeaderValue, Response};
use settings::ServiceName;

use crate::openapi;

/// Nothing but what we serve ourselves; nobody frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// A page or file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) path: &'static str,
    media_type: &'static str,
    content: Content,
}

#[derive(Debug, PartialEq, Eq)]
enum Content {
    File(&'static str),
    Problems,
}

/// Every one.
pub(crate) static PAGES: [Page; 5] = [
    Page::file("/api/docs", "text/html; charset=utf-8", include_str!("docs/explorer.html")),
    Page::file("/api/docs/", "text/html; charset=utf-8", include_str!("docs/explorer.html")),
    Page::file("/api/docs/explorer.css", "text/css; charset=utf-8", include_str!("docs/explorer.css")),
    Page::file("/api/docs/explorer.js", "text/javascript; charset=utf-8", include_str!("docs/explorer.js")),
    Page { path: "/api/docs/problems", media_type: "text/html; charset=utf-8", content: Content::Problems },
];

static MERGED: LazyLock<Bytes> = LazyLock::new(|| document(&openapi::merged()));
static BY_SERVICE: LazyLock<Vec<(ServiceName, Bytes)>> = LazyLock::new(|| {
    ServiceName::ALL.into_iter().map(|service| (service, document(&openapi::of_service(service)))).collect()
});
static PROBLEMS: LazyLock<Bytes> = LazyLock::new(|| problems().into());

/// The merged OpenAPI document.
pub(crate) fn merged() -> Bytes {
    MERGED.clone()
}

/// One service's OpenAPI document.
pub(crate) fn of_service(service: ServiceName) -> Bytes {
    BY_SERVICE.iter().find(|(name, _)| *name == service).map(|(_, bytes)| bytes.clone()).unwrap_or_default()
}

fn document(value: &serde_json::Value) -> Bytes {
    serde_json::to_vec_pretty(value).unwrap_or_default().into()
}

impl Page {
    const fn file(path: &'static str, media_type: &'static str, content: &'static str) -> Self {
        Self { path, media_type, content: Content::File(content) }
    }

    /// The page at a path.
    pub(crate) fn at(path: &str) -> Option<&'static Self> {
        PAGES.iter().find(|page| page.path == path)
    }

    /// The page as an answer.
    pub(crate) fn answer(&self) -> Response<Bytes> {
        let body = match self.content {
            Content::File(text) => Bytes::from_static(text.as_bytes()),
            Content::Problems => PROBLEMS.clone(),
        };
        let mut response = crate::own::typed(body, self.media_type, "no-cache");
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        // Tokens are typed in here: no window that opened this one, or that it opens, has a hold on it.
        headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
        response
    }
}

/// One section a code, at the anchor that a problem's `type` points to.
fn problems() -> String {
    let mut list = String::new();
    for code in ProblemCode::ALL {
        let _ = writeln!(
            list,
            "<section id=\"{code}\" class=\"problem\"><h2><a href=\"#{code}\"><span class=\"status s{}\">{}</span> {}</a></h2>\
             <p><code>{code}</code></p><p>{}</p></section>",
            code.status() / 100,
            code.status(),
            html(code.title()),
            html(code.explanation()),
        );
    }
    include_str!("docs/problems.html").replace("<!-- problems -->", &list)
}

/// Text as HTML, with `code` between backquotes.
fn html(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    escaped
        .split('`')
        .enumerate()
        .map(|(place, part)| if place % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() })
        .collect()
}
