//! Errors as the API shows them: RFC 9457 problem documents with a stable code.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::links::HtmlPage;

macro_rules! problem_codes {
    ($($name:ident = $code:literal $status:literal $title:literal, $explanation:literal;)+) => {
        /// What went wrong, for programs: stable across versions.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum ProblemCode { $(#[doc = $explanation] #[serde(rename = $code)] $name,)+ }

        impl ProblemCode {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];
            /// As it stands in a problem's `code`.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$name => $code,)+ } }
            /// The HTTP status it goes with.
            pub const fn status(self) -> u16 { match self { $(Self::$name => $status,)+ } }
            /// A short title.
            pub const fn title(self) -> &'static str { match self { $(Self::$name => $title,)+ } }
            /// What it means and what to do, for the page of problems.
            pub const fn explanation(self) -> &'static str { match self { $(Self::$name => $explanation,)+ } }
        }
    };
}

problem_codes! {
    MalformedRequest = "malformed-request" 400 "The request cannot be read",
        "The body is not JSON, or is nested too deeply, or a header is not of its form. `detail` says where.";
    InvalidQuery = "invalid-query" 400 "A query parameter is not valid",
        "A query parameter is unknown, or its value is not of its form. `errors` names each.";
    Unauthenticated = "unauthenticated" 401 "Sign in first",
        "There is no token, or it has expired, was revoked, or was not issued here. Log in, or refresh the token.";
    InvalidCredentials = "invalid-credentials" 401 "User name or password is wrong",
        "The answer is the same for an unknown user, a wrong password and a disabled or locked account.";
    SecondFactorRequired = "second-factor-required" 401 "A code is needed too",
        "The password was right, and the account has a second factor. Log in again with `code`: what the app shows, or a recovery code. After a login at an identity provider: `POST /api/auth/oidc/{identityProviderId}/second-factor` with the same `flow`. Codes are counted as passwords are.";
    OidcLoginFailed = "oidc-login-failed" 401 "The login at the identity provider did not succeed",
        "The flow is unknown, was used or is older than ten minutes; or what the provider sent back with the browser, or answered itself, is not good; or the account is disabled. Begin again. Which of them it was is in the log and in the audit.";
    Forbidden = "forbidden" 403 "Not permitted",
        "The signed-in user lacks the permission that `detail` names.";
    SecondFactorEnrolmentRequired = "second-factor-enrolment-required" 403 "Enrol a second factor first",
        "A role of the signed-in user asks for a second factor, and they have none. `POST /api/auth/me/second-factor` begins, and nothing else may be done.";
    NoRole = "no-role" 403 "There is no role here for you",
        "The identity provider says who it is, but nothing of them that gives a role here. Ask whoever looks after your account; the log says what is missing.";
    NotFound = "not-found" 404 "Not found",
        "There is nothing here, or nothing that this user may know of.";
    MethodNotAllowed = "method-not-allowed" 405 "Method not allowed",
        "The path exists with other methods: see the `Allow` header.";
    AlreadyExists = "already-exists" 409 "The id is taken",
        "An id once used is never used again, not even after its deletion. Choose another, or leave it out.";
    AppointmentOverlap = "appointment-overlap" 409 "The time is taken",
        "The provider or the patient has another appointment at that time, somebody is just choosing it, or too little time is left around it. `conflict` says when they are busy, and `slots` has the nearest free ones. Of a series, `occurrences` has each time that cannot be had, with those near it.";
    OutsideHours = "outside-hours" 409 "Outside the provider's hours",
        "The time is past, outside the provider's stated hours or in their time off. `slots` has the nearest free ones. Staff may book it all the same.";
    ProviderNotBookable = "provider-not-bookable" 409 "The provider takes no new bookings",
        "A credential of the provider has expired or was revoked, or they are excluded from federal programmes. Appointments that stand already stay; choose another provider, or ask whoever looks after credentials.";
    InvalidTransition = "invalid-transition" 409 "Not possible in this state",
        "The resource's present status does not allow this change. `detail` names both.";
    Suppressed = "suppressed" 409 "This address is written to no more",
        "Whoever has it said STOP or complained, or there is no such address. `critical: true` writes to it all the same where the law allows it; to a number that said STOP nothing does. Whoever has the number lifts it by START, an administrator anything else.";
    ConcurrentChange = "concurrent-change" 409 "Others change it at the same time",
        "Others changed it again and again while this change was being made. Read it again, then decide.";
    OptedOut = "opted-out" 409 "They do not wish it",
        "The person does not wish to be written to of this, or by this channel. What they must know all the same is sent with `critical: true`.";
    IdempotencyInFlight = "idempotency-in-flight" 409 "The same request is under way",
        "A request with this Idempotency-Key has not been answered yet. Ask again shortly.";
    Gone = "gone" 410 "Deleted",
        "It was here and has been deleted.";
    PreconditionFailed = "precondition-failed" 412 "It has changed since",
        "`If-Match` names a version that is not the present one. Read it again, then decide.";
    PayloadTooLarge = "payload-too-large" 413 "The body is too large",
        "A body may have 1 MiB at most.";
    UriTooLong = "uri-too-long" 414 "The address is too long",
        "Path and query may have 8 KiB at most.";
    UnsupportedMediaType = "unsupported-media-type" 415 "The body is not of the right kind",
        "Send `Content-Type: application/json`, in UTF-8; where `detail` says so, `application/x-www-form-urlencoded`.";
    ExpectationFailed = "expectation-failed" 417 "Not to be expected",
        "`Expect` may say `100-continue`, and nothing else.";
    InvalidFields = "invalid-fields" 422 "Some fields are not valid",
        "`errors` names each field by its path, with what it must be. Nothing was changed.";
    IdempotencyMismatch = "idempotency-mismatch" 422 "The key was used for another request",
        "An Idempotency-Key belongs to one body for 24 hours. Use a new key.";
    RateLimited = "rate-limited" 429 "Too many requests",
        "Wait as many seconds as `Retry-After` says. The `RateLimit` header tells what is left.";
    HeadersTooLarge = "headers-too-large" 431 "The headers are too large",
        "The request's headers may have 64 KiB at most.";
    ExportTooLarge = "export-too-large" 409 "More is held than one export takes",
        "Ask for it service by service: `?service=billing-service`.";
    Internal = "internal" 500 "A fault of ours",
        "Something broke on our side. The trace id finds it in the logs.";
    Unavailable = "unavailable" 503 "Not available just now",
        "A part that is needed does not answer, or is overloaded. Try again after `Retry-After` seconds.";
    AuditUnavailable = "audit-unavailable" 503 "It cannot be written down who asks",
        "Nothing is read or changed without an entry in the audit, and the audit cannot be written just now. Nothing was changed. Try again after `Retry-After` seconds.";
    DeadlineExceeded = "deadline-exceeded" 504 "No answer in time",
        "The service did not answer within the route's time. A write may have happened: read before repeating, or send an Idempotency-Key.";
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A problem document (RFC 9457), media type `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The page that explains the code, relative to the gateway.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// The code's short title.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The code, for programs.
    pub code: ProblemCode,
    /// What is wrong with this request, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Each field at fault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Fault>,
    /// Free slots near the one asked for, where that helps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<crate::appointments::Slot>,
    /// What is in the way of a time that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<Box<crate::appointments::Busy>>,
    /// The times of a series that cannot be had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub occurrences: Vec<crate::series::OccurrenceRefused>,
    /// Finds the request in logs and traces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Seconds to wait, also in `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// The same for a person, where a page for people was asked for and there is something fitting to say. No part of the document.
    #[serde(skip)]
    pub page: Option<Box<HtmlPage>>,
}

/// A field at fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// Its path in the body, `services[1].amount`, or the query parameter's name.
    pub field: String,
    /// What it must be. Never repeats the value, which may be health data.
    pub message: String,
}

impl Problem {
    /// A problem with nothing but its code.
    pub fn new(code: ProblemCode) -> Self {
        Self {
            type_uri: format!("/api/docs/problems#{code}"),
            title: code.title().to_owned(),
            status: code.status(),
            code,
            detail: None,
            errors: Vec::new(),
            slots: Vec::new(),
            conflict: None,
            occurrences: Vec::new(),
            trace_id: None,
            retry_after: matches!(
                code,
                ProblemCode::Unavailable | ProblemCode::AuditUnavailable | ProblemCode::IdempotencyInFlight
            )
            .then_some(1),
            page: None,
        }
    }

    /// With what is said of it to a person who asked for a page.
    #[must_use]
    pub fn page(mut self, page: HtmlPage) -> Self {
        self.page = Some(Box::new(page));
        self
    }

    /// With what is wrong with this request.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// With one more field at fault.
    #[must_use]
    pub fn fault(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.errors.push(Fault { field: field.into(), message: message.into() });
        self
    }
}

/// Gathers every fault of a body while its fields are parsed, so that all are told at once.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// None so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a fault.
    pub fn add(&mut self, field: impl Into<String>, message: impl fmt::Display) {
        self.0.push(Fault { field: field.into(), message: message.to_string() });
    }

    /// Takes the value, or notes why there is none.
    pub fn take<T, E: fmt::Display>(&mut self, field: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|error| self.add(field, error)).ok()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `Ok` if there is none.
    pub fn into_result(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(self.into_problem()) }
    }

    /// The problem that names them all.
    pub fn into_problem(self) -> Problem {
        Problem { errors: self.0, ..Problem::new(ProblemCode::InvalidFields) }
    }

    /// The value that all fields together made, or the faults that kept it from being made.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Problem> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self.into_problem()),
        }
    }

    /// The same of what was read from a query string, whose faults are 400 and not 422.
    pub fn finish_query<T>(self, value: Option<T>) -> Result<T, Problem> {
        let of_query =
            |problem: Problem| Problem { errors: problem.errors, ..Problem::new(ProblemCode::InvalidQuery) };
        self.finish(value).map_err(of_query)
    }
}
