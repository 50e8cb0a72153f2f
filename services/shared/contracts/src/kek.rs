//! [`kek_id`]: what a key-encryption key is called.
//!
//! Every wrapped key's row says by it under which key it is wrapped; the operator says by it which one is meant.

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;

/// Names a key-encryption key without telling it: 64 bits, in hex. Computed from the key, so that nothing can name the wrong one.
pub fn kek_id(key: &[u8; 32]) -> String {
    let id = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), b"healthcare-stack key-encryption key id");
    HEXLOWER.encode(&id.as_ref()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It stands in every row: another one would open nothing.
    #[test]
    fn a_keys_name_never_changes() {
        assert_eq!(kek_id(b"a test's key-encryption key: 32B"), "d92da0c8f80cb67f");
    }
}
