//! `POST /api/appointments/series`, and `GET` of one.

use std::collections::BTreeSet;

use contracts::appointments::{BookSeries, SeriesById, Warning};
use contracts::consents::DataClass;
use contracts::id::{AppointmentId, SeriesId};
use contracts::page::Page;
use contracts::permission::Permission;
use contracts::problem::{Faults, ProblemCode};
use contracts::series::{OccurrenceRefused, Series as Shown, SeriesAppointment, SeriesBooked};
use contracts::trail;
use db::Tx;
use http_kit::export::Wanted as Exported;
use http_kit::{Answer, Call, Caller, access};
use serde::Serialize;

use super::{Api, SCHEDULE_ATTEMPTS_MAX, Wanted, check_bookable, check_heard, is_with, sees};
use crate::domain::appointment::Appointment;
use crate::domain::feed::time;
use crate::domain::notice;
use crate::domain::series::{Asked, Kept, Occurrence, Series};
use crate::domain::span::Span;
use crate::domain::taken::Room;
use crate::domain::week::Schedule;
use crate::error::Error;
use crate::store::among::Want;
use crate::store::appointment::{Kept as KeptAppointment, appointment_insert, appointment_lock};
use crate::store::series::{series_appointments, series_find, series_insert, series_of_patient};
use crate::store::taken::taken_by;

/// Books a series: all of it, or what can be had if that is asked for, or nothing. What is taken is looked at under the locks, so that it stays so.
pub async fn book(api: Api, call: Call<BookSeries>) -> Result<Answer<BookSeries>, Error> {
    let asked = Asked::parse(&call.body)?;
    let id = SeriesId::generate(api.db.random());
    for _ in 1..SCHEDULE_ATTEMPTS_MAX {
        match attempt(&api, &call, &asked, &id).await {
            Err(Error::Changed) => {}
            outcome => return outcome,
        }
    }
    attempt(&api, &call, &asked, &id).await
}

async fn attempt(
    api: &Api,
    call: &Call<BookSeries>,
    asked: &Asked,
    id: &SeriesId,
) -> Result<Answer<BookSeries>, Error> {
    let (occurrences, schedule) = placed(api, &call.caller, asked, id).await?;
    check_bookable(&call.caller, &schedule)?;
    let series = Series {
        provider: asked.plan.provider.clone(),
        rrule: asked.rule.as_str().to_owned(),
        by: call.caller.user.clone(),
    };
    let kept = Kept { id: id.clone(), patient: asked.patient.clone(), created_at: api.now(), series };
    let outcome = db::retrying(&api.db, async |mut tx| {
        let Some(first) = occurrences.first() else { return Err(Error::NotFound) };
        appointment_lock(&mut tx, &first.appointment).await?;
        check_heard(&mut tx, &asked.plan.provider, &schedule).await?;
        let (good, refused) = judged(api, &mut tx, &call.caller, &occurrences, &schedule).await?;
        if good.is_empty() || !refused.is_empty() && !asked.allow_partial {
            return Err(Error::SeriesOverlap(refused));
        }
        series_insert(&mut tx, &api.db, &kept).await?;
        let mut appointments = Vec::with_capacity(good.len());
        let mut warnings = Warnings::default();
        for (occurrence, room) in good {
            warnings.note_room(room);
            let unusual = warnings.note(api, occurrence, &schedule);
            appointments.push(one(api, &mut tx, &call.caller, occurrence, unusual).await?);
        }
        let status = "Created".to_owned();
        let booked = SeriesBooked {
            series_id: id.clone(),
            status,
            appointments,
            skipped: refused,
            warnings: warnings.shown(),
        };
        let answer = Answer::new(booked).located(id);
        call.receipt.commit(tx, &answer).await?;
        Ok(answer)
    })
    .await;
    match outcome {
        Err(Error::SeriesOverlap(refused)) => {
            Err(Error::SeriesOverlap(with_offers(api, &occurrences, refused, &schedule).await?))
        }
        outcome => outcome,
    }
}

async fn one(
    api: &Api,
    tx: &mut Tx,
    caller: &Caller,
    occurrence: &Occurrence,
    is_unusual: bool,
) -> Result<SeriesAppointment, Error> {
    let id = AppointmentId::generate(api.db.random());
    let Occurrence { appointment, span, .. } = occurrence;
    appointment_insert(tx, &api.db, &id, appointment, *span, &caller.user).await?;
    api.publish(tx, notice::event((&id, 1), None, appointment, is_unusual)).await?;
    Ok(shown(id, appointment))
}

pub(super) fn shown(appointment_id: AppointmentId, appointment: &Appointment) -> SeriesAppointment {
    SeriesAppointment {
        appointment_id,
        appointment_date: appointment.plan.date.to_string(),
        time_slot: contracts::field::time_text(appointment.plan.time),
    }
}

/// The times of the series at its provider's place, if patient and provider are there.
async fn placed(
    api: &Api,
    caller: &Caller,
    asked: &Asked,
    id: &SeriesId,
) -> Result<(Vec<Occurrence>, Schedule), Error> {
    trail::concerns(asked.patient.as_str());
    let reaches = api.may_book(caller, &asked.patient).await?;
    let (patient, schedule) =
        tokio::join!(api.peers.has_patient(&asked.patient), api.schedule(&asked.plan.provider));
    let mut faults = Faults::new();
    if !(patient? && reaches) {
        faults.add("patientId", "must be the id of a patient");
    }
    let schedule = faults.take("providerId", schedule?.ok_or("must be the id of a provider"));
    let placed = schedule.and_then(|schedule| {
        let mut occurrences = asked.occurrences(id, &schedule, &mut faults)?;
        for Occurrence { appointment, span, .. } in &mut occurrences {
            // Staff who book it know of it: it is not flagged again.
            appointment.kept = appointment.causes(&schedule, *span);
        }
        Some((occurrences, schedule))
    });
    Ok(faults.finish(placed)?)
}

/// Which of the times can be had, and how much room there is, and which not: what is taken nobody gets, and what is past, outside the hours or too close
/// to what is beside it no patient.
async fn judged<'a>(
    api: &Api,
    tx: &mut Tx,
    caller: &Caller,
    occurrences: &'a [Occurrence],
    schedule: &Schedule,
) -> Result<(Vec<(&'a Occurrence, Room)>, Vec<OccurrenceRefused>), Error> {
    let (mut good, mut refused) = (Vec::new(), Vec::new());
    let (Some(first), Some(last)) = (occurrences.first(), occurrences.last()) else {
        return Ok((good, refused));
    };
    let range = Span { starts_at: first.span.starts_at, ends_at: last.span.ends_at };
    let Appointment { plan, patient, .. } = &first.appointment;
    let taken = taken_by(tx, &plan.provider, Some(patient), range).await?;
    for occurrence in occurrences {
        let room = Room::among(&taken, occurrence.span, occurrence.appointment.buffers);
        let at = (occurrence.span, plan.location.as_deref());
        let is_unusual = !notice::warnings(schedule, at, api.now()).is_empty();
        match why_not(caller, room, is_unusual) {
            Some(code) => refused.push(refusal(&occurrence.appointment, code)),
            None => good.push((occurrence, room)),
        }
    }
    Ok((good, refused))
}

/// Why a time of a series cannot be had, as it could not be booked by itself; `None`: it can.
pub(super) fn why_not(caller: &Caller, room: Room, is_unusual: bool) -> Option<ProblemCode> {
    let is_staff = caller.is_staff();
    match room {
        Room::None => Some(ProblemCode::AppointmentOverlap),
        Room::Close if !is_staff => Some(ProblemCode::AppointmentOverlap),
        Room::Close | Room::Enough => (is_unusual && !is_staff).then_some(ProblemCode::OutsideHours),
    }
}

pub(super) fn refusal(appointment: &Appointment, code: ProblemCode) -> OccurrenceRefused {
    OccurrenceRefused {
        date: appointment.plan.date.to_string(),
        time_slot: contracts::field::time_text(appointment.plan.time),
        duration_minutes: appointment.plan.minutes,
        code: code.to_string(),
        slots: Vec::new(),
    }
}

/// What is refused, each with the free slots near it.
async fn with_offers(
    api: &Api,
    occurrences: &[Occurrence],
    mut refused: Vec<OccurrenceRefused>,
    schedule: &Schedule,
) -> Result<Vec<OccurrenceRefused>, Error> {
    for refusal in &mut refused {
        let is_it = |occurrence: &&Occurrence| {
            let plan = &occurrence.appointment.plan;
            plan.date.to_string() == refusal.date
                && contracts::field::time_text(plan.time) == refusal.time_slot
        };
        let Some(occurrence) = occurrences.iter().find(is_it) else { continue };
        let wanted = Wanted::of(&occurrence.appointment, None, occurrence.span, schedule);
        refusal.slots = api.offers(&wanted).await?;
    }
    Ok(refused)
}

/// What staff should know of a series: each kind once, and how often.
#[derive(Default)]
pub(super) struct Warnings {
    codes: BTreeSet<String>,
    warnings: Vec<Warning>,
}

impl Warnings {
    /// Notes what is unusual about one of its times; whether anything is.
    fn note(&mut self, api: &Api, occurrence: &Occurrence, schedule: &Schedule) -> bool {
        if occurrence.is_put_off {
            let plan = &occurrence.appointment.plan;
            let message = format!(
                "Clocks are set forward on {}: that appointment begins at {}.",
                plan.date,
                contracts::field::time_text(plan.time)
            );
            self.warnings.push(Warning { code: "clocks-set-forward".to_owned(), message });
        }
        self.judge(api, schedule, (occurrence.span, occurrence.appointment.plan.location.as_deref()))
    }

    pub(super) fn judge(&mut self, api: &Api, schedule: &Schedule, at: (Span, Option<&str>)) -> bool {
        let unusual = notice::warnings(schedule, at, api.now());
        let is_unusual = !unusual.is_empty();
        for warning in unusual {
            self.add(warning);
        }
        is_unusual
    }

    /// Notes that little time is left around one of its times, if it is so.
    pub(super) fn note_room(&mut self, room: Room) {
        if room == Room::Close {
            self.add(notice::buffer());
        }
    }

    fn add(&mut self, warning: Warning) {
        if self.codes.insert(warning.code.clone()) {
            self.warnings.push(warning);
        }
    }

    pub(super) fn shown(self) -> Vec<Warning> {
        self.warnings
    }
}

/// Retrieves a series.
pub async fn by_id(api: Api, call: Call<SeriesById>) -> Result<Answer<SeriesById>, Error> {
    let (id,) = &call.path;
    let mut tx = api.db.read().await?;
    let (kept, of_series) = visible(&api, &mut tx, &call.caller, (id, Want::Openable)).await?;
    let view = call.caller.view(Permission::AppointmentsReason, &kept.patient);
    let appointments =
        of_series.iter().map(|of| of.appointment.view(&of.id, sees(&call.caller, &of.appointment))).collect();
    Ok(Answer::new(Shown {
        series_id: id.clone(),
        patient_id: kept.patient.to_string(),
        provider_id: kept.series.provider.to_string(),
        rrule: kept.series.rrule.clone(),
        created_at: time(kept.created_at),
        appointments,
    })
    .version(version(&of_series))
    .shown(view))
}

/// Counts the changes of all that the caller sees of a series.
pub(super) fn version(appointments: &[KeptAppointment]) -> i64 {
    appointments.iter().map(|of| of.version).sum()
}

/// The series and its appointments, if there is one and the caller may know of it, as of an appointment of it.
pub(super) async fn visible(
    api: &Api,
    tx: &mut Tx,
    caller: &Caller,
    (id, want): (&SeriesId, Want),
) -> Result<(Kept, Vec<KeptAppointment>), Error> {
    let sealed = series_find(tx, id).await?;
    if let Some(sealed) = &sealed {
        trail::concerns(sealed.patient().as_str());
    }
    let patient = sealed.as_ref().map_or_else(
        || contracts::id::PatientId::trusted(String::new()),
        crate::store::series::Sealed::patient,
    );
    let shows = access::shows(tx, &api.db, caller, DataClass::Appointments, &patient).await?;
    let kept = match sealed {
        Some(sealed) => sealed.open(&api.db).await?,
        None => None,
    };
    let kept =
        kept.filter(|kept| shows || is_with(caller, kept.series.provider.as_str())).ok_or(Error::NotFound)?;
    let mut appointments = series_appointments(tx, &api.db, id, want).await?;
    // Those that were moved to another provider, whom the caller is not.
    appointments.retain(|of| shows || is_with(caller, of.appointment.plan.provider.as_str()));
    Ok((kept, appointments))
}

/// A series as it goes into an export.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Exportable {
    series_id: SeriesId,
    provider_id: String,
    rrule: String,
    created_at: String,
    created_by: String,
}

/// A patient's series, for the export of all that is held of them.
pub(super) async fn of_patient(api: Api, wanted: Exported) -> Result<Page<Exportable>, Error> {
    let window = wanted.window()?;
    let mut tx = api.db.read().await?;
    let page = window.page(series_of_patient(&mut tx, &api.db, &wanted.patient, &window).await?);
    let exportable = |Kept { id, created_at, series, .. }: Kept| Exportable {
        series_id: id,
        provider_id: series.provider.to_string(),
        rrule: series.rrule,
        created_at: time(created_at),
        created_by: series.by,
    };
    Ok(Page { items: page.items.into_iter().map(exportable).collect(), next_cursor: page.next_cursor })
}

/// Where to look for what is taken by several times.
pub(super) fn around(spans: &[Span]) -> Option<Span> {
    let starts_at = spans.iter().map(|span| span.starts_at).min()?;
    let ends_at = spans.iter().map(|span| span.ends_at).max()?;
    Some(Span { starts_at, ends_at })
}

/// The free slots near a time of a series.
pub(super) async fn offers_near(
    api: &Api,
    appointment: &Appointment,
    id: &AppointmentId,
    schedule: &Schedule,
) -> Result<Vec<contracts::appointments::Slot>, Error> {
    let span = appointment.span()?;
    api.offers(&Wanted::of(appointment, Some(id), span, schedule)).await
}
