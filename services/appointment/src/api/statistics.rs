//! `GET /api/appointments/statistics`

use contracts::appointments::AppointmentStatistics;
use contracts::statistics::{StatisticsFormat, StatisticsReport};
use http_kit::{Answer, Call, Caller, Reach};

use super::Api;
use crate::domain::picture::svg;
use crate::domain::statistics::{Search, Tally, csv};
use crate::error::Error;
use crate::store::statistics::statistics_tally;

/// Counts appointments, for who works here: of nobody in particular, so of all, whoever shares what.
pub async fn statistics(
    api: Api,
    call: Call<AppointmentStatistics>,
) -> Result<Answer<AppointmentStatistics>, Error> {
    check_counts(&call.caller)?;
    let search = Search::parse(&call.query, api.zone, api.now())?;
    let mut tally = Tally::new(search);
    if search.needs_specializations() {
        tally = tally.with(api.peers.specializations().await?);
    }
    let mut tx = api.db.read().await?;
    let report = statistics_tally(&mut tx, &api.db, search, tally).await?.report();
    let answer = match call.query.format {
        StatisticsFormat::Json => Answer::new(StatisticsReport::Json(Box::new(report))),
        StatisticsFormat::Csv => Answer::new(StatisticsReport::Text(csv(&report)))
            .of_type("text/csv; charset=utf-8")
            .file("appointments.csv"),
        StatisticsFormat::Svg => Answer::new(StatisticsReport::Text(svg(&report))).of_type("image/svg+xml"),
    };
    Ok(answer)
}

/// Refuses who does not work here.
pub(super) fn check_counts(caller: &Caller) -> Result<(), Error> {
    if caller.reach() != Reach::Everyone || !caller.is_staff() {
        return Err(Error::Forbidden("Appointments are counted for who works here."));
    }
    Ok(())
}
