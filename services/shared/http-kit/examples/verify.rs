//! What it costs to know whose token it is: one never seen before, whose signature is checked, and one that was seen, with few and with many sessions
//! that have been ended.
//!
//! ```sh
//! cargo run --release --package http-kit --example verify
//! ```
//!
//! A line of JSON for each: `what`, and the microseconds of each round.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement ends with a panic, or prints")]

use std::sync::Arc;
use std::time::Instant;

use contracts::ambient::Clock;
use contracts::auth::{JwkSet, Revocation};
use contracts::permission::Role;
use http_kit::identity::generate_key;
use http_kit::keys::KeyRing;
use http_kit::token::{Claims, Verifier};
use jsonwebtoken::EncodingKey;

const ROUNDS: usize = 7;
/// Of a round: so many tokens that were never seen…
const NEW: usize = 4_000;
/// …and so many looks at one that was.
const SEEN: usize = 400_000;
const ENDED: usize = 10_000;
const KID: &str = "auth-1";

struct Issuer {
    key: EncodingKey,
    clock: Clock,
    issued: usize,
}

impl Issuer {
    /// A token of somebody with the most permissions: the largest that there is without roles of one's own.
    fn token(&mut self) -> String {
        self.issued += 1;
        let now = self.clock.now();
        let claims = Claims {
            iss: "https://healthcarestack.dev/stacks/default/clinic".to_owned(),
            aud: "healthcare-stack".to_owned(),
            sub: "usr_vnfug46enc4txd4q".to_owned(),
            sid: Some(format!("ses_{:016}", self.issued)),
            jti: format!("tok_{:016}", self.issued),
            iat: now.timestamp(),
            iat_ms: Some(now.timestamp_millis()),
            exp: now.timestamp() + 600,
            name: Some("admin".to_owned()),
            roles: vec![Role::Admin.to_string()],
            scope: Role::Admin.permissions().to_scope(),
            grants: Vec::new(),
            only_enrols: false,
            patient_id: None,
            provider_id: None,
        };
        claims.sign(&self.key, KID)
    }
}

/// What a round takes for each of so many, microseconds.
async fn each(count: usize, tokens: &[String], verifier: &Verifier) -> f64 {
    let begun = Instant::now();
    for token in tokens.iter().cycle().take(count) {
        let _ = verifier.verify(token).await.unwrap();
    }
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(u32::try_from(count).unwrap())
}

fn tell(what: &str, micros: &[f64]) {
    println!("{}", serde_json::json!({"what": what, "micros": micros}));
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let clock = Clock::system();
    let (key, jwk) = generate_key(KID).unwrap();
    let ring = KeyRing::fixed(&JwkSet { keys: vec![jwk] }, &JwkSet::default());
    let issuer = "https://healthcarestack.dev/stacks/default/clinic";
    let verifier = Verifier::new(issuer, "healthcare-stack", ring, Arc::default(), clock.clone());
    let mut issuer = Issuer { key: EncodingKey::from_ed_der(&key), clock: clock.clone(), issued: 0 };

    let mut micros = Vec::new();
    for _ in 0..ROUNDS {
        let tokens: Vec<_> = (0..NEW).map(|_| issuer.token()).collect();
        micros.push(each(NEW, &tokens, &verifier).await);
    }
    tell("never seen before", &micros);

    let known = [issuer.token()];
    micros.clear();
    for _ in 0..ROUNDS {
        micros.push(each(SEEN, &known, &verifier).await);
    }
    tell("seen before", &micros);

    let ended: Vec<_> = (0..ENDED)
        .map(|at| Revocation {
            session: Some(format!("ses_ended{at:08}")),
            user: None,
            issued_before: clock.now().timestamp_millis(),
            expires_at: clock.now().timestamp() + 600,
        })
        .collect();
    verifier.revocations().apply(&ended, &clock);
    micros.clear();
    for _ in 0..ROUNDS {
        micros.push(each(SEEN, &known, &verifier).await);
    }
    tell("seen before, 10,000 sessions ended", &micros);
}
