//! Restricted bills as what is kept of deleted patients: when their years are over, they go.

use std::sync::Arc;

use chrono::{DateTime, Datelike, Utc};
use db::{Db, Error, Fate, RetainedGroup, Settled, Tx, Years, on, sql};
use http_kit::kit::BoxFuture;
use http_kit::retention::Shelf;
use sqlx::FromRow;

use crate::store::bill::{Sealed, bill_clear, bill_delete, bill_restrict, keeping};
use crate::store::erase::bill_hold;

/// Where restricted bills stand.
pub struct Bills {
    /// The database.
    pub db: Db,
    /// For how many years they are kept.
    pub years: Years,
    /// The stack's.
    pub currency: Arc<str>,
}

#[derive(FromRow)]
struct Row {
    from_year: Option<i64>,
    updated_at: DateTime<Utc>,
    #[sqlx(flatten)]
    sealed: Sealed,
}

impl Bills {
    fn said(&self) -> (bool, i64) {
        (self.years.is_some(), i64::from(self.years.unwrap_or_default()))
    }

    async fn all(&self, tx: &mut Tx, patient: Option<&str>) -> Result<Vec<RetainedGroup>, Error> {
        let now = tx.now();
        Ok(on!(tx, |conn| {
            sqlx::query_as(sql!(
            "select 'bills' as kind, coalesce(b.from_year, $4) as from_year, b.until_year, cast(null as bigint) as hold, \
                 min(h.version) as on_hold, count(*) as count \
             from bill b left join legal_hold h \
                 on h.patient = b.patient_id and h.is_active and (h.until is null or h.until > $1) \
             where b.restricted and b.deleted_at is null and ($2 or b.patient_id = $3) \
             group by b.from_year, b.until_year, h.patient is null order by b.from_year, b.until_year"
        ))
        .bind(now)
        .bind(patient.is_none())
        .bind(patient.unwrap_or_default())
        .bind(i64::from(now.year()))
        .fetch_all(conn)
        .await
        })?)
    }
}

impl Shelf for Bills {
    fn years(&self) -> Years {
        self.years
    }

    fn groups<'a>(
        &'a self,
        tx: &'a mut Tx,
        patient: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Vec<RetainedGroup>, Error>> {
        Box::pin(self.all(tx, patient))
    }

    /// Due is a bill whose years have no beginning (the version before this one restricted it), or are over, or of which the clinic has said others by
    /// now.
    fn due<'a>(
        &'a self,
        tx: &'a mut Tx,
        after: &'a str,
        count_max: i64,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        let (year, (is_said, years)) = (db::retention_year(tx.now()), self.said());
        Box::pin(async move {
            Ok(on!(tx, |conn| sqlx::query_scalar(sql!(
                "select distinct b.patient_id from bill b \
                 where b.restricted and b.deleted_at is null and b.patient_id > $4 \
                     and (b.from_year is null or b.until_year < $1 or b.until_year is not null and not $2 \
                         or $2 and (b.until_year is null or b.until_year < b.from_year + $3)) \
                 order by b.patient_id limit $5"
            ))
            .bind(year)
            .bind(is_said)
            .bind(years)
            .bind(after)
            .bind(count_max)
            .fetch_all(conn)
            .await)?)
        })
    }

    fn settle<'a>(
        &'a self,
        tx: &'a mut Tx,
        patient: &'a str,
        hold: Option<i64>,
        count_max: i64,
    ) -> BoxFuture<'a, Result<Settled, Error>> {
        Box::pin(async move {
            let rows = self.due_of(tx, patient, count_max).await?;
            let mut settled = Settled { seen: rows.len(), gone: Vec::new() };
            for row in rows {
                if self.settle_one(tx, row, hold).await? {
                    settled.count("bills");
                }
            }
            Ok(settled)
        })
    }
}

impl Bills {
    async fn due_of(&self, tx: &mut Tx, patient: &str, count_max: i64) -> Result<Vec<Row>, Error> {
        let (year, (is_said, years)) = (db::retention_year(tx.now()), self.said());
        Ok(on!(tx, |conn| {
            sqlx::query_as(sql!(
            "select b.id, b.version, b.created_at, b.updated_at, b.patient_id, b.restricted, b.from_year, b.until_year, b.body \
             from bill b \
             where b.restricted and b.deleted_at is null and b.patient_id = $4 \
                 and (b.from_year is null or b.until_year < $1 or b.until_year is not null and not $2 \
                     or $2 and (b.until_year is null or b.until_year < b.from_year + $3)) \
             order by b.created_at, b.id limit $5"
        ))
        .bind(year)
        .bind(is_said)
        .bind(years)
        .bind(patient)
        .bind(count_max)
        .fetch_all(conn)
        .await
        })?)
    }

    /// Whether it went.
    async fn settle_one(&self, tx: &mut Tx, row: Row, hold: Option<i64>) -> Result<bool, Error> {
        let (year, (id, version)) = (db::retention_year(tx.now()), row.sealed.head());
        let Some(kept) = row.sealed.open(&self.db).await? else {
            // Its key is gone: a copy of the data is back that is older than the keys.
            return bill_clear(tx, &id, version).await.map(|()| true);
        };
        let from_year = row.from_year.unwrap_or_else(|| i64::from(row.updated_at.year()));
        match db::fate(keeping(kept.until_year), from_year, self.years, hold, year) {
            Fate::Kept(db::Kept::Held(hold)) => {
                bill_hold(tx, &self.db, &kept, (from_year, hold), &self.currency).await?;
            }
            Fate::Kept(db::Kept::Until(until)) => {
                bill_restrict(tx, &self.db, &kept, from_year, Some(until)).await?;
            }
            Fate::Kept(db::Kept::Always) => bill_restrict(tx, &self.db, &kept, from_year, None).await?,
            Fate::Gone => return bill_delete(tx, &kept).await.map(|()| true),
        }
        Ok(false)
    }
}
