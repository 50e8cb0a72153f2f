//! A request's way through the gateway, from its head to its answer's head. Read [`pass`] from top to bottom.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use contracts::permission::Permissions;
use contracts::problem::ProblemCode;
use http::header::{ALLOW, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, request};
use http_kit::token::{Caller, TokenError, bearer};
use hyper::body::{Body, Incoming};
use tokio::time::timeout_at;
use traces::TraceContext;
use traces::context::SPAN_ID;

use crate::body::{ReplyBody, discard};
use crate::canary::Who;
use crate::client::Peer;
use crate::cors::Page;
use crate::exchange::{Exchange, method_name};
use crate::fallback::{self, Asking, Settled};
use crate::forward::{Answer, Errand, Parcel};
use crate::gateway::Core;
use crate::headers::{self, REQUEST_ID, TRACEPARENT};
use crate::host;
use crate::limits::Tally;
use crate::link::Link;
use crate::refusal::Refusal;
use crate::routing::Found;
use crate::security;
use crate::snapshot::{Route, Snapshot, Target};
use crate::target;
use crate::tunnel::Tunnel;
use crate::upstream::OwnLines;

/// A service has handed over an answer of this size before its client has taken any of it.
const SENT_AT_ONCE_MAX: u64 = 64 * 1024;

/// What a request that may pass comes to.
enum Passed {
    Own(Response<Bytes>),
    Service(Answer, Rest),
}

/// What becomes of the rest of a request's body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// It was read, or is.
    Read,
    /// Its client waits to be told to send it, and is not.
    Unasked,
}

/// Answers one request, whatever becomes of it.
pub(crate) async fn answer(
    core: Arc<Core>,
    peer: &Peer,
    link: Arc<Link>,
    request: Request<Incoming>,
) -> Response<ReplyBody> {
    let (mut head, body) = request.into_parts();
    // One configuration from here to the end, whatever is applied meanwhile.
    let snapshot = core.snapshot.load_full();
    let mut exchange = begin(&core, &snapshot, peer, link, &head);
    exchange.log_access(snapshot.access_log);
    let is_secret = peer.is_secret(&head.headers, &snapshot.trusted);
    let page = snapshot.cors.as_ref().map_or(Page::default(), |cors| cors.page(&head.headers));
    let mut body = Some(body);
    // Asked before its headers are taken on, and only where there is something to send.
    let expects =
        body.as_ref().is_some_and(|body| !body.is_end_stream()) && head.headers.contains_key(EXPECT);
    let passed = pass(&core, &snapshot, peer, &mut head, &mut body, &mut exchange).await;
    let mut is_last = core.is_leaving() || matches!(passed, Ok(Passed::Service(_, Rest::Unasked)));
    match body {
        // Nobody told the client to send it: whether it will cannot be known, nor so where its next request begins.
        Some(_) if expects => is_last = true,
        Some(body) => discard(body),
        None => {}
    }
    let mut response = finish(&core, passed, exchange, is_secret);
    if let Some(cors) = &snapshot.cors {
        cors.tell(page, response.headers_mut());
    }
    if is_last && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The way itself. `body` is left where it is unless it is sent on.
async fn pass(
    core: &Arc<Core>,
    snapshot: &Snapshot,
    peer: &Peer,
    head: &mut request::Parts,
    body: &mut Option<Incoming>,
    exchange: &mut Exchange,
) -> Result<Passed, Refusal> {
    // What two readers could read differently is refused before anybody reads on.
    target::check(head, exchange.link())?;
    host::settle(head)?;
    if head.method == Method::OPTIONS && head.uri.path() == "*" {
        return Ok(Passed::Own(no_content(None)));
    }
    let path = target::normalise(head.uri.path())?;

    // The route says all that follows: who may pass, how often, how long, and where to.
    let route = match snapshot.routes.find(&head.method, &path, &head.headers) {
        Found::Route(route) => Arc::clone(route),
        _ if head.method == Method::OPTIONS => return Ok(Passed::Own(options(snapshot, head, &path)?)),
        Found::OtherMethods(allow) => {
            return Err(Refusal { allow: Some(allow), ..Refusal::bare(ProblemCode::MethodNotAllowed) });
        }
        Found::Nothing => return Err(Refusal::bare(ProblemCode::NotFound)),
    };
    exchange.route = Some(Arc::clone(&route));

    let client = peer.client(&head.headers, &snapshot.trusted);
    let begun = admit(core, snapshot, (&route, client.key), &head.headers, exchange).await?;

    let (lane, policy, budget) = match &route.target {
        Target::Own(own) => {
            return Ok(Passed::Own(Box::pin(own.answer(core, exchange.caller.as_deref())).await));
        }
        Target::Service { lane, canary, retries, budget } => {
            let canary = canary.as_deref().filter(|canary| {
                let who =
                    exchange.caller.as_ref().map_or(Who::Client(client.key), |who| Who::User(&who.user));
                canary.takes(who, exchange.started)
            });
            exchange.is_canary = canary.is_some();
            (canary.map_or(&**lane, |canary| &*canary.lane), *retries, &**budget)
        }
    };

    let bytes_max = route.body_bytes_max;
    if body.as_ref().is_some_and(|body| body.size_hint().lower() > bytes_max) {
        return Err(Refusal { close: true, ..Refusal::bare(ProblemCode::PayloadTooLarge) });
    }

    // From here on it is the service's request: its headers say what we know of the client, not what the client says of itself.
    let uri = match &route.rewrite {
        None => target::onward(&head.uri, &path)?,
        Some(rewrite) => target::onward(&head.uri, &rewrite.apply(&path))?,
    };
    let mut headers = std::mem::take(&mut head.headers);
    let is_trusted = peer.is_trusted(&snapshot.trusted);
    let asked = headers::towards_service(&mut headers, (&head.method, head.version), is_trusted)?;
    // The deadline counts from the request's head: whatever was spent above is gone.
    let time = route.pace.begin(asked.time.as_ref(), exchange.started);
    let own = OwnLines {
        client: &client,
        forwarded_host: asked.host,
        request_id: exchange.request_id.clone(),
        traceparent: exchange.traceparent.clone(),
        time_left: route.pace.told.clone(),
        option: asked.option,
        expects: asked.to_continue,
    };
    let mut standby = route.fallback.as_deref().and_then(|fallback| {
        fallback.standby(&Asking {
            method: &head.method,
            path: &path,
            query: head.uri.query(),
            headers: &headers,
            caller: exchange.caller.as_deref(),
            since: exchange.started,
            has_body: body.as_ref().is_some_and(|body| !body.is_end_stream()),
        })
    });
    let Some(incoming) = body.take() else { return Err(Refusal::bare(ProblemCode::Internal)) };
    let is_bare = incoming.is_end_stream();
    let parcel = Parcel { method: head.method.clone(), uri, headers, own };
    let link = Arc::clone(exchange.link());
    let mut errand = Errand::new((core, &link), (lane, policy, budget), (&route.pace, time), parcel);
    errand.load(incoming, bytes_max).await?;
    errand.trace = exchange.span.as_ref().map(|span| (span.context(), Arc::clone(&route.template)));
    // A service that has more to do than it can is spared what can wait. Asked only now: a small body has come in nobody's place.
    let answer = if let Err(refusal) = route.admission.enter(exchange.is_canary) {
        Err(refusal)
    } else {
        exchange.admitted(errand.intake());
        if let Some(standby) = &mut standby {
            standby.begin();
        }
        let answer = errand.run().await;
        exchange.retries = errand.retries_made;
        exchange.is_in_doubt = errand.is_in_doubt();
        exchange.hedged = errand.hedged;
        // That a client was in a hurry says nothing of the service.
        let is_late =
            answer.as_ref().is_err_and(|refusal| refusal.problem.code == ProblemCode::DeadlineExceeded);
        if !(time.is_hurried && is_late) {
            let is_telling = is_bare && errand.retries_made == 0;
            route.admission.learn(exchange.is_canary, begun, &answer, is_telling);
        }
        answer
    };
    // What is left of a body that was not sent on cannot be read as the next request: the connection ends, and says so.
    let is_streaming = errand.is_streaming();
    let answer = answer.map_err(|refusal| Refusal { close: refusal.close || is_streaming, ..refusal });
    let rest = if errand.is_declined() { Rest::Unasked } else { Rest::Read };
    Ok(match fallback::settle(standby, answer, exchange)? {
        Settled::Service(answer) => Passed::Service(answer, rest),
        Settled::Own(response) => Passed::Own(response),
    })
}

/// Who asks, whether they may, and how often. Comes back with when the service's time began: what the store of the limits took is not its own.
async fn admit(
    core: &Core,
    snapshot: &Snapshot,
    (route, client): (&Route, u128),
    headers: &HeaderMap,
    exchange: &mut Exchange,
) -> Result<Instant, Refusal> {
    // The address's limit comes before the token, since checking a forged token is work that costs the sender nothing.
    let nanos = core.nanos(exchange.started);
    let line = snapshot.store.as_ref().and_then(|store| Some((store, store.line()?)));
    let mut tally = Tally::new(&route.limits, &route.buckets, nanos, line.is_some());
    exchange.standing = tally.client(client);
    limited(core, exchange)?;

    // Who asks. A token seen before costs one look; what it was worth then is checked for expiry and revocation now.
    let caller = match route.needs {
        Some(_) => {
            authenticate(core, exchange, headers, exchange.started + route.pace.timeout).await.map(Some)
        }
        None => Ok(None),
    };
    if let Ok(caller) = &caller {
        // A user's limit goes by the user, not by the token, so that logging in again earns no more.
        exchange.caller.clone_from(caller);
        let user = caller.as_ref().map(|caller| &*caller.user);
        exchange.standing = tally.caller(user, headers);
        limited(core, exchange)?;
    }

    let mut begun = exchange.started;
    // Where several gateways count together, they are asked once, for all of it; a token that was no good counts for its address there too.
    if let Some((store, line)) = line {
        exchange.standing = Box::pin(tally.settle(store, &line)).await;
        limited(core, exchange)?;
        begun = Instant::now();
    }

    // The service checks again: this check is the first, not the only one.
    if let (Some(caller), Some(needs)) = (caller?, route.needs) {
        permit(&caller, needs, route.lets_enrol)?;
        if route.is_change {
            core.world.verifier.permits_change(&caller).map_err(refused)?;
        }
    }
    Ok(begun)
}

/// Gives the request its names: an id of its own, and its place in a trace.
fn begin(
    core: &Arc<Core>,
    snapshot: &Snapshot,
    peer: &Peer,
    link: Arc<Link>,
    head: &request::Parts,
) -> Exchange {
    let started = Instant::now();
    let told =
        head.headers.get(TRACEPARENT).and_then(|value| value.to_str().ok()).and_then(TraceContext::parse);
    let roll = core.roll();
    let mut context = match told {
        Some(told) => told.child(roll.to_be_bytes()),
        None => TraceContext::start(
            (u128::from(core.roll()) << 64 | u128::from(core.roll())).to_be_bytes(),
            roll.to_be_bytes(),
        ),
    };
    if snapshot.sampling.is_on() {
        let is_sampled = match told {
            Some(told) if peer.is_trusted(&snapshot.trusted) => told.is_sampled(),
            // A stranger could have everything recorded.
            _ => snapshot.sampling.takes(roll),
        };
        context = context.sampled(is_sampled);
    }
    let traceparent = Bytes::from_owner(context.header());
    let value =
        |bytes| HeaderValue::from_maybe_shared(bytes).unwrap_or_else(|_| HeaderValue::from_static("-"));
    // Our span's id is random enough for a request that came without an id.
    let request_id =
        headers::request_id(&head.headers).cloned().unwrap_or_else(|| value(traceparent.slice(SPAN_ID)));
    let traceparent = value(traceparent);
    let method = method_name(&head.method);
    let mut exchange = Exchange::begin(Arc::clone(core), link, started, method, request_id, traceparent);
    if snapshot.sampling.is_on() && context.is_sampled() {
        let mut span = core.world.tracer.server(context, told, method);
        span.set("url.scheme", if peer.is_tls { "https" } else { "http" });
        exchange.span = Some(Box::new(span));
    }
    exchange
}

/// Goes on, or counts the refusal.
fn limited(core: &Core, exchange: &Exchange) -> Result<(), Refusal> {
    let Some(standing) = exchange.standing else { return Ok(()) };
    standing.allowed().inspect_err(|_| {
        core.meters.limited(standing.by());
    })
}

async fn authenticate(
    core: &Core,
    exchange: &Exchange,
    headers: &HeaderMap,
    deadline: Instant,
) -> Result<Arc<Caller>, Refusal> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let line = lines.next();
    if lines.next().is_some() {
        return Err(Refusal::malformed("There must be one Authorization header at most."));
    }
    let token = bearer(line.and_then(|line| line.to_str().ok())).map_err(refused)?;
    let (verifier, link) = (&core.world.verifier, exchange.link());
    if let Some(caller) = link.recall(token)
        && let Some(good) = verifier.again(&caller)
    {
        return good.map(|()| caller).map_err(refused);
    }
    let verified = match verifier.recall(token) {
        Some(known) => known,
        // A key that is not known is asked for, which takes as long as auth takes.
        None => Box::pin(timeout_at(deadline.into(), verifier.verify(token)))
            .await
            .map_err(|_| Refusal::bare(ProblemCode::DeadlineExceeded))?,
    };
    let caller = verified.map_err(refused)?;
    link.remember(token, &caller);
    Ok(caller)
}

fn refused(error: TokenError) -> Refusal {
    Refusal::from(http_kit::problem::of_token(&error))
}

fn permit(caller: &Caller, needs: Permissions, lets_enrol: bool) -> Result<(), Refusal> {
    if caller.only_enrols && !lets_enrol {
        return Err(Refusal::bare(ProblemCode::SecondFactorEnrolmentRequired));
    }
    if caller.permissions.contains_all(needs) {
        return Ok(());
    }
    let missing: Vec<&str> =
        needs.iter().filter(|one| !caller.may(*one)).map(contracts::permission::Permission::as_str).collect();
    Err(Refusal::new(ProblemCode::Forbidden, format!("This needs the permission {}.", missing.join(", "))))
}

/// Puts the answer together: what every answer carries, and what must happen at its end.
fn finish(
    core: &Core,
    passed: Result<Passed, Refusal>,
    mut exchange: Exchange,
    is_secret: bool,
) -> Response<ReplyBody> {
    let (mut head, reply) = match passed {
        Ok(Passed::Service((response, answering), _)) => {
            let (mut head, ()) = response.into_parts();
            let is_guarded = exchange.route.as_ref().is_some_and(|route| route.needs.is_some());
            headers::towards_client(&mut head.headers, is_guarded);
            if head.status == StatusCode::SWITCHING_PROTOCOLS {
                headers::upgraded(&mut head.headers);
                exchange.link().upgrade(Tunnel::new(core, answering, exchange.caller.clone()));
                (head, Err(Bytes::new()))
            } else {
                (head, Ok(answering))
            }
        }
        Ok(Passed::Own(response)) => {
            let (head, bytes) = response.into_parts();
            (head, Err(bytes))
        }
        Err(refusal) => {
            exchange.failure = refusal.failure();
            let (head, bytes) = refusal.response(exchange.trace_id()).into_parts();
            (head, Err(bytes))
        }
    };
    security::protect(&mut head.headers, is_secret);
    head.headers.insert(REQUEST_ID, exchange.request_id.clone());
    if let (Some(standing), Some(route)) = (exchange.standing, exchange.route.as_ref()) {
        route.limits.tell(standing, &mut head.headers);
    }
    exchange.status = Some(head.status);
    let body = match reply {
        Ok(answering) => {
            // The service is through with it, however long its client takes: else clients who take nothing would keep everybody else out.
            if answering.size_hint().exact().is_some_and(|bytes| bytes <= SENT_AT_ONCE_MAX) {
                exchange.give_back();
            } else {
                exchange.lend();
            }
            ReplyBody::service(answering, exchange)
        }
        Err(bytes) => {
            exchange.give_back();
            // HTTP/2 would send it.
            let is_head = exchange.method == "HEAD";
            if is_head {
                head.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            }
            ReplyBody::own(if is_head { Bytes::new() } else { bytes }, exchange)
        }
    };
    Response::from_parts(head, body)
}

/// What can be done at a path. Which headers its routes ask for does not matter: a browser that asks beforehand does not send them yet.
fn options(snapshot: &Snapshot, head: &request::Parts, path: &str) -> Result<Response<Bytes>, Refusal> {
    let methods = snapshot.routes.methods(path).ok_or_else(|| Refusal::bare(ProblemCode::NotFound))?;
    let mut response = no_content(Some(methods.clone()));
    if let Some(cors) = &snapshot.cors {
        cors.preflight(&head.headers, &methods, response.headers_mut());
    }
    Ok(response)
}

fn no_content(allow: Option<HeaderValue>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if let Some(allow) = allow {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}
