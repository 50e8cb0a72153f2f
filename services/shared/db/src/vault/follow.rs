//! [`Vault::follow_keks`]: other key-encryption keys in the secret's files, taken up while everything runs.
//!
//! Whoever exchanges them sees to it that the files hold, at any moment, every key that a row may be wrapped under. So a process that meets one that it
//! does not know, or is told that its own is retired, reads the files again; and it looks by itself, so that it is not told.

use super::keepers::Found;
use super::kek::Keks;
use super::keys::KeyState;
use super::{GENERATION, INDEX, Vault};
use crate::{Error, SealError};

impl Vault {
    /// Takes up the key-encryption keys that the secret holds now, if they are others than those that are known; tells whether they were. As when
    /// a process starts, keys that open nothing of what is there are not: somebody has put them there by mistake.
    pub(crate) async fn follow_keks(&self) -> Result<bool, Error> {
        let Some(read) = self.keepers.read_again() else { return Ok(false) };
        let kek_id = read.current().id().to_owned();
        if !self.opens_index(&read).await? {
            tracing::debug!(kek_id, "the secret kek holds another key, which opens nothing; it is not used");
            return Ok(false);
        }
        // One that is retired was put back.
        if self.keepers.own().is_some() && !self.keys.admit_kek(&kek_id, self.clock.now()).await? {
            return Ok(false);
        }
        tracing::info!(kek_id, "the key-encryption keys of the secret kek are others now");
        self.keepers.take_up(read);
        Ok(true)
    }

    /// Whether what was refused for its key-encryption key is to be tried again: another one is known by now. Which of several that are refused at once has
    /// taken it up makes no difference.
    pub(super) async fn knows_better(&self, refused: &Error) -> Result<bool, Error> {
        match refused {
            Error::Sealed(SealError::RetiredKek { kek_id }) => {
                self.follow_keks().await?;
                Ok(self.keepers.own().as_ref() != Some(kek_id))
            }
            Error::Sealed(SealError::UnknownKek { kek_id, .. }) => {
                self.follow_keks().await?;
                Ok(self.keepers.knows(kek_id))
            }
            _ => Ok(false),
        }
    }

    /// Whether the index key, which every service has, can be unwrapped with these; what an engine has wrapped says nothing of them.
    async fn opens_index(&self, read: &Keks) -> Result<bool, Error> {
        let Some(row) = self.keys.find_early(INDEX, GENERATION).await? else { return Ok(true) };
        let KeyState::Live(key) = row.state(self.clock.now()) else { return Ok(true) };
        let found = Found { whose: self.whose(INDEX, GENERATION), key };
        Ok(self.keepers.is_engines(key.kek_id) || found.unwrap_under(read).is_ok())
    }
}
