//! What somebody makes of a key that they have stolen from a part of the stack: a token with everything in it that there is to be had.

use chrono::{DateTime, TimeDelta, Utc};
use contracts::permission::{Permission, Permissions, Role};
use http_kit::identity::Part;
use http_kit::token::{Claims, Grant};
use jsonwebtoken::EncodingKey;

/// A token signed by the key of `part`, of every role and with every permission.
pub fn token(part: impl Into<Part>, pkcs8: &[u8], audience: &str, now: DateTime<Utc>) -> String {
    let part = part.into();
    let everything: Permissions = Permission::ALL.iter().copied().collect();
    let claims = Claims {
        iss: part.to_string(),
        aud: audience.to_owned(),
        sub: format!("service:{part}"),
        sid: None,
        jti: "tok_stolen".to_owned(),
        iat: now.timestamp(),
        iat_ms: Some(now.timestamp_millis()),
        exp: (now + TimeDelta::minutes(5)).timestamp(),
        name: None,
        roles: Role::ALL.map(|role| role.to_string()).into(),
        scope: everything.to_scope(),
        grants: vec![Grant { role: "thief".to_owned(), scope: everything.to_scope() }],
        only_enrols: false,
        patient_id: None,
        provider_id: None,
    };
    claims.sign(&EncodingKey::from_ed_der(pkcs8), part.as_str())
}
