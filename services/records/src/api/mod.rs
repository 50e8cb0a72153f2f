//! The handlers, a file each: authorise, load, decide, save, commit.

pub mod create;
pub mod delete;
pub mod events;
pub mod read;
pub mod search;
pub mod update;

use chrono::NaiveDate;
use contracts::client::found;
use contracts::id::{PatientId, RecordId};
use contracts::patients::PatientsClient;
use contracts::trail;
use db::{Db, Tx};
use http_kit::kit::BuildError;
use http_kit::{Caller, Kit};
use settings::ServiceName;

use crate::error::Error;
use crate::store::record::{Kept, record_find};

/// What every handler has.
#[derive(Clone)]
pub struct Api {
    pub(crate) db: Db,
    patients: PatientsClient,
    time_zone: chrono_tz::Tz,
}

impl Api {
    /// From the kit.
    pub fn new(kit: &Kit) -> Result<Self, BuildError> {
        Ok(Self {
            db: kit.db.clone(),
            patients: PatientsClient::new(kit.transport(ServiceName::PatientService)?),
            time_zone: kit.settings.time_zone.parse()?,
        })
    }

    /// Today, where the clinic is.
    fn today(&self) -> NaiveDate {
        self.db.clock().now().with_timezone(&self.time_zone).date_naive()
    }

    /// Refuses a patient who is not, or of whom the caller may not know.
    async fn check_patient(&self, caller: &Caller, id: &PatientId) -> Result<(), Error> {
        if !caller.reach().covers(id) {
            return Err(Error::UnknownPatient);
        }
        found(self.patients.patient_by_id(id).await)?.map(drop).ok_or(Error::UnknownPatient)
    }

    /// The record, if there is one and the caller may know of it.
    async fn visible(&self, tx: &mut Tx, caller: &Caller, id: &RecordId) -> Result<Kept, Error> {
        let kept = record_find(tx, &self.db, id).await?.ok_or(Error::NotFound)?;
        trail::concerns(kept.record.patient_id.as_str());
        if caller.reach().covers(&kept.record.patient_id) { Ok(kept) } else { Err(Error::NotFound) }
    }
}
