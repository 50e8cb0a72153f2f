//! The handlers, a file each: authorise, load, decide, save, commit.

pub mod create;
pub mod delete;
pub mod erasure;
pub mod events;
pub mod export;
pub mod read;
pub mod search;
pub mod update;

use std::sync::Arc;

use contracts::bills as wire;
use contracts::client::{ClientError, found};
use contracts::consents::DataClass;
use contracts::id::{BillId, PatientId};
use contracts::patients::PatientsClient;
use contracts::permission::Permission;
use contracts::trail;
use db::{Db, Tx};
use http_kit::{Caller, Kit, Reach, Retention, access};
use settings::ServiceName;

use crate::domain::bill::Heading;
use crate::error::Error;
use crate::store::bill::{Kept, Sealed, bill_find};
use crate::store::shelf::Bills;

/// What every handler has.
#[derive(Clone)]
pub struct Api {
    pub(crate) db: Db,
    patients: PatientsClient,
    currency: Arc<str>,
    /// For how many years bills of erased patients are kept.
    years: db::Years,
    pub(crate) retention: Retention,
}

impl Api {
    /// From the kit.
    pub fn new(kit: &Kit) -> Result<Self, ClientError> {
        let (db, currency) = (kit.db.clone(), Arc::<str>::from(kit.settings.currency.as_str()));
        let years = kit.settings.retention.bills;
        let bills = Bills { db: db.clone(), years, currency: Arc::clone(&currency) };
        Ok(Self {
            patients: PatientsClient::new(kit.transport(ServiceName::PatientService)?),
            retention: Retention::beside(&db, Box::new(bills)),
            db,
            currency,
            years,
        })
    }

    /// Refuses a patient who is not, or of whom the caller may not know. What the patient does not share with them is no reason: what was done is billed,
    /// seen or not.
    async fn check_patient(&self, caller: &Caller, id: &PatientId) -> Result<(), Error> {
        let mut tx = self.db.read().await?;
        if !access::reaches(&mut tx, caller, id).await? {
            return Err(Error::UnknownPatient);
        }
        drop(tx);
        found(self.patients.patient_by_id(id).await)?.map(drop).ok_or(Error::UnknownPatient)
    }

    /// The bill, if there is one and the caller may know of it. Whether there is none, or one of somebody else's, the database is asked the same.
    async fn visible(&self, tx: &mut Tx, caller: &Caller, id: &BillId) -> Result<Kept, Error> {
        let sealed = bill_find(tx, id).await?;
        if let Some(sealed) = &sealed {
            trail::concerns(sealed.patient().as_str());
        }
        let patient = sealed.as_ref().map_or_else(|| PatientId::trusted(String::new()), Sealed::patient);
        let shows = access::shows(tx, &self.db, caller, DataClass::Bills, &patient).await?;
        match sealed.filter(|sealed| shows && (!sealed.is_restricted() || keeps_books(caller))) {
            Some(sealed) => match sealed.open(&self.db).await? {
                Some(kept) => Ok(kept),
                None => Err(self.unopened(&patient).await?),
            },
            None => Err(Error::NotFound),
        }
    }

    /// What is said of a bill whose patient's key is destroyed. If they were erased since it was read, it is restricted or gone by now, and read
    /// again; if an older copy of the data has brought it back, there is none.
    async fn unopened(&self, patient: &PatientId) -> Result<Error, db::Error> {
        let mut tx = self.db.read().await?;
        let is_asked = db::erasure_is_requested(&mut tx, patient.as_str()).await?;
        Ok(if is_asked { Error::Db(db::Error::LostRace) } else { Error::NotFound })
    }

    /// As the API shows it.
    fn view(&self, kept: &Kept) -> wire::Bill {
        let heading = Heading { id: &kept.id, currency: &self.currency, restricted: kept.restricted };
        kept.bill.view(heading)
    }
}

/// Whether somebody sees what the law keeps of erased patients: those who write bills, and no patient.
fn keeps_books(caller: &Caller) -> bool {
    caller.reach() == Reach::Everyone && caller.may(Permission::BillsWrite)
}
