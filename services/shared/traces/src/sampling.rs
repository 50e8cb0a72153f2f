//! [`Sampling`]: which requests are traced. Decided once, where a trace begins; everybody after that goes by the flag in its context.

use settings::Tracing;

/// What is compared with one random number: of 2³² numbers so many are traced, and whether anything is at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sampling(u64);

const ON: u64 = 1 << 63;

impl Sampling {
    /// Nothing is traced.
    pub const OFF: Self = Self(0);

    /// So much of what begins, percent; all of what has begun elsewhere and is traced there.
    pub const fn percent(percent: u32) -> Self {
        let percent = if percent > 100 { 100 } else { percent as u64 };
        Self(ON | ((percent << 32) / 100))
    }

    /// As the settings say.
    pub fn of(settings: Option<&Tracing>) -> Self {
        settings.map_or(Self::OFF, |tracing| Self::percent(tracing.sample_percent))
    }

    /// Whether anything is traced at all.
    pub const fn is_on(self) -> bool {
        self.0 != 0
    }

    /// Whether a trace that begins is traced. `roll` is any number, all of them as likely.
    pub const fn takes(self, roll: u64) -> bool {
        (roll >> 32) < (self.0 & !ON)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Evenly spread over all numbers.
    fn rolls() -> impl Iterator<Item = u64> {
        (0..10_000_u64).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    #[test]
    fn a_share_is_the_share_that_was_asked_for() {
        for percent in [0, 1, 10, 50, 99, 100] {
            let taken = rolls().filter(|roll| Sampling::percent(percent).takes(*roll)).count();
            let asked = percent as usize * 100;
            assert!(taken.abs_diff(asked) <= 5, "{percent} %: {taken} of 10000");
        }
        assert!(Sampling::percent(100).takes(u64::MAX) && !Sampling::percent(0).takes(0));
        assert!(Sampling::percent(0).is_on() && !Sampling::OFF.is_on());
        assert!(rolls().all(|roll| !Sampling::OFF.takes(roll)));
    }
}
