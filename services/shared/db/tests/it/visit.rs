//! A small aggregate, stored as the services store theirs.

use chrono::{DateTime, NaiveDate, Utc};
use db::{Error, Tx, on, sql};

#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Visit {
    pub(crate) id: String,
    pub(crate) room: String,
    pub(crate) seat: i64,
    pub(crate) open: bool,
    pub(crate) at: DateTime<Utc>,
    pub(crate) day: NaiveDate,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) follows: Option<String>,
}

impl Visit {
    pub(crate) fn new(id: &str, seat: i64) -> Self {
        let at = DateTime::from_timestamp_micros(1_768_467_600_123_456).unwrap();
        Self {
            id: id.to_owned(),
            room: "b2".to_owned(),
            seat,
            open: true,
            at,
            day: at.date_naive(),
            body: None,
            follows: None,
        }
    }
}

pub(crate) async fn visit_insert(tx: &mut Tx, visit: &Visit) -> Result<(), Error> {
    on!(tx, |conn| {
        sqlx::query(sql!(
        "insert into visit (id, room, seat, open, at, day, body, follows) values ($1, $2, $3, $4, $5, $6, $7, $8)"
    ))
    .bind(&visit.id)
    .bind(&visit.room)
    .bind(visit.seat)
    .bind(visit.open)
    .bind(visit.at)
    .bind(visit.day)
    .bind(&visit.body)
    .bind(&visit.follows)
    .execute(conn)
    .await
    .map(drop)
    })?;
    Ok(())
}

pub(crate) async fn visit_find(tx: &mut Tx, id: &str) -> Result<Option<Visit>, Error> {
    Ok(on!(tx, |conn| sqlx::query_as(sql!("select * from visit where id = $1"))
        .bind(id)
        .fetch_optional(conn)
        .await)?)
}

pub(crate) async fn visit_count(tx: &mut Tx) -> Result<i64, Error> {
    Ok(on!(tx, |conn| sqlx::query_scalar(sql!("select count(*) from visit")).fetch_one(conn).await)?)
}

/// Moves the visit to the next seat.
pub(crate) async fn visit_move(tx: &mut Tx, id: &str) -> Result<(), Error> {
    on!(tx, |conn| sqlx::query(sql!("update visit set seat = seat + 1 where id = $1"))
        .bind(id)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}
