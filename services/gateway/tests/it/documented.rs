//! The gateway by itself, with the configuration, the key set and the claims that docs/processes.md shows, taken from there.

use contracts::ambient::Clock;
use http_kit::token::Claims;
use jsonwebtoken::EncodingKey;

use crate::backend::Backend;
use crate::process::{Process, gateway};
use crate::wire::{Answer, Client};

const PAGE: &str = include_str!("../../../../docs/processes.md");
/// The private half of the page's key: RFC 8037, appendix A.1.
const PRIVATE: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
/// What stands before such a key in PKCS #8 (RFC 8410 §7).
const PKCS8_PREFIX: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

/// The code blocks of the section about a gateway by itself.
fn blocks() -> Vec<&'static str> {
    let section = PAGE.split("### ").find(|section| section.starts_with("By itself")).unwrap();
    let fenced = section.split("```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap().1).collect()
}

fn token(claims: &str) -> String {
    let now = Clock::system().now();
    let claims = Claims {
        iat: now.timestamp(),
        iat_ms: Some(now.timestamp_millis()),
        exp: now.timestamp() + 600,
        ..serde_json::from_str(claims).unwrap()
    };
    let seed = data_encoding::BASE64URL_NOPAD.decode(PRIVATE.as_bytes()).unwrap();
    claims.sign(&EncodingKey::from_ed_der(&[PKCS8_PREFIX, &seed].concat()), "k1")
}

#[test]
fn the_page_shows_the_example_that_lies_beside_the_code() {
    let example = include_str!("../../examples/gateway.yaml");
    assert_eq!(blocks()[0], example.split_once('\n').unwrap().1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ten_lines_of_the_page_are_a_gateway() {
    let [config, keys, claims] = blocks()[..] else { panic!("configuration, key set and claims") };
    assert_eq!(config.lines().count(), 10);
    let (dir, patients, auth) = (tempfile::tempdir().unwrap(), Backend::echo().await, Backend::echo().await);
    let mut config = config.to_owned();
    for (shown, backend) in [
        ("http://127.0.0.1:8082", &patients),
        ("http://127.0.0.1:9082", &patients),
        ("http://127.0.0.1:8087", &auth),
    ] {
        assert!(config.contains(shown), "{shown}");
        config = config.replace(shown, &backend.address.0);
    }
    let (file, jwks) = (dir.path().join("gateway.yaml"), dir.path().join("keys.json"));
    std::fs::write(&file, config).unwrap();
    std::fs::write(&jwks, keys).unwrap();
    let arguments = ["--config", file.to_str().unwrap(), "--jwks", jwks.to_str().unwrap()];
    let process = Process::of(&mut gateway(&arguments)).await;

    let ask = async |method: &str, path: &str, token: Option<&str>| -> Answer {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> =
            bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        Client::connect(process.address).await.ask(method, path, &headers, "").await
    };
    let good = token(claims);
    let without_scope = token(&claims.replace("patients:read", "bills:read"));
    assert_eq!(ask("GET", "/api/patients/1", Some(&good)).await.status, 200);
    assert_eq!(ask("GET", "/api/patients/1", Some(&without_scope)).await.status, 403);
    assert_eq!(ask("GET", "/api/patients/1", None).await.status, 401);
    assert_eq!(ask("POST", "/api/auth/login", None).await.status, 200);
    assert_eq!(ask("GET", "/api/bills/1", Some(&good)).await.status, 404);
}
