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
use contracts::id::{BillId, PatientId};
use contracts::patients::PatientsClient;
use contracts::permission::Permission;
use contracts::trail;
use db::{Db, Tx};
use http_kit::{Caller, Kit, Reach};
use settings::ServiceName;

use crate::domain::bill::Heading;
use crate::error::Error;
use crate::store::bill::{Kept, bill_find};

/// What every handler has.
#[derive(Clone)]
pub struct Api {
    pub(crate) db: Db,
    patients: PatientsClient,
    currency: Arc<str>,
}

impl Api {
    /// From the kit.
    pub fn new(kit: &Kit) -> Result<Self, ClientError> {
        Ok(Self {
            db: kit.db.clone(),
            patients: PatientsClient::new(kit.transport(ServiceName::PatientService)?),
            currency: Arc::from(kit.settings.currency.as_str()),
        })
    }

    /// Refuses a patient who is not, or of whom the caller may not know.
    async fn check_patient(&self, caller: &Caller, id: &PatientId) -> Result<(), Error> {
        if !caller.reach().covers(id) {
            return Err(Error::UnknownPatient);
        }
        found(self.patients.patient_by_id(id).await)?.map(drop).ok_or(Error::UnknownPatient)
    }

    /// The bill, if there is one and the caller may know of it.
    async fn visible(&self, tx: &mut Tx, caller: &Caller, id: &BillId) -> Result<Kept, Error> {
        let kept = bill_find(tx, &self.db, id).await?.ok_or(Error::NotFound)?;
        trail::concerns(kept.bill.patient_id.as_str());
        let shown = caller.reach().covers(&kept.bill.patient_id) && (!kept.restricted || keeps_books(caller));
        if shown { Ok(kept) } else { Err(Error::NotFound) }
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
