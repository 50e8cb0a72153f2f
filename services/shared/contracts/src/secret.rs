//! [`Secret`]: a text that nobody is to see.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use zeroize::Zeroizing;

/// A password, or a connection's URL with one in it. Wiped when the last copy goes. Whatever holds one may derive `Debug`: it tells that
/// there is one, and no more.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Of this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Arc::new(Zeroizing::new(text.into())))
    }

    /// The text, for whoever has to show it to whom it is for.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::new(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_nowhere_by_itself() {
        let secret: Secret = "CANARY".parse().unwrap();
        assert_eq!(secret.reveal(), "CANARY");
        let shown = format!("{secret:?} {:#?}", Some(secret.clone()));
        assert!(!shown.contains("CANARY") && shown.contains("Secret(…)"), "{shown}");
    }
}
