//! Strict reading of what comes from outside.
//!
//! What is not known is refused by name, and what does not fit is named by its path. A message never repeats the value, which may be
//! health data. Between services the typed clients read leniently instead: a peer may be newer.

use contracts::merge_patch::MergePatch;
use contracts::problem::{Problem, ProblemCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::shape::{Shape, UNKNOWN, UNKNOWN_MAX, cut};

/// Arrays and objects inside one another deeper than this are refused before anything is parsed.
const DEPTH_MAX: usize = 32;

/// Reads a body from outside: nothing but what its shape knows may stand in it.
pub(crate) fn read_strictly<T: DeserializeOwned>(text: &[u8], shape: &Shape) -> Result<T, Problem> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::new(ProblemCode::MalformedRequest).detail("The body is empty; send JSON."));
    }
    if depth(text) > DEPTH_MAX {
        return Err(Problem::new(ProblemCode::MalformedRequest)
            .detail(format!("The body is nested more than {DEPTH_MAX} deep.")));
    }
    let value = read(text)?;
    shape.check(text)?;
    Ok(value)
}

/// Reads JSON; what does not fit is named by its path.
fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| json_problem(text, error.inner(), &error.path().to_string()))?;
    deserializer.end().map_err(|error| json_problem(text, &error, ""))?;
    Ok(value)
}

/// Reads a body from another service: members that this version does not know are passed over.
pub fn read_leniently<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(text).map_err(|error| json_problem(text, &error, ""))
}

/// Reads a query string.
pub fn read_query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let mut track = serde_path_to_error::Track::new();
    let mut unknown = Vec::new();
    let pairs = form_urlencoded::parse(query.as_bytes());
    let deserializer = serde_html_form::Deserializer::new(pairs);
    let value = serde_ignored::deserialize(
        serde_path_to_error::Deserializer::new(deserializer, &mut track),
        |path| unknown.push(path.to_string()),
    );
    let value = value.map_err(|error| {
        let (field, mut message) = explain(&error.to_string(), &track.path().to_string());
        // Several of one name are read as a list, which is no value of one.
        if form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| *name == field).count() > 1 {
            "stands there twice".clone_into(&mut message);
        }
        Problem::new(ProblemCode::InvalidQuery).fault(field, message)
    })?;
    refuse_unknown(unknown)?;
    Ok(value)
}

/// Refuses every parameter, by name: the operation takes none.
pub(crate) fn refuse_query(query: &str) -> Result<(), Problem> {
    refuse_unknown(form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name))
}

fn refuse_unknown(names: impl IntoIterator<Item = impl AsRef<str>>) -> Result<(), Problem> {
    let mut problem = Problem::new(ProblemCode::InvalidQuery);
    for name in names.into_iter().take(UNKNOWN_MAX) {
        problem = problem.fault(cut(name.as_ref()), UNKNOWN);
    }
    if problem.errors.is_empty() { Ok(()) } else { Err(problem) }
}

/// The resource that a patch makes of the present one. What the patch names was held against its shape when it was read.
pub fn merge<T: Serialize + DeserializeOwned>(patch: &MergePatch<T>, current: &T) -> Result<T, Problem> {
    let merged = patch
        .merged_into(current)
        .map_err(|error| Problem::new(ProblemCode::MalformedRequest).detail(format!("The body {error}.")))?;
    read(merged.as_bytes())
}

/// How deep arrays and objects go, without parsing: brackets outside of strings.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn json_problem(text: &[u8], error: &serde_json::Error, path: &str) -> Problem {
    use serde_json::error::Category;
    match error.classify() {
        // Where a choice of words is expected, serde_json calls a number or null a fault of the syntax.
        Category::Syntax if serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok() => {
            Problem::new(ProblemCode::InvalidFields).fault(path, "must be a string")
        }
        Category::Data => {
            let (field, message) = explain(&error.to_string(), path);
            Problem::new(ProblemCode::InvalidFields).fault(field, message)
        }
        Category::Syntax | Category::Eof | Category::Io => Problem::new(ProblemCode::MalformedRequest)
            .detail(format!("The body is not JSON: line {}, column {}.", error.line(), error.column())),
    }
}

/// A fault's field and what it must be, from serde's message; serde repeats the value, so only what follows it is kept.
pub(crate) fn explain(message: &str, path: &str) -> (String, String) {
    let message = message.split(" at line ").next().unwrap_or_default();
    let quoted =
        |from: &str| message.strip_prefix(from).and_then(|rest| rest.split('`').next()).map(str::to_owned);
    let path = if path == "." { "" } else { path };
    if let Some(name) = quoted("missing field `") {
        let field = if path.is_empty() { name } else { format!("{path}.{name}") };
        return (field, "is required".to_owned());
    }
    if let Some(name) = quoted("duplicate field `") {
        let name = if path.is_empty() || path.ends_with(&name) { name } else { format!("{path}.{name}") };
        return (name, "stands there twice".to_owned());
    }
    let field = if path.is_empty() { "(body)".to_owned() } else { path.to_owned() };
    if let Some((_, expected)) = message.rsplit_once(", expected ") {
        let expected = expected.replace('`', "");
        let message = if message.starts_with("unknown variant") {
            let choices = expected.strip_prefix("one of ").unwrap_or(&expected);
            format!("must be one of {choices}")
        } else {
            format!("must be {}", kind(&expected))
        };
        return (field, message);
    }
    // What Rust says of a text that is no number, in words for people.
    if message.contains("invalid digit")
        || message.contains("number too ")
        || message.contains("empty string")
    {
        return (field, "must be a whole number, not too large".to_owned());
    }
    (field, message.to_owned())
}

/// Rust's words for kinds of values, in JSON's.
fn kind(expected: &str) -> String {
    match expected {
        "a string" | "a borrowed string" => "a string".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "an object".to_owned(),
        "a boolean" => "true or false".to_owned(),
        _ if expected.starts_with("struct ") => "an object".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not negative".to_owned(),
        "i8" | "i16" | "i32" | "i64" => "a whole number".to_owned(),
        _ => expected.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::bills::{Bill, BillRequest};
    use contracts::endpoint::schema_of;
    use contracts::patients::{PatientFilter, PatientRegistration};
    use proptest::prelude::*;
    use schemars::JsonSchema;

    fn faults(problem: Problem) -> Vec<(String, String)> {
        problem.errors.into_iter().map(|fault| (fault.field, fault.message)).collect()
    }

    fn read<T: DeserializeOwned + JsonSchema>(text: &[u8]) -> Result<T, Problem> {
        read_strictly(text, &Shape::of(schema_of::<T>))
    }

    fn fault(text: &str) -> (String, String) {
        faults(read::<BillRequest>(text.as_bytes()).unwrap_err()).remove(0)
    }

    const BILL: &str = r#"{"patientId":"1","services":[{"serviceId":"s","description":"d","amount":0.10}],"totalAmount":0.10}"#;

    #[test]
    fn amounts_are_read_through_every_wrapper() {
        let bill: BillRequest = read(BILL.as_bytes()).unwrap();
        assert_eq!(bill.total_amount.minor(), 10);
        let (field, message) = fault(&BILL.replace("\"amount\":0.10", "\"amount\":0.105"));
        assert_eq!(
            (field.as_str(), message.as_str()),
            ("services[0].amount", "must have at most two decimals")
        );
    }

    #[test]
    fn each_fault_is_named_by_its_path_and_never_repeats_the_value() {
        for (from, to, field, message) in [
            ("\"d\"", "17", "services[0].description", "must be a string"),
            ("\"patientId\":\"1\",", "", "patientId", "is required"),
            ("\"serviceId\":\"s\",", "", "services[0].serviceId", "is required"),
            ("\"serviceId\":\"s\"", "\"serviceId\":\"s\",\"x\":1", "services[0].x", "is not known here"),
            ("\"patientId\"", "\"patientId\":\"2\",\"patientId\"", "patientId", "stands there twice"),
            ("[{", "{\"a\":{", "services", "must be an array"),
        ] {
            let text = BILL.replacen(from, to, 1);
            let text = if to.starts_with('{') { text.replacen("}]", "}}", 1) } else { text };
            assert_eq!(fault(&text), (field.to_owned(), message.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_word_where_one_of_some_is_expected_is_named() {
        for (status, message) in [
            ("1", "must be a string"),
            ("true", "must be a string"),
            ("\"Sent\"", "must be one of Draft, Issued, Paid, Void"),
        ] {
            let text = BILL.replacen('{', &format!("{{\"status\":{status},"), 1);
            assert_eq!(fault(&text), ("status".to_owned(), message.to_owned()), "{text}");
        }
    }

    #[test]
    fn null_for_a_required_member_is_refused_by_name() {
        let bill: Bill =
            read(BILL.replacen('{', r#"{"billId":"b","currency":"EUR","status":"Issued","#, 1).as_bytes())
                .unwrap();
        let patch = serde_json::from_str(r#"{"totalAmount":null}"#).unwrap();
        let problem = merge(&patch, &bill).unwrap_err();
        assert_eq!(faults(problem), [("totalAmount".to_owned(), "is required".to_owned())]);
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for text in ["", " ", "{", "nonsense", "{} {}", "{\"name\":\"\u{0}\"}", &deep] {
            let problem = read::<PatientRegistration>(text.as_bytes()).unwrap_err();
            assert!(matches!(problem.status, 400 | 422), "{problem:?}");
        }
        assert_eq!(read::<MergePatch<Bill>>(deep.as_bytes()).unwrap_err().status, 400);
    }

    #[test]
    fn unknown_and_ill_formed_query_parameters_are_named() {
        let problem = read_query::<PatientFilter>("nam=x").unwrap_err();
        assert_eq!(faults(problem)[0].0, "nam");
        let problem = read_query::<PatientFilter>("limit=many").unwrap_err();
        assert_eq!(
            faults(problem)[0],
            ("limit".to_owned(), "must be a whole number, not too large".to_owned())
        );
        assert_eq!(read_query::<PatientFilter>("name=a+b&limit=7").unwrap().limit, Some(7));
        for twice in ["name=a&name=b", "limit=1&limit=1"] {
            let fault = read_query::<PatientFilter>(twice).unwrap_err().errors.remove(0);
            assert_eq!(
                (&*fault.field, &*fault.message),
                (&twice[..twice.find('=').unwrap()], "stands there twice")
            );
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read::<BillRequest>(&text);
            let _ = read::<MergePatch<Bill>>(&text);
        }

        #[test]
        fn no_query_panics(text in "\\PC{0,80}") {
            let _ = read_query::<PatientFilter>(&text);
        }
    }
}
