//! The latest N calls of a breaker, good or bad, in a ring whose memory is taken once.

/// A count-based sliding window.
#[derive(Debug)]
pub(super) struct Window {
    /// Was the call in this place bad?
    ring: Box<[bool]>,
    next: usize,
    calls: u32,
    bad: u32,
}

impl Window {
    /// An empty window over the latest `calls_max` calls, at least one.
    pub(super) fn new(calls_max: u32) -> Self {
        Self { ring: vec![false; calls_max.max(1) as usize].into(), next: 0, calls: 0, bad: 0 }
    }

    /// Takes a call in, and the oldest out when full.
    pub(super) fn push(&mut self, bad: bool) {
        let left = std::mem::replace(&mut self.ring[self.next], bad);
        // Places never used hold `false`, so the first round takes nothing away.
        self.bad = self.bad - u32::from(left) + u32::from(bad);
        self.next = (self.next + 1) % self.ring.len();
        if (self.calls as usize) < self.ring.len() {
            self.calls += 1;
        }
    }

    /// Forgets all calls.
    pub(super) fn clear(&mut self) {
        self.ring.fill(false);
        (self.next, self.calls, self.bad) = (0, 0, 0);
    }

    /// Calls in the window.
    pub(super) fn calls(&self) -> u32 {
        self.calls
    }

    /// Bad ones among them.
    pub(super) fn bad(&self) -> u32 {
        self.bad
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_window_counts_exactly_the_latest_calls(size in 1_u32..20, calls in prop::collection::vec(any::<bool>(), 0..100)) {
            let mut window = Window::new(size);
            for (index, bad) in calls.iter().enumerate() {
                window.push(*bad);
                let latest = &calls[(index + 1).saturating_sub(size as usize)..=index];
                prop_assert_eq!(window.calls() as usize, latest.len());
                prop_assert_eq!(window.bad() as usize, latest.iter().filter(|bad| **bad).count());
            }
        }
    }
}
