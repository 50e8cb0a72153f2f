//! `POST /api/notifications/{notificationId}/replay`, `GET /api/notifications/statistics`, and the list of suppressions.

use chrono::{Days, NaiveDate, NaiveTime};
use contracts::deliveries::{NotificationCount, NotificationStatistics, SuppressionLifted};
use contracts::field;
use contracts::notifications::{
    CountNotifications, LiftSuppression, ListSuppressions, NotificationSent, NotificationStatus,
    ReplayNotification,
};
use contracts::page::Page;
use contracts::problem::{Faults, Problem, ProblemCode};
use contracts::trail;
use http_kit::page::Window;
use http_kit::{Answer, Call, access};

use super::Api;
use crate::domain::delivery::Cause;
use crate::error::Error;
use crate::store::engagement::notifications_effects;
use crate::store::notification::{Sealed, notification_find};
use crate::store::outcome::{notification_replay, notifications_count};
use crate::store::suppression::{Suppression, suppression_find, suppression_lift, suppression_list};

/// Days that the figures are of, if nothing else is asked for; and at most.
const DAYS: u64 = 30;
const DAYS_MAX: u64 = 400;
const REASON_CHARS_MAX: usize = 200;

/// Hands on once more what has failed, for another day.
pub async fn replay(api: Api, call: Call<ReplayNotification>) -> Result<Answer<ReplayNotification>, Error> {
    let (id,) = call.path;
    let mut faults = Faults::new();
    let reason = call.body.reason.as_deref().map(|reason| field::line(reason, REASON_CHARS_MAX)).transpose();
    let reason = faults.take("reason", reason);
    if let Some(reason) = faults.finish(reason)? {
        trail::because(&reason);
    }
    let mut tx = api.db.read().await?;
    let found = notification_find(&mut tx, &id).await?.ok_or(Error::NotFound)?;
    if let Some(patient) = found.patient() {
        trail::concerns(patient.as_str());
        if !access::reaches(&mut tx, &call.caller, &patient).await? {
            return Err(Error::NotFound);
        }
    } else if call.caller.is_carer() {
        return Err(Error::NotFound);
    }
    drop(tx);
    call.if_match.check(found.version())?;
    if !api.delivery.has_way(found.channel().ok_or(Error::NotFound)?) {
        return Err(transition("The stack has nothing that would take it.").into());
    }
    let patient = Sealed::patient(&found);
    let answer = db::retrying(&api.db, async |mut tx| {
        super::lock_patient(&mut tx, patient.as_ref()).await?;
        let version = notification_replay(&mut tx, &id).await?;
        let version = version.ok_or_else(|| transition("Only what has failed is handed on once more."))?;
        let sent = NotificationSent { status: NotificationStatus::Queued, notification_id: id.clone() };
        let answer = Answer::new(sent).located_at(format!("/api/notifications/{id}")).version(version);
        call.receipt.commit(tx, &answer).await?;
        Ok::<_, Error>(answer)
    })
    .await?;
    api.delivery.wake();
    Ok(answer)
}

fn transition(detail: &str) -> Problem {
    Problem::new(ProblemCode::InvalidTransition).detail(detail)
}

/// Counts notifications by channel and by where they stand.
pub async fn statistics(
    api: Api,
    call: Call<CountNotifications>,
) -> Result<Answer<CountNotifications>, Error> {
    let today = api.db.clock().now().date_naive();
    let (from, to) = stretch(call.query.from.as_deref(), call.query.to.as_deref(), today)?;
    let start = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
    let until = to.checked_add_days(Days::new(1)).unwrap_or(to);
    let mut tx = api.db.read().await?;
    let counts = notifications_count(&mut tx, (start(from), start(until))).await?;
    let effects = notifications_effects(&mut tx, (start(from), start(until))).await?;
    let item = |(channel, status, count)| NotificationCount { channel, status, count };
    let items = counts.into_iter().map(item).collect();
    Ok(Answer::new(NotificationStatistics { from: from.to_string(), to: to.to_string(), items, effects }))
}

fn stretch(
    from: Option<&str>,
    to: Option<&str>,
    today: NaiveDate,
) -> Result<(NaiveDate, NaiveDate), Problem> {
    let mut faults = Faults::new();
    let from = faults.take("from", from.map(field::date).transpose());
    let to = faults.take("to", to.map(field::date).transpose());
    let days = from.zip(to).map(|(from, to)| {
        let to = to.unwrap_or(today);
        (from.unwrap_or_else(|| to.checked_sub_days(Days::new(DAYS - 1)).unwrap_or(to)), to)
    });
    if let Some((from, to)) = days {
        if from > to {
            faults.add("from", "must not be after to");
        } else if from.checked_add_days(Days::new(DAYS_MAX)).is_none_or(|end| end <= to) {
            faults.add("to", format!("must be less than {DAYS_MAX} days after from"));
        }
    }
    faults.finish_query(days)
}

/// Lists addresses that are written to no more.
pub async fn suppressions(api: Api, call: Call<ListSuppressions>) -> Result<Answer<ListSuppressions>, Error> {
    let mut faults = Faults::new();
    let window = Window::parse(call.query.limit, call.query.cursor.as_deref(), &mut faults);
    let window = faults.finish_query(window)?;
    let mut tx = api.db.read().await?;
    let found = suppression_list(&mut tx, &api.db, call.query.to.as_deref(), &window).await?;
    let page = window.page(found.into_iter().map(|it| (it.key(), it)).collect());
    let items = page.items.iter().filter_map(Suppression::view).collect();
    Ok(Answer::new(Page { items, next_cursor: page.next_cursor }))
}

/// Writes to an address again; but to a number that said STOP only when its owner says START: the carriers hold it back until then.
pub async fn lift(api: Api, call: Call<LiftSuppression>) -> Result<Answer<LiftSuppression>, Error> {
    let (id,) = call.path;
    let mut tx = api.db.begin().await?;
    let found = suppression_find(&mut tx, &id).await?.ok_or(Error::NotFound)?;
    if found.cause() == Some(Cause::Stop) {
        return Err(transition("Whoever has the number said STOP, and lifts it by START.").into());
    }
    suppression_lift(&mut tx, &id).await?;
    tx.commit().await?;
    Ok(Answer::new(SuppressionLifted { suppression_id: id, status: "Lifted".to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_of_days_in_order_and_of_a_year_or_so() {
        let today: NaiveDate = "2026-01-15".parse().unwrap();
        let days = |from: &str, to: &str| stretch(Some(from), Some(to), today);
        assert_eq!(stretch(None, None, today).unwrap(), ("2025-12-17".parse().unwrap(), today));
        assert!(days("2026-01-01", "2026-01-01").is_ok());
        for (from, to) in [
            ("2026-01-02", "2026-01-01"),
            ("2016-01-01", "2026-01-01"),
            ("x", "2026-01-01"),
            ("2026-01-01", "2026-02-30"),
        ] {
            assert!(days(from, to).is_err(), "{from} {to}");
        }
    }
}
