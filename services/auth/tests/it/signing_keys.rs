//! Another key in the place of the one that tokens are signed with, while the service runs.

use std::time::Duration;

use chrono::{SecondsFormat, TimeDelta};
use db::{AuditFilter, audit_find};
use http_kit::identity::generate_key;

use super::*;

/// The files are read every second.
const READ_IN: Duration = Duration::from_secs(20);

fn kid(token: &str) -> String {
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

async fn published(stack: &Arc<TestStack>) -> Vec<String> {
    let set = send(stack.request(ServiceName::AuthService, Method::GET, "/.well-known/jwks.json")).await;
    let keys = set.expect(200).json()["keys"].as_array().unwrap().clone();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn until_published(stack: &Arc<TestStack>, kids: &[&str]) {
    let wait = async {
        while published(stack).await != kids {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(READ_IN, wait).await.unwrap_or_else(|_| panic!("{kids:?} are not published"));
}

async fn until_in_the_audit(stack: &Arc<TestStack>, keys: &str) {
    let filter = AuditFilter {
        operation: Some("rotate_signing_keys".to_owned()),
        limit: 100,
        ..AuditFilter::default()
    };
    let database = stack.database(ServiceName::AuthService);
    let wait = async {
        loop {
            let found = audit_find(database.db(), &filter).await.unwrap();
            if found.iter().any(|found| found.entry.reason.as_deref() == Some(keys)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(READ_IN, wait).await.unwrap_or_else(|_| panic!("{keys} is not in the audit"));
}

testkit::stack_tests! { services = [auth::SERVICE];
    async fn a_key_is_exchanged_while_the_service_runs_and_the_old_one_is_refused_in_the_end(stack: Arc<TestStack>) {
        let first = login(&stack, "admin", ADMIN_PASSWORD).await;
        // Whoever stole the old key makes tokens that do not expire.
        let forged = stack.token(Role::Admin);
        assert_eq!((kid(&first.access), kid(&forged)), ("test".to_owned(), "test".to_owned()));

        let put = |name: &str, value: &[u8]| stack.secret(ServiceName::AuthService, "signing-keys", name, value);
        put("current", b"test");
        put("k2.p8", &generate_key("k2").unwrap().0);
        until_published(&stack, &["k2", "test"]).await;
        assert_eq!(kid(&login(&stack, "admin", ADMIN_PASSWORD).await.access), "test");

        put("test.replaced", stack.clock.now().to_rfc3339_opts(SecondsFormat::Secs, true).as_bytes());
        put("current", b"k2");
        let in_use = async {
            while kid(&login(&stack, "admin", ADMIN_PASSWORD).await.access) != "k2" {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(READ_IN, in_use).await.unwrap();
        let second = login(&stack, "admin", ADMIN_PASSWORD).await;
        for token in [&first.access, &second.access, &forged] {
            assert!(is_good(&stack, token).await);
        }

        // Ten minutes of a token's life, and two.
        stack.clock.advance(TimeDelta::minutes(12));
        until_published(&stack, &["k2"]).await;
        assert!(!is_good(&stack, &forged).await);
        let refreshed = Tokens::of(&try_refresh(&stack, &first.refresh).await.expect(200));
        assert_eq!(kid(&refreshed.access), "k2");
        assert!(is_good(&stack, &refreshed.access).await, "who was signed in still is");
        until_in_the_audit(&stack, r#"{"current":"k2","published":["k2"]}"#).await;
    }
}
