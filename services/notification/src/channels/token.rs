//! Signed tokens (RFC 7515) by which push services know who asks: RS256 for Google, ES256 for Web Push.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256};
use data_encoding::BASE64URL_NOPAD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};

/// A key is none, or none of the kind that is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the private key cannot be used")]
pub(super) struct BadKey;

/// A token that Google takes for a service account's (RFC 7523).
pub(super) fn rs256(pem: &str, claims: &Value) -> Result<String, BadKey> {
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| BadKey)?;
    let key = match &der {
        PrivateKeyDer::Pkcs8(der) => rsa::KeyPair::from_pkcs8(der.secret_pkcs8_der()),
        other => rsa::KeyPair::from_der(other.secret_der()),
    };
    let key = key.map_err(|_| BadKey)?;
    let signed = unsigned("RS256", claims);
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| BadKey)?;
    Ok(format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature)))
}

/// A key by which push services know this stack (RFC 8292).
pub(super) struct VapidKey(EcdsaKeyPair);

impl VapidKey {
    pub(super) fn from_pem(pem: &str) -> Result<Self, BadKey> {
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| BadKey)?;
        let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = match &der {
            PrivateKeyDer::Pkcs8(der) => EcdsaKeyPair::from_pkcs8(kind, der.secret_pkcs8_der()),
            other => EcdsaKeyPair::from_private_key_der(kind, other.secret_der()),
        };
        key.map(Self).map_err(|_| BadKey)
    }

    /// The public key, uncompressed, Base64url: what a browser subscribes with.
    pub(super) fn public(&self) -> String {
        BASE64URL_NOPAD.encode(self.0.public_key().as_ref())
    }

    pub(super) fn sign(&self, claims: &Value) -> Result<String, BadKey> {
        let signed = unsigned("ES256", claims);
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).map_err(|_| BadKey)?;
        Ok(format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref())))
    }
}

fn unsigned(algorithm: &str, claims: &Value) -> String {
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    format!("{}.{}", part(&json!({"typ": "JWT", "alg": algorithm})), part(claims))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    fn pem(der: &[u8]) -> String {
        let text = data_encoding::BASE64.encode(der);
        format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
    }

    fn split(token: &str) -> (&str, Vec<u8>) {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        (signed, BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap())
    }

    #[test]
    fn a_service_accounts_token_verifies_with_its_public_key() {
        let key = rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = key.as_der().unwrap();
        let token = rs256(&pem(der.as_ref()), &json!({"iss": "a"})).unwrap();
        let (signed, signature) = split(&token);
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref());
        public.verify(signed.as_bytes(), &signature).unwrap();
    }

    #[test]
    fn a_vapid_token_verifies_with_the_key_that_browsers_are_given() {
        let der =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let key = VapidKey::from_pem(&pem(der.as_ref())).unwrap();
        let token = key.sign(&json!({"aud": "https://push.example"})).unwrap();
        let (signed, signature) = split(&token);
        let public = BASE64URL_NOPAD.decode(key.public().as_bytes()).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public)
            .verify(signed.as_bytes(), &signature)
            .unwrap();
    }

    #[test]
    fn what_is_no_key_signs_nothing() {
        assert_eq!(rs256("no key", &json!({})), Err(BadKey));
        assert!(VapidKey::from_pem(&pem(b"none")).is_err());
    }
}
