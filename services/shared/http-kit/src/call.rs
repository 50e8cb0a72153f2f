//! [`Call`]: a request, authorised and parsed.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams};
use bytes::Bytes;
use contracts::endpoint::{Access, Encoding, Endpoint, Operation, PathIds};
use contracts::problem::{Problem, ProblemCode};
use contracts::trail;
use db::KeptAnswer;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use settings::Method;

use crate::etag::IfMatch;
use crate::kit::Kit;
use crate::receipt::{Claimed, Receipt, claim_idempotency_key};
use crate::shape::Shape;
use crate::token::Caller;
use crate::{concerned, form, json, mail, problem};

/// The largest body, bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// A request, parsed: all that a handler needs.
pub struct Call<E: Endpoint> {
    /// The ids in the path.
    pub path: E::Path,
    /// The query string.
    pub query: E::Query,
    /// The body.
    pub body: E::Body,
    /// Who calls; on a public operation, nobody in particular.
    pub caller: Arc<Caller>,
    /// The version that the client believes to change.
    pub if_match: IfMatch,
    /// Keeps the answer for a repeated request.
    pub receipt: Receipt,
    /// The address that the gateway saw, for attempts to be counted by: the gateway writes the header anew, and nobody else reaches a
    /// service (a socket of this user's own, or the network policy). Never logged.
    pub client_address: Option<String>,
    /// What the client calls itself (`User-Agent`). Its own word; never logged.
    pub user_agent: Option<String>,
    /// The last event of a stream that a client who comes back has heard (`Last-Event-ID`). Its own word.
    pub last_event_id: Option<String>,
    /// What somebody outside vouches for their call with: an SMS provider's signature (`X-Twilio-Signature`), the token that Google was given
    /// for a channel (`X-Goog-Channel-Token`); or, where anybody may call, what stands in `Authorization`.
    pub signature: Option<String>,
    /// Whether only the answer's head is asked for (`HEAD`): nobody reads what is there.
    pub is_head: bool,
}

/// What comes of reading a request.
pub(crate) enum Parsed<E: Endpoint> {
    /// A call, to be handled.
    Call(Box<Call<E>>),
    /// A repeated request, answered already.
    Replay(KeptAnswer),
}

/// Authorise first: whoever may not call learns nothing of what would have been wrong with the body.
pub(crate) async fn parse<E: Endpoint>(
    kit: &Kit,
    shape: Option<&Shape>,
    parts: &mut Parts,
    body: Body,
) -> Result<Parsed<E>, Problem> {
    let operation = E::OPERATION;
    let caller = authorize(kit, parts, operation).await?;
    let path = path_ids::<E>(parts).await?;
    let query = parts.uri.query().unwrap_or_default();
    if operation.query.is_none() {
        json::refuse_query(query)?;
    }
    let named = if operation.query.is_some() { query } else { "" };
    let query = json::read_query(named)?;
    // Only now: what is refused names nobody, or anybody could fill the audit with whom they like.
    concerned::in_query(named);
    let (body, bytes) = if operation.body.is_some() {
        let bytes = read_body(parts, body, operation.encoding).await?;
        // The public is read strictly; another service may be newer, and its further members are passed over.
        let body = match (operation.encoding, shape) {
            (Encoding::Form, _) => form::read(&bytes)?,
            (Encoding::Mail, _) => mail::read(&bytes)?,
            (Encoding::Json, Some(shape)) => json::read_strictly(&bytes, shape)?,
            (Encoding::Json, None) => json::read_leniently(&bytes)?,
        };
        if operation.encoding != Encoding::Mail {
            concerned::in_json(&bytes);
        }
        (body, bytes)
    } else {
        (json::read_leniently(b"null")?, Bytes::new())
    };
    // Whoever is nobody has no keys of their own.
    let may_repeat =
        operation.method == Method::Post && operation.access != Access::Public && !operation.is_internal();
    let receipt = if may_repeat {
        match claim_idempotency_key(&kit.db, parts, &caller, &bytes).await? {
            Claimed::Fresh(receipt) => receipt,
            Claimed::Replay(kept) => return Ok(Parsed::Replay(kept)),
        }
    } else {
        Receipt::none()
    };
    let if_match = IfMatch::read(&parts.headers);
    let client_address = header(parts, "x-forwarded-for").map(str::to_owned);
    let user_agent = header(parts, "user-agent").map(str::to_owned);
    let last_event_id = header(parts, "last-event-id").map(str::to_owned);
    let signature = header(parts, "x-twilio-signature").or_else(|| header(parts, "x-goog-channel-token"));
    let is_public = operation.access == Access::Public;
    let vouched = || header(parts, AUTHORIZATION.as_str()).filter(|_| is_public);
    let signature = signature.or_else(vouched).map(str::to_owned);
    let call = Call {
        path,
        query,
        body,
        caller,
        if_match,
        receipt,
        client_address,
        user_agent,
        last_event_id,
        signature,
        is_head: parts.method == http::Method::HEAD,
    };
    Ok(Parsed::Call(Box::new(call)))
}

async fn authorize(kit: &Kit, parts: &Parts, operation: &Operation) -> Result<Arc<Caller>, Problem> {
    if operation.access == Access::Public {
        return Ok(Arc::new(Caller::nobody()));
    }
    let bearer = header(parts, AUTHORIZATION.as_str());
    let caller = kit.world.verifier.authorize(bearer).await.map_err(|error| problem::of_token(&error))?;
    tell_who(&caller, header(parts, trail::HEADER));
    if caller.only_enrols && operation.access != Access::Enrolling {
        return Err(Problem::new(ProblemCode::SecondFactorEnrolmentRequired));
    }
    let caller = match operation.access {
        Access::Needs(permission) if !caller.may(permission) => {
            return Err(Problem::new(ProblemCode::Forbidden)
                .detail(format!("The permission {permission} is needed.")));
        }
        Access::Needs(permission) => Caller::acting_by(caller, permission),
        _ => caller,
    };
    if operation.method != Method::Get {
        kit.world.verifier.permits_change(&caller).map_err(|error| problem::of_token(&error))?;
    }
    Ok(caller)
}

/// Has the audit know who calls. For whom a service does so, only a service says.
fn tell_who(caller: &Caller, on_behalf_of: Option<&str>) {
    let Some(trail) = trail::current() else { return };
    trail.tell(|told| {
        told.who.clone_from(&caller.user);
        told.name.clone_from(&caller.username);
        told.roles = caller.role_names();
        told.session.clone_from(&caller.session);
        told.on_behalf_of = on_behalf_of
            .filter(|user| caller.is_part() && contracts::id::check(user).is_ok())
            .map(str::to_owned);
    });
}

async fn path_ids<E: Endpoint>(parts: &mut Parts) -> Result<E::Path, Problem> {
    let not_found = || Problem::new(ProblemCode::NotFound);
    if E::Path::COUNT == 0 {
        return E::Path::from_segments(std::iter::empty()).ok_or_else(not_found);
    }
    let params = RawPathParams::from_request_parts(parts, &()).await.map_err(|_| not_found())?;
    params.iter().for_each(|(name, id)| concerned::in_path(name, id));
    // An id that is not of the form names nothing that could be here.
    E::Path::from_segments(params.iter().map(|(_, value)| value)).ok_or_else(not_found)
}

/// The body's bytes, if it calls itself what it is to be.
async fn read_body(parts: &Parts, body: Body, encoding: Encoding) -> Result<Bytes, Problem> {
    let is_meant = match encoding {
        Encoding::Json => is_json,
        Encoding::Form => form::is_form,
        Encoding::Mail => mail::is_mail,
    };
    if !header(parts, CONTENT_TYPE.as_str()).is_some_and(is_meant) {
        let wanted = format!("Send Content-Type: {}.", encoding.media_type());
        return Err(Problem::new(ProblemCode::UnsupportedMediaType).detail(wanted));
    }
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::new(ProblemCode::PayloadTooLarge)),
        Err(_) => Err(Problem::new(ProblemCode::MalformedRequest).detail("The body ended early.")),
    }
}

/// Whether a media type is JSON (RFC 8259 §11, RFC 6839 §3.1), in UTF-8 if it says so at all.
fn is_json(media_type: &str) -> bool {
    let media_type = media_type.to_ascii_lowercase();
    let (essence, parameters) = media_type.split_once(';').unwrap_or((&media_type, ""));
    let essence = essence.trim();
    let json =
        essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    let mut charsets =
        parameters.split(';').filter_map(|parameter| parameter.trim().strip_prefix("charset="));
    json && charsets.all(|charset| matches!(charset.trim_matches('"'), "utf-8" | "us-ascii"))
}

/// A header's text, if it is there and is ASCII.
pub(crate) fn header<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts.headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::is_json;

    #[test]
    fn json_by_any_of_its_names_is_json() {
        for json in ["application/json", "Application/JSON; charset=UTF-8", "application/merge-patch+json"] {
            assert!(is_json(json), "{json}");
        }
        for other in [
            "",
            "text/json",
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/json; charset=utf-16",
        ] {
            assert!(!is_json(other), "{other}");
        }
    }
}
