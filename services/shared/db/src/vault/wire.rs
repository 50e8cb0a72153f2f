//! What a transit engine is sent, and what it answers. Keys in the clear are wiped after use.

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::transit::shortened;
use crate::SealError;

#[derive(Serialize)]
pub(super) struct Batch {
    pub(super) batch_input: Vec<Item>,
}

#[derive(Serialize)]
pub(super) struct Item {
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<Plain>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphertext: Option<String>,
    associated_data: String,
}

impl Item {
    pub(super) fn to_encrypt(key: &[u8; 32], aad: &[u8]) -> Self {
        let plaintext = Some(Plain(Zeroizing::new(BASE64.encode(key))));
        Self { plaintext, ciphertext: None, associated_data: BASE64.encode(aad) }
    }

    pub(super) fn to_decrypt(ciphertext: String, aad: &[u8]) -> Self {
        Self { plaintext: None, ciphertext: Some(ciphertext), associated_data: BASE64.encode(aad) }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    pub(super) data: Option<Data>,
    pub(super) errors: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Data {
    pub(super) batch_results: Option<Vec<Outcome>>,
}

/// What became of one item.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Outcome {
    pub(super) ciphertext: String,
    plaintext: Option<Plain>,
    pub(super) error: String,
}

impl Outcome {
    /// The key that was unwrapped.
    pub(super) fn key(self) -> Result<Zeroizing<[u8; 32]>, SealError> {
        // Altered, or bound to something else; as both servers say it.
        if self.error.contains("message authentication failed") {
            return Err(SealError::Refused);
        }
        if !self.error.is_empty() {
            return Err(SealError::KeeperRefused { why: shortened(&self.error) });
        }
        // It is the engine that is to be looked after, and no row.
        let no_key = || SealError::KeeperRefused { why: "what it has unwrapped is no key".to_owned() };
        let text = self.plaintext.ok_or_else(no_key)?;
        let raw = Zeroizing::new(BASE64.decode(text.0.as_bytes()).map_err(|_| no_key())?);
        Ok(Zeroizing::new(<[u8; 32]>::try_from(raw.as_slice()).map_err(|_| no_key())?))
    }
}

/// A key in Base64, wiped after use.
struct Plain(Zeroizing<String>);

impl Serialize for Plain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Zeroizing::new).map(Self)
    }
}
