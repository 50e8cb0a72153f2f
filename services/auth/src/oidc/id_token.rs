//! What an ID token must say before it is believed (OpenID Connect Core §3.1.3.7). Its signature is good already.

use chrono::{DateTime, TimeDelta, Utc};
use data_encoding::BASE64URL_NOPAD;
use http_kit::keys::{Hash, Signed};
use serde_json::Value;

/// The provider's clock and ours may differ by so much.
const SKEW: TimeDelta = TimeDelta::seconds(60);
/// A token that was just asked for was just issued.
const AGE_MAX: TimeDelta = TimeDelta::minutes(10);
/// The longest subject (Core §2).
const SUBJECT_CHARS_MAX: usize = 255;

/// What it must say.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// Who issues it.
    pub issuer: &'a str,
    /// For whom it is.
    pub client_id: &'a str,
    /// What was sent with the browser.
    pub nonce: &'a str,
    /// What came beside it.
    pub access_token: Option<&'a str>,
    /// Now.
    pub now: DateTime<Utc>,
}

/// Why it is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ID token's {0} {1}")]
pub struct BadClaim(pub &'static str, pub &'static str);

/// The subject, if all is as it must be.
pub fn subject<'a>(signed: &'a Signed<Value>, expected: &Expected<'_>) -> Result<&'a str, BadClaim> {
    let claims = &signed.claims;
    if text(claims, "iss") != Some(expected.issuer) {
        return Err(BadClaim("iss", "is another's"));
    }
    audience(claims, expected.client_id)?;
    times(claims, expected.now)?;
    if text(claims, "nonce") != Some(expected.nonce) {
        return Err(BadClaim("nonce", "is not that of this login"));
    }
    access_token(claims, signed.hash, expected.access_token)?;
    let subject = text(claims, "sub").unwrap_or_default();
    let is_subject = (1..=SUBJECT_CHARS_MAX).contains(&subject.len())
        && subject.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_control());
    if is_subject { Ok(subject) } else { Err(BadClaim("sub", "is none")) }
}

/// Ours alone, or ours among others and given to us.
fn audience(claims: &Value, client_id: &str) -> Result<(), BadClaim> {
    let several = match claims.get("aud") {
        Some(Value::String(one)) if one == client_id => false,
        Some(Value::Array(names)) if names.iter().any(|name| name == client_id) => names.len() > 1,
        _ => return Err(BadClaim("aud", "is another's")),
    };
    match claims.get("azp") {
        None if several => Err(BadClaim("azp", "is missing beside several aud")),
        Some(azp) if azp != client_id => Err(BadClaim("azp", "is another's")),
        _ => Ok(()),
    }
}

fn times(claims: &Value, now: DateTime<Utc>) -> Result<(), BadClaim> {
    let at = |name: &'static str| seconds(claims, name).ok_or(BadClaim(name, "is no time"));
    let (expires, issued) = (at("exp")?, at("iat")?);
    if expires <= now - SKEW {
        return Err(BadClaim("exp", "is past"));
    }
    if issued > now + SKEW {
        return Err(BadClaim("iat", "is to come"));
    }
    if issued < now - AGE_MAX {
        return Err(BadClaim("iat", "is too long ago"));
    }
    if claims.get("nbf").is_some() && at("nbf")? > now + SKEW {
        return Err(BadClaim("nbf", "is to come"));
    }
    Ok(())
}

/// If it says anything of the access token, it is this one (§3.1.3.6): the left half of the hash.
fn access_token(claims: &Value, hash: Hash, token: Option<&str>) -> Result<(), BadClaim> {
    let Some(said) = claims.get("at_hash") else { return Ok(()) };
    let algorithm = match hash {
        Hash::Sha256 => &aws_lc_rs::digest::SHA256,
        Hash::Sha512 => &aws_lc_rs::digest::SHA512,
    };
    let digest = aws_lc_rs::digest::digest(algorithm, token.unwrap_or_default().as_bytes());
    let half = BASE64URL_NOPAD.encode(&digest.as_ref()[..digest.as_ref().len() / 2]);
    if said == half.as_str() { Ok(()) } else { Err(BadClaim("at_hash", "is of another access token")) }
}

fn text<'a>(claims: &'a Value, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

/// Seconds since 1970; some write a fraction (RFC 7519 §2).
fn seconds(claims: &Value, name: &str) -> Option<DateTime<Utc>> {
    let number = claims.get(name)?;
    #[expect(clippy::cast_possible_truncation, reason = "what is too large is no time, below")]
    let whole = number.as_i64().or_else(|| number.as_f64().map(|seconds| seconds.trunc() as i64))?;
    DateTime::from_timestamp(whole, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: i64 = 1_768_467_600;

    fn check(change: &Value) -> Result<String, String> {
        let mut claims = json!({
            "iss": "https://login.example", "aud": "clinic", "sub": "248289761001", "exp": NOW + 300, "iat": NOW, "nonce": "n-0S6",
        });
        for (name, value) in change.as_object().unwrap() {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        let expected = Expected {
            issuer: "https://login.example",
            client_id: "clinic",
            nonce: "n-0S6",
            access_token: Some("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"),
            now: DateTime::from_timestamp(NOW, 0).unwrap(),
        };
        let signed = Signed { claims, hash: Hash::Sha256 };
        subject(&signed, &expected).map(str::to_owned).map_err(|bad| bad.to_string())
    }

    #[test]
    fn a_token_that_says_what_it_must_is_believed() {
        for change in [
            json!({}),
            json!({"aud": ["clinic"]}),
            json!({"aud": ["other", "clinic"], "azp": "clinic"}),
            json!({"azp": "clinic"}),
            json!({"exp": NOW - 59, "iat": NOW - 599}),
            json!({"exp": 1_768_467_900.5, "iat": NOW + 60}),
            // The hash in OpenID Connect Core A.3, of this access token.
            json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"}),
        ] {
            assert_eq!(check(&change).as_deref(), Ok("248289761001"), "{change}");
        }
    }

    #[test]
    fn any_other_is_not() {
        for (change, claim) in [
            (json!({"iss": "https://login.example/"}), "iss"),
            (json!({"iss": null}), "iss"),
            (json!({"aud": "other"}), "aud"),
            (json!({"aud": ["other"]}), "aud"),
            (json!({"aud": null}), "aud"),
            (json!({"aud": ["other", "clinic"]}), "azp"),
            (json!({"aud": ["other", "clinic"], "azp": "other"}), "azp"),
            (json!({"azp": "other"}), "azp"),
            (json!({"exp": NOW - 60}), "exp"),
            (json!({"exp": null}), "exp"),
            (json!({"exp": "soon"}), "exp"),
            (json!({"iat": NOW + 61}), "iat"),
            (json!({"iat": NOW - 601}), "iat"),
            (json!({"iat": null}), "iat"),
            (json!({"nbf": NOW + 61}), "nbf"),
            (json!({"nonce": "another"}), "nonce"),
            (json!({"nonce": null}), "nonce"),
            (json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RA"}), "at_hash"),
            (json!({"at_hash": 7}), "at_hash"),
            (json!({"sub": ""}), "sub"),
            (json!({"sub": null}), "sub"),
            (json!({"sub": "a\nb"}), "sub"),
            (json!({"sub": "x".repeat(256)}), "sub"),
        ] {
            let told = check(&change).unwrap_err();
            assert!(told.starts_with(&format!("the ID token's {claim} ")), "{change}: {told}");
        }
    }
}
