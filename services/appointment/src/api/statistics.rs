//! `GET /api/appointments/statistics`

use contracts::appointments::AppointmentStatistics;
use contracts::statistics::{StatisticsFormat, StatisticsReport};
use http_kit::{Answer, Call, Reach};

use super::Api;
use crate::domain::statistics::{Search, csv, svg};
use crate::error::Error;
use crate::store::statistics::statistics_tally;

/// Counts appointments, for who works here: of nobody in particular, so of all, whoever shares what.
pub async fn statistics(
    api: Api,
    call: Call<AppointmentStatistics>,
) -> Result<Answer<AppointmentStatistics>, Error> {
    if call.caller.reach() != Reach::Everyone || !call.caller.is_staff() {
        return Err(Error::Forbidden("Appointments are counted for who works here."));
    }
    let search = Search::parse(&call.query, api.zone, api.now())?;
    let mut tx = api.db.read().await?;
    let report = statistics_tally(&mut tx, &api.db, search).await?.report();
    let answer = match call.query.format {
        StatisticsFormat::Json => Answer::new(StatisticsReport::Json(Box::new(report))),
        StatisticsFormat::Csv => Answer::new(StatisticsReport::Text(csv(&report)))
            .of_type("text/csv; charset=utf-8")
            .file("appointments.csv"),
        StatisticsFormat::Svg => Answer::new(StatisticsReport::Text(svg(&report))).of_type("image/svg+xml"),
    };
    Ok(answer)
}
