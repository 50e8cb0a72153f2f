//! An entry of the waitlist: what would do, and what is offered.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;
use contracts::event::{OfferNotice, OfferedTime};
use contracts::field::{self, BadField};
use contracts::hours::Hours;
use contracts::id::{AppointmentId, PatientId, ProviderId, SlotHoldId, WaitlistId};
use contracts::problem::{Faults, Problem};
use contracts::waitlist::{self as wire, WAITLIST_DAYS_MAX, WaitlistRequest, WaitlistStatus};
use serde::{Deserialize, Serialize};

use super::appointment::{Appointment, MINUTES_DEFAULT, Plan, duration, visit_type, zone_name};
use super::feed::time;
use super::local::instant_or_next;
use super::slots::FreeSlot;
use super::span::Span;
use super::visit::Buffers;

const TIMES_MAX: usize = 8;
const SPECIALIZATION_CHARS_MAX: usize = 200;
/// So many slots that were not taken are remembered, so that they are not offered again.
const DECLINED_MAX: usize = 100;

/// An entry's data: what is sealed as the row's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// With anybody of it, if it is not with one provider.
    pub specialization: Option<String>,
    /// The first day.
    pub from: NaiveDate,
    /// The last.
    pub to: NaiveDate,
    /// How long.
    pub minutes: u32,
    /// What kind of visit.
    pub visit_type: Option<String>,
    /// The hours that would do; none: any.
    pub times: Vec<Hours>,
    /// Where it stands.
    pub status: WaitlistStatus,
    /// What is offered.
    pub offer: Option<Offer>,
    /// When what began that they did not take.
    pub declined: Vec<DateTime<Utc>>,
    /// What came of it.
    pub appointment: Option<AppointmentId>,
    /// The user who made it.
    pub by: String,
}

/// A slot that is held for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// When and with whom.
    pub plan: Plan,
    /// The provider's place.
    #[serde(with = "zone_name")]
    pub zone: Tz,
    /// What stays free around it.
    pub buffers: Buffers,
    /// When it begins.
    pub starts_at: DateTime<Utc>,
}

/// An entry as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The id.
    pub id: WaitlistId,
    /// Counts changes, from 1.
    pub version: i64,
    /// For whom.
    pub patient: PatientId,
    /// With whom, if it is one.
    pub provider: Option<ProviderId>,
    /// The days, as instants.
    pub span: Span,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// The hold of what is offered, and until when.
    pub held: Option<(SlotHoldId, DateTime<Utc>)>,
    /// The data.
    pub entry: Entry,
}

/// An entry that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// For whom.
    pub patient: PatientId,
    /// With whom, if it is one.
    pub provider: Option<ProviderId>,
    /// The days, as instants.
    pub span: Span,
    /// The data.
    pub entry: Entry,
}

impl Asked {
    /// Reads a request; its dates are meant where the clinic is. `by` asks.
    pub fn parse(request: &WaitlistRequest, zone: Tz, now: DateTime<Utc>, by: &str) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let patient = faults.take("patientId", PatientId::parse(&request.patient_id));
        let provider = request.provider_id.as_deref().map(ProviderId::parse).transpose();
        let provider = faults.take("providerId", provider);
        let specialization =
            request.specialization.as_deref().map(|text| field::line(text, SPECIALIZATION_CHARS_MAX));
        let specialization = faults.take("specialization", specialization.transpose());
        if request.provider_id.is_some() == request.specialization.is_some() {
            faults.add("providerId", "must be given, or a specialization, and not both");
        }
        let days = days(&request.from, &request.to, zone, now, &mut faults);
        let minutes = duration(request.duration_minutes.unwrap_or(MINUTES_DEFAULT));
        let minutes = faults.take("durationMinutes", minutes);
        let visit_type = faults.take("visitType", visit_type(request.visit_type.as_deref()));
        let times = faults.take("times", times(&request.times));
        let all = patient.zip(provider).zip(specialization).zip(days).zip(minutes.zip(visit_type)).zip(times);
        let asked = all.map(
            |(((((patient, provider), specialization), (from, to, span)), (minutes, visit_type)), times)| {
                let (status, by) = (WaitlistStatus::Waiting, by.to_owned());
                let (offer, declined, appointment) = (None, Vec::new(), None);
                let entry = Entry {
                    specialization,
                    from,
                    to,
                    minutes,
                    visit_type,
                    times,
                    status,
                    offer,
                    declined,
                    appointment,
                    by,
                };
                Self { patient, provider, span, entry }
            },
        );
        faults.finish(asked)
    }
}

fn days(
    from: &str,
    to: &str,
    zone: Tz,
    now: DateTime<Utc>,
    faults: &mut Faults,
) -> Option<(NaiveDate, NaiveDate, Span)> {
    let from = faults.take("from", field::date(from));
    let to = faults.take("to", field::date(to));
    let (from, to) = from.zip(to)?;
    let midnight = |date: NaiveDate| instant_or_next(zone, date.and_time(NaiveTime::MIN));
    let span = Span { starts_at: midnight(from), ends_at: midnight(to + TimeDelta::days(1)) };
    if !(0..=i64::from(WAITLIST_DAYS_MAX)).contains(&(to - from).num_days()) {
        faults.add("to", format_args!("must be from 0 to {WAITLIST_DAYS_MAX} days after from"));
    } else if span.ends_at <= now {
        faults.add("to", "must not be past");
    }
    Some((from, to, span))
}

fn times(texts: &[String]) -> Result<Vec<Hours>, BadField> {
    if texts.len() > TIMES_MAX {
        return Err(BadField::new(format!("must be at most {TIMES_MAX}")));
    }
    texts.iter().map(|text| Hours::parse(text)).collect()
}

impl Kept {
    /// Whether a provider would do.
    pub fn would_see(&self, provider: &ProviderId, specialization: &str) -> bool {
        match (&self.provider, &self.entry.specialization) {
            (Some(wanted), _) => wanted == provider,
            (None, Some(wanted)) => wanted.to_lowercase() == specialization.trim().to_lowercase(),
            (None, None) => false,
        }
    }

    /// Whether a free slot would do: within the days and hours, and none that they did not take before.
    pub fn would_take(&self, slot: &FreeSlot) -> bool {
        let minute = |time: NaiveTime| time.hour() * 60 + time.minute();
        let (from, lasts) = (minute(slot.time()), self.entry.minutes);
        let fits = |hours: &Hours| {
            u32::from(hours.start_minute()) <= from && from + lasts <= u32::from(hours.end_minute())
        };
        let is_in_hours = self.entry.times.is_empty() || self.entry.times.iter().any(fits);
        is_in_hours && !self.entry.declined.contains(&slot.starts_at)
    }

    /// The entry with a slot offered.
    #[must_use]
    pub fn offered(&self, hold: SlotHoldId, until: DateTime<Utc>, offer: Offer) -> Self {
        let entry = Entry { status: WaitlistStatus::Offered, offer: Some(offer), ..self.entry.clone() };
        Self { held: Some((hold, until)), entry, ..self.clone() }
    }

    /// The entry once what was offered was not taken: it waits on, and is not offered that again.
    #[must_use]
    pub fn declined(&self) -> Self {
        let mut entry = Entry { status: WaitlistStatus::Waiting, ..self.entry.clone() };
        entry.declined.extend(entry.offer.take().map(|offer| offer.starts_at));
        let excess = entry.declined.len().saturating_sub(DECLINED_MAX);
        entry.declined.drain(..excess);
        Self { held: None, entry, ..self.clone() }
    }

    /// The entry once what was offered is booked.
    #[must_use]
    pub fn booked(&self, appointment: AppointmentId) -> Self {
        let (status, appointment) = (WaitlistStatus::Booked, Some(appointment));
        Self {
            held: None,
            entry: Entry { status, appointment, offer: None, ..self.entry.clone() },
            ..self.clone()
        }
    }

    /// The entry of somebody who does not wait any more.
    #[must_use]
    pub fn withdrawn(&self) -> Self {
        let entry = Entry { status: WaitlistStatus::Withdrawn, offer: None, ..self.entry.clone() };
        Self { held: None, entry, ..self.clone() }
    }

    /// Whether it waits, or may wait again.
    pub fn is_open(&self) -> bool {
        matches!(self.entry.status, WaitlistStatus::Waiting | WaitlistStatus::Offered)
    }

    /// The offer that stands.
    pub fn offer(&self, now: DateTime<Utc>) -> Option<(&Offer, &SlotHoldId)> {
        let (hold, until) = self.held.as_ref()?;
        self.entry.offer.as_ref().filter(|_| *until > now).map(|offer| (offer, hold))
    }

    /// What is told of an offer, if there is one, as the entry's next version makes or ends it.
    pub fn notice(&self) -> Option<OfferNotice> {
        let (offer, (_, until)) = self.entry.offer.as_ref().zip(self.held.as_ref())?;
        let offered = OfferedTime {
            starts_at: offer.starts_at,
            duration_minutes: offer.plan.minutes,
            time_zone: offer.zone.name().to_owned(),
        };
        Some(OfferNotice {
            waitlist_id: self.id.clone(),
            version: self.version + 1,
            patient_id: self.patient.clone(),
            provider_id: offer.plan.provider.clone(),
            until: *until,
            offered: Some(offered),
        })
    }

    /// The appointment that an offer becomes.
    pub fn appointment(&self, offer: &Offer) -> Appointment {
        Appointment {
            patient: self.patient.clone(),
            plan: offer.plan.clone(),
            zone: offer.zone,
            status: contracts::appointments::AppointmentStatus::Scheduled,
            reason: None,
            conflict: None,
            buffers: offer.buffers,
            kept: Vec::new(),
            cancellation: None,
            series: None,
        }
    }

    /// Where it stands: its days may be over, and an offer, too.
    pub fn status(&self, now: DateTime<Utc>) -> WaitlistStatus {
        match self.entry.status {
            WaitlistStatus::Offered if self.offer(now).is_some() => WaitlistStatus::Offered,
            WaitlistStatus::Waiting | WaitlistStatus::Offered if self.span.ends_at <= now => {
                WaitlistStatus::Expired
            }
            WaitlistStatus::Offered => WaitlistStatus::Waiting,
            status => status,
        }
    }

    /// As the API shows it.
    pub fn view(&self, now: DateTime<Utc>) -> wire::WaitlistEntry {
        let Entry { specialization, from, to, minutes, visit_type, times, appointment, .. } = &self.entry;
        let until = self.held.as_ref().map(|(_, until)| *until);
        let offer = self.offer(now).zip(until).map(|((offer, _), until)| wire::WaitlistOffer {
            provider_id: offer.plan.provider.to_string(),
            slot: contracts::appointments::Slot {
                date: offer.plan.date.to_string(),
                time_slot: field::time_text(offer.plan.time),
                duration_minutes: offer.plan.minutes,
                location_id: offer.plan.location.clone(),
            },
            until: time(until),
        });
        wire::WaitlistEntry {
            waitlist_id: self.id.clone(),
            patient_id: self.patient.to_string(),
            provider_id: self.provider.as_ref().map(ToString::to_string),
            specialization: specialization.clone(),
            from: from.to_string(),
            to: to.to_string(),
            duration_minutes: *minutes,
            visit_type: visit_type.clone(),
            times: times.iter().map(ToString::to_string).collect(),
            status: self.status(now),
            offer,
            appointment_id: appointment.as_ref().map(ToString::to_string),
            created_at: time(self.created_at),
        }
    }
}

/// Until when a slot is held for whom it is offered: for so long, and not beyond its beginning.
pub fn offer_until(now: DateTime<Utc>, seconds: u32, starts_at: DateTime<Utc>) -> DateTime<Utc> {
    (now + TimeDelta::seconds(i64::from(seconds))).min(starts_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-01-15T09:00:00Z".parse().unwrap()
    }

    fn request() -> WaitlistRequest {
        WaitlistRequest {
            patient_id: "12345".to_owned(),
            provider_id: Some("prov001".to_owned()),
            from: "2026-01-19".to_owned(),
            to: "2026-01-23".to_owned(),
            ..WaitlistRequest::default()
        }
    }

    fn faults(change: impl Fn(&mut WaitlistRequest)) -> Vec<String> {
        let mut request = request();
        change(&mut request);
        let read = Asked::parse(&request, Tz::Europe__Berlin, now(), "usr_1");
        read.err().map_or(Vec::new(), |problem| problem.errors.into_iter().map(|fault| fault.field).collect())
    }

    fn kept() -> Kept {
        let Asked { patient, provider, span, entry } =
            Asked::parse(&request(), Tz::Europe__Berlin, now(), "usr_1").unwrap();
        let id = WaitlistId::trusted("wait_1".to_owned());
        Kept { id, version: 1, patient, provider, span, created_at: now(), held: None, entry }
    }

    #[test]
    fn what_would_do_is_bounded() {
        assert!(faults(|_| {}).is_empty());
        assert_eq!(faults(|request| request.to = "2026-04-22".to_owned()), ["to"]);
        assert_eq!(faults(|request| request.to = "2026-01-18".to_owned()), ["to"]);
        assert_eq!(
            faults(|request| (request.from, request.to) = ("2026-01-01".to_owned(), "2026-01-14".to_owned())),
            ["to"]
        );
        assert_eq!(faults(|request| request.times = vec!["9-10".to_owned()]), ["times"]);
        assert_eq!(faults(|request| request.specialization = Some("Cardiology".to_owned())), ["providerId"]);
        assert_eq!(faults(|request| request.provider_id = None), ["providerId"]);
    }

    #[test]
    fn an_entry_is_offered_declined_and_booked() {
        let waiting = kept();
        let offer = Offer {
            plan: Plan {
                provider: ProviderId::trusted("prov001".to_owned()),
                date: waiting.entry.from,
                time: NaiveTime::MIN,
                minutes: 30,
                visit_type: None,
                location: None,
            },
            buffers: Buffers::NONE,
            zone: Tz::Europe__Berlin,
            starts_at: now() + TimeDelta::minutes(10),
        };
        assert_eq!(offer_until(now(), 1800, offer.starts_at), offer.starts_at);
        assert_eq!(offer_until(now(), 300, offer.starts_at), now() + TimeDelta::minutes(5));
        let until = now() + TimeDelta::minutes(30);
        let offered = waiting.offered(SlotHoldId::trusted("hold_1".to_owned()), until, offer);
        assert_eq!(
            (offered.status(now()), offered.status(until)),
            (WaitlistStatus::Offered, WaitlistStatus::Waiting)
        );
        assert_eq!(offered.status(waiting.span.ends_at), WaitlistStatus::Expired);
        assert!(offered.view(now()).offer.is_some() && offered.view(until).offer.is_none());
        let declined = offered.declined();
        assert_eq!((declined.status(now()), declined.entry.declined.len()), (WaitlistStatus::Waiting, 1));
        let booked = offered.booked(AppointmentId::trusted("apt_1".to_owned()));
        assert!(!booked.is_open() && booked.view(now()).appointment_id.is_some());
        assert!(waiting.would_see(&ProviderId::trusted("prov001".to_owned()), "x"));
        assert!(!waiting.would_see(&ProviderId::trusted("prov002".to_owned()), "x"));
    }
}
