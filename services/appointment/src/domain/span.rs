//! [`Span`]: a stretch of time, and what is left of some when others are taken away.

use chrono::{DateTime, TimeDelta, Utc};

/// From an instant until another: the first belongs to it and the last does not, so that back-to-back spans do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When it begins.
    pub starts_at: DateTime<Utc>,
    /// When it is over.
    pub ends_at: DateTime<Utc>,
}

impl Span {
    /// So many minutes from an instant.
    pub fn of_minutes(starts_at: DateTime<Utc>, minutes: u32) -> Self {
        Self { starts_at, ends_at: starts_at + TimeDelta::minutes(i64::from(minutes)) }
    }

    /// Whether they have an instant in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.starts_at < other.ends_at && other.starts_at < self.ends_at
    }

    /// Whether all of the other lies within it.
    pub fn covers(self, other: Self) -> bool {
        self.starts_at <= other.starts_at && other.ends_at <= self.ends_at
    }

    fn is_empty(self) -> bool {
        self.ends_at <= self.starts_at
    }
}

/// The same time in order and in as few spans as can be: those that overlap or touch become one, empty ones go.
pub fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.retain(|span| !span.is_empty());
    spans.sort_by_key(|span| span.starts_at);
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.starts_at <= last.ends_at => last.ends_at = last.ends_at.max(span.ends_at),
            _ => merged.push(span),
        }
    }
    merged
}

/// What is left of `open` without `taken`. Both as [`merged`] gives them, and so is the result.
pub fn without(open: &[Span], taken: &[Span]) -> Vec<Span> {
    let mut left = Vec::with_capacity(open.len());
    let mut first = 0;
    for span in open {
        // Whatever ended before this span began ended before the next ones, too.
        first += taken[first..].iter().take_while(|taken| taken.ends_at <= span.starts_at).count();
        let mut starts_at = span.starts_at;
        for taken in taken[first..].iter().take_while(|taken| taken.starts_at < span.ends_at) {
            left.push(Span { starts_at, ends_at: taken.starts_at });
            starts_at = taken.ends_at;
        }
        left.push(Span { starts_at, ends_at: span.ends_at });
    }
    left.retain(|span| !span.is_empty());
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn span(start: i64, minutes: u32) -> Span {
        Span::of_minutes(DateTime::from_timestamp(start * 60, 0).unwrap(), minutes)
    }

    fn spans() -> impl Strategy<Value = Vec<Span>> {
        prop::collection::vec((0i64..300, 0u32..40).prop_map(|(start, minutes)| span(start, minutes)), 0..12)
    }

    fn holds(spans: &[Span], minute: i64) -> bool {
        spans.iter().any(|each| each.covers(span(minute, 1)))
    }

    proptest! {
        #[test]
        fn merged_spans_are_the_same_time_apart_and_in_order(spans in spans()) {
            let merged = merged(spans.clone());
            prop_assert!(merged.windows(2).all(|pair| pair[0].ends_at < pair[1].starts_at));
            for minute in 0..350 {
                prop_assert_eq!(holds(&merged, minute), holds(&spans, minute));
            }
        }

        #[test]
        fn what_is_left_is_open_and_not_taken(open in spans(), taken in spans()) {
            let left = without(&merged(open.clone()), &merged(taken.clone()));
            for minute in 0..350 {
                prop_assert_eq!(holds(&left, minute), holds(&open, minute) && !holds(&taken, minute));
            }
        }
    }

    #[test]
    fn back_to_back_is_no_overlap() {
        assert!(!span(0, 30).overlaps(span(30, 30)));
        assert!(span(0, 31).overlaps(span(30, 30)));
    }
}
