//! A transit engine that answers as it is told to: in no order, with nonsense, or with what is no key. What a real one does, `transit.rs` shows.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use data_encoding::BASE64;
use serde_json::{Value, json};
use settings::{SecretRef, Transit};

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Its answers come in the reverse order.
    Reversed,
    /// So do they, but only those that unwrap.
    UnwrapsReversed,
    /// What it has wrapped is nothing.
    Nonsense,
    /// What it has wrapped is longer than any key is.
    Oversized,
    /// What it unwraps is a byte.
    OneByte,
    /// What it unwraps is no Base64.
    NoBase64,
    /// What it unwraps is another key than it has wrapped.
    AnotherKey,
    /// What it wraps is of a version that no key ever has.
    AbsurdVersion,
    /// It says that it is overburdened.
    Away,
}

pub(crate) struct FaultyEngine {
    address: SocketAddr,
    state: Arc<Mutex<Told>>,
}

#[derive(Clone, Copy)]
struct Told {
    fault: Fault,
    version: u32,
    unwrapped: usize,
    heeds_bonds: bool,
}

impl FaultyEngine {
    pub(crate) async fn start() -> Self {
        let told = Told { fault: Fault::None, version: 1, unwrapped: 0, heeds_bonds: true };
        let state = Arc::new(Mutex::new(told));
        let router = Router::new().route("/v1/transit/{verb}/clinic", post(answer));
        let router = router.with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, state }
    }

    pub(crate) fn settings(&self) -> Transit {
        Transit {
            address: format!("http://{}", self.address),
            mount: "transit".to_owned(),
            key: "clinic".to_owned(),
            namespace: None,
            token: SecretRef { secret: "transit".to_owned(), key: "token".to_owned() },
            ca: None,
            hold_seconds: 4 * 3_600,
        }
    }

    pub(crate) fn has(&self, fault: Fault) {
        self.state.lock().unwrap().fault = fault;
    }

    pub(crate) fn is_at(&self, version: u32) {
        self.state.lock().unwrap().version = version;
    }

    /// What a key is bound to is nothing to it: as a server does that is too old to know of it.
    pub(crate) fn heeds_no_bonds(&self) {
        self.state.lock().unwrap().heeds_bonds = false;
    }

    /// How many keys it was asked to unwrap.
    pub(crate) fn unwrapped(&self) -> usize {
        self.state.lock().unwrap().unwrapped
    }
}

async fn answer(
    State(state): State<Arc<Mutex<Told>>>,
    Path(verb): Path<String>,
    body: String,
) -> (StatusCode, String) {
    let asked: Value = serde_json::from_str(&body).unwrap();
    let asked = asked["batch_input"].as_array().unwrap();
    let mut told = state.lock().unwrap();
    if told.fault == Fault::Away {
        return (StatusCode::SERVICE_UNAVAILABLE, json!({ "errors": ["overburdened"] }).to_string());
    }
    let encrypts = verb == "encrypt";
    told.unwrapped += if encrypts { 0 } else { asked.len() };
    let one = |item: &Value| if encrypts { wrapped(*told, item) } else { unwrapped(*told, item) };
    let mut results: Vec<_> = asked.iter().map(one).collect();
    if told.fault == Fault::Reversed || (told.fault == Fault::UnwrapsReversed && !encrypts) {
        results.reverse();
    }
    let failed = results.iter().any(|it| it.get("error").is_some());
    let status = if failed { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    (status, json!({ "data": { "batch_results": results } }).to_string())
}

fn wrapped(told: Told, item: &Value) -> Value {
    let version = if told.fault == Fault::AbsurdVersion { u32::MAX } else { told.version };
    let kept = match told.fault {
        Fault::Nonsense => "AAAA".to_owned(),
        Fault::Oversized => BASE64.encode(&vec![b'x'; 300_000]),
        _ => BASE64.encode(json!([item["plaintext"], item["associated_data"]]).to_string().as_bytes()),
    };
    json!({ "ciphertext": format!("vault:v{version}:{kept}") })
}

fn unwrapped(told: Told, item: &Value) -> Value {
    let kept = item["ciphertext"].as_str().and_then(|text| text.rsplit(':').next()).unwrap_or_default();
    let kept: Option<Value> =
        BASE64.decode(kept.as_bytes()).ok().and_then(|it| serde_json::from_slice(&it).ok());
    match (kept, told.fault) {
        (Some(_), Fault::OneByte) => json!({ "plaintext": "eA==" }),
        (Some(_), Fault::NoBase64) => json!({ "plaintext": "\u{1F511}" }),
        (Some(_), Fault::AnotherKey) => json!({ "plaintext": BASE64.encode(&[7; 32]) }),
        (Some(kept), _) if kept[1] == item["associated_data"] || !told.heeds_bonds => {
            json!({ "plaintext": kept[0] })
        }
        _ => json!({ "error": "cipher: message authentication failed" }),
    }
}
