//! The free slots of a provider: the hours stated, less what is booked.

use chrono::{DateTime, DurationRound, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use contracts::appointments::Slot;
use contracts::field::time_text;

use super::local;
use super::span::{Span, merged, without};
use super::visit::{BUFFER_MINUTES_MAX, Sought};
use super::week::{Place, Schedule};

/// Slots begin on whole five minutes, whatever was booked before them.
const GRID: TimeDelta = TimeDelta::minutes(5);
/// So many are offered in place of one that cannot be had.
const OFFERED: usize = 5;
/// Those offered lie at most so far before and after the time asked for.
const BEFORE: TimeDelta = TimeDelta::days(7);
const AFTER: TimeDelta = TimeDelta::days(21);

/// A free slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreeSlot {
    /// When it begins.
    pub starts_at: DateTime<Utc>,
    date: NaiveDate,
    time: NaiveTime,
    minutes: u32,
    zone: Tz,
    location: Option<String>,
}

impl FreeSlot {
    /// Its date at the provider's place.
    pub fn date(&self) -> NaiveDate {
        self.date
    }

    /// The time where it is.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// At which of the provider's locations.
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// Its beginning there.
    pub fn time(&self) -> NaiveTime {
        self.time
    }

    /// As the API shows it.
    pub fn view(&self) -> Slot {
        Slot {
            date: self.date.to_string(),
            time_slot: time_text(self.time),
            duration_minutes: self.minutes,
            location_id: self.location.clone(),
        }
    }
}

/// The free slots within `range`, one after the other at each place, in order: the hours there, less what is booked with the buffers that each of
/// both asks for, and less time off. Who takes no new bookings has none.
///
/// Each stretch that is free is filled from its beginning. A slot has a local time that means it and no other instant: none is
/// offered in the hour that comes twice when clocks are set back, the second time round.
pub fn free(schedule: &Schedule, booked: Vec<Span>, range: Span, sought: &Sought) -> Vec<FreeSlot> {
    if schedule.not_bookable.is_some() {
        return Vec::new();
    }
    let outside = [
        Span { starts_at: DateTime::<Utc>::MIN_UTC, ends_at: range.starts_at },
        Span { starts_at: range.ends_at, ends_at: DateTime::<Utc>::MAX_UTC },
    ];
    let booked = booked.into_iter().map(|booked| sought.buffers.keeps_free(booked));
    let taken = merged(booked.chain(schedule.away()).chain(outside).collect());
    let mut slots = Vec::new();
    for place in schedule.places(sought.location.as_deref()) {
        for stretch in without(&place.open_around(range), &taken) {
            fill(place, stretch, sought, &mut slots);
        }
    }
    slots.sort_by_key(|slot: &FreeSlot| slot.starts_at);
    slots
}

fn fill(place: &Place, stretch: Span, sought: &Sought, slots: &mut Vec<FreeSlot>) {
    let Sought { minutes, buffers, .. } = *sought;
    let mut starts_at = on_grid(stretch.starts_at);
    while stretch.covers(Span::of_minutes(starts_at, minutes)) {
        match local::name(place.zone, starts_at) {
            Some((date, time)) => {
                slots.push(FreeSlot {
                    starts_at,
                    date,
                    time,
                    minutes,
                    zone: place.zone,
                    location: place.location.clone(),
                });
                let step =
                    minutes + buffers.before.min(BUFFER_MINUTES_MAX) + buffers.after.min(BUFFER_MINUTES_MAX);
                starts_at = on_grid(starts_at + TimeDelta::minutes(i64::from(step)));
            }
            None => starts_at += GRID,
        }
    }
}

/// Where to look for what is offered in place of `asked`: around it, and not before `now`.
pub fn nearby(asked: DateTime<Utc>, now: DateTime<Utc>) -> Span {
    let starts_at = (asked - BEFORE).max(now);
    Span { starts_at, ends_at: asked.max(now) + AFTER }
}

/// The free slots nearest to the time asked for, a few, in order.
pub fn nearest(mut free: Vec<FreeSlot>, asked: DateTime<Utc>) -> Vec<Slot> {
    free.sort_by_key(|slot| ((slot.starts_at - asked).abs(), slot.starts_at));
    free.truncate(OFFERED);
    free.sort_by_key(|slot| slot.starts_at);
    free.iter().map(FreeSlot::view).collect()
}

fn on_grid(instant: DateTime<Utc>) -> DateTime<Utc> {
    instant.duration_round_up(GRID).unwrap_or(instant)
}

#[cfg(test)]
mod tests {
    use super::super::local::tests::*;
    use super::super::visit::Buffers;
    use super::super::week::tests::*;
    use super::*;
    use contracts::providers::Day;
    use proptest::prelude::*;

    fn instant(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn texts(slots: &[FreeSlot]) -> Vec<String> {
        slots.iter().map(|slot| format!("{} {}", slot.view().date, slot.view().time_slot)).collect()
    }

    proptest! {
        #[test]
        fn a_free_slot_is_open_not_booked_not_doubled_and_has_a_name(
            zone in zones(), date in dates(), days in 1i64..5, minutes in 5u32..=240, (before, after) in (0u32..30, 0u32..30),
            booked in prop::collection::vec((0i64..8000, 5u32..300), 0..20),
        ) {
            let week: &[(Day, &[&str])] = &[
                (Day::Monday, &["00:00-06:00"]), (Day::Wednesday, &["01:30-03:10", "09:00-12:00"]),
                (Day::Friday, &["20:00-24:00"]), (Day::Saturday, &["00:00-24:00"]), (Day::Sunday, &["00:00-04:45"]),
            ];
            let schedule = schedule(zone.name(), week).unwrap();
            let first = local::instant_or_next(zone, date.and_time(NaiveTime::MIN));
            let range = Span { starts_at: first, ends_at: first + TimeDelta::days(days) };
            let booked: Vec<_> = booked
                .into_iter()
                .map(|(at, minutes)| Span::of_minutes(first + TimeDelta::minutes(at), minutes))
                .collect();
            let off = date + TimeDelta::days(1);
            let schedule = away(&schedule, "toff_1", &format!("{off}T10:00"), &off.to_string());
            let buffers = Buffers { before, after };
            let slots = free(&schedule, booked.clone(), range, &Sought { minutes, buffers, location: None });
            for slot in &slots {
                let span = Span::of_minutes(slot.starts_at, minutes);
                prop_assert!(schedule.covers(span) && range.covers(span));
                prop_assert!(!booked.iter().any(|booked| booked.overlaps(buffers.around(span))));
                prop_assert_eq!(local::instant(zone, slot.date, slot.time), Ok(slot.starts_at));
            }
            prop_assert!(slots.windows(2).all(|pair| pair[1].starts_at - pair[0].starts_at >= TimeDelta::minutes(i64::from(minutes + before + after))));
            // What is left over has no room for another.
            let taken = slots.iter().map(|slot| buffers.around(Span::of_minutes(slot.starts_at, minutes))).chain(booked);
            let taken = merged(taken.map(|taken| buffers.keeps_free(taken)).chain(schedule.away()).collect());
            let place = schedule.places(None).next().unwrap();
            for stretch in without(&place.open(date, date + TimeDelta::days(days)), &taken) {
                let starts_at = on_grid(stretch.starts_at);
                let another = Span::of_minutes(starts_at, minutes);
                prop_assert!(!stretch.covers(another) || !range.covers(another) || local::name(zone, starts_at).is_none());
            }
        }

        #[test]
        fn the_nearest_are_nearer_than_all_others(asked in 0i64..40_000) {
            let monday = instant("2026-01-19T00:00:00Z");
            let asked = monday + TimeDelta::minutes(asked);
            let all = free(&documented(), Vec::new(), nearby(asked, monday), &Sought::of(30));
            let offered = nearest(all.clone(), asked);
            prop_assert_eq!(offered.len(), OFFERED);
            let distance = |slot: &FreeSlot| (slot.starts_at - asked).abs();
            let (near, far): (Vec<_>, Vec<_>) = all.iter().partition(|slot| offered.contains(&slot.view()));
            let farthest = near.into_iter().map(distance).max();
            prop_assert!(farthest <= far.into_iter().map(distance).min());
        }
    }

    #[test]
    fn a_day_is_filled_around_what_is_booked() {
        let range =
            Span { starts_at: instant("2026-01-19T00:00:00Z"), ends_at: instant("2026-01-20T00:00:00Z") };
        let booked = vec![
            Span::of_minutes(instant("2026-01-19T08:30:00Z"), 45),
            Span::of_minutes(instant("2026-01-19T13:00:00Z"), 150),
        ];
        let slots = free(&documented(), booked, range, &Sought::of(30));
        assert_eq!(
            texts(&slots),
            ["09:00", "10:15", "10:45", "11:15", "16:30"].map(|time| format!("2026-01-19 {time}"))
        );
    }

    #[test]
    fn each_place_is_filled_by_its_own_clock() {
        let range =
            Span { starts_at: instant("2026-01-19T00:00:00Z"), ends_at: instant("2026-02-03T00:00:00Z") };
        let slots = |location: Option<&str>| {
            let sought = Sought { location: location.map(str::to_owned), ..Sought::of(60) };
            let slots = free(&travelling(), Vec::new(), range, &sought);
            slots
                .iter()
                .map(|slot| (slot.view().location_id, slot.view().date, slot.view().time_slot))
                .collect::<Vec<_>>()
        };
        let nyc = |date: &str, time: &str| (Some("nyc".to_owned()), date.to_owned(), time.to_owned());
        let there = [nyc("2026-01-19", "09:00"), nyc("2026-01-19", "10:00"), nyc("2026-01-26", "10:00")];
        assert_eq!(slots(Some("nyc")), there);
        let here = ["09:00", "10:00"].map(|time| (None, "2026-01-19".to_owned(), time.to_owned()));
        assert_eq!(slots(None), [&here[..], &there[..]].concat());
        assert!(slots(Some("moon")).is_empty());
    }

    #[test]
    fn nothing_before_the_range_is_offered_and_slots_begin_on_five_minutes() {
        let range =
            Span { starts_at: instant("2026-01-19T15:12:34Z"), ends_at: instant("2026-01-20T00:00:00Z") };
        assert_eq!(
            texts(&free(&documented(), Vec::new(), range, &Sought::of(20))),
            ["2026-01-19 16:15", "2026-01-19 16:35"]
        );
    }

    #[test]
    fn the_hour_that_comes_twice_is_offered_once() {
        let schedule = schedule("Europe/Berlin", &[(Day::Sunday, &["01:30-03:30"])]).unwrap();
        let range =
            Span { starts_at: instant("2026-10-24T00:00:00Z"), ends_at: instant("2026-10-26T00:00:00Z") };
        let times = ["01:30", "02:00", "02:30", "03:00"].map(|time| format!("2026-10-25 {time}"));
        assert_eq!(texts(&free(&schedule, Vec::new(), range, &Sought::of(30))), times);
    }
}
