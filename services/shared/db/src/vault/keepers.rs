//! [`Keepers`]: who wraps data keys, and who unwraps what is there. The secret `kek` does it in this process, a transit engine elsewhere.
//!
//! One of them wraps; both unwrap what they have wrapped. Which it was, a key-encryption key's name says: 16 hexadecimal digits, or mount,
//! key and version.

use std::sync::{Arc, PoisonError, RwLock};

use contracts::ambient::Random;
use settings::{Encryption, KekProvider, ServiceName};
use zeroize::Zeroizing;

use super::kek::Keks;
use super::keys::Live;
use super::seal;
use super::transit::Transit;
use crate::{Error, OpenError, SealError, SecretError, Secrets};

/// A data key, unwrapped.
pub(super) type Raw = Zeroizing<[u8; 32]>;

/// The keepers that this process knows.
pub(super) struct Keepers {
    /// May be missing where the engine wraps: then nothing was ever wrapped under it, or nothing is any more. As they were read last.
    files: RwLock<Option<Arc<Keks>>>,
    transit: Option<Transit>,
    wraps: KekProvider,
    secrets: Secrets,
    random: Random,
}

/// Whose data key it is: what its wrapping is bound to, beside the key-encryption key.
#[derive(Clone, Copy)]
pub(super) struct Whose<'a> {
    pub(super) service: ServiceName,
    pub(super) subject: &'a str,
    pub(super) generation: u32,
}

/// A data key as it is kept.
pub(super) struct Wrapped {
    pub(super) bytes: Vec<u8>,
    pub(super) kek_id: String,
    pub(super) check: Vec<u8>,
}

/// A data key as it was found.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) whose: Whose<'a>,
    pub(super) key: Live<'a>,
}

impl Whose<'_> {
    fn aad(&self, kek: &str) -> Vec<u8> {
        seal::aad(&["key", self.service.as_str(), self.subject, &self.generation.to_string(), kek])
    }

    /// What its check value is made of: not of who wraps it, which changes.
    fn checked(&self) -> Vec<u8> {
        seal::aad(&["key check", self.service.as_str(), self.subject, &self.generation.to_string()])
    }
}

impl Found<'_> {
    /// The key, under whichever of these it is wrapped.
    pub(super) fn unwrap_under(&self, files: &Keks) -> Result<Raw, SealError> {
        let Live { wrapped, kek_id, .. } = self.key;
        let key = files.find(kek_id)?.unwrap(wrapped, &self.whose.aad(kek_id))?;
        // The wrapping is whole: it is the check value that was altered.
        if self.is_it(&key) { Ok(key) } else { Err(SealError::Refused) }
    }

    /// What an engine has unwrapped, if it is the key that it wrapped.
    fn proven(&self, key: Raw) -> Result<Raw, SealError> {
        if self.is_it(&key) {
            return Ok(key);
        }
        let why = "what it has unwrapped is another key than was wrapped";
        tracing::error!(
            kek = self.key.kek_id,
            why,
            "the keeper of the key-encryption key is not to be trusted"
        );
        Err(SealError::KeeperRefused { why: why.to_owned() })
    }

    fn is_it(&self, key: &Raw) -> bool {
        self.key.check.is_none_or(|check| seal::has_check(key, &self.whose.checked(), check))
    }
}

impl Keepers {
    pub(super) fn new(encryption: &Encryption, secrets: &Secrets, random: Random) -> Result<Self, OpenError> {
        let transit = encryption.transit.as_ref().map(|it| Transit::new(it, secrets)).transpose()?;
        let files = match (Keks::read(secrets), encryption.provider) {
            (Ok(files), _) => Some(files),
            (
                Err(SecretError::Unreadable { reason: std::io::ErrorKind::NotFound, .. }),
                KekProvider::Transit,
            ) => None,
            (Err(error), _) => return Err(error.into()),
        };
        if encryption.provider == KekProvider::Transit && transit.is_none() {
            return Err(OpenError::Keeper("is not there, and it is to wrap keys"));
        }
        let (files, secrets) = (RwLock::new(files.map(Arc::new)), secrets.clone());
        Ok(Self { files, transit, wraps: encryption.provider, secrets, random })
    }

    /// The secret's keys as they are now, if they are others than those that are known. What cannot be read now is as it was.
    pub(super) fn read_again(&self) -> Option<Keks> {
        let read = Keks::read(&self.secrets).ok()?;
        self.files().is_none_or(|known| !known.is_same(&read)).then_some(read)
    }

    /// Puts these in the place of the secret's keys as they were read before.
    pub(super) fn take_up(&self, read: Keks) {
        *self.files.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(read));
    }

    fn files(&self) -> Option<Arc<Keks>> {
        self.files.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The engine, if that wraps.
    fn engine(&self) -> Option<&Transit> {
        self.transit.as_ref().filter(|_| self.wraps == KekProvider::Transit)
    }

    /// The file's key, if that wraps.
    fn file(&self) -> Option<Arc<Keks>> {
        self.files().filter(|_| self.wraps == KekProvider::Secret)
    }

    /// Whether there may be keys to be taken over from one keeper by the other, or from one version of an engine's key by a newer one.
    pub(super) const fn may_differ(&self) -> bool {
        self.transit.is_some()
    }

    /// The key-encryption key that keys are wrapped under, as far as that is known without asking anybody.
    pub(super) fn present_known(&self) -> Option<String> {
        match self.engine() {
            Some(engine) => engine.latest_seen(),
            None => self.file().map(|files| files.current().id().to_owned()),
        }
    }

    /// The same, of the file alone: whoever wraps by itself can be out of date, and an engine cannot.
    pub(super) fn own(&self) -> Option<String> {
        self.file().map(|files| files.current().id().to_owned())
    }

    /// The key-encryption key that keys are wrapped under at this moment.
    pub(super) async fn present(&self) -> Result<String, Error> {
        match self.engine() {
            Some(engine) => engine.newest().await,
            None => self.present_known().ok_or_else(|| SealError::NoKey.into()),
        }
    }

    /// The file's previous key, which must not be used any more once all keys are wrapped under the present one, whether or not it ever was
    /// used here. Not the file's current one while an engine wraps: it may be meant to take over again.
    pub(super) fn previous(&self) -> Option<String> {
        self.files()?.previous().map(|kek| kek.id().to_owned())
    }

    /// Whether keys under this key-encryption key can be unwrapped, if they are whole.
    pub(super) fn knows(&self, kek_id: &str) -> bool {
        self.is_engines(kek_id) || self.files().is_some_and(|files| files.find(kek_id).is_ok())
    }

    pub(super) fn is_engines(&self, kek_id: &str) -> bool {
        self.transit.as_ref().is_some_and(|transit| transit.is_of(kek_id))
    }

    /// What a file's key has wrapped.
    fn unwrap_by_file(&self, found: &Found<'_>) -> Result<Raw, SealError> {
        let kek_id = found.key.kek_id;
        let unknown = || SealError::UnknownKek { kek_id: kek_id.to_owned(), known: Vec::new() };
        found.unwrap_under(&*self.files().ok_or_else(unknown)?)
    }

    /// Wraps a data key.
    pub(super) async fn wrap(&self, whose: Whose<'_>, key: &[u8; 32]) -> Result<Wrapped, Error> {
        self.wrap_all(&[(whose, key)]).await?.pop().ok_or_else(|| SealError::Malformed.into())
    }

    /// Wraps several, in order.
    pub(super) async fn wrap_all(&self, keys: &[(Whose<'_>, &[u8; 32])]) -> Result<Vec<Wrapped>, Error> {
        let Some(engine) = self.engine() else {
            let files = self.file().ok_or(SealError::NoKey)?;
            let current = files.current();
            let wrap = |(whose, key): &(Whose<'_>, &[u8; 32])| Wrapped {
                bytes: current.wrap(key, &whose.aad(current.id()), self.random.bytes()),
                kek_id: current.id().to_owned(),
                check: seal::key_check(key, &whose.checked()),
            };
            return Ok(keys.iter().map(wrap).collect());
        };
        let bound: Vec<_> = keys.iter().map(|(whose, key)| (*key, whose.aad(engine.name()))).collect();
        let wrapped = engine.encrypt(&bound).await?;
        let wrapped = wrapped.into_iter().zip(keys).map(|(it, (whose, key))| Wrapped {
            kek_id: engine.kek_id(it.version),
            bytes: it.text.into_bytes(),
            check: seal::key_check(key, &whose.checked()),
        });
        Ok(wrapped.collect())
    }

    /// Unwraps a data key.
    pub(super) async fn unwrap(&self, found: Found<'_>) -> Result<Raw, Error> {
        let key = self.unwrap_all(&[found]).await?.pop().ok_or(SealError::Malformed)?;
        Ok(key?)
    }

    /// Unwraps several, in order: those that are an engine's in one request.
    pub(super) async fn unwrap_all(&self, found: &[Found<'_>]) -> Result<Vec<Result<Raw, SealError>>, Error> {
        let engines: Vec<_> = found.iter().filter(|it| self.is_engines(it.key.kek_id)).collect();
        let mut answers = Vec::new().into_iter();
        if let (Some(transit), false) = (&self.transit, engines.is_empty()) {
            let texts = engines.iter().map(|it| {
                (String::from_utf8_lossy(it.key.wrapped).into_owned(), it.whose.aad(transit.name()))
            });
            answers = transit.decrypt(texts.collect()).await?.into_iter();
        }
        let one = |it: &Found<'_>| {
            if self.is_engines(it.key.kek_id) {
                return it.proven(answers.next().unwrap_or(Err(SealError::Malformed))?);
            }
            self.unwrap_by_file(it)
        };
        Ok(found.iter().map(one).collect())
    }
}
