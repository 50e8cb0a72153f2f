//! Until when something holds: a last day, where the clinic is, or until further notice.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;
use contracts::field::{self, BadField};

/// Until further notice: a day that nothing lasts to.
const FURTHER_NOTICE: NaiveDate = NaiveDate::from_ymd_opt(9999, 12, 30).expect("a day");

/// The last day that `until` names, if it names one.
pub fn last_day(until: Option<&str>, today: NaiveDate) -> Result<Option<NaiveDate>, BadField> {
    let day = until.map(field::date).transpose()?;
    if day.is_some_and(|day| day < today) {
        return Err(BadField::new("must not be past"));
    }
    Ok(day)
}

/// When a last day is over; without one, what holds until further notice.
pub fn end_of(last_day: Option<NaiveDate>, zone: Tz) -> DateTime<Utc> {
    let day = last_day.unwrap_or(FURTHER_NOTICE);
    let next = day.checked_add_days(Days::new(1)).unwrap_or(day).and_time(NaiveTime::MIN);
    // Where clocks leave midnight out that day, the day ends as the clock jumps; what UTC calls midnight is near enough.
    next.and_local_timezone(zone).earliest().map_or_else(|| next.and_utc(), |end| end.with_timezone(&Utc))
}
