//! How long a part goes on taking changes that has not heard who was logged out.

/// Two minutes: auth may start anew, and its database change hands, without anybody noticing.
pub const REVOCATIONS_STALE_SECONDS: u32 = 120;

pub(crate) const fn seconds() -> u32 {
    REVOCATIONS_STALE_SECONDS
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
pub(crate) const fn is_usual(seconds: &u32) -> bool {
    *seconds == REVOCATIONS_STALE_SECONDS
}
