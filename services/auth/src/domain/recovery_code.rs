//! [`RecoveryCode`]: lets somebody in once who has lost the app. Eighty random bits, so that a hash of it need not be slow.

use std::fmt;

use contracts::ambient::Random;
use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

/// So many are given.
pub const COUNT: usize = 10;
const BYTES: usize = 10;
/// Characters between two dashes.
const GROUP: usize = 4;

/// A recovery code: sixteen letters and digits. Never shown but to whom it is given.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryCode(Zeroizing<String>);

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(…)")
    }
}

impl RecoveryCode {
    /// A new one.
    pub fn generate(random: &Random) -> Self {
        Self(Zeroizing::new(BASE32_NOPAD.encode(&random.bytes::<BYTES>())))
    }

    /// Reads one as it was typed, dashes and spaces left out before; upper and lower case are the same.
    pub fn parse(text: &str) -> Option<Self> {
        let text = Zeroizing::new(text.to_ascii_uppercase());
        let bytes = BASE32_NOPAD.decode(text.as_bytes()).map(Zeroizing::new).ok()?;
        (bytes.len() == BYTES).then_some(Self(text))
    }

    /// The text, for its hash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As people read it: `ABCD-EFGH-IJKL-MNOP`.
    pub fn shown(&self) -> String {
        let groups = self.0.as_bytes().chunks(GROUP).map(String::from_utf8_lossy);
        groups.collect::<Vec<_>>().join("-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let code = RecoveryCode::generate(&Random::seeded(1));
        let shown = code.shown();
        assert_eq!((shown.len(), shown.matches('-').count()), (19, 3));
        let plain = shown.replace('-', "");
        assert_eq!(RecoveryCode::parse(&plain), Some(code.clone()));
        assert_eq!(RecoveryCode::parse(&plain.to_lowercase()), Some(code.clone()));
        for bad in ["", &plain[1..], &format!("{plain}A"), &plain.replace(&plain[..1], "1"), "ÄÄÄÄÄÄÄÄ"]
        {
            assert!(RecoveryCode::parse(bad).is_none(), "{bad}");
        }
        assert!(!format!("{code:?}").contains(&plain));
    }

    #[test]
    fn no_two_are_alike() {
        let random = Random::seeded(1);
        let codes: std::collections::BTreeSet<_> =
            (0..1_000).map(|_| RecoveryCode::generate(&random).shown()).collect();
        assert_eq!(codes.len(), 1_000);
    }
}
