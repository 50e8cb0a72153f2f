//! `POST /api/appointments/reschedule`: a provider is away, and their appointments are moved to the nearest free slots.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use contracts::appointments::{AppointmentStatus, RescheduleAll, Slot};
use contracts::consents::DataClass;
use contracts::field::{self, time_text};
use contracts::id::ProviderId;
use contracts::page::LIMIT_MAX;
use contracts::problem::Faults;
use contracts::reschedule::{
    AWAY_DAYS_MAX, LOOKED_AT_MAX, RESCHEDULED_MAX, RescheduleOutcome, RescheduleRequest, Rescheduled,
};
use contracts::trail;
use http_kit::page::Window;
use http_kit::{Answer, Call, Caller, Reach, Seeker};

use super::{Api, check_bookable, check_heard, is_with};
use crate::domain::appointment::{Appointment, Plan};
use crate::domain::local::instant_or_next;
use crate::domain::notice;
use crate::domain::search::{Key, Search};
use crate::domain::slots::{FreeSlot, free};
use crate::domain::span::Span;
use crate::domain::status::{follow, is_open};
use crate::domain::week::Schedule;
use crate::error::Error;
use crate::store::among::Want;
use crate::store::appointment::{Kept, appointment_lock, appointment_update};
use crate::store::search::appointment_search;
use crate::store::taken::taken;

/// Where another time is looked for: so long before, and after the provider is back.
const BEFORE: TimeDelta = TimeDelta::days(7);
const AFTER: TimeDelta = TimeDelta::days(28);
/// Others book at the same time.
const ATTEMPTS_MAX: u32 = 4;

/// What is asked for.
struct Asked {
    provider: ProviderId,
    to_provider: Option<ProviderId>,
    from: NaiveDate,
    to: NaiveDate,
    /// Which stretch of them is read first.
    window: Window<Key>,
}

/// Who is seen instead, and when the other is away.
struct Instead<'a> {
    provider: &'a ProviderId,
    schedule: Schedule,
    away: Span,
    is_same: bool,
    dry_run: bool,
}

/// Moves them one after the other, each in a transaction of its own: what was moved stays moved, and the answer says of each what came of it.
pub async fn all(api: Api, call: Call<RescheduleAll>) -> Result<Answer<RescheduleAll>, Error> {
    let asked = parse(&call.body)?;
    check_may(&call.caller, &asked)?;
    let (zone, schedule) = who(&api, &asked).await?;
    check_bookable(&call.caller, &schedule)?;
    let midnight = |date: NaiveDate| instant_or_next(zone, date.and_time(NaiveTime::MIN));
    let away = Span {
        starts_at: midnight(asked.from).max(api.now()),
        ends_at: midnight(asked.to + TimeDelta::days(1)),
    };
    let provider = asked.to_provider.as_ref().unwrap_or(&asked.provider);
    let is_same = *provider == asked.provider;
    let mut instead = Instead { provider, schedule, away, is_same, dry_run: call.body.dry_run };
    let search = search(&asked, away);
    let Done { appointments, moved, next } = each(&api, &call.caller, search, &mut instead).await?;
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let done = Rescheduled {
        provider_id: asked.provider.clone(),
        dry_run: call.body.dry_run,
        moved: count(moved),
        left: count(appointments.len() - moved),
        more: next.is_some(),
        next_cursor: next.as_ref().map(Window::cursor_after),
        appointments,
    };
    let answer = Answer::new(done);
    call.receipt.commit(api.db.begin().await?, &answer).await?;
    Ok(answer)
}

fn parse(request: &RescheduleRequest) -> Result<Asked, Error> {
    let mut faults = Faults::new();
    let provider = faults.take("providerId", ProviderId::parse(&request.provider_id));
    let to_provider = request.to_provider_id.as_deref().map(ProviderId::parse).transpose();
    let to_provider = faults.take("toProviderId", to_provider);
    let from = faults.take("from", field::date(&request.from));
    let to = faults.take("to", field::date(&request.to));
    if let (Some(from), Some(to)) = (from, to)
        && !(0..=i64::from(AWAY_DAYS_MAX)).contains(&(to - from).num_days())
    {
        faults.add("to", format_args!("must be from 0 to {AWAY_DAYS_MAX} days after from"));
    }
    let window = Window::parse(Some(LIMIT_MAX), request.cursor.as_deref(), &mut faults);
    let all = provider.zip(to_provider).zip(from.zip(to)).zip(window);
    let asked = all.map(|(((provider, to_provider), (from, to)), window)| Asked {
        provider,
        to_provider,
        from,
        to,
        window,
    });
    Ok(faults.finish(asked)?)
}

/// The front desk for anybody, and whoever is a provider for themselves.
fn check_may(caller: &Caller, asked: &Asked) -> Result<(), Error> {
    let may = if caller.is_carer() {
        is_with(caller, asked.provider.as_str())
    } else {
        caller.reach() == Reach::Everyone && caller.is_staff()
    };
    if may {
        Ok(())
    } else {
        Err(Error::Forbidden("The front desk moves a provider's appointments, or the provider."))
    }
}

/// The place of who is away, and the hours of who is seen instead. Somebody who is not there any more is away for good.
async fn who(api: &Api, asked: &Asked) -> Result<(Tz, Schedule), Error> {
    let mut faults = Faults::new();
    let own = api.schedule(&asked.provider).await?;
    let zone = own.as_ref().map_or(api.zone, |schedule| schedule.zone);
    let schedule = match &asked.to_provider {
        Some(other) => {
            let other = api.schedule(other).await?;
            faults.take("toProviderId", other.ok_or("must be the id of a provider"))
        }
        None => {
            faults.take("providerId", own.ok_or("must be the id of a provider, or toProviderId be given"))
        }
    };
    Ok(faults.finish(schedule.map(|schedule| (zone, schedule)))?)
}

/// What is booked with whoever is away.
fn search(asked: &Asked, away: Span) -> Search {
    Search {
        patient: None,
        provider: Some(asked.provider.clone()),
        status: None,
        from: away.starts_at,
        before: away.ends_at,
        in_conflict: false,
        want: Want::Openable,
        window: asked.window.clone(),
    }
}

/// What came of those that were looked at.
#[derive(Default)]
struct Done {
    appointments: Vec<RescheduleOutcome>,
    moved: usize,
    /// The last of them, if there are others.
    next: Option<Key>,
}

impl Done {
    fn is_enough(&self) -> bool {
        self.moved >= RESCHEDULED_MAX || self.appointments.len() >= LOOKED_AT_MAX
    }
}

/// Moves what is open, of what the caller sees, one after the other. What is over or called off counts for nothing, and what cannot be moved not as moved:
/// whoever goes on with the cursor comes to the end, and whoever asks anew does too, unless more than are looked at cannot be moved.
async fn each(
    api: &Api,
    caller: &Caller,
    mut search: Search,
    instead: &mut Instead<'_>,
) -> Result<Done, Error> {
    let seeker = Seeker::of(&api.db, caller, DataClass::Appointments)?;
    let (mut done, mut picked, mut last) = (Done::default(), Vec::new(), None);
    loop {
        let mut tx = api.db.read().await?;
        let rows = appointment_search(&mut tx, &api.db, &search, seeker.as_ref()).await?;
        drop(tx);
        let is_last = !search.window.is_filled_by(rows.len());
        for (key, kept) in rows {
            search.window.after = Some(key.clone());
            if !is_open(kept.appointment.status) {
                continue;
            }
            if done.is_enough() {
                done.next = last;
                return Ok(done);
            }
            trail::concerns(kept.appointment.patient.as_str());
            let outcome = one(api, caller, &kept, instead, &mut picked).await?;
            done.moved += usize::from(outcome.to.is_some());
            done.appointments.push(outcome);
            last = Some(key);
        }
        if is_last {
            return Ok(done);
        }
    }
}

async fn one(
    api: &Api,
    caller: &Caller,
    kept: &Kept,
    instead: &mut Instead<'_>,
    picked: &mut Vec<Span>,
) -> Result<RescheduleOutcome, Error> {
    let mut tx = api.db.read().await?;
    let may = api.check_may_change(&mut tx, caller, kept).await;
    drop(tx);
    match may {
        Err(Error::Forbidden(_)) => return Ok(left(kept, "not-permitted")),
        may => may?,
    }
    let Ok(status) = follow(kept.appointment.status, AppointmentStatus::Rescheduled) else {
        return Ok(left(kept, "not-possible"));
    };
    for _ in 0..ATTEMPTS_MAX {
        let Some(slot) = nearest(api, kept, instead, picked).await? else { return Ok(left(kept, "no-slot")) };
        let after = moved(&kept.appointment, &slot, instead, status);
        let span = Span::of_minutes(slot.starts_at, after.plan.minutes);
        let outcome = if instead.dry_run { Ok(true) } else { save(api, caller, kept, &after, instead).await };
        match outcome {
            Ok(true) => {
                picked.push(after.buffers.around(span));
                let (to, provider) = (Some(slot.view()), Some(after.plan.provider.clone()));
                return Ok(RescheduleOutcome { to, to_provider_id: provider, ..left(kept, "moved") });
            }
            // By hours that are others now nobody is booked: they are asked for anew.
            Ok(false) => match api.schedule(instead.provider).await? {
                Some(schedule) => instead.schedule = schedule,
                None => return Ok(left(kept, "no-slot")),
            },
            // Somebody else was faster: the next one then.
            Err(Error::Overlap(_)) => {}
            Err(Error::Changed | Error::NotFound) => return Ok(left(kept, "changed")),
            Err(error) => return Err(error),
        }
    }
    Ok(left(kept, "no-slot"))
}

fn left(kept: &Kept, outcome: &str) -> RescheduleOutcome {
    let Plan { date, time, minutes, location, .. } = &kept.appointment.plan;
    RescheduleOutcome {
        appointment_id: kept.id.clone(),
        from: Slot {
            date: date.to_string(),
            time_slot: time_text(*time),
            duration_minutes: *minutes,
            location_id: location.clone(),
        },
        to: None,
        to_provider_id: None,
        outcome: outcome.to_owned(),
    }
}

/// The free slot nearest to when it was, and not while the provider is away.
async fn nearest(
    api: &Api,
    kept: &Kept,
    instead: &Instead<'_>,
    picked: &[Span],
) -> Result<Option<FreeSlot>, Error> {
    let (asked, now): (_, DateTime<Utc>) = (kept.starts_at, api.now());
    let range =
        Span { starts_at: (asked - BEFORE).max(now), ends_at: asked.max(instead.away.ends_at) + AFTER };
    let appointment = &kept.appointment;
    let mut tx = api.db.read().await?;
    let mut taken =
        taken(&mut tx, instead.provider, Some(&appointment.patient), range, Some(&kept.id)).await?;
    drop(tx);
    taken.extend_from_slice(picked);
    if instead.is_same {
        taken.push(instead.away);
    }
    let Plan { minutes, visit_type, location, .. } = &appointment.plan;
    // Another provider has other locations.
    let location = location.as_deref().filter(|_| instead.is_same);
    let sought = instead.schedule.sought(*minutes, visit_type.as_deref(), location);
    let slots = free(&instead.schedule, taken, range, &sought);
    Ok(slots.into_iter().min_by_key(|slot| ((slot.starts_at - asked).abs(), slot.starts_at)))
}

fn moved(
    appointment: &Appointment,
    slot: &FreeSlot,
    instead: &Instead<'_>,
    status: AppointmentStatus,
) -> Appointment {
    let plan = Plan {
        provider: instead.provider.clone(),
        date: slot.date(),
        time: slot.time(),
        location: slot.location().map(str::to_owned),
        ..appointment.plan.clone()
    };
    let conflict = appointment.conflict.filter(|conflict| instead.is_same && conflict.outlasts_a_move());
    let buffers = instead.schedule.buffers_of(plan.visit_type.as_deref());
    // A free slot lies within the hours: nothing of it is to be kept.
    let kept = Vec::new();
    Appointment { plan, zone: slot.zone(), status, conflict, buffers, kept, ..appointment.clone() }
}

/// Writes it; not, if what was decided on is not the schedule of who is seen instead any more.
async fn save(
    api: &Api,
    caller: &Caller,
    kept: &Kept,
    after: &Appointment,
    instead: &Instead<'_>,
) -> Result<bool, Error> {
    let what = notice::event((&kept.id, kept.version + 1), Some(&kept.appointment), after, false);
    db::retrying(&api.db, async |mut tx| {
        appointment_lock(&mut tx, after).await?;
        match check_heard(&mut tx, instead.provider, &instead.schedule).await {
            Err(Error::Changed) => return Ok(false),
            is_same => is_same?,
        }
        appointment_update(&mut tx, &api.db, kept, after, &caller.user).await?;
        api.publish(&mut tx, what.clone()).await?;
        tx.commit().await?;
        Ok::<_, Error>(true)
    })
    .await
}
