//! Blind indexes: sealed values found by equality, without the database knowing them.
//!
//! HMAC-SHA256 under the service's index key, cut to 16 bytes: enough that two values never meet by chance. Who reads the
//! database sees which rows have equal values, and how often a value occurs, but neither the value nor, without the key,
//! a way to try guesses.

use std::ops::RangeInclusive;

use aws_lc_rs::hmac;

use super::{Vault, seal};
use crate::Error;

const LENGTH: usize = 16;

impl Vault {
    /// The index of `normalised` in `field`: equal for equal values, on every engine and after every restart. Normalise
    /// first (case, blanks, Unicode form): this knows only bytes.
    ///
    /// Fails with [`Error::NotMigrated`] before the keys store is migrated, and never otherwise.
    pub fn blind(&self, field: &str, normalised: &str) -> Result<Vec<u8>, Error> {
        self.index("value", field, normalised.as_bytes())
    }

    /// The indexes of the value's prefixes of these lengths, in characters: stored once each, and found by
    /// [`Vault::blind_prefix`] of what was typed. Lengths beyond the value's own are left out.
    pub fn blind_prefixes(
        &self,
        field: &str,
        normalised: &str,
        lengths: RangeInclusive<usize>,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let ends = normalised.char_indices().map(|(at, char)| at + char.len_utf8());
        ends.enumerate()
            .filter(|(index, _)| lengths.contains(&(index + 1)))
            .map(|(_, end)| self.blind_prefix(field, &normalised[..end]))
            .collect()
    }

    /// The index of a prefix. Differs from [`Vault::blind`] of the same text: a whole value does not give itself away
    /// as the prefix of another.
    pub fn blind_prefix(&self, field: &str, prefix: &str) -> Result<Vec<u8>, Error> {
        self.index("prefix", field, prefix.as_bytes())
    }

    /// The index of bytes that are no text, such as another hash.
    pub(crate) fn blind_bytes(&self, field: &str, value: &[u8]) -> Result<Vec<u8>, Error> {
        self.index("bytes", field, value)
    }

    fn index(&self, kind: &str, field: &str, value: &[u8]) -> Result<Vec<u8>, Error> {
        let mut context = hmac::Context::with_key(self.index.get().ok_or(Error::NotMigrated)?);
        context.update(&seal::aad(&[kind, self.service.as_str(), field]));
        context.update(value);
        Ok(context.sign().as_ref()[..LENGTH].to_vec())
    }
}
