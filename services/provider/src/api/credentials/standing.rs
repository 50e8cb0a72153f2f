//! Whether a provider takes bookings.

use chrono::NaiveDate;
use contracts::credentials::NotBookable;
use contracts::id::ProviderId;
use db::Tx;

use crate::store::credential::credentials_stop;
use crate::store::exclusion::exclusion_stops;

/// Why a provider can be booked no more on a date at their place, whatever job did or did not run.
pub async fn not_bookable(
    tx: &mut Tx,
    provider: &ProviderId,
    today: NaiveDate,
) -> Result<Option<NotBookable>, db::Error> {
    if let Some(why) = credentials_stop(tx, provider, today).await? {
        return Ok(Some(why));
    }
    Ok(exclusion_stops(tx, provider).await?.then_some(NotBookable::Excluded))
}
