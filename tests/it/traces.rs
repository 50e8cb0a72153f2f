//! A request's trace through the whole program: one trace, each span below the one that caused it, and nothing of a patient in it.

use blackbox::{Setup, document};
use testkit::collector::{Answers, Collector, Seen};

fn find<'a>(spans: &'a [Seen], part: &str, kind: i32, name: &str) -> &'a Seen {
    let found =
        spans.iter().find(|span| (span.part.as_str(), span.kind, span.name.as_str()) == (part, kind, name));
    found.unwrap_or_else(|| panic!("no {name} of {part}: {spans:#?}"))
}

#[tokio::test]
async fn a_booking_is_one_trace_through_the_gateway_and_three_services() {
    let collector = Collector::start(Answers::Takes).await;
    let setup = Setup::new();
    let tracing = format!(
        "observability: {{ tracing: {{ endpoint: \"{}\", samplePercent: 100 }} }}",
        collector.endpoint()
    );
    setup.edit("spec:\n", &format!("spec:\n  {tracing}\n"));
    let stack = setup.start().await;
    let admin = stack.admin().await;
    let mut answers = Vec::new();
    for path in ["/api/patients", "/api/providers", "/api/appointments"] {
        let operation = document::find("POST", path);
        let body = operation.body.unwrap();
        let body = match path {
            "/api/patients" => body.replacen('{', "{ \"patientId\": \"12345\",", 1),
            _ => body,
        };
        answers.push(admin.call("POST", path, Some(&body)).await.expect(201));
    }
    let spans = collector
        .wait_for("the booking", |spans| {
            spans.iter().any(|span| {
                span.name == "POST /api/appointments" && span.part == "api-gateway" && span.kind == 2
            })
        })
        .await;

    let door = find(&spans, "api-gateway", 2, "POST /api/appointments");
    let of_it: Vec<Seen> = spans.iter().filter(|span| span.trace == door.trace).cloned().collect();
    assert_eq!(door.parent, "", "nobody outside began it");
    let sent = find(&of_it, "api-gateway", 3, "POST /api/appointments");
    let booked = find(&of_it, "appointment-service", 2, "POST /api/appointments");
    let asked = find(&of_it, "appointment-service", 3, "GET /api/patients/{patientId}");
    let told = find(&of_it, "patient-service", 2, "GET /api/patients/{patientId}");
    let ways = [(sent, door), (booked, sent), (asked, booked), (told, asked)];
    for (below, above) in ways {
        assert_eq!(below.parent, above.id, "{} of {} is below {}", below.name, below.part, above.name);
        assert!(above.start <= below.start && below.end <= above.end, "{below:#?}\n{above:#?}");
    }
    find(&of_it, "provider-service", 2, "GET /internal/schedules/{providerId}");
    assert!(of_it.iter().all(|span| span.stack == "default/clinic" && span.error.is_none()), "{of_it:#?}");

    let everything = format!("{spans:?}").to_lowercase();
    for secret in ["12345", "prov001", "doe", "penicillin", "@example.com", "cardiology"] {
        assert!(!everything.contains(secret), "{secret}");
    }
    let (_, status, ..) = stack.interrupt().await;
    assert!(status.success());
}
