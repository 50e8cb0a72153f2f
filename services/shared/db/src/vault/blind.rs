//! Blind indexes: sealed values found by equality, without the database knowing them.
//!
//! HMAC-SHA256 under the service's index key. Who reads the database has no way to try guesses without the key, but sees which hashes are
//! equal, and counts them. So nothing that has few values, or some that are far more frequent than others, is hashed alone:
//!
//! | | hashed with it | equal for |
//! |---|---|---|
//! | [`Vault::blind`] | nothing | equal values: for what is unique, or nearly |
//! | `Vault::token` | one of [`CHESTS`] chests, by the row that owns it | equal values of a chest: for what is searched for |
//! | [`Vault::blind_in_row`] | the row | nothing else: for what is compared when the row is read |

use aws_lc_rs::hmac;

use super::{Vault, seal};
use crate::Error;

/// Enough that two values never meet by chance.
const LENGTH: usize = 16;
/// Who looks for a token checks what it finds: one that meets another by chance only costs a look.
pub(crate) const TOKEN_LENGTH: usize = 12;
/// Of another length than [`LENGTH`], so that a row that still has the one is found.
const IN_ROW_LENGTH: usize = 24;

/// Rows are spread over so many, which is two to the tenth: among a hundred thousand rows, a hundred share one.
pub(crate) const CHESTS: u16 = 1 << 10;

impl Vault {
    /// The index of `normalised` in `field`: equal for equal values, on every engine and after every restart. Normalise
    /// first (case, blanks, Unicode form): this knows only bytes. For values that hardly any two rows share.
    ///
    /// Fails with [`Error::NotMigrated`] before the keys store is migrated, and never otherwise.
    pub fn blind(&self, field: &str, normalised: &str) -> Result<Vec<u8>, Error> {
        Ok(self.index("value", &[field], normalised.as_bytes())?[..LENGTH].to_vec())
    }

    /// The hash of a value in one row, which no other row has for the same value. What holds few values stands beside a body as this; a
    /// service that looks for one compares row by row.
    pub fn blind_in_row(&self, field: &str, row: &str, value: &str) -> Result<Vec<u8>, Error> {
        Ok(self.index("row", &[field, row], value.as_bytes())?[..IN_ROW_LENGTH].to_vec())
    }

    /// The chest that holds a row's tokens: below [`CHESTS`].
    pub(crate) fn chest(&self, owner: &str) -> Result<u16, Error> {
        let hash = self.index("chest", &[], owner.as_bytes())?;
        Ok(u16::from_be_bytes([hash[0], hash[1]]) % CHESTS)
    }

    /// The token of a value, in a chest or in none.
    pub(crate) fn token(
        &self,
        field: &str,
        value: &str,
        chest: Option<u16>,
    ) -> Result<[u8; TOKEN_LENGTH], Error> {
        let hash = match chest {
            Some(chest) => self.index("chest's", &[field, &chest.to_string()], value.as_bytes())?,
            None => self.index("token", &[field], value.as_bytes())?,
        };
        let mut token = [0; TOKEN_LENGTH];
        token.copy_from_slice(&hash[..TOKEN_LENGTH]);
        Ok(token)
    }

    /// The index of bytes that are no text, such as another hash.
    pub(crate) fn blind_bytes(&self, field: &str, value: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.index("bytes", &[field], value)?[..LENGTH].to_vec())
    }

    fn index(&self, kind: &str, with: &[&str], value: &[u8]) -> Result<[u8; 32], Error> {
        let mut context = hmac::Context::with_key(self.index.get().ok_or(Error::NotMigrated)?);
        let mut parts = vec![kind, self.service.as_str()];
        parts.extend(with);
        context.update(&seal::aad(&parts));
        context.update(value);
        let mut hash = [0; 32];
        hash.copy_from_slice(context.sign().as_ref());
        Ok(hash)
    }
}
