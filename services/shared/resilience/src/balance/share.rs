//! [`Share`]: how much of the work an endpoint may have, from nothing to as much as any other.

/// Nothing, all of it, or a part: an endpoint with a part takes part in so many draws and sits out the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u16);

impl Share {
    /// It is unwell.
    pub const NONE: Self = Self(0);
    /// As much as any other.
    pub const FULL: Self = Self(1024);

    /// `part` of `whole`, but never nothing.
    pub fn part(part: u128, whole: u128) -> Self {
        let full = u128::from(Self::FULL.0);
        let share = part.saturating_mul(full).checked_div(whole).unwrap_or(full);
        Self(u16::try_from(share).map_or(Self::FULL.0, |share| share.clamp(1, Self::FULL.0)))
    }

    /// Whether the endpoint takes part in the draw that is made with this random number, where the largest share is `top`. Each endpoint has
    /// a throw of its own.
    pub(super) fn is_drawn(self, random: u64, index: usize, top: Self) -> bool {
        self >= top || mix(random, index) % u64::from(top.0) < u64::from(self.0)
    }
}

/// Well, with all of its share, or unwell.
impl From<bool> for Share {
    fn from(is_well: bool) -> Self {
        if is_well { Self::FULL } else { Self::NONE }
    }
}

/// Another random number, for a purpose of its own (`SplitMix64`).
pub(super) fn mix(random: u64, purpose: usize) -> u64 {
    let mut z = random.wrapping_add((purpose as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
