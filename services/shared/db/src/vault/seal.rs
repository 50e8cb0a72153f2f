//! The two formats, without any database.
//!
//! ```text
//! sealed body   version 1 | generation, 4 bytes, big-endian | nonce, 12 | ciphertext | tag, 16
//! wrapped key   version 1 |                                   nonce, 12 | ciphertext, 32 | tag, 16
//! ```
//!
//! AES-256-GCM both times. Nonces are 96 random bits: NIST SP 800-38D §8.3 allows 2³² of them under one key before two
//! may be equal with a probability over 2⁻³², and a patient's bodies, or a service's keys, are far fewer.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::SealError;

const VERSION: u8 = 1;
pub(super) const NONCE: usize = 12;
const TAG: usize = 16;
const BODY_HEAD: usize = 1 + 4;
const WRAPPED_HEAD: usize = 1;

/// A subject's key, ready for use. aws-lc wipes its memory when it is freed.
pub(super) struct DataKey(LessSafeKey);

impl DataKey {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self(aes(key))
    }
}

/// Bytes of a key's check value: no two keys have the same by chance.
const CHECK: usize = 16;

/// The check value of a data key: by it one that was unwrapped is known to be the one that was wrapped. It tells nothing of the key. What it is
/// made of begins like nothing else that is put under a key here.
pub(super) fn key_check(key: &[u8; 32], whose: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, whose).as_ref()[..CHECK].to_vec()
}

/// Whether a data key has this check value.
pub(super) fn has_check(key: &[u8; 32], whose: &[u8], check: &[u8]) -> bool {
    verify_slices_are_equal(&key_check(key, whose), check).is_ok()
}

/// What a body or key is bound to. Each part goes in with its length, so that no two lists of parts look alike.
pub(super) fn aad(parts: &[&str]) -> Vec<u8> {
    let mut aad = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        aad.extend_from_slice(&(part.len() as u64).to_be_bytes());
        aad.extend_from_slice(part.as_bytes());
    }
    aad
}

/// A data key, wrapped.
pub(super) fn wrap(kek: &LessSafeKey, key: &[u8; 32], aad: &[u8], nonce: [u8; NONCE]) -> Vec<u8> {
    encrypt(kek, &[VERSION], aad, nonce, key)
}

/// What [`wrap`] made.
pub(super) fn unwrap(
    kek: &LessSafeKey,
    wrapped: &[u8],
    aad: &[u8],
) -> Result<Zeroizing<[u8; 32]>, SealError> {
    if wrapped.first() != Some(&VERSION) {
        return Err(SealError::Malformed);
    }
    let plaintext = Zeroizing::new(decrypt(kek, WRAPPED_HEAD, aad, wrapped)?);
    let key = <[u8; 32]>::try_from(plaintext.as_slice()).map_err(|_| SealError::Malformed)?;
    Ok(Zeroizing::new(key))
}

pub(super) fn seal(
    key: &DataKey,
    generation: u32,
    aad: &[u8],
    nonce: [u8; NONCE],
    plaintext: &[u8],
) -> Vec<u8> {
    let mut head = [VERSION; BODY_HEAD];
    head[1..].copy_from_slice(&generation.to_be_bytes());
    encrypt(&key.0, &head, aad, nonce, plaintext)
}

pub(super) fn open(key: &DataKey, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    decrypt(&key.0, BODY_HEAD, aad, sealed)
}

/// Under which of its subject's keys a body is sealed.
pub(super) fn generation(sealed: &[u8]) -> Result<u32, SealError> {
    match sealed.split_first_chunk::<BODY_HEAD>() {
        Some(([VERSION, generation @ ..], _)) => Ok(u32::from_be_bytes(*generation)),
        _ => Err(SealError::Malformed),
    }
}

pub(super) fn aes(key: &[u8; 32]) -> LessSafeKey {
    #[expect(clippy::expect_used, reason = "fails only for a key that is not 32 bytes long")]
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("32 bytes are an AES-256 key"))
}

fn encrypt(key: &LessSafeKey, head: &[u8], aad: &[u8], nonce: [u8; NONCE], plaintext: &[u8]) -> Vec<u8> {
    let body_at = head.len() + NONCE;
    let mut sealed = Vec::with_capacity(body_at + plaintext.len() + TAG);
    sealed.extend_from_slice(head);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plaintext);
    #[expect(clippy::expect_used, reason = "fails only beyond 64 GiB; half-sealed data must not be returned")]
    let tag = key
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from([head, aad].concat()),
            &mut sealed[body_at..],
        )
        .expect("a body is shorter than 64 GiB");
    sealed.extend_from_slice(tag.as_ref());
    sealed
}

fn decrypt(key: &LessSafeKey, head_len: usize, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let (head, rest) = sealed.split_at_checked(head_len).ok_or(SealError::Malformed)?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE>().ok_or(SealError::Malformed)?;
    let (ciphertext, tag) = rest.split_last_chunk::<TAG>().ok_or(SealError::Malformed)?;
    let mut plaintext = ciphertext.to_vec();
    key.open_in_place_separate_tag(
        Nonce::assume_unique_for_key(*nonce),
        Aad::from([head, aad].concat()),
        tag,
        &mut plaintext,
    )
    .map_err(|_| SealError::Refused)?;
    Ok(plaintext)
}
