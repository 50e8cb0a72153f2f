//! Secrets that a stack makes for itself, in the shape in which its parts read them. Key pairs are made in [`crate::identity`].

use chrono::{DateTime, Utc};
use contracts::ambient::Random;
use zeroize::Zeroizing;

/// A key-encryption key: 256 bits, in Base64.
pub fn kek(random: &Random) -> Zeroizing<String> {
    Zeroizing::new(data_encoding::BASE64.encode(&*Zeroizing::new(random.bytes::<32>())))
}

/// A name for a key that users' tokens are signed with. It begins with the time: of several the last in order is the newest.
pub fn signing_kid(random: &Random, now: DateTime<Utc>) -> String {
    let suffix = data_encoding::BASE32_NOPAD.encode(&random.bytes::<5>()).to_ascii_lowercase();
    format!("{}-{suffix}", now.format("%Y%m%dT%H%M%SZ"))
}

/// A password for people: five groups of letters and digits, 100 random bits, and it can be read over a phone.
pub fn readable_password(random: &Random) -> String {
    let text = data_encoding::BASE32_NOPAD.encode(&random.bytes::<15>()).to_ascii_lowercase();
    let groups: Vec<_> = (0..5).map(|at| &text[at * 4..at * 4 + 4]).collect();
    groups.join("-")
}

/// A password for programs: 160 random bits as letters and digits, which need no quoting in a URL, in SQL or in a file.
pub fn password(random: &Random) -> String {
    data_encoding::BASE32_NOPAD.encode(&random.bytes::<20>()).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_has_the_shape_that_is_read() {
        let random = Random::seeded(1);
        assert_eq!(data_encoding::BASE64.decode(kek(&random).as_bytes()).unwrap().len(), 32);
        let readable = readable_password(&random);
        assert_eq!(readable.split('-').map(str::len).collect::<Vec<_>>(), [4; 5]);
        assert!(password(&random).bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(password(&random), password(&random));
    }
}
