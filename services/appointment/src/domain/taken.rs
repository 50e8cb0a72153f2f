//! What takes time already, and how another time stands to it.

use super::span::Span;
use super::visit::Buffers;

/// Something that takes the time of a provider, or of a patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The id of the appointment or of the hold; empty for what stands in a calendar outside.
    pub id: String,
    /// The time itself.
    pub itself: Span,
    /// The same with the buffers that it asks for: they are of the provider's time, and not of the patient's.
    pub with_buffers: Span,
    /// Whether it takes the provider's time.
    pub is_of_provider: bool,
}

/// How much room there is for a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Enough.
    Enough,
    /// For itself, but not for what is to stay free around it or around what is beside it: staff may have it so.
    Close,
    /// None: nobody is at two places at once.
    None,
}

impl Room {
    /// For a visit among what is taken.
    pub fn among<'a>(taken: impl IntoIterator<Item = &'a Taken>, visit: Span, buffers: Buffers) -> Self {
        let around = buffers.around(visit);
        let mut room = Self::Enough;
        for taken in taken {
            if taken.itself.overlaps(visit) {
                return Self::None;
            }
            if taken.is_of_provider && taken.with_buffers.overlaps(around) {
                room = Self::Close;
            }
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, TimeDelta};

    fn span(from: i64, to: i64) -> Span {
        let at = |minutes| DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes);
        Span { starts_at: at(from), ends_at: at(to) }
    }

    #[test]
    fn buffers_leave_it_close_and_the_visit_itself_leaves_none() {
        let taken = |is_of_provider| Taken {
            id: "apt_1".to_owned(),
            itself: span(60, 90),
            with_buffers: if is_of_provider { span(55, 100) } else { span(60, 90) },
            is_of_provider,
        };
        let buffers = Buffers { before: 10, after: 0 };
        for (visit, of_provider, of_patient) in [
            (span(30, 55), Room::Enough, Room::Enough),
            (span(30, 60), Room::Close, Room::Enough),
            (span(30, 61), Room::None, Room::None),
            (span(90, 120), Room::Close, Room::Enough),
            (span(105, 120), Room::Close, Room::Enough),
            (span(110, 120), Room::Enough, Room::Enough),
        ] {
            assert_eq!(Room::among([&taken(true)], visit, buffers), of_provider, "{visit:?}");
            assert_eq!(Room::among([&taken(false)], visit, buffers), of_patient, "{visit:?}");
        }
    }
}
