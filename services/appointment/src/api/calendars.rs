//! `GET /api/appointments/calendars`: for staff, and of a clinician's own; and `POST /api/appointments/calendars/google/{watchId}`, for Google.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use contracts::appointments::{ListOutsideCalendars, OutsideCalendarChanged};
use contracts::id::ProviderId;
use contracts::outside_calendars::{ChangeHeard, OutsideCalendar};
use contracts::page::Page;
use db::Tx;
use http_kit::{Answer, Call, Caller, Reach};
use settings::CalendarSettings;

use super::Api;
use crate::domain::feed::time;
use crate::error::Error;
use crate::jobs::outside::to_come;
use crate::outside::target_hash;
use crate::store::outside::calendar_standing;
use crate::store::outside_event::events_due;
use crate::store::outside_watch::{watch_heard, watch_token};

/// The calendars outside, and how far each is.
pub async fn calendars(
    api: Api,
    call: Call<ListOutsideCalendars>,
) -> Result<Answer<ListOutsideCalendars>, Error> {
    if call.caller.reach() != Reach::Everyone {
        return Err(Error::Forbidden("Which calendars the clinic is kept in step with is for its staff."));
    }
    let mut tx = api.db.read().await?;
    let mut items = Vec::with_capacity(api.calendars.len());
    for settings in api.calendars.iter().filter(|settings| is_for(&call.caller, settings)) {
        items.push(shown(&api, &mut tx, settings).await?);
    }
    Ok(Answer::new(Page { items, next_cursor: None }))
}

/// Whether it is a caller's to see: a clinician's own, and everybody else's on the staff.
fn is_for(caller: &Caller, settings: &CalendarSettings) -> bool {
    let own = caller.provider_id.as_ref().map(ProviderId::as_str);
    !caller.is_carer() || (own.is_some() && own == settings.provider_id.as_deref())
}

async fn shown(api: &Api, tx: &mut Tx, settings: &CalendarSettings) -> Result<OutsideCalendar, Error> {
    // One that had the name before says nothing of this one.
    let target = target_hash(&api.db, settings)?;
    let standing = calendar_standing(tx, &settings.name, &target).await?;
    let provider = settings.provider_id.as_deref();
    let pending = events_due(tx, &settings.name, provider, to_come(api.now())).await?;
    Ok(OutsideCalendar {
        name: settings.name.clone(),
        provider_id: settings.provider_id.clone(),
        kind: if settings.caldav.is_some() { "CalDAV" } else { "Google" }.to_owned(),
        state: standing.state.name().to_owned(),
        error: standing.error,
        last_sync_at: standing.last_sync_at.map(time),
        pending: u32::try_from(pending).unwrap_or(u32::MAX),
        told_until: standing.told_until.filter(|until| *until > api.now()).map(time),
    })
}

/// Has a calendar looked at now, since it says that it has changed. What it says besides is not read. Without the channel's token the answer is the same
/// as if there were no such channel.
pub async fn changed(
    api: Api,
    call: Call<OutsideCalendarChanged>,
) -> Result<Answer<OutsideCalendarChanged>, Error> {
    let (watch,) = &call.path;
    let (token, told) = (watch_token(&api.db, watch)?, call.signature.as_deref().unwrap_or_default());
    let is_it = verify_slices_are_equal(token.as_bytes(), told.as_bytes()).is_ok();
    if is_it && watch_heard(&api.db, watch).await? {
        return Ok(Answer::new(ChangeHeard { status: "Heard".to_owned() }));
    }
    Err(Error::NotFound)
}
