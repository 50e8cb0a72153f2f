//! [`Forger`]: tokens that auth did not issue, or not so, made from one that it did; and [`Trap`], which hears whether anybody believes what
//! such a token says of where its key is.

use std::net::{SocketAddr, TcpListener};

use chrono::{DateTime, TimeDelta, Utc};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use http_kit::identity::{generate_key, public_jwk};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// What every `SubjectPublicKeyInfo` of an Ed25519 key begins with (RFC 8410 §4).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// Further than clocks of two machines may differ.
const AHEAD: TimeDelta = TimeDelta::seconds(60);

/// Whoever has a good token, and more than any thief would.
pub struct Forger<'a> {
    /// A token that is good.
    pub token: &'a str,
    /// The private key that it was signed with, PKCS #8.
    pub signing_key: &'a [u8],
    /// That key's `kid`.
    pub kid: &'a str,
    /// The private key of a service, and its `kid`.
    pub service: (&'a [u8], &'a str),
    /// Everybody's time.
    pub now: DateTime<Utc>,
    /// Where keys are said to be: a trap's address.
    pub elsewhere: SocketAddr,
}

/// A token that must open nothing.
#[derive(Clone)]
pub struct Forgery {
    /// What is wrong with it.
    pub what: String,
    /// The token.
    pub token: String,
    /// Whether it was signed here for here all the same: then it still names a session, and logs out of it.
    pub is_signed_here: bool,
}

/// The claims of a token, unchecked.
///
/// # Panics
/// If it is none.
pub fn claims(token: &str) -> Value {
    part(token, 1)
}

/// The header of a token.
///
/// # Panics
/// If it is none.
pub fn header(token: &str) -> Value {
    part(token, 0)
}

fn part(token: &str, at: usize) -> Value {
    let part = token.split('.').nth(at).expect("three parts");
    serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).expect("base64url")).expect("JSON")
}

fn encode(json: &Value) -> String {
    BASE64URL_NOPAD.encode(json.to_string().as_bytes())
}

fn sign(header: &Header, claims: &Value, key: &EncodingKey) -> String {
    jsonwebtoken::encode(header, claims, key).expect("a token")
}

/// The header of what auth signs, but for the name of the key.
fn as_auth_does(kid: Option<&str>) -> Header {
    Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::EdDSA) }
}

/// Signed by a stranger, and then given this header: the signature is good for nothing anyway.
fn signed(header: &Value, claims: &Value, key: &EncodingKey) -> String {
    let token = sign(&Header::new(Algorithm::EdDSA), claims, key);
    let (_, rest) = token.split_once('.').expect("a header");
    format!("{}.{rest}", encode(header))
}

impl Forger<'_> {
    /// The same claims, signed anew as auth signs: whatever comes of it, its like is good.
    pub fn genuine(&self) -> String {
        sign(&as_auth_does(Some(self.kid)), &claims(self.token), &self.ours())
    }

    fn ours(&self) -> EncodingKey {
        EncodingKey::from_ed_der(self.signing_key)
    }

    fn with(&self, member: &str, value: Value) -> Value {
        let mut claims = claims(self.token);
        claims[member] = value;
        claims
    }

    /// All of them.
    ///
    /// # Panics
    /// If a key is none.
    pub fn forgeries(&self) -> Vec<Forgery> {
        let forgery = |(what, token)| Forgery { what, token, is_signed_here: false };
        let mut all: Vec<_> = self.unsigned().into_iter().map(forgery).collect();
        all.extend(self.by_the_public_key().into_iter().map(forgery));
        all.extend(self.that_bring_a_key().into_iter().map(forgery));
        all.extend(self.by_another_kid().into_iter().map(forgery));
        all.extend(self.with_other_claims());
        all
    }

    /// No signature, or not one of this.
    fn unsigned(&self) -> Vec<(String, String)> {
        let mut all: Vec<_> = ["none", "None", "NONE", "nOnE", ""]
            .map(|alg| {
                let head = encode(&json!({"alg": alg, "typ": "JWT", "kid": self.kid}));
                (format!("alg {alg:?}"), format!("{head}.{}.", encode(&claims(self.token))))
            })
            .into();
        let (start, signature) = self.token.rsplit_once('.').expect("a signature");
        let (head, _) = start.split_once('.').expect("a header");
        let other = encode(&self.with("sub", json!("usr_other")));
        all.push((
            "another claim under the same signature".to_owned(),
            format!("{head}.{other}.{signature}"),
        ));
        all.push(("no signature".to_owned(), format!("{start}.")));
        all.push(("half a signature".to_owned(), format!("{start}.{}", &signature[..signature.len() / 2])));
        all
    }

    /// Symmetric, with what everybody can read as the secret (RFC 8725 §2.1).
    fn by_the_public_key(&self) -> Vec<(String, String)> {
        let jwk = public_jwk(self.kid, self.signing_key).expect("a key");
        let x = jwk.x.clone().expect("its public half");
        let raw = BASE64URL_NOPAD.decode(x.as_bytes()).expect("base64url");
        let spki = [&SPKI[..], &raw].concat();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64.encode(&spki));
        let secrets = [
            ("the public key", raw),
            ("the public key in base64url", x.into_bytes()),
            ("the public key as a JWK", serde_json::to_vec(&jwk).expect("JSON")),
            ("the public key in DER", spki),
            ("the public key in PEM", pem.into_bytes()),
            ("nothing", Vec::new()),
        ];
        let mut all = Vec::new();
        for (what, secret) in secrets {
            for algorithm in [Algorithm::HS256, Algorithm::HS512] {
                let header = Header { kid: Some(self.kid.to_owned()), ..Header::new(algorithm) };
                let token = sign(&header, &claims(self.token), &EncodingKey::from_secret(&secret));
                all.push((format!("{algorithm:?} with {what} as the secret"), token));
            }
        }
        all
    }

    /// A stranger's signature, and in the header where to find the stranger's key (RFC 7515 §4.1).
    fn that_bring_a_key(&self) -> Vec<(String, String)> {
        let (key, jwk) = generate_key(self.kid).expect("a key");
        let key = EncodingKey::from_ed_der(&key);
        let url = format!("http://{}/keys.json", self.elsewhere);
        let mut all = Vec::new();
        for (what, member, value) in [
            ("a stranger's key", "typ", json!("JWT")),
            ("a stranger's key that it brings along", "jwk", json!(jwk)),
            ("a key to be fetched (jku)", "jku", json!(url)),
            ("a certificate to be fetched (x5u)", "x5u", json!(url)),
            ("a certificate that it brings along", "x5c", json!([BASE64.encode(b"a certificate")])),
        ] {
            for kid in [self.kid, "stranger"] {
                let mut header = json!({"alg": "EdDSA", "kid": kid});
                header[member] = value.clone();
                all.push((format!("{what}, as {kid}"), signed(&header, &claims(self.token), &key)));
            }
        }
        all
    }

    /// Our own signature under a name that is not its key's: what would read a file or an address finds one.
    fn by_another_kid(&self) -> Vec<(String, String)> {
        let ours = self.ours();
        let url = format!("http://{}/keys.json", self.elsewhere);
        let file = format!("../signing-keys/{}", self.kid);
        let zero = format!("{}\0", self.kid);
        let kids = [
            &*file,
            "../../../../dev/null",
            "/dev/null",
            "file:///dev/null",
            &url,
            &zero,
            "' or '1'='1",
            "",
            self.service.1,
        ];
        let mut all: Vec<_> = kids
            .iter()
            .map(|kid| (format!("kid {kid:?}"), sign(&as_auth_does(Some(kid)), &claims(self.token), &ours)))
            .collect();
        // Of /dev/null as a secret nothing is left.
        let nothing =
            Header { kid: Some("../../../../dev/null".to_owned()), ..Header::new(Algorithm::HS256) };
        let token = sign(&nothing, &claims(self.token), &EncodingKey::from_secret(b""));
        all.push(("an empty file as the secret".to_owned(), token));
        all.push(("no kid".to_owned(), sign(&as_auth_does(None), &claims(self.token), &ours)));
        all
    }

    /// Signed by whoever may sign, and not for this, or not now.
    fn with_other_claims(&self) -> Vec<Forgery> {
        let (ours, service) = (self.ours(), EncodingKey::from_ed_der(self.service.0));
        let by_auth = |what: &str, claims: Value, is_signed_here| Forgery {
            what: what.to_owned(),
            token: sign(&as_auth_does(Some(self.kid)), &claims, &ours),
            is_signed_here,
        };
        let by_service = |what: &str, claims: Value| Forgery {
            what: what.to_owned(),
            token: sign(&as_auth_does(Some(self.service.1)), &claims, &service),
            is_signed_here: false,
        };
        let ahead = self.now + AHEAD;
        let mut of_the_second = self.with("iat", json!(ahead.timestamp()));
        of_the_second["iat_ms"] = Value::Null;
        vec![
            by_auth("another audience", self.with("aud", json!("other")), false),
            by_auth("no audience", self.with("aud", Value::Null), false),
            by_auth("another issuer", self.with("iss", json!("https://other.test")), false),
            by_auth("no issuer", self.with("iss", Value::Null), false),
            by_auth("no expiry", self.with("exp", Value::Null), false),
            by_auth("expired", self.with("exp", json!(self.now.timestamp() - 1)), true),
            by_auth("from the future", self.with("iat_ms", json!(ahead.timestamp_millis())), true),
            by_auth("from the future, by the second", of_the_second, true),
            by_auth("a service's, signed by auth", self.with("sub", json!("service:auth-service")), false),
            by_service("a user's, signed by a service", claims(self.token)),
            by_service("a user's, signed by a service as issuer", self.with("iss", json!(self.service.1))),
        ]
    }
}

/// An address at which nobody must ask.
#[derive(Debug)]
pub struct Trap(TcpListener);

impl Trap {
    /// Set on a free port.
    ///
    /// # Panics
    /// If there is none.
    pub fn set() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket that does not wait");
        Self(listener)
    }

    /// Where it is.
    ///
    /// # Panics
    /// Never: it is bound.
    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("it is bound")
    }

    /// How many have come since it was last asked: whoever came waits at the socket.
    pub fn heard(&self) -> usize {
        std::iter::from_fn(|| self.0.accept().ok()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trap_hears_whoever_comes() {
        let trap = Trap::set();
        assert_eq!(trap.heard(), 0);
        let _one = std::net::TcpStream::connect(trap.address()).unwrap();
        let _other = std::net::TcpStream::connect(trap.address()).unwrap();
        assert_eq!((trap.heard(), trap.heard()), (2, 0));
    }
}
