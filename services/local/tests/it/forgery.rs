//! Tokens that auth did not issue, or not so, sent to every part of a stack: each service past the gateway too, since each checks by itself.

use futures_util::future::join_all;
use reqwest::Method;
use settings::ServiceName;
use testkit::forgery::{Forger, Forgery, Trap};

use crate::parts::Parts;

/// Something to read at each part; `None` is the gateway.
const DOORS: [(Option<ServiceName>, &str); 8] = [
    (None, "/api/patients"),
    (Some(ServiceName::PatientService), "/api/patients"),
    (Some(ServiceName::ProviderService), "/api/providers"),
    (Some(ServiceName::AppointmentService), "/api/appointments"),
    (Some(ServiceName::BillingService), "/api/bills"),
    (Some(ServiceName::MedicalRecordsService), "/api/records"),
    (Some(ServiceName::NotificationService), "/api/notifications"),
    (Some(ServiceName::AuthService), "/api/auth/me"),
];

async fn at_every_door(parts: &Parts, token: &str) -> Vec<u16> {
    join_all(DOORS.map(|(part, path)| parts.status(part, (Method::GET, path), token, None))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_auth_did_not_issue_opens_no_door_and_nobody_asks_where_it_says() {
    let mut parts = Parts::new(120);
    parts.start(&ServiceName::ALL).await;
    let (token, trap) = (parts.login().await, Trap::set());
    let signing_key = parts.secret("signing-keys", "local-1.p8");
    let service = parts.secret("patient-service-identity", "key.p8");
    let forger = Forger {
        token: &token,
        signing_key: &signing_key,
        kid: "local-1",
        service: (&service, "patient-service"),
        now: contracts::ambient::Clock::system().now(),
        elsewhere: trap.address(),
    };
    assert_eq!(at_every_door(&parts, &token).await, [200; 8]);
    assert_eq!(
        at_every_door(&parts, &forger.genuine()).await,
        [200; 8],
        "the matrix begins from a good token"
    );
    for Forgery { what, token, .. } in forger.forgeries() {
        assert_eq!(at_every_door(&parts, &token).await, [401; 8], "{what}");
    }
    assert_eq!(at_every_door(&parts, &token).await, [200; 8]);
    assert_eq!(trap.heard(), 0, "nobody fetches a key from where a token says that it is");
}
