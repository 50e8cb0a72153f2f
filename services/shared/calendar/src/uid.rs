//! [`uid`]: what names an event everywhere and for good.

use std::fmt::Write;

/// The UID of an event, from a hash of what it is: a UUID of version 8 (RFC 9562 §5.8), since a UID must be unique in the world and tell nothing of
/// what it names (RFC 7986 §5.3). The hash has to be a keyed one: ids may be chosen by clients, and be the same in two stacks.
pub fn uid(mut hash: [u8; 16]) -> String {
    hash[6] = hash[6] & 0x0f | 0x80;
    hash[8] = hash[8] & 0x3f | 0x80;
    let mut uid = String::with_capacity(36);
    for (at, byte) in hash.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            uid.push('-');
        }
        let _ = write!(uid, "{byte:02x}");
    }
    uid
}
