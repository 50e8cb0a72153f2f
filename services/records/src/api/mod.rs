//! The handlers, a file each: authorise, load, decide, save, commit.

pub mod amendments;
pub mod break_glass;
pub mod create;
pub mod delete;
pub mod erasure;
pub mod events;
pub mod export;
pub mod read;
pub mod reviews;
pub mod search;
pub mod update;

use chrono::{NaiveDate, TimeDelta};
use contracts::client::found;
use contracts::consents::DataClass;
use contracts::id::{PatientId, RecordId};
use contracts::patients::PatientsClient;
use contracts::records::MedicalRecord;
use contracts::trail;
use db::{Db, Tx};
use http_kit::kit::BuildError;
use http_kit::{Caller, Kit, Retention, access};
use settings::ServiceName;

use crate::domain::amendment;
use crate::error::Error;
use crate::store::amendment::amendments_of;
use crate::store::record::{Kept, Sealed, record_find};

/// What every handler has.
#[derive(Clone)]
pub struct Api {
    pub(crate) db: Db,
    patients: PatientsClient,
    time_zone: chrono_tz::Tz,
    glass_holds: TimeDelta,
    /// For how many years records of erased patients are kept.
    years: u32,
    pub(crate) retention: Retention,
}

impl Api {
    /// From the kit.
    pub fn new(kit: &Kit) -> Result<Self, BuildError> {
        let years = kit.settings.retention.medical_records;
        Ok(Self {
            years,
            retention: Retention::new(&kit.db, years),
            db: kit.db.clone(),
            patients: PatientsClient::new(kit.transport(ServiceName::PatientService)?),
            time_zone: kit.settings.time_zone.parse()?,
            glass_holds: TimeDelta::seconds(i64::from(kit.settings.access.break_glass_seconds)),
        })
    }

    /// Today, where the clinic is.
    fn today(&self) -> NaiveDate {
        self.db.clock().now().with_timezone(&self.time_zone).date_naive()
    }

    /// Refuses a patient who is not.
    async fn check_is_patient(&self, id: &PatientId) -> Result<(), Error> {
        found(self.patients.patient_by_id(id).await)?.map(drop).ok_or(Error::UnknownPatient)
    }

    /// Refuses a patient who is not, or of whom the caller may not know. What the patient does not share with them is no reason: who treats writes
    /// down what they did, seen or not.
    async fn check_patient(&self, caller: &Caller, id: &PatientId) -> Result<(), Error> {
        let mut tx = self.db.read().await?;
        if !access::reaches(&mut tx, caller, id).await? {
            return Err(Error::UnknownPatient);
        }
        drop(tx);
        self.check_is_patient(id).await
    }

    /// The record, if there is one and the caller may know of it. Whether there is none, or one of somebody else's, the database is asked
    /// the same.
    async fn visible(&self, tx: &mut Tx, caller: &Caller, id: &RecordId) -> Result<Kept, Error> {
        let sealed = record_find(tx, id).await?;
        if let Some(sealed) = &sealed {
            trail::concerns(sealed.patient().as_str());
        }
        let patient = sealed.as_ref().map_or_else(|| PatientId::trusted(String::new()), Sealed::patient);
        let shows = access::shows(tx, &self.db, caller, DataClass::Records, &patient).await?;
        match sealed.filter(|_| shows) {
            Some(sealed) => sealed.open(&self.db).await?.ok_or(Error::NotFound),
            None => Err(Error::NotFound),
        }
    }

    /// A record as the API shows it: with what its patient asked to have amended.
    async fn shown(&self, tx: &mut Tx, kept: &Kept) -> Result<MedicalRecord, Error> {
        let record = kept.record.view(&kept.id);
        if !kept.is_amended {
            return Ok(record);
        }
        let amendments = amendments_of(tx, &self.db, &kept.id).await?;
        Ok(MedicalRecord { amendments: amendments.iter().map(amendment::Kept::view).collect(), ..record })
    }
}
