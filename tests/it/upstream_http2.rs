//! A stack whose gateway speaks HTTP/2 with its services: the same answers, over one connection to each.

use std::time::{Duration, Instant};

use blackbox::{Client, Healthcare};

const PATIENT: &str = r#"{"patientId": "12345", "name": "John Doe", "dob": "1980-01-01", "contactInfo": {"phone": "+1234567890"}}"#;
const PROVIDER: &str = r#"{"providerId": "prov001", "name": "Dr. Jane Doe", "specialization": "Cardiology",
    "contactInfo": {"phone": "+1234567890", "email": "janedoe@example.com"},
    "availability": [{"day": "Monday", "slots": ["09:00-12:00", "14:00-17:00"]}]}"#;
const APPOINTMENT: &str = r#"{"patientId": "12345", "providerId": "prov001", "appointmentDate": "2030-01-07", "timeSlot": "10:00", "status": "Scheduled"}"#;

/// Connections that the provider service has accepted: nobody asks it but the gateway, while nothing is booked.
fn connections(stack: &Healthcare) -> usize {
    let socket = stack.setup.data_path().join("run/provider-service.sock");
    let sockets = std::fs::read_to_string("/proc/net/unix").unwrap();
    // One that listens has the flag `__SO_ACCEPTCON`; of the others only the accepting end has the path.
    let is_one = |line: &&str| line.ends_with(socket.to_str().unwrap()) && !line.contains(" 00010000 ");
    sockets.lines().filter(is_one).count()
}

/// Many questions at once.
async fn burst(admin: &Client) {
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let admin = admin.clone();
        asked.spawn(async move { admin.call("GET", "/api/providers/prov001", None).await });
    }
    for reply in asked.join_all().await {
        let _ = reply.expect(200);
    }
}

#[tokio::test]
async fn a_stack_that_asks_for_http2_between_its_parts_works_as_ever() {
    let setup = blackbox::Setup::new();
    setup.edit("\n  gateway:\n", "\n  gateway:\n    upstreamProtocol: http2\n");
    let stack = setup.start().await;
    let admin = stack.admin().await;
    let _ = admin.call("POST", "/api/patients", Some(PATIENT)).await.expect(201);
    let _ = admin.call("POST", "/api/providers", Some(PROVIDER)).await.expect(201);
    burst(&admin).await;
    assert_eq!(connections(&stack), 1, "all share one");
    let booked = admin.call("POST", "/api/appointments", Some(APPOINTMENT)).await.expect(201);
    assert_eq!(booked.json()["status"], "Created");
    let _ = admin.call("POST", "/api/appointments", Some(APPOINTMENT)).await.expect(409);
    let _ = admin.call("GET", "/api/patients/nobody", None).await.expect(404);

    // And back again, while it runs.
    stack.setup.edit("upstreamProtocol: http2", "upstreamProtocol: http1");
    let since = Instant::now();
    loop {
        burst(&admin).await;
        if connections(&stack) > 2 {
            break;
        }
        assert!(
            since.elapsed() < Duration::from_secs(20),
            "HTTP/1.1 needs more than one connection for that"
        );
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let (_, status, _, log) = stack.interrupt().await;
    assert!(status.success());
    assert!(!log.contains("did not finish in time"), "{log}");
}
