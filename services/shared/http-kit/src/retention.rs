//! What is kept of patients who were deleted, and what takes it away when its time is over: hourly in each service, or when it is asked for.
//!
//! A service keeps things on shelves: on the one that every service has ([`Retained`], in a table of its own, out of sight), and where it has one
//! on its own. What becomes of a thing one function says ([`db::fate`]), for the run and for the dry run alike.
//!
//! Several processes of a service may run it at once: each patient is done in a transaction under the patient's lock, which looks again at what is due.

use std::sync::Arc;
use std::time::Duration;

use contracts::erasure::{Kept, Shredded};
use contracts::event::{HoldNotice, What};
use contracts::id::PatientId;
use contracts::problem::{Problem, ProblemCode};
use contracts::retention::{
    RetainedItem, RetainedPage, RetainedSearch, RetentionRequest, RetentionStatus, ServiceRetention,
};
use contracts::trail::{self, Trail};
use db::{Db, Error, Fate, RetainedGroup, Settled, Tx, Years};
use futures_util::future::BoxFuture;
use serde_json::value::RawValue;

const EVERY: Duration = Duration::from_hours(1);
/// So many patients are looked up at a time.
const PATIENTS_MAX: i64 = 100;
/// So many things are done in one transaction.
const ROWS_MAX: i64 = 100;
/// So many are taken away by one call, before the caller is told that there are more.
const CALL_MAX: usize = 2_000;
/// On one page.
const ITEMS_MAX: u8 = 50;

/// What a job leaves in the audit.
const OPERATION: &str = "retention";

/// Where a service keeps things of deleted patients.
pub trait Shelf: Send + Sync {
    /// How many years they are kept.
    fn years(&self) -> Years;
    /// How many there are, of one patient or of all, those that are kept alike together.
    fn groups<'a>(
        &'a self,
        tx: &'a mut Tx,
        patient: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Vec<RetainedGroup>, Error>>;
    /// Patients of whom something is due, from beyond `after`, so many at most.
    fn due<'a>(
        &'a self,
        tx: &'a mut Tx,
        after: &'a str,
        count_max: i64,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>>;
    /// Does what is due of one patient, so much at most, under their lock. `hold`: the version of the hold that is on them.
    fn settle<'a>(
        &'a self,
        tx: &'a mut Tx,
        patient: &'a str,
        hold: Option<i64>,
        count_max: i64,
    ) -> BoxFuture<'a, Result<Settled, Error>>;
}

/// The shelf that every service has.
struct Retained {
    db: Db,
    years: u32,
}

impl Shelf for Retained {
    fn years(&self) -> Years {
        Some(self.years)
    }

    fn groups<'a>(
        &'a self,
        tx: &'a mut Tx,
        patient: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Vec<RetainedGroup>, Error>> {
        Box::pin(db::retained_groups(tx, patient))
    }

    fn due<'a>(
        &'a self,
        tx: &'a mut Tx,
        after: &'a str,
        count_max: i64,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(db::retained_due(tx, self.years, after, count_max))
    }

    fn settle<'a>(
        &'a self,
        tx: &'a mut Tx,
        patient: &'a str,
        hold: Option<i64>,
        count_max: i64,
    ) -> BoxFuture<'a, Result<Settled, Error>> {
        Box::pin(db::retained_settle(tx, &self.db, patient, (self.years, hold), count_max))
    }
}

/// All that a service keeps of deleted patients. Cheap to clone.
#[derive(Clone)]
pub struct Retention {
    db: Db,
    shelves: Arc<Vec<Box<dyn Shelf>>>,
}

impl Retention {
    /// Of a service that keeps what it has for so many years.
    pub fn new(db: &Db, years: u32) -> Self {
        let retained: Box<dyn Shelf> = Box::new(Retained { db: db.clone(), years });
        Self { db: db.clone(), shelves: Arc::new(vec![retained]) }
    }

    /// Of a service that has a shelf of its own too. Nothing but that is kept for years.
    pub fn beside(db: &Db, own: Box<dyn Shelf>) -> Self {
        // Its own first: what a hold keeps beyond its years goes to the other.
        let retained: Box<dyn Shelf> = Box::new(Retained { db: db.clone(), years: 0 });
        Self { db: db.clone(), shelves: Arc::new(vec![own, retained]) }
    }

    /// Takes away what has had its time, again and again.
    pub async fn run(self) {
        loop {
            if let Err(error) = self.carry_out(usize::MAX).await {
                tracing::warn!(%error, "what has had its time was not all taken away");
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// What a call asks for: what would go, or it goes.
    pub async fn answer(&self, request: RetentionRequest) -> Result<ServiceRetention, Error> {
        if request.dry_run {
            let (shredded, kept) = self.plan(None).await?;
            return Ok(self.told(RetentionStatus::Done, shredded, kept));
        }
        let gone = self.carry_out(CALL_MAX).await?;
        let (left, kept) = self.plan(None).await?;
        let status = if left.is_empty() { RetentionStatus::Done } else { RetentionStatus::Unfinished };
        Ok(self.told(status, gone, kept))
    }

    fn told(&self, status: RetentionStatus, shredded: Vec<Shredded>, kept: Vec<Kept>) -> ServiceRetention {
        ServiceRetention { shredded, kept, ..ServiceRetention::unknown(self.db.service(), status) }
    }

    /// What is kept of a patient, and why.
    pub async fn kept(&self, patient: &PatientId) -> Result<Vec<Kept>, Error> {
        let (_, kept) = self.plan(Some(patient.as_str())).await?;
        Ok(kept)
    }

    /// What would go now, and what stays: of one patient, or of all.
    async fn plan(&self, patient: Option<&str>) -> Result<(Vec<Shredded>, Vec<Kept>), Error> {
        let (mut gone, mut kept) = (Vec::new(), Vec::new());
        for shelf in self.shelves.iter() {
            let mut tx = self.db.read().await?;
            let year = db::retention_year(tx.now());
            for group in shelf.groups(&mut tx, patient).await? {
                let count = group.count.unsigned_abs();
                match db::fate(group.kept(), group.from_year, shelf.years(), group.on_hold, year) {
                    Fate::Gone => add(&mut gone, &group.kind, count),
                    Fate::Kept(how) => keep(&mut kept, &group, how, count),
                }
            }
        }
        kept.sort_by(|one, other| (&one.kind, one.until).cmp(&(&other.kind, other.until)));
        Ok((gone, kept))
    }

    /// Takes away what has had its time, so much at most, and destroys the keys of years that are over. An error of one patient does not keep the
    /// others waiting.
    async fn carry_out(&self, mut budget: usize) -> Result<Vec<Shredded>, Error> {
        let (mut gone, mut failed) = (Vec::new(), None);
        for shelf in self.shelves.iter() {
            let mut after = String::new();
            while budget > 0 {
                let mut tx = self.db.read().await?;
                let patients = shelf.due(&mut tx, &after, PATIENTS_MAX).await?;
                drop(tx);
                let Some(last) = patients.last() else { break };
                after.clone_from(last);
                for patient in &patients {
                    if let Err(error) = self.settle(&**shelf, patient, &mut budget, &mut gone).await {
                        tracing::warn!(%error, "what is due of a deleted patient was not done");
                        failed = Some(error);
                    }
                }
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        db::hold_keys_destroy(&self.db).await?;
        // Whatever is still under such a key is to be moved first.
        if budget > 0 {
            db::year_keys_destroy(&self.db).await?;
        }
        Ok(gone)
    }

    /// Does all that is due of one patient, in as many transactions as it takes.
    async fn settle(
        &self,
        shelf: &dyn Shelf,
        patient: &str,
        budget: &mut usize,
        gone: &mut Vec<Shredded>,
    ) -> Result<(), Error> {
        while *budget > 0 {
            let trail = self.trail(patient);
            let settled = trail::within(Some(trail), Box::pin(self.settle_some(shelf, patient))).await?;
            if settled.seen == 0 {
                return Ok(());
            }
            *budget = budget.saturating_sub(settled.seen);
            for (kind, count) in &settled.gone {
                add(gone, kind, *count);
            }
        }
        Ok(())
    }

    async fn settle_some(&self, shelf: &dyn Shelf, patient: &str) -> Result<Settled, Error> {
        db::retrying(&self.db, async |mut tx| {
            db::erasure_lock(&mut tx, patient).await?;
            let hold = db::legal_hold_on(&mut tx, patient).await?;
            let settled = shelf.settle(&mut tx, patient, hold, ROWS_MAX).await?;
            if settled.seen > 0 {
                let counts: Vec<_> =
                    settled.gone.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
                db::erasure_shredded(&mut tx, &self.db, patient, &counts).await?;
                trail::because(&in_words(&settled.gone));
                tx.commit().await?;
            }
            Ok::<_, Error>(settled)
        })
        .await
    }

    /// An entry of its own for each transaction, which names whose data it was and nobody else: by the job, or for whoever asked.
    fn trail(&self, patient: &str) -> Trail {
        let trail = Trail::of(OPERATION);
        let asked = trail::current().map(|asked| asked.told());
        trail.tell(|told| match asked {
            Some(asked) => {
                (told.who, told.name, told.roles) = (asked.who, asked.name, asked.roles);
                (told.on_behalf_of, told.from, told.trace_id) =
                    (asked.on_behalf_of, asked.from, asked.trace_id);
            }
            None => told.who = format!("service:{}", self.db.service()),
        });
        trail.concerns(patient);
        trail
    }
}

/// Takes in what an event says of a legal hold, if it does, under [`db::erasure_lock`]: before what is held of the patient is looked at.
pub async fn take_hold(tx: &mut Tx, what: &What) -> Result<(), Error> {
    let Some(HoldNotice { patient_id, version, is_active, until }) = what.hold() else { return Ok(()) };
    let hold = db::LegalHold { version: *version, is_active: *is_active, until: *until };
    db::legal_hold_take(tx, patient_id.as_str(), hold).await
}

/// What stands in the audit of a transaction: `records 3, amendments 1`.
fn in_words(gone: &[(String, u64)]) -> String {
    let each: Vec<_> = gone.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    if each.is_empty() { "kept under another key".to_owned() } else { format!("over: {}", each.join(", ")) }
}

fn add(gone: &mut Vec<Shredded>, kind: &str, count: u64) {
    match gone.iter_mut().find(|known| known.kind == kind) {
        Some(known) => known.count += count,
        None => gone.push(Shredded { kind: kind.to_owned(), count }),
    }
}

const WHY_ALWAYS: &str = "It was sent, and nobody has said for how many years the books keep it; whoever keeps them sees it, and nobody else.";
const WHY_YEARS: &str =
    "It is kept, restricted, for the years that the clinic has said, to the end of the last.";
const WHY_YEARS_AND_HELD: &str = "It is kept, restricted, for the years that the clinic has said, and no less than until the legal hold on the patient is lifted or over.";
const WHY_HELD: &str =
    "A legal hold is on the patient: it is kept, restricted, until that is lifted or over.";

fn keep(kept: &mut Vec<Kept>, group: &RetainedGroup, how: db::Kept, count: u64) {
    let (why, until) = match (how, group.on_hold) {
        (db::Kept::Held(_), _) => (WHY_HELD, None),
        (db::Kept::Always, _) => (WHY_ALWAYS, None),
        (db::Kept::Until(year), None) => (WHY_YEARS, Some(db::year_is_over_at(year))),
        // Whichever ends later.
        (db::Kept::Until(_), Some(_)) => (WHY_YEARS_AND_HELD, None),
    };
    match kept.iter_mut().find(|known| known.kind == group.kind && known.until == until && known.why == why) {
        Some(known) => known.count += count,
        None => kept.push(Kept { kind: group.kind.clone(), count, why: why.to_owned(), until }),
    }
}

/// A stretch of what a service keeps of a patient on the shelf that every service has.
pub async fn page(db: &Db, patient: &PatientId, search: &RetainedSearch) -> Result<RetainedPage, Retaining> {
    trail::concerns(patient.as_str());
    let after =
        search.after.as_deref().map(|after| after.split_once('/').ok_or(Retaining::Unknown)).transpose()?;
    let mut tx = db.read().await?;
    let rows = db::retained_list::<Box<RawValue>>(
        &mut tx,
        db,
        patient.as_str(),
        after.unwrap_or_default(),
        i64::from(ITEMS_MAX) + 1,
    );
    let mut rows = rows.await?;
    let more = rows.len() > usize::from(ITEMS_MAX);
    rows.truncate(usize::from(ITEMS_MAX));
    let next = rows.last().filter(|_| more).map(|((kind, id), _)| format!("{kind}/{id}"));
    let service = db.service();
    let items = rows.into_iter().filter_map(|(_, kept)| kept).map(|kept| RetainedItem {
        service: service.to_string(),
        kind: kept.kind,
        id: kept.id,
        patient_id: patient.clone(),
        until: match kept.kept {
            db::Kept::Until(year) => Some(db::year_is_over_at(year)),
            db::Kept::Always | db::Kept::Held(_) => None,
        },
        data: kept.body,
    });
    Ok(RetainedPage { items: items.collect(), next })
}

/// Why what is kept is not told.
#[derive(Debug, thiserror::Error)]
pub enum Retaining {
    /// The place in the list is none.
    #[error("no such place in the list")]
    Unknown,
    /// The database.
    #[error(transparent)]
    Db(#[from] Error),
}

impl crate::routes::Failure for Retaining {
    fn problem(&self) -> Problem {
        match self {
            Self::Unknown => {
                Problem::new(ProblemCode::InvalidQuery).fault("after", "must be the next of a page before")
            }
            Self::Db(error) => crate::problem::of_db(error),
        }
    }
}
