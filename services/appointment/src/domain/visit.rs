//! How long a visit takes, and how much time stays free around it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::span::Span;

/// The longest buffer, minutes: longer ones are taken for this.
pub const BUFFER_MINUTES_MAX: u32 = 240;

/// Minutes that stay free around a visit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buffers {
    /// Before it.
    pub before: u32,
    /// After it.
    pub after: u32,
}

impl Buffers {
    /// None.
    pub const NONE: Self = Self { before: 0, after: 0 };

    /// The time that a visit takes with its buffers.
    pub fn around(self, span: Span) -> Span {
        Span { starts_at: span.starts_at - minutes(self.before), ends_at: span.ends_at + minutes(self.after) }
    }

    /// Where a visit may neither begin, end nor be, if something else takes this time: it needs its buffers.
    pub fn keeps_free(self, taken: Span) -> Span {
        Span {
            starts_at: taken.starts_at - minutes(self.after),
            ends_at: taken.ends_at + minutes(self.before),
        }
    }

    /// From when and until when others are kept away, if that is not what the visit itself does.
    pub fn instants(self, span: Span) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let around = self.around(span);
        (self != Self::NONE).then_some((around.starts_at, around.ends_at))
    }
}

fn minutes(minutes: u32) -> TimeDelta {
    TimeDelta::minutes(i64::from(minutes.min(BUFFER_MINUTES_MAX)))
}

/// A kind of visit that a provider has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisitType {
    /// What it is asked for by, whatever the case.
    pub name: String,
    /// How long, minutes.
    pub minutes: u32,
    /// What stays free around it.
    pub buffers: Buffers,
}

/// What free slots are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sought {
    /// How long, minutes.
    pub minutes: u32,
    /// What stays free around each.
    pub buffers: Buffers,
    /// At this location; anywhere if not given.
    pub location: Option<String>,
}

impl Sought {
    /// So long, anywhere.
    pub fn of(minutes: u32) -> Self {
        Self { minutes, buffers: Buffers::NONE, location: None }
    }
}
