//! Who was logged out, in parts that are processes of their own: each is asked directly, past the gateway too.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use settings::ServiceName::{AuthService, PatientService};

use crate::parts::Parts;

/// Changes are refused after so many seconds without word from auth, which otherwise says every five that there is none.
const STALE_SECONDS: u32 = 8;
/// Whoever does not know who was logged out waits for it before they serve, at most.
const CATCH_UP_MAX: Duration = Duration::from_secs(10);

const PARTS: [Option<settings::ServiceName>; 2] = [None, Some(PatientService)];

impl Parts {
    async fn reads(&self, part: Option<settings::ServiceName>, token: &str) -> u16 {
        self.status(part, (Method::GET, "/api/patients"), token, None).await
    }

    async fn writes(&self, part: Option<settings::ServiceName>, token: &str) -> u16 {
        let body = json!({"name": "Jane Roe", "dob": "1980-01-01",
            "contactInfo": {"phone": "+1234567890", "email": "jane@example.com"}});
        self.status(part, (Method::POST, "/api/patients"), token, Some(body)).await
    }

    async fn until(&self, what: &str, longest: Duration, is_so: impl AsyncFn() -> bool) -> Duration {
        let begun = Instant::now();
        while !is_so().await {
            assert!(begun.elapsed() < longest, "{what}: not within {longest:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        begun.elapsed()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_reaches_the_gateway_and_a_service_within_two_seconds_and_outlives_their_restarts() {
    let mut parts = Parts::new(120);
    parts.start(&[AuthService, PatientService]).await;
    let (token, other) = (parts.login().await, parts.login().await);
    for part in PARTS {
        assert_eq!(
            (parts.reads(part, &token).await, parts.writes(part, &token).await),
            (200, 201),
            "{part:?}"
        );
    }
    let _ = parts.ask_auth("/api/auth/logout", json!({"token": token})).await.expect(200);
    for part in PARTS {
        parts
            .until("the logout", Duration::from_secs(2), async || parts.reads(part, &token).await == 401)
            .await;
        assert_eq!(parts.reads(part, &other).await, 200, "{part:?}");
    }

    for service in [AuthService, PatientService] {
        parts.cut(service);
        parts.begin(service);
    }
    for service in [AuthService, PatientService] {
        parts.answers(Some(service)).await;
    }
    for part in PARTS {
        parts
            .until("a login", Duration::from_secs(20), async || parts.reads(part, &other).await == 200)
            .await;
        assert_eq!(parts.reads(part, &token).await, 401, "{part:?}");
    }
    assert_eq!(parts.reads(Some(PatientService), &token).await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_auth_hangs_people_read_and_change_nothing_until_it_is_back() {
    let mut parts = Parts::new(STALE_SECONDS);
    parts.start(&[AuthService, PatientService]).await;
    let (token, logged_out) = (parts.login().await, parts.login().await);
    let _ = parts.ask_auth("/api/auth/logout", json!({"token": logged_out})).await.expect(200);
    // While it answers, the bound is never reached, however little is revoked.
    tokio::time::sleep(Duration::from_secs(u64::from(STALE_SECONDS) + 1)).await;
    for part in PARTS {
        assert_eq!(
            (parts.reads(part, &token).await, parts.writes(part, &token).await),
            (200, 201),
            "{part:?}"
        );
        assert_eq!(parts.reads(part, &logged_out).await, 401, "{part:?}");
    }

    parts.signal(AuthService, "STOP");
    let bound = Duration::from_secs(u64::from(STALE_SECONDS) + 2);
    for part in PARTS {
        parts.until("no more changes", bound, async || parts.writes(part, &token).await == 503).await;
        assert_eq!(parts.reads(part, &token).await, 200, "{part:?}: reads go on");
        assert_eq!(parts.reads(part, &logged_out).await, 401, "{part:?}: what is known stays in force");
    }

    // A process that begins now knows nobody's keys, nor who was logged out.
    parts.cut(PatientService);
    parts.begin(PatientService);
    let waited = parts.answers(Some(PatientService)).await;
    let longest = CATCH_UP_MAX + Duration::from_secs(20);
    assert!(waited >= CATCH_UP_MAX && waited < longest, "it waits, but not for ever: {waited:?}");
    for token in [&token, &logged_out] {
        assert_eq!(parts.reads(Some(PatientService), token).await, 503);
    }

    parts.signal(AuthService, "CONT");
    let soon = Duration::from_secs(20);
    for part in PARTS {
        parts.until("changes again", soon, async || parts.writes(part, &token).await == 201).await;
        assert_eq!(parts.reads(part, &logged_out).await, 401, "{part:?}");
    }
}
