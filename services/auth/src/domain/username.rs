//! User names.

use std::fmt;

use contracts::field::BadField;
use serde::{Deserialize, Serialize};

/// The longest name.
pub const CHARS_MAX: usize = 64;
const CHARS_MIN: usize = 3;

/// What a user logs in with, in lower case: `[a-z0-9@._-]{3,64}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Username(String);

impl Username {
    /// Reads a name; upper and lower case are the same.
    pub fn parse(text: &str) -> Result<Self, BadField> {
        let name = text.to_ascii_lowercase();
        let known = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"@._-".contains(&c);
        let good = (CHARS_MIN..=CHARS_MAX).contains(&name.len()) && name.bytes().all(known);
        good.then_some(Self(name)).ok_or_else(|| {
            BadField::new(format!(
                "must be {CHARS_MIN} to {CHARS_MAX} letters, digits, dots, dashes, underscores or @"
            ))
        })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn upper_and_lower_case_are_one_name() {
        assert_eq!(Username::parse("John.Doe@Example-1_x").unwrap().as_str(), "john.doe@example-1_x");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for bad in ["", "ab", "a b", "jürgen", "a\0b", "a/b", " abc", &"a".repeat(65)] {
            assert!(Username::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_reads_back_as_itself(text in "\\PC{0,70}") {
            if let Ok(name) = Username::parse(&text) {
                prop_assert_eq!(Username::parse(name.as_str()), Ok(name));
            }
        }
    }
}
