//! [`digest`]: a short fingerprint, so that two texts can be told apart by an annotation or a name.

use aws_lc_rs::digest::{SHA256, digest as sha};
use data_encoding::HEXLOWER;

/// 128 bits of SHA-256, in hex. It says nothing of what it was made from, as long as that is as hard to guess as a key.
pub fn digest(bytes: &[u8]) -> String {
    let mut text = HEXLOWER.encode(sha(&SHA256, bytes).as_ref());
    text.truncate(32);
    text
}
