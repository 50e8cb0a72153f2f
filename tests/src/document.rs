//! The user's own description of the API (`reference/api-documentation.txt`), read as data, so that each body is sent as it stands
//! there and each answer is compared with what stands there.

use serde_json::Value;

const TEXT: &str = include_str!("../reference/api-documentation.txt");

/// A call as documented.
#[derive(Clone, Debug)]
pub struct DocumentedCall {
    /// `POST`
    pub method: String,
    /// `/api/appointments/{appointmentId}`
    pub path: String,
    /// The request's body, letter by letter.
    pub body: Option<String>,
    /// The answer.
    pub response: Value,
}

/// Every call of the document, in its order.
///
/// # Panics
/// If the document is not as expected.
pub fn calls() -> Vec<DocumentedCall> {
    let lines: Vec<_> = TEXT.lines().collect();
    let is_call = |line: &str| {
        ["GET ", "POST ", "PUT ", "DELETE "].iter().any(|method| line.starts_with(method))
            && line.contains(" /api/")
    };
    let starts: Vec<_> = (0..lines.len()).filter(|at| is_call(lines[*at])).collect();
    let ends = starts.iter().skip(1).copied().chain([lines.len()]);
    starts.iter().zip(ends).map(|(start, end)| call(&lines[*start..end])).collect()
}

/// One call.
///
/// # Panics
/// If it does not stand in the document.
pub fn find(method: &str, path: &str) -> DocumentedCall {
    let found = calls().into_iter().find(|call| call.method == method && call.path == path);
    found.unwrap_or_else(|| panic!("the document has no {method} {path}"))
}

fn call(lines: &[&str]) -> DocumentedCall {
    let (method, path) = lines[0].split_once(' ').expect("a method and a path");
    let body = json_after(lines, "Request body:");
    let response = json_after(lines, "Response:").expect("an answer");
    DocumentedCall {
        method: method.to_owned(),
        path: path.trim().to_owned(),
        body,
        response: serde_json::from_str(&response).expect("the document's answer is JSON"),
    }
}

/// The JSON object that follows a heading, as text.
fn json_after(lines: &[&str], heading: &str) -> Option<String> {
    let at = lines.iter().position(|line| line.trim() == heading)?;
    let rest = &lines[at + 1..];
    let start = rest.iter().position(|line| line.trim() == "{")?;
    let end = rest.iter().position(|line| *line == "}")?;
    Some(rest[start..=end].join("\n"))
}
