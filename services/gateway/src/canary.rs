//! [`Canary`]: another version of a service, and who is sent to it.
//!
//! Always the same people, whichever gateway they meet: whether somebody is among them is a hash of who they are, and nothing is kept. So a
//! person does not see a page of one version and the next page of the other, and a larger share adds people and takes none away. Another
//! service's canary has other people, so that nobody is first everywhere.

use std::sync::Arc;
use std::time::Instant;

use resilience::balance::Share;

use crate::kept::Lane;

/// Shares are counted in hundredths of a percent.
const WHOLE: u64 = 10_000;

/// Another version, ready.
#[derive(Debug)]
pub(crate) struct Canary {
    pub(crate) lane: Arc<Lane>,
    /// Of ten thousand people so many.
    share: u64,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who<'a> {
    /// Somebody who is signed in.
    User(&'a str),
    /// Somebody at an address.
    Client(u128),
}

impl Canary {
    /// The percentage is between 0 and 100.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was checked")]
    pub(crate) fn new(lane: Arc<Lane>, percent: f64) -> Self {
        Self { lane, share: (percent * 100.0).round() as u64 }
    }

    /// Whether somebody is sent there. Nobody is while none of its endpoints is well.
    pub(crate) fn takes(&self, who: Who<'_>, now: Instant) -> bool {
        let is_well = || {
            let mut members = self.lane.balancer.endpoints();
            members.any(|(member, _)| self.lane.share(member, now) != Share::NONE)
        };
        place(&self.lane.service, who) < self.share && is_well()
    }
}

/// Where somebody stands among ten thousand, for the canary of this name: the same in every process.
fn place(name: &str, who: Who<'_>) -> u64 {
    let start = fnv(0xcbf2_9ce4_8422_2325, name.as_bytes());
    let hash = match who {
        Who::User(user) => fnv(start, user.as_bytes()),
        Who::Client(key) => fnv(start, &key.to_be_bytes()),
    };
    // FNV's upper bits are its better ones, and it is they that decide.
    let wide = u128::from(hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) & u128::from(u64::MAX);
    u64::try_from((wide * u128::from(WHOLE)) >> 64).unwrap_or_default()
}

/// FNV-1a.
fn fnv(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_spread_evenly_and_differently_for_each_canary() {
        for share in [100, 1_000, 5_000] {
            let is_among =
                |name: &str, number: u32| place(name, Who::User(&format!("user-{number}"))) < share;
            let count = |is: &dyn Fn(u32) -> bool| (0..20_000).filter(|number| is(*number)).count() as u64;
            let expected = share * 2;
            let users = count(&|number| is_among("a", number));
            assert!(users.abs_diff(expected) < expected / 5, "{users} users of {expected}");
            let clients = count(&|number| place("a", Who::Client(u128::from(number) << 64)) < share);
            assert!(clients.abs_diff(expected) < expected / 5, "{clients} clients of {expected}");
            let both = count(&|number| is_among("a", number) && is_among("b", number));
            let by_chance = expected * share / WHOLE;
            assert!(both.abs_diff(by_chance) <= by_chance / 3 + 10, "{both} in both, {by_chance} by chance");
        }
    }

    #[test]
    fn a_person_stands_at_the_same_place_in_every_process() {
        assert_eq!(place("patient-service-canary", Who::User("johndoe")), PLACE_OF_JOHN);
        assert!(place("x", Who::Client(1)) < WHOLE);
    }

    /// As it was when this was written: were it to change with a version, all would change sides when gateways are replaced.
    const PLACE_OF_JOHN: u64 = 995;
}
