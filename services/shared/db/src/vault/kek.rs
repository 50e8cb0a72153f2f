//! [`Keks`]: the key-encryption keys that the secret `kek` holds.
//!
//! `current` wraps, and all of them unwrap. `next` and `previous` are there while one takes the place of another: every process knows
//! the next one before any uses it, and the previous one for as long as a key may be wrapped under it.

use aws_lc_rs::aead::LessSafeKey;
use contracts::kek::kek_id;
use data_encoding::BASE64;
use settings::SecretRef;
use zeroize::Zeroizing;

use super::seal::{self, NONCE};
use crate::secrets::malformed;
use crate::{SealError, SecretError, Secrets};

const SECRET: &str = "kek";
const CURRENT: &str = "current";
const OTHERS: [&str; 2] = ["next", "previous"];

/// A secret that changes twice while it is read once is beyond belief.
const READS_MAX: u32 = 8;

/// All of them.
pub(super) struct Keks {
    current: Kek,
    previous: Option<Kek>,
    next: Option<Kek>,
}

/// One of them.
pub(super) struct Kek {
    key: LessSafeKey,
    id: String,
}

impl Keks {
    /// Reads them until the same are read twice: the files of a mounted secret change all at once, and might do so in between.
    pub(super) fn read(secrets: &Secrets) -> Result<Self, SecretError> {
        let mut read = Self::read_once(secrets)?;
        for _ in 0..READS_MAX {
            let again = Self::read_once(secrets)?;
            if again.ids().eq(read.ids()) {
                break;
            }
            read = again;
        }
        Ok(read)
    }

    fn read_once(secrets: &Secrets) -> Result<Self, SecretError> {
        let [next, previous] = OTHERS.map(|key| match Kek::read(secrets, key) {
            Err(SecretError::Unreadable { reason: std::io::ErrorKind::NotFound, .. }) => Ok(None),
            read => read.map(Some),
        });
        Ok(Self { current: Kek::read(secrets, CURRENT)?, previous: previous?, next: next? })
    }

    /// The one that wraps.
    pub(super) const fn current(&self) -> &Kek {
        &self.current
    }

    /// The one that wrapped before it, while it is not forgotten yet.
    pub(super) const fn previous(&self) -> Option<&Kek> {
        self.previous.as_ref()
    }

    /// Whether they are the same, each for the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let roles = |keks: &Self| {
            [Some(&keks.current), keks.previous.as_ref(), keks.next.as_ref()]
                .map(|kek| kek.map(|kek| kek.id.clone()))
        };
        roles(self) == roles(other)
    }

    /// The one that a key is wrapped under.
    pub(super) fn find(&self, kek_id: &str) -> Result<&Kek, SealError> {
        self.all().find(|kek| kek.id == kek_id).ok_or_else(|| SealError::UnknownKek {
            kek_id: kek_id.to_owned(),
            known: self.ids().map(str::to_owned).collect(),
        })
    }

    fn all(&self) -> impl Iterator<Item = &Kek> {
        [Some(&self.current), self.previous.as_ref(), self.next.as_ref()].into_iter().flatten()
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        self.all().map(Kek::id)
    }
}

impl Kek {
    /// 32 bytes, raw or in Base64 (with a line end or without).
    fn read(secrets: &Secrets, key: &str) -> Result<Self, SecretError> {
        let secret = SecretRef { secret: SECRET.to_owned(), key: key.to_owned() };
        let bytes = secrets.read(&secret)?;
        let decoded = Zeroizing::new(BASE64.decode(bytes.trim_ascii_end()).unwrap_or_default());
        let key = <&[u8; 32]>::try_from(bytes.as_slice())
            .or_else(|_| <&[u8; 32]>::try_from(decoded.as_slice()))
            .map_err(|_| malformed(&secret, "32 bytes, raw or in Base64"))?;
        Ok(Self { key: seal::aes(key), id: kek_id(key) })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn wrap(&self, key: &[u8; 32], aad: &[u8], nonce: [u8; NONCE]) -> Vec<u8> {
        seal::wrap(&self.key, key, aad, nonce)
    }

    pub(super) fn unwrap(&self, wrapped: &[u8], aad: &[u8]) -> Result<Zeroizing<[u8; 32]>, SealError> {
        seal::unwrap(&self.key, wrapped, aad)
    }
}
