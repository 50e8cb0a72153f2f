//! Messages that only the browser reads they are for (RFC 8291), in one record (RFC 8188).
//!
//! On aws-lc, which the stack has for all its cryptography: see ADR 29.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};

/// What a push service must take (RFC 8030 §7.2), less what is around it here.
pub(super) const TEXT_BYTES_MAX: usize = 3_993;
const RECORD_BYTES: u32 = 4_096;
/// Behind the last byte of the last record (RFC 8188 §2).
const LAST: u8 = 2;

/// A subscription's keys are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the subscription's keys cannot be used")]
pub(crate) struct BadKeys;

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand<const N: usize>(salt: &[u8], secret: &[u8], info: &[&[u8]]) -> Result<[u8; N], BadKeys> {
    let mut out = [0; N];
    let okm = Salt::new(HKDF_SHA256, salt).extract(secret);
    okm.expand(info, Length(N)).and_then(|okm| okm.fill(&mut out)).map_err(|_| BadKeys)?;
    Ok(out)
}

/// The body of a request with this text: for the browser with this public key (`p256dh`) and secret (`auth`). Sender's key and salt are new ones each
/// time.
pub(super) fn encrypt(
    text: &[u8],
    (browser, auth): (&[u8], &[u8]),
    (sender, salt): (&PrivateKey, [u8; 16]),
) -> Result<Vec<u8>, BadKeys> {
    let public = sender.compute_public_key().map_err(|_| BadKeys)?;
    let public = public.as_ref();
    let info: [&[u8]; 3] = [b"WebPush: info\0", browser, public];
    let ikm: [u8; 32] = agree(sender, UnparsedPublicKey::new(&ECDH_P256, browser), BadKeys, |shared| {
        expand(auth, shared, &info)
    })?;
    let key: [u8; 16] = expand(&salt, &ikm, &[b"Content-Encoding: aes128gcm\0"])?;
    let nonce: [u8; 12] = expand(&salt, &ikm, &[b"Content-Encoding: nonce\0"])?;
    let mut record = text.to_vec();
    record.push(LAST);
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).map_err(|_| BadKeys)?);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut record)
        .map_err(|_| BadKeys)?;
    let mut body = salt.to_vec();
    body.extend_from_slice(&RECORD_BYTES.to_be_bytes());
    body.push(u8::try_from(public.len()).map_err(|_| BadKeys)?);
    body.extend_from_slice(public);
    body.append(&mut record);
    Ok(body)
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64URL_NOPAD;

    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        BASE64URL_NOPAD.decode(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_standards_own_example_comes_out() {
        // RFC 8291 §5 and appendix A.
        let sender =
            PrivateKey::from_private_key(&ECDH_P256, &bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"))
                .unwrap();
        let browser =
            bytes("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4");
        let (auth, salt) = (bytes("BTBZMqHH6r4Tts7J_aSIgg"), bytes("DGv6ra1nlYgDCS1FRnbzlw"));
        let text = b"When I grow up, I want to be a watermelon";
        let body = encrypt(text, (&browser, &auth), (&sender, salt.try_into().unwrap())).unwrap();
        let expected = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";
        assert_eq!(BASE64URL_NOPAD.encode(&body), expected);
    }

    #[test]
    fn keys_that_are_none_encrypt_nothing() {
        let sender = PrivateKey::generate(&ECDH_P256).unwrap();
        for browser in [&b""[..], &[4; 65], b"x"] {
            assert_eq!(encrypt(b"a", (browser, &[0; 16]), (&sender, [0; 16])), Err(BadKeys));
        }
    }
}
