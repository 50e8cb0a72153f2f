//! [`ServiceIdentity`]: how a service, or the gateway, shows the others who it is.
//!
//! Each has an Ed25519 key of its own (secret `<part>-identity`, key `key.p8`) and signs itself short tokens; the others know the
//! public halves (secret `service-identities`, key `jwks.json`). Nothing has to be asked of auth, so services speak to each other
//! even while auth restarts.
//!
//! The public halves of a part are those whose `kid` is its name, or its name with something after a dot: `patient-service`,
//! `patient-service.2`. A token says only whose it is, and any of that part's keys will do; so a key can be replaced while old and
//! new pods speak to each other: publish the new one beside the old, then sign with it, then take the old one away.

use std::sync::{Arc, Mutex, PoisonError};

use contracts::ambient::{Clock, Random};
use contracts::auth::Jwk;
use contracts::client::TokenSource;
use contracts::permission::{Permission, Permissions, Role};
use settings::ServiceName;
use zeroize::Zeroizing;

use crate::token::Claims;

/// A service's token lives so long, seconds.
const LIFETIME_SECONDS: i64 = 300;

/// A part of the stack that signs for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// One of the seven.
    Service(ServiceName),
    /// The gateway.
    Gateway,
}

impl Part {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        ServiceName::ALL.into_iter().map(Self::Service).chain([Self::Gateway])
    }

    /// As it stands in tokens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Service(service) => service.as_str(),
            Self::Gateway => settings::GATEWAY_NAME,
        }
    }

    /// Whose key goes by this `kid`, if it is a part's.
    pub fn of_kid(kid: &str) -> Option<Self> {
        let name = kid.split_once('.').map_or(kid, |(name, _)| name);
        Self::all().find(|part| part.as_str() == name)
    }

    /// What it is. The gateway is nobody's role: it has no business with anybody's data.
    pub fn role(self) -> Option<Role> {
        match self {
            Self::Service(_) => Some(Role::Service),
            Self::Gateway => None,
        }
    }

    /// The most that it may do, whatever its tokens say: what it asks the others for, and nothing else. All follow who was logged out.
    pub fn permissions(self) -> Permissions {
        use Permission as P;
        use ServiceName as S;
        let asks: &[Permission] = match self {
            // They tell the others what happened; of a patient all that is held is gathered, and what was done away with; and what has had its
            // time is to go everywhere.
            Self::Service(S::PatientService) => &[P::InternalCall, P::HoldingsCollect, P::RetentionCarry],
            Self::Service(S::ProviderService) => &[P::InternalCall],
            // Whether there is such a patient, and what they do not share; when such a provider is there; and they are told of it.
            Self::Service(S::AppointmentService) => {
                &[P::PatientsRead, P::ProvidersRead, P::ConsentsCollect, P::InternalCall]
            }
            // Whether there is such a patient, and what they do not share.
            Self::Service(S::BillingService) => &[P::PatientsRead, P::ConsentsCollect],
            // The same; and it tells the others whose records were opened in an emergency.
            Self::Service(S::MedicalRecordsService) => {
                &[P::PatientsRead, P::ConsentsCollect, P::InternalCall]
            }
            // Where a patient and a provider are reached; and it tells what patients answer to what it sent them.
            Self::Service(S::NotificationService) => &[P::ContactsCollect, P::ProvidersRead, P::AnswersTell],
            // Whether there are the patient and the provider that a user is to be; what each has in its audit, and what
            // its keys are wrapped under; and it tells who users are now.
            Self::Service(S::AuthService) => {
                &[P::PatientsRead, P::ProvidersRead, P::AuditCollect, P::KeysCollect, P::InternalCall]
            }
            Self::Gateway => &[],
        };
        asks.iter().copied().fold(Permissions::NONE.with(P::RevocationsRead), Permissions::with)
    }
}

impl From<ServiceName> for Part {
    fn from(service: ServiceName) -> Self {
        Self::Service(service)
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// This part's own identity.
#[derive(Clone)]
pub struct ServiceIdentity(Arc<Inner>);

struct Inner {
    part: Part,
    audience: String,
    key: jsonwebtoken::EncodingKey,
    clock: Clock,
    random: Random,
    /// The last token made and the second from which on a new one is due.
    current: Mutex<(String, i64)>,
}

/// A key that nobody can sign with.
#[derive(Debug, thiserror::Error)]
#[error("the identity key is not an Ed25519 key in PKCS #8")]
pub struct BadKey;

impl ServiceIdentity {
    /// An identity from its private key, PKCS #8.
    pub fn new(
        part: impl Into<Part>,
        audience: &str,
        pkcs8: &[u8],
        clock: Clock,
        random: Random,
    ) -> Result<Self, BadKey> {
        aws_lc_rs::signature::Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| BadKey)?;
        Ok(Self(Arc::new(Inner {
            part: part.into(),
            audience: audience.to_owned(),
            key: jsonwebtoken::EncodingKey::from_ed_der(pkcs8),
            clock,
            random,
            current: Mutex::new((String::new(), i64::MIN)),
        })))
    }

    /// A token, good for minutes.
    pub fn token(&self) -> String {
        let inner = &*self.0;
        let now = inner.clock.now();
        let mut current = inner.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.1 <= now.timestamp() {
            let claims = Claims {
                iss: inner.part.as_str().to_owned(),
                aud: inner.audience.clone(),
                sub: format!("service:{}", inner.part),
                sid: None,
                jti: inner.random.id("tok"),
                iat: now.timestamp(),
                iat_ms: Some(now.timestamp_millis()),
                exp: now.timestamp() + LIFETIME_SECONDS,
                name: None,
                roles: inner.part.role().map(|role| role.as_str().to_owned()).into_iter().collect(),
                scope: inner.part.permissions().to_scope(),
                grants: Vec::new(),
                only_enrols: false,
                patient_id: None,
                provider_id: None,
            };
            *current = (claims.sign(&inner.key, inner.part.as_str()), now.timestamp() + LIFETIME_SECONDS / 2);
        }
        current.0.clone()
    }

    /// The same, for a transport.
    pub fn source(&self) -> TokenSource {
        let identity = self.clone();
        Arc::new(move || identity.token())
    }
}

/// A new Ed25519 key pair: the private half as PKCS #8, the public half as a JWK under this `kid`.
pub fn generate_key(kid: &str) -> Result<(Zeroizing<Vec<u8>>, Jwk), BadKey> {
    let pkcs8 = aws_lc_rs::signature::Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new())
        .map_err(|_| BadKey)?;
    let pkcs8 = Zeroizing::new(pkcs8.as_ref().to_vec());
    let jwk = public_jwk(kid, &pkcs8)?;
    Ok((pkcs8, jwk))
}

/// The public half of a private key.
pub fn public_jwk(kid: &str, pkcs8: &[u8]) -> Result<Jwk, BadKey> {
    use aws_lc_rs::signature::KeyPair;
    let pair = aws_lc_rs::signature::Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| BadKey)?;
    let text = |text: &str| Some(text.to_owned());
    Ok(Jwk {
        kty: "OKP".to_owned(),
        crv: text("Ed25519"),
        alg: text("EdDSA"),
        usage: text("sig"),
        kid: kid.to_owned(),
        x: Some(data_encoding::BASE64URL_NOPAD.encode(pair.public_key().as_ref())),
        ..Jwk::default()
    })
}
