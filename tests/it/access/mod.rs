//! Who gets in where, and who is shown what: every operation, asked by everybody, and what came of it held against `tests/access.txt`,
//! which people read.
//!
//! People ask at the gateway and at the service's own socket, since neither must rely on the other. The services ask each
//! other at the sockets, by a token that a thief of the key would write: of every role, with every permission.

mod clinic;
mod table;

use std::collections::BTreeMap;

use blackbox::{Client, Healthcare, Reply, Setup};
use clinic::{Whose, fill};
use contracts::endpoint::{Encoding, Operation, Representation, ServiceName};
use contracts::permission::Role;

const TABLE: &str = include_str!("../../access.txt");

/// What one request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// 401 or 403.
    Refused,
    /// There is no such thing for this caller.
    Hidden,
    /// Served, or refused for what was wrong with the request.
    LetIn,
}

/// The ways in.
struct Doors {
    gateway: Client,
    sockets: BTreeMap<ServiceName, Client>,
}

impl Doors {
    fn of(stack: &Healthcare) -> Self {
        let run = stack.setup.data_path().join("run");
        let socket = |service: ServiceName| {
            let path = run.join(format!("{service}.sock"));
            let http = reqwest::Client::builder().no_proxy().unix_socket(path).build().unwrap();
            (service, Client::over(http, &format!("http://{service}")))
        };
        Self { gateway: stack.client(), sockets: ServiceName::ALL.into_iter().map(socket).collect() }
    }

    /// The service's own socket.
    fn direct(&self, operation: &Operation) -> Option<&Client> {
        operation.service.map(|service| &self.sockets[&service])
    }
}

/// As it stands in the table. Internal routes are each service's own.
fn route(operation: &Operation) -> String {
    let service = operation.service.filter(|_| operation.is_internal()).map_or("", ServiceName::short);
    format!("{:<6} {service}{}", operation.method.as_str(), operation.path)
}

/// Asks, so that nothing is changed whatever comes: bodies lack what is required, versions are none that there are, and where a session would
/// end the query asks for what there is not.
async fn ask(client: &Client, operation: &Operation, whose: &Whose) -> Reply {
    let path: Vec<_> = operation.path.split('/').map(|segment| whose.fill(segment)).collect();
    let (method, mut path) = (operation.method.as_str(), path.join("/"));
    if method == "DELETE" && path.contains("/sessions") {
        path.push_str("?none=such");
    }
    if operation.media_type == contracts::availability::EventStream::MEDIA_TYPE {
        // It would go on.
        path.push_str("?seconds=0");
    }
    let mut request = client.request(method, &path);
    if method != "GET" {
        request = request.header("if-match", "\"v99\"");
    }
    if operation.body.is_some() {
        let body = match operation.encoding {
            Encoding::Json => whose.body(operation.id),
            Encoding::Form | Encoding::Mail => String::new(),
        };
        request = request.header("content-type", operation.encoding.media_type()).body(body);
    }
    client.send(format!("{method} {path}"), request).await.unwrap()
}

fn outcome(reply: &Reply, operation: &Operation, whose: &Whose) -> Outcome {
    match reply.status {
        401 | 403 => Outcome::Refused,
        404 => Outcome::Hidden,
        _ if !whose.is_shown(operation.id, reply) => Outcome::Hidden,
        200 | 400 | 412 | 422 => Outcome::LetIn,
        status => panic!("{}: {status} {}", reply.asked, reply.text),
    }
}

/// The members of an answer that not everybody is shown who may ask for it.
fn members(operation: &Operation) -> &'static [&'static str] {
    match operation.id {
        "patient_by_id" | "list_patients" => &["medicalHistory"],
        "appointment_by_id"
        | "list_appointments"
        | "appointment_history"
        | "referral_by_id"
        | "list_referrals" => &["reason"],
        _ => &[],
    }
}

/// What somebody gets at one door: of the operation, and of each of those members.
async fn cells(client: &Client, operation: &Operation, [mine, theirs]: &[Whose; 2]) -> Vec<&'static str> {
    let replies = [ask(client, operation, mine).await, ask(client, operation, theirs).await];
    // A token that is good is never taken for none, and none never for one that may too little.
    let refusal = if client.token().is_some() { 403 } else { 401 };
    for reply in &replies {
        assert!(
            !matches!(reply.status, 401 | 403) || reply.status == refusal,
            "{}: {}",
            reply.asked,
            reply.text
        );
    }
    let outcomes = (outcome(&replies[0], operation, mine), outcome(&replies[1], operation, theirs));
    let mut cells = vec![match outcomes {
        (Outcome::Refused, Outcome::Refused) => "-",
        (Outcome::LetIn, Outcome::LetIn) => "yes",
        (Outcome::LetIn, Outcome::Hidden) => "own",
        (Outcome::Hidden, Outcome::Hidden) => "none",
        other => panic!("{}: {other:?}", route(operation)),
    }];
    for member in members(operation) {
        let shown = [mine, theirs].map(|whose| whose.text_of(member));
        cells.push(match (replies[0].text.contains(&shown[0]), replies[1].text.contains(&shown[1])) {
            (false, false) => "-",
            (true, true) => "yes",
            (true, false) => "own",
            (false, true) => panic!("{}: {member} of somebody else", route(operation)),
        });
    }
    cells
}

/// Clinicians have nothing of their own here: they treat whom the first of the two patients is.
fn in_words(heading: &str, cells: Vec<&'static str>) -> Vec<&'static str> {
    let is_care = heading == Role::Clinician.as_str();
    cells.into_iter().map(|cell| if is_care && cell == "own" { "care" } else { cell }).collect()
}

/// Waits until it has come round whom the clinician treats.
async fn is_told_who_treats_whom(stack: &Healthcare, clinician: &str, mine: &Whose) {
    let client = stack.client().with_token(clinician);
    for _ in 0..200 {
        let mut known = true;
        for path in
            ["records/{recordId}", "patients/{patientId}", "bills/{billId}", "notifications/{notificationId}"]
        {
            let path: Vec<_> = path.split('/').map(|segment| mine.fill(segment)).collect();
            known &= client.call("GET", &format!("/api/{}", path.join("/")), None).await.status == 200;
        }
        if known {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("it did not come round who treats whom");
}

/// The lines of an operation, of what each column has got.
fn lines(operation: &Operation, headings: &[&str], columns: &[Vec<&'static str>]) -> Vec<String> {
    let route = route(operation);
    let names = std::iter::once(route.clone())
        .chain(members(operation).iter().map(|member| format!("{route} .{member}")));
    let line = |(at, name): (usize, String)| {
        let cells: Vec<_> = columns.iter().map(|column| column[at]).collect();
        table::line(&name, headings, &cells)
    };
    names.enumerate().map(line).collect()
}

/// The table of people, a column for nobody and for each role.
async fn people(doors: &Doors, tokens: &[(&str, Option<String>)], whose: &[Whose; 2]) -> Vec<String> {
    let headings: Vec<_> = tokens.iter().map(|(heading, _)| *heading).collect();
    let mut seen = vec![table::line("people", &headings, &headings)];
    for operation in contracts::operations().filter(|operation| !operation.is_internal()) {
        let mut columns = Vec::new();
        for (heading, token) in tokens {
            let by =
                |client: &Client| token.as_ref().map_or(client.clone(), |token| client.with_token(token));
            let at_gateway = cells(&by(&doors.gateway), operation, whose).await;
            if let Some(direct) = doors.direct(operation) {
                let at_service = cells(&by(direct), operation, whose).await;
                assert_eq!(at_service, at_gateway, "{heading}: {}", route(operation));
            }
            columns.push(in_words(heading, at_gateway));
        }
        seen.extend(lines(operation, &headings, &columns));
    }
    seen
}

/// The table of the services, a column each.
async fn services(doors: &Doors, tokens: &[(&str, String)], whose: &[Whose; 2]) -> Vec<String> {
    let headings: Vec<_> = tokens.iter().map(|(heading, _)| *heading).collect();
    let mut seen = vec![table::line("services", &headings, &headings)];
    for operation in contracts::operations() {
        let Some(direct) = doors.direct(operation) else { continue };
        let mut columns = Vec::new();
        for (_, token) in tokens {
            columns.push(cells(&direct.with_token(token), operation, whose).await);
        }
        seen.extend(lines(operation, &headings, &columns));
    }
    seen
}

/// The tokens of a thief who has each service's key. The gateway is of the same process, and has none.
fn stolen(stack: &Healthcare) -> Vec<(&'static str, String)> {
    let secrets = stack.setup.data_path().join("secrets");
    let now = contracts::ambient::Clock::system().now();
    let token = |service: ServiceName| {
        let key = std::fs::read(secrets.join(format!("{service}-identity/key.p8"))).unwrap();
        (service.short(), testkit::thief::token(service, &key, "healthcare-stack", now))
    };
    ServiceName::ALL.into_iter().map(token).collect()
}

#[tokio::test]
async fn every_operation_is_open_to_whom_the_table_says_and_to_nobody_else() {
    let setup = Setup::new();
    let limit = "{ requestsPerSecond: 100, burst: 400 }";
    setup.edit(&format!("perClient: {limit}"), "perClient: { requestsPerSecond: 5000, burst: 10000 }");
    let stack = setup.start().await;
    let admin = stack.admin().await;
    let doors = Doors::of(&stack);
    let whose = fill(&admin).await;
    let mut tokens = vec![("nobody", None)];
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Service) {
        tokens.push((role.as_str(), Some(clinic::token_of(&stack, &admin, role, &whose[0]).await)));
    }
    let clinician = tokens.iter().find(|(heading, _)| *heading == Role::Clinician.as_str());
    is_told_who_treats_whom(&stack, clinician.unwrap().1.as_ref().unwrap(), &whose[0]).await;
    let mut seen = people(&doors, &tokens, &whose).await;
    seen.extend(services(&doors, &stolen(&stack), &whose).await);
    let differences = table::differences(TABLE, &seen);
    assert!(
        differences.is_empty(),
        "tests/access.txt says otherwise:\n{}\n\nall that was seen:\n{}",
        differences.join("\n"),
        seen.join("\n")
    );
}

#[tokio::test]
async fn no_internal_route_is_there_at_the_gateway() {
    let stack = Healthcare::start().await;
    let admin = stack.admin().await;
    for (part, token) in
        [("an administrator", admin.token().unwrap().to_owned())].into_iter().chain(stolen(&stack))
    {
        let client = stack.client().with_token(&token);
        for operation in contracts::operations().filter(|operation| operation.is_internal()) {
            let reply = client.call(operation.method.as_str(), operation.path, Some("{}")).await;
            assert_eq!(reply.status, 404, "{part}: {}: {}", reply.asked, reply.text);
        }
    }
}
